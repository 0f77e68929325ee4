//! Where outputs go and how their topics are made (docs/rules/outputs.md#tenants-topics).

use crate::id::StreamName;
use crate::time::Period;
use crate::topic;
use crate::topic::StatusTemplate;

/// The longest tenant id.
pub(super) const MAX_TENANT: usize = 64;

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
    /// How long topics that are tables keep a tombstone: so long a reader may be away and still learn what was taken back.
    pub tombstones: Period,
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
    pub(super) what: String,
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

    /// Reads a template for these streams (docs/rules/outputs.md#tenants-topics), beside own topics with this prefix.
    pub(super) fn parse(text: &str, streams: &[StreamName], prefix: &str) -> Result<Self, TemplateError> {
        let key = "output.topic";
        let parts = split(text, key)?;
        let fault = |what: String| Err(TemplateError { what, at: 0 });
        if !parts.iter().any(|(part, _)| *part == TemplatePart::Tenant) {
            return fault(format!("`{key}` has no `{{tenant}}`: two tenants would read one topic"));
        }
        if streams.len() > 1 && !parts.iter().any(|(part, _)| *part == TemplatePart::Stream) {
            return fault(format!("`{key}` has no `{{stream}}`, and there are several streams"));
        }
        check_parts(text, &parts, key, prefix)?;
        let template = Self { parts: parts.into_iter().map(|(part, _)| part).collect() };
        if template.longest(streams) > topic::MAX_LENGTH {
            return fault(too_long(key));
        }
        Ok(template)
    }

    /// The length of the longest topic.
    fn longest(&self, streams: &[StreamName]) -> usize {
        let stream = streams.iter().map(|s| s.as_str().len()).max().unwrap_or(0);
        self.topic(&"t".repeat(MAX_TENANT), &"s".repeat(stream)).len()
    }
}

/// Reads `topics.status`, beside own topics with this prefix: the rules of `output.topic`, for a name without stream.
pub(super) fn parse_status(text: &str, prefix: &str) -> Result<StatusTemplate, TemplateError> {
    let key = "topics.status";
    let parts = split(text, key)?;
    if let Some((_, at)) = parts.iter().find(|(part, _)| *part == TemplatePart::Stream) {
        return Err(TemplateError { what: format!("`{key}` has one field, `{{tenant}}`: a status topic is of all streams"), at: *at });
    }
    let Some((before, after)) = text.split_once("{tenant}") else {
        return Err(TemplateError { what: format!("`{key}` has no `{{tenant}}`: two tenants would read one topic"), at: 0 });
    };
    check_parts(text, &parts, key, prefix)?;
    let status = StatusTemplate { before: before.to_owned(), after: after.to_owned() };
    if before.len() + MAX_TENANT + after.len() > topic::MAX_LENGTH {
        return Err(TemplateError { what: too_long(key), at: 0 });
    }
    Ok(status)
}

fn too_long(key: &str) -> String {
    format!("`{key}` can make names of more than 249 characters, which Kafka does not take")
}

/// What every template keeps: how it begins, and where its fields are.
fn check_parts(text: &str, parts: &[(TemplatePart, usize)], key: &str, prefix: &str) -> Result<(), TemplateError> {
    if !matches!(parts.first(), Some((TemplatePart::Literal(_), _))) {
        return Err(TemplateError { what: format!("`{key}` begins with a field: it must begin with a text of its own"), at: 0 });
    }
    if text.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.')) {
        return Err(TemplateError { what: format!("`{key}` begins with `{prefix}.`, where the engine's own topics are"), at: 0 });
    }
    for (index, (part, at)) in parts.iter().enumerate() {
        let has_dot_before = index > 0 && matches!(&parts[index - 1].0, TemplatePart::Literal(text) if text.ends_with('.'));
        let has_dot_behind =
            parts.get(index + 1).is_none_or(|(next, _)| matches!(next, TemplatePart::Literal(text) if text.starts_with('.')));
        let is_field = !matches!(part, TemplatePart::Literal(_));
        if is_field && (!has_dot_before || !has_dot_behind) {
            return Err(TemplateError { what: format!("a field of `{key}` must stand between dots or at the end"), at: *at });
        }
    }
    Ok(())
}

/// The parts with the character each begins at.
fn split(text: &str, key: &str) -> Result<Vec<(TemplatePart, usize)>, TemplateError> {
    let mut parts: Vec<(TemplatePart, usize)> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let at = text[..text.len() - rest.len()].chars().count();
        let end = rest.find(['{', '}']).unwrap_or(rest.len());
        if end > 0 {
            let (literal, behind) = rest.split_at(end);
            if let Some(offset) = literal.chars().position(|c| !topic::has_only_topic_characters(c.encode_utf8(&mut [0; 4]))) {
                return Err(TemplateError {
                    what: "this character cannot stand in a topic name; there are A-Z a-z 0-9 . _ -".to_owned(),
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
            return Err(TemplateError { what: format!("`{key}` has fields `{{tenant}}` and `{{stream}}`, and this is neither"), at });
        };
        if parts.iter().any(|(known, _)| *known == part) {
            return Err(TemplateError { what: format!("this field stands twice in `{key}`"), at });
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
            assert!(OutputTemplate::parse(good, &two, "sharecast").is_ok(), "{good}");
        }
        assert!(OutputTemplate::parse("x.{tenant}", &two[..1], "sharecast").is_ok());
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
            assert!(OutputTemplate::parse(bad, &two, "sharecast").is_err(), "{bad}");
        }
        assert!(OutputTemplate::parse(&format!("{}.{{tenant}}.{{stream}}", "x".repeat(173)), &two, "sharecast").is_ok());
        assert!(OutputTemplate::parse(&format!("{}.{{tenant}}.{{stream}}", "x".repeat(175)), &two, "sharecast").is_err());
    }

    #[test]
    fn points_at_what_is_wrong() {
        assert_eq!(OutputTemplate::parse("ab é.{tenant}", &[], "sharecast").unwrap_err().at, 2);
        assert_eq!(OutputTemplate::parse("x.{tenant}.{foo}", &[], "sharecast").unwrap_err().at, 11);
        assert_eq!(OutputTemplate::parse("x.{tenant}y", &[], "sharecast").unwrap_err().at, 2);
    }

    #[test]
    fn the_standard_is_what_its_text_says() {
        let two = streams(&["telemetry", "details"]);
        assert_eq!(OutputTemplate::parse("share.{tenant}.{stream}", &two, "sharecast").unwrap(), OutputTemplate::standard());
        assert_eq!(OutputTemplate::standard().topic("acme", "details"), "share.acme.details");
    }

    #[test]
    fn a_template_keeps_clear_of_the_own_topics() {
        let two = streams(&["telemetry", "details"]);
        for (text, prefix, is_right) in [
            ("sharecast.{tenant}.{stream}", "eu.cast", true),
            ("eu.cast.{tenant}.{stream}", "eu.cast", false),
            ("eu.casting.{tenant}.{stream}", "eu.cast", true),
            ("sharecast-to.{tenant}.{stream}", "sharecast", true),
        ] {
            assert_eq!(OutputTemplate::parse(text, &two, prefix).is_ok(), is_right, "{text} beside {prefix}");
        }
    }

    #[test]
    fn status_templates_have_a_tenant_alone() {
        let read = |text: &str| parse_status(text, "sharecast");
        assert_eq!(read("share.{tenant}.shares").unwrap(), StatusTemplate::standard());
        assert_eq!(read("eu.shares.{tenant}").unwrap().topic(&crate::id::TenantId::parse("acme").unwrap()), "eu.shares.acme");
        for bad in [
            "shares",
            "{tenant}.shares",
            "sharecast.{tenant}",
            "x{tenant}",
            "x.{tenant}s",
            "x.{tenant}.{stream}",
            "x.{tenant}.{tenant}",
            "x y.{tenant}",
            &format!("{}.{{tenant}}", "x".repeat(185)),
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(read(&format!("{}.{{tenant}}", "x".repeat(184))).is_ok());
        assert_eq!(read("x.{tenant}.{stream}").unwrap_err().at, 11);
    }
}
