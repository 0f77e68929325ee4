//! Where outputs go and how their topics are made (docs/rules/outputs.md#tenants-topics).

use crate::id::{StreamName, TenantId};
use crate::record::mapping::Stream;
use crate::time::Period;
use crate::topic;

/// `output`.
#[derive(Debug, Clone)]
pub struct OutputConfig {
    /// The names of tenant topics.
    pub topics: OutputTemplate,
    /// `provision: auto`: topics are created at the grant.
    pub is_auto_provisioned: bool,
    /// Partitions of a topic that is created.
    pub partitions: i32,
    /// Replicas of a topic that is created; none leaves it to the brokers (`-1`).
    pub replication: Option<i16>,
    /// How long an append stream's topic that is created keeps its records; none leaves it to the brokers.
    pub retention: Option<Period>,
    /// Input headers that are passed on.
    pub headers: Vec<String>,
    /// What becomes of a record whose route has failed.
    pub on_route_failure: OnRouteFailure,
}

/// `output.on_route_failure`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnRouteFailure {
    /// What the route would have got goes to the dead letters, reason `route_failed`.
    DeadLetter,
    /// The input log holds it until the route answers.
    Wait,
}

/// `output.topic`: literal text with `{tenant}` and, with several streams, `{stream}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputTemplate {
    /// The parts in order; the first is literal text.
    parts: Vec<TemplatePart>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum TemplatePart {
    Literal(String),
    Tenant,
    Stream,
}

/// Why a text is no template, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TemplateError {
    /// What is wrong.
    pub(super) what: &'static str,
    /// The character it was found at, from 0.
    pub(super) at: usize,
}

impl OutputTemplate {
    /// `share.{tenant}.{stream}`.
    pub fn standard() -> Self {
        let literal = |text: &str| TemplatePart::Literal(text.to_owned());
        Self { parts: vec![literal("share."), TemplatePart::Tenant, literal("."), TemplatePart::Stream] }
    }

    /// What every topic begins with, whatever tenant and stream.
    pub fn prefix(&self) -> &str {
        match self.parts.first() {
            Some(TemplatePart::Literal(text)) => text,
            _ => "",
        }
    }

    /// The topic of a tenant and a stream.
    pub fn topic(&self, tenant: &str, stream: &str) -> String {
        let mut topic = String::with_capacity(64);
        self.write_topic(tenant, stream, &mut topic);
        topic
    }

    /// Appends the topic of a tenant and a stream.
    pub fn write_topic(&self, tenant: &str, stream: &str, out: &mut String) {
        for part in &self.parts {
            out.push_str(match part {
                TemplatePart::Literal(text) => text,
                TemplatePart::Tenant => tenant,
                TemplatePart::Stream => stream,
            });
        }
    }

    /// Reads a template for these streams (docs/rules/outputs.md#tenants-topics).
    pub(super) fn parse(text: &str, streams: &[StreamName]) -> Result<Self, TemplateError> {
        let parts = split(text)?;
        let fault = |what| Err(TemplateError { what, at: 0 });
        if !parts.iter().any(|(part, _)| *part == TemplatePart::Tenant) {
            return fault("`output.topic` has no `{tenant}`: two tenants would read one topic");
        }
        if streams.len() > 1 && !parts.iter().any(|(part, _)| *part == TemplatePart::Stream) {
            return fault("`output.topic` has no `{stream}`, and there are several streams");
        }
        if !matches!(parts.first(), Some((TemplatePart::Literal(_), _))) {
            return fault("`output.topic` begins with a field: it must begin with a text of its own");
        }
        if text.starts_with("sharecast.") {
            return fault("`output.topic` begins with `sharecast.`, where the engine's own topics are");
        }
        for (index, (part, at)) in parts.iter().enumerate() {
            let has_dot_before = index > 0 && matches!(&parts[index - 1].0, TemplatePart::Literal(text) if text.ends_with('.'));
            let has_dot_behind =
                parts.get(index + 1).is_none_or(|(next, _)| matches!(next, TemplatePart::Literal(text) if text.starts_with('.')));
            let is_field = !matches!(part, TemplatePart::Literal(_));
            if is_field && (!has_dot_before || !has_dot_behind) {
                return Err(TemplateError { what: "a field of `output.topic` must stand between dots or at the end", at: *at });
            }
        }
        let template = Self { parts: parts.into_iter().map(|(part, _)| part).collect() };
        if template.longest(streams) > topic::MAX_LENGTH {
            return fault("`output.topic` can make names of more than 249 characters, which Kafka does not take");
        }
        Ok(template)
    }

    /// Reads the template of a backfill of one stream. It may lead neither into an input nor into a status topic.
    pub fn for_job(text: &str, stream: &Stream, streams: &[Stream]) -> Result<Self, String> {
        let template =
            Self::parse(text, std::slice::from_ref(&stream.name)).map_err(|error| error.what.replace("`output.topic`", "the template"))?;
        let name = stream.name.as_str();
        if let Some(input) = streams.iter().find(|other| template.can_be(name, &other.topic)) {
            return Err(format!("some tenant's topic would be `{}`, which is read", input.topic));
        }
        if template.is_status_topic(name) || template.can_be_status_topic(name) {
            return Err("some tenant's topic would be a status topic, `share.<tenant>.shares`".to_owned());
        }
        Ok(template)
    }

    /// The length of the longest topic, with a tenant id of 64 characters.
    fn longest(&self, streams: &[StreamName]) -> usize {
        let stream = streams.iter().map(|s| s.as_str().len()).max().unwrap_or(0);
        self.topic(&"t".repeat(64), &"s".repeat(stream)).len()
    }

    /// Whether some tenant's topic of this stream is a topic of this name for Kafka's metrics, so that both cannot be.
    pub(super) fn can_be(&self, stream: &str, name: &str) -> bool {
        let pattern = topic::in_metrics(&self.topic("\u{0}", stream));
        let Some((before, behind)) = pattern.split_once('\u{0}') else { return false };
        let name = topic::in_metrics(name);
        let tenant = name.strip_prefix(before).and_then(|rest| rest.strip_suffix(behind));
        tenant.is_some_and(TenantId::is_valid)
    }

    /// Whether every tenant's topic of this stream is that tenant's status topic, `share.<tenant>.shares`.
    pub(super) fn is_status_topic(&self, stream: &str) -> bool {
        topic::in_metrics(&self.topic("t", stream)) == topic::in_metrics("share.t.shares")
    }

    /// Whether a tenant's topic of this stream can be another tenant's status topic, `share.<tenant>.shares`.
    pub(super) fn can_be_status_topic(&self, stream: &str) -> bool {
        let pattern = topic::in_metrics(&self.topic("\u{0}", stream));
        match pattern.split_once('\u{0}') {
            // `share.<something>.{tenant}` with a tenant called `shares`.
            Some((before, "")) => before.strip_prefix("share_").and_then(|rest| rest.strip_suffix('_')).is_some_and(TenantId::is_valid),
            _ => false,
        }
    }
}

/// The parts with the character each begins at.
fn split(text: &str) -> Result<Vec<(TemplatePart, usize)>, TemplateError> {
    let mut parts: Vec<(TemplatePart, usize)> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let at = text[..text.len() - rest.len()].chars().count();
        let end = rest.find(['{', '}']).unwrap_or(rest.len());
        if end > 0 {
            let (literal, behind) = rest.split_at(end);
            if let Some(offset) = literal.chars().position(|c| !topic::has_only_topic_characters(c.encode_utf8(&mut [0; 4]))) {
                return Err(TemplateError {
                    what: "this character cannot stand in a topic name; there are A-Z a-z 0-9 . _ -",
                    at: at + offset,
                });
            }
            parts.push((TemplatePart::Literal(literal.to_owned()), at));
            rest = behind;
            continue;
        }
        let (part, behind) = if let Some(behind) = rest.strip_prefix("{tenant}") {
            (TemplatePart::Tenant, behind)
        } else if let Some(behind) = rest.strip_prefix("{stream}") {
            (TemplatePart::Stream, behind)
        } else {
            return Err(TemplateError { what: "`output.topic` has two fields, `{tenant}` and `{stream}`, and this is neither", at });
        };
        if parts.iter().any(|(known, _)| *known == part) {
            return Err(TemplateError { what: "this field stands twice in `output.topic`", at });
        }
        parts.push((part, at));
        rest = behind;
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn streams(names: &[&str]) -> Vec<StreamName> {
        names.iter().map(|name| StreamName::parse(name).unwrap()).collect()
    }

    #[test]
    fn templates_follow_d41() {
        let two = streams(&["telemetry", "details"]);
        for good in ["share.{tenant}.{stream}", "to.{stream}.{tenant}", "a-b_c.{stream}.{tenant}", "x.{tenant}.y.{stream}.z"] {
            assert!(OutputTemplate::parse(good, &two).is_ok(), "{good}");
        }
        assert!(OutputTemplate::parse("x.{tenant}", &two[..1]).is_ok());
        for bad in [
            "{tenant}.x",
            "{stream}.{tenant}",
            "sharecast.{tenant}.{stream}",
            "x.{tenant}",
            "x.{stream}",
            "x",
            "x{tenant}.{stream}",
            "x.{tenant}{stream}",
            "x.{tenant}-y.{stream}",
            "x.{tenant}.{stream}.{tenant}",
            "x.{tenant}.{stream}.{asset}",
            "x.{tenant}.{stream",
            "x.}.{tenant}.{stream}",
            "x y.{tenant}.{stream}",
            "é.{tenant}.{stream}",
            "x.{Tenant}.{stream}",
            "x.{ tenant }.{stream}",
            "x.{tenant}_{stream}",
            "x_{tenant}.{stream}",
        ] {
            assert!(OutputTemplate::parse(bad, &two).is_err(), "{bad}");
        }
        assert!(OutputTemplate::parse(&format!("{}.{{tenant}}.{{stream}}", "x".repeat(173)), &two).is_ok());
        assert!(OutputTemplate::parse(&format!("{}.{{tenant}}.{{stream}}", "x".repeat(175)), &two).is_err());
    }

    #[test]
    fn points_at_what_is_wrong() {
        assert_eq!(OutputTemplate::parse("ab é.{tenant}", &[]).unwrap_err().at, 2);
        assert_eq!(OutputTemplate::parse("x.{tenant}.{foo}", &[]).unwrap_err().at, 11);
        assert_eq!(OutputTemplate::parse("x.{tenant}y", &[]).unwrap_err().at, 2);
    }

    #[test]
    fn the_standard_is_what_its_text_says() {
        let two = streams(&["telemetry", "details"]);
        assert_eq!(OutputTemplate::parse("share.{tenant}.{stream}", &two).unwrap(), OutputTemplate::standard());
        assert_eq!(OutputTemplate::standard().topic("acme", "details"), "share.acme.details");
    }

    #[test]
    fn topics_that_kafka_takes_for_another_are_found() {
        let template = |text: &str| OutputTemplate::parse(text, &streams(&["telemetry"])).unwrap();
        assert!(template("share.{tenant}.shares").is_status_topic("telemetry"));
        assert!(!template("share.{tenant}.telemetry").is_status_topic("telemetry"));
        assert!(template("share.{stream}.{tenant}").can_be_status_topic("telemetry"));
        assert!(!OutputTemplate::standard().can_be_status_topic("telemetry"));
        assert!(template("telemetry.{tenant}").can_be("telemetry", "telemetry_raw"));
        assert!(!template("telemetry.{tenant}").can_be("telemetry", "telemetry"));
    }
}
