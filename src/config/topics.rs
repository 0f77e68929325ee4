//! `topics`: what the installation's own topics and tenants' status topics are called, and which names may not meet
//! (docs/rules/outputs.md#own-topics).

use super::diagnostic::place_inside;
use super::output::{MAX_TENANT, OutputTemplate, TemplateError, parse_status};
use super::written::{ConfigValue, Findings, Spot};
use crate::id::{StreamName, TenantId};
use crate::record::mapping::{Mode, Stream};
use crate::topic;
use crate::topic::{OwnTopics, PREFIX, StatusTemplate};

/// The longest prefix: with it the longest name, `<prefix>.standing.` and a stream of 32 characters, is one that Kafka takes.
const MAX_PREFIX: usize = 200;

/// Resolves `topics`.
pub(super) fn resolve(root: &ConfigValue, findings: &mut Findings) -> OwnTopics {
    let prefix = prefix(root, findings);
    let status = status(root, prefix, findings);
    OwnTopics::new(prefix, status)
}

fn prefix<'v>(root: &'v ConfigValue, findings: &mut Findings) -> &'v str {
    let Some(value) = root.at("topics.prefix") else { return PREFIX };
    let Some(text) = value.as_text() else { return PREFIX };
    let wrong = if text.len() > MAX_PREFIX {
        Some("is longer than 200 characters, and names in Kafka have 249 at most".to_owned())
    } else if !topic::has_only_topic_characters(text) {
        Some("has a character that cannot stand in a topic name".to_owned())
    } else if text.starts_with('.') || text.ends_with('.') {
        Some(format!("begins or ends with a dot: the control topic would be `{text}.control`"))
    } else {
        None
    };
    let Some(wrong) = wrong else { return text };
    findings.error(
        value.spot,
        format!("`topics.prefix` {wrong}"),
        "write 1 to 200 of A-Z a-z 0-9 . _ - without a dot at its ends, such as `sharecast` or `eu.sharecast`",
    );
    PREFIX
}

fn status(root: &ConfigValue, prefix: &str, findings: &mut Findings) -> StatusTemplate {
    let Some(value) = root.at("topics.status") else {
        let status = StatusTemplate::standard();
        refuse_own(&status.before, "topics.status", root, prefix, findings);
        return status;
    };
    let Some(text) = value.as_text() else { return StatusTemplate::standard() };
    parse_status(text, prefix).unwrap_or_else(|wrong| {
        tell_template(value, wrong, "write for example `share.{tenant}.shares`", findings);
        StatusTemplate::standard()
    })
}

/// Notes what is wrong with a template, at its character.
pub(super) fn tell_template(value: &ConfigValue, wrong: TemplateError, instead: &str, findings: &mut Findings) {
    let text = findings.sources[value.spot.source].text.as_deref();
    let place = value.spot.place.map(|place| text.map_or(place, |text| place_inside(text, place, wrong.at)));
    findings.error(Spot { place, ..value.spot }, wrong.what, instead);
}

/// A template that was not written may begin as the own topics do all the same, where the prefix says so.
pub(super) fn refuse_own(before: &str, key: &str, root: &ConfigValue, prefix: &str, findings: &mut Findings) {
    let begins = before.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.'));
    if let (true, Some(value)) = (begins, root.at("topics.prefix")) {
        let what =
            format!("`topics.prefix` is what `{key}` begins with, unless that is given: tenants' topics would be among the engine's own");
        findings.error(value.spot, what, format!("choose another prefix, or write `{key}` too"));
    }
}

/// A topic's name as Kafka's metrics have it, with room for a tenant's id.
struct TenantPattern {
    before: Vec<u8>,
    after: Vec<u8>,
}

/// What may be at one place of a name.
#[derive(Clone, Copy)]
enum Place {
    Exactly(u8),
    /// The first character of a tenant's id: a letter or a digit.
    First,
    /// A later one: any character that a name in the metrics has.
    Later,
}

impl TenantPattern {
    fn new(before: &str, after: &str) -> Self {
        let bytes = |text: &str| topic::in_metrics(text).into_bytes();
        Self { before: bytes(before), after: bytes(after) }
    }

    fn of_stream(template: &OutputTemplate, stream: &str) -> Option<Self> {
        let name = template.topic("\u{0}", stream);
        name.split_once('\u{0}').map(|(before, after)| Self::new(before, after))
    }

    fn of_status(status: &StatusTemplate) -> Self {
        Self::new(&status.before, &status.after)
    }

    fn length(&self, tenant: usize) -> usize {
        self.before.len() + tenant + self.after.len()
    }

    fn place(&self, at: usize, tenant: usize) -> Place {
        match at.checked_sub(self.before.len()) {
            None => Place::Exactly(self.before[at]),
            Some(0) => Place::First,
            Some(inside) if inside < tenant => Place::Later,
            Some(inside) => Place::Exactly(self.after[inside - tenant]),
        }
    }

    /// A name that both can have, each with some tenant.
    fn common(&self, other: &Self) -> Option<String> {
        (1..=MAX_TENANT).find_map(|own| {
            let others = self.length(own).checked_sub(other.length(0)).filter(|length| (1..=MAX_TENANT).contains(length))?;
            let meet = |at| match (self.place(at, own), other.place(at, others)) {
                (Place::Exactly(a), Place::Exactly(b)) => (a == b).then_some(a),
                (Place::Exactly(byte), Place::First) | (Place::First, Place::Exactly(byte)) => byte.is_ascii_alphanumeric().then_some(byte),
                (Place::Exactly(byte), Place::Later) | (Place::Later, Place::Exactly(byte)) => Some(byte),
                (Place::First | Place::Later, Place::First | Place::Later) => Some(b'a'),
            };
            let name: Option<Vec<u8>> = (0..self.length(own)).map(meet).collect();
            String::from_utf8(name?).ok()
        })
    }

    /// Whether a tenant's topic can be the one of this name.
    fn can_be(&self, name: &str) -> bool {
        let name = topic::in_metrics(name).into_bytes();
        let tenant = name.strip_prefix(&*self.before).and_then(|rest| rest.strip_suffix(&*self.after));
        tenant.and_then(|tenant| std::str::from_utf8(tenant).ok()).is_some_and(TenantId::is_valid)
    }
}

/// What there is besides tenants' topics.
pub(super) struct NamedTopics<'c> {
    pub(super) own: &'c OwnTopics,
    /// `control.topic`.
    pub(super) control: &'c str,
    pub(super) streams: &'c [Stream],
}

/// Topics that are one to Kafka: two inputs, an input and the engine's own, a tenant's and its status.
pub(super) fn check(root: &ConfigValue, named: &NamedTopics<'_>, output: Option<&OutputTemplate>, findings: &mut Findings) {
    let known = check_named(root, named, findings);
    let written = ["output.topic", "topics.status", "topics.prefix", "streams", "control.topic"];
    let Some(spot) = written.iter().find_map(|key| root.at(key)).map(|value| value.spot) else { return };
    let status = TenantPattern::of_status(named.own.status_template());
    warn_of_known("a tenant's status topic", &status, &known, spot, findings);
    for stream in named.streams {
        let Some(pattern) = output.and_then(|output| TenantPattern::of_stream(output, stream.name.as_str())) else { continue };
        if let Some(name) = pattern.common(&status) {
            let what =
                format!("tenants' topics of `{}` and status topics meet: both can be `{name}`, where `.` and `_` count alike", stream.name);
            findings.error(spot, what, "choose `output.topic` and `topics.status` so that they differ for all tenants");
        }
        warn_of_known(&format!("a tenant's topic of `{}`", stream.name), &pattern, &known, spot, findings);
    }
}

/// The template of a backfill of one stream. It leads neither into a topic that has one name, nor into status topics.
pub(super) fn job_template(text: &str, stream: &Stream, named: &NamedTopics<'_>) -> Result<OutputTemplate, String> {
    let in_words = |error: TemplateError| error.what.replace("`output.topic`", "the template");
    let template = OutputTemplate::parse(text, std::slice::from_ref(&stream.name), named.own.prefix()).map_err(in_words)?;
    let pattern = TenantPattern::of_stream(&template, stream.name.as_str()).ok_or("the template has no `{tenant}`")?;
    if let Some(name) = pattern.common(&TenantPattern::of_status(named.own.status_template())) {
        return Err(format!("the topics of the template and status topics meet: both can be `{name}`, where `.` and `_` count alike"));
    }
    let inputs = named.streams.iter().map(|stream| stream.topic.as_str());
    match inputs.chain([named.control]).find(|name| pattern.can_be(name)) {
        Some(name) => Err(format!("some tenant's topic would be `{name}`, which is read")),
        None => Ok(template),
    }
}

fn warn_of_known(whose: &str, pattern: &TenantPattern, known: &[(String, String)], spot: Spot, findings: &mut Findings) {
    for (what, name) in known.iter().filter(|(_, name)| pattern.can_be(name)) {
        findings.warn(spot, format!("{whose} can be {what}, {name}"), "choose another template");
    }
}

/// The topics that have one name each, with what each is.
fn check_named(root: &ConfigValue, named: &NamedTopics<'_>, findings: &mut Findings) -> Vec<(String, String)> {
    let NamedTopics { own, control, streams } = named;
    let mut known: Vec<(String, String)> = own.fixed().map(|name| (name.to_owned(), name.to_owned())).to_vec();
    let upserts = streams.iter().filter(|stream| stream.mode == Mode::Upsert);
    known.extend(upserts.map(|stream| own.standing(&stream.name)).map(|name| (name.clone(), name)));
    let control_spot = root.at("control.topic").map(|value| value.spot);
    let prefix_spot = root.at("topics.prefix").map(|value| value.spot);
    let inputs =
        streams.iter().map(|stream| (format!("the input of `{}`", stream.name), stream.topic.as_str(), topic_spot(root, &stream.name)));
    for (what, name, spot) in [("the control topic".to_owned(), *control, control_spot)].into_iter().chain(inputs) {
        let same = known.iter().find(|(_, other)| topic::in_metrics(other) == topic::in_metrics(name));
        if let (Some((other, _)), Some(spot)) = (same, spot.or(control_spot).or(prefix_spot)) {
            findings.error(
                spot,
                format!("{what} and {other} are one topic to Kafka, where `.` and `_` count alike"),
                "choose another topic",
            );
        }
        known.push((what, name.to_owned()));
    }
    known
}

fn topic_spot(root: &ConfigValue, stream: &StreamName) -> Option<Spot> {
    root.get("streams")?.get(stream.as_str())?.get("topic").map(|value| value.spot)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn common(output: (&str, &str), status: (&str, &str)) -> Option<String> {
        TenantPattern::new(output.0, output.1).common(&TenantPattern::new(status.0, status.1))
    }

    #[test]
    fn templates_meet_where_any_two_tenants_make_one_name() {
        let status = ("share.", ".shares");
        assert_eq!(common(("share.", ".telemetry"), status), None);
        assert_eq!(common(("share.", ".x-shares"), status), None);
        assert_eq!(common(("share.", ".shares"), status).as_deref(), Some("share_a_shares"));
        // A tenant called `shares`.
        assert_eq!(common(("share.telemetry.", ""), status).as_deref(), Some("share_telemetry_shares"));
        // A tenant called `a_x`: its status topic ends as the topic of a tenant `a` does.
        assert_eq!(common(("share.", ".x.shares"), status).as_deref(), Some("share_a_x_shares"));
        assert_eq!(common(("share_x.", ".shares"), status).as_deref(), Some("share_x_a_shares"));
        // No tenant's id begins with `-` or `_`.
        assert_eq!(common(("share._x.", ".shares"), status), None);
        assert_eq!(common(("share.-", ".shares"), status), None);
        assert_eq!(common(("to.", ""), status), None);
        // The two ids overlap in what is between the literals.
        assert_eq!(common(("a.b.", ""), ("a.", ".c")).as_deref(), Some("a_b_c"));
        // Ids have 64 characters at most.
        let long = "x".repeat(70);
        assert_eq!(common((&format!("s.{long}."), ".t"), ("s.", ".t")), None);
    }

    #[test]
    fn a_topic_that_kafka_takes_for_another_is_found() {
        assert!(TenantPattern::new("telemetry.", "").can_be("telemetry_raw"));
        assert!(!TenantPattern::new("telemetry.", "").can_be("telemetry"));
    }
}
