//! Reading the members of an event's data by name and type (docs/rules/events.md#event-data).

use std::collections::BTreeMap;

use rustc_hash::FxHashSet;

use crate::document::{DocumentKind, Node};
use crate::id::{Offset, StreamName};
use crate::json::document::write;
use crate::record::mapping::Mode;
use crate::share::configuration::{PartnershipNeed, RULES};
use crate::share::event::invitation_code::CodeHash;
use crate::share::event::invitee;
use crate::share::state::Permission;
use crate::time::TimestampNs;

/// A field is missing that must be there, or is of a wrong type, or says an unknown word. As text it repeats nothing of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("data: \"{member}\" must be {expected}")]
pub struct Malformed {
    /// The field.
    pub member: &'static str,
    /// What must be there, in words.
    pub expected: &'static str,
}

/// The longest text of a profile, in bytes, that is kept with it.
pub(crate) const LONGEST_SOURCE: usize = 64 << 10;

/// So many characters of a wrong value are shown.
const SHOWN: usize = 80;

impl Malformed {
    /// The same for whom wrote the data: what was found, and what must be there.
    pub fn in_words(&self, data: &Node) -> String {
        let Self { member, expected } = self;
        let Some(found) = data.get(member).filter(|node| !node.is_null()) else {
            return format!("\"{member}\" is missing: it must be {expected}");
        };
        // A code lets in whoever has it.
        if matches!(*member, "code" | "code_hash") {
            return format!("\"{member}\" must be {expected}");
        }
        if let (&"invitee", Some(Err(why))) = (member, found.as_str().map(invitee::check)) {
            return format!("\"{member}\" is {}: it {why}", shown(found));
        }
        format!("\"{member}\" is {}, not {expected}", shown(found))
    }
}

fn shown(node: &Node) -> String {
    let mut json = Vec::new();
    write(node, &mut json);
    let text = String::from_utf8_lossy(&json);
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into_owned(),
    }
}

/// The members of an event's data; null is the same as absent.
pub(crate) struct Fields<'a>(pub(crate) &'a Node);

impl<'a> Fields<'a> {
    fn get(&self, name: &str) -> Option<&'a Node> {
        self.0.get(name).filter(|node| !node.is_null())
    }

    pub(crate) fn need<T>(&self, name: &'static str, value: Option<T>) -> Result<T, Malformed> {
        value.ok_or(Malformed { member: name, expected: expected_of(name) })
    }

    fn typed<T>(
        &self,
        name: &'static str,
        expected: &'static str,
        read: impl FnOnce(&'a Node) -> Option<T>,
    ) -> Result<Option<T>, Malformed> {
        self.get(name).map(|node| read(node).ok_or(Malformed { member: name, expected })).transpose()
    }

    /// A field of which null says something else than absence does: `Some(None)`.
    pub(crate) fn clearable<T>(
        &self,
        name: &'static str,
        read: impl Fn(&Self, &'static str) -> Result<Option<T>, Malformed>,
    ) -> Result<Option<Option<T>>, Malformed> {
        match self.0.get(name) {
            None => Ok(None),
            Some(_) => read(self, name).map(Some),
        }
    }

    pub(crate) fn text(&self, name: &'static str) -> Result<Option<&'a str>, Malformed> {
        self.typed(name, TEXT, Node::as_str)
    }

    /// `source` of a profile. It has no part in the fold, which versions that do not know it must agree on: what is no such text is as
    /// good as none, and never a reason to refuse the event.
    pub(crate) fn source(&self) -> Option<&'a str> {
        self.get("source").and_then(Node::as_str).filter(|text| text.len() <= LONGEST_SOURCE)
    }

    pub(crate) fn truth(&self, name: &'static str) -> Result<Option<bool>, Malformed> {
        self.typed(name, "true or false", Node::as_bool)
    }

    pub(crate) fn map(&self, name: &'static str) -> Result<Option<&'a Node>, Malformed> {
        self.typed(name, OBJECT, |node| matches!(node.kind, DocumentKind::Map(_)).then_some(node))
    }

    pub(crate) fn moment(&self, name: &'static str) -> Result<Option<TimestampNs>, Malformed> {
        self.typed(name, "an RFC 3339 time such as 2026-12-01T00:00:00Z", |node| node.as_str().and_then(TimestampNs::parse_rfc3339))
    }

    pub(crate) fn permission(&self) -> Result<Option<Permission>, Malformed> {
        self.typed("permission", "\"view\", \"edit\" or \"manage\"", |node| node.as_str().and_then(Permission::parse))
    }

    pub(crate) fn code_hash(&self) -> Result<Option<CodeHash>, Malformed> {
        self.typed("code_hash", "a SHA-256 in 64 lower-case hexadecimal digits", |node| node.as_str().and_then(CodeHash::parse))
    }

    pub(crate) fn offset(&self, name: &'static str) -> Result<Option<Offset>, Malformed> {
        self.typed(name, OFFSET, |node| match &node.kind {
            DocumentKind::Number(text) => text.parse().ok().filter(|n| *n >= 0).map(Offset),
            _ => None,
        })
    }

    /// A list of strings, repeats left out.
    pub(crate) fn texts(&self, name: &'static str) -> Result<Option<Vec<&'a str>>, Malformed> {
        self.typed(name, TEXTS, |node| {
            let mut seen = FxHashSet::default();
            let mut texts = Vec::new();
            for item in node.as_list()? {
                let text = item.as_str()?;
                if seen.insert(text) {
                    texts.push(text);
                }
            }
            Some(texts)
        })
    }

    /// Streams by name, each with its mode; of a name that is repeated the last counts.
    pub(crate) fn modes(&self) -> Result<BTreeMap<StreamName, Mode>, Malformed> {
        let modes = self.typed("streams", MODES, |node| {
            let DocumentKind::Map(members) = &node.kind else { return None };
            let mode = |name: &str| node.get(name).and_then(Node::as_str).and_then(Mode::parse);
            members.iter().map(|member| Some((StreamName::parse(&member.name).ok()?, mode(&member.name)?))).collect()
        })?;
        modes.ok_or(Malformed { member: "streams", expected: MODES })
    }

    pub(crate) fn partnerships(&self) -> Result<Option<PartnershipNeed>, Malformed> {
        self.typed("partnerships", NEEDS, |node| node.as_str().and_then(PartnershipNeed::parse))
    }

    /// Whether `unreadable` is `halt`.
    pub(crate) fn unreadable(&self) -> Result<Option<bool>, Malformed> {
        self.typed("unreadable", "\"halt\" or \"skip\"", |node| match node.as_str()? {
            "halt" => Some(true),
            "skip" => Some(false),
            _ => None,
        })
    }

    /// The number of rules that this program knows.
    pub(crate) fn rules(&self) -> Result<Option<u32>, Malformed> {
        self.typed("rules", "a number of rules that this version knows", |node| match &node.kind {
            DocumentKind::Number(text) => text.parse().ok().filter(|rules| (1..=RULES).contains(rules)),
            _ => None,
        })
    }

    pub(crate) fn tenants(&self) -> Result<Option<[&'a str; 2]>, Malformed> {
        self.typed("tenants", TENANTS, |node| match node.as_list()? {
            [a, b] => Some([a.as_str()?, b.as_str()?]),
            _ => None,
        })
    }

    /// One mail address.
    pub(crate) fn invitee(&self) -> Result<Option<&'a str>, Malformed> {
        let is_address = |text: &&str| invitee::check(text).is_ok();
        self.typed("invitee", "one mail address such as ann@example.com", |node| node.as_str().filter(is_address))
    }

    pub(crate) fn owner(&self, is_needed: bool) -> Result<Option<&'a str>, Malformed> {
        let owner = self.text("owner")?;
        if is_needed { self.need("owner", owner).map(Some) } else { Ok(owner) }
    }
}

const TEXT: &str = "a string";
const TEXTS: &str = "a list of strings";
const OBJECT: &str = "an object";
const OFFSET: &str = "a whole number of 0 or more";
const MODES: &str = "an object of streams, each \"append\" or \"upsert\"";
const NEEDS: &str = "\"required\", \"invited\" or \"open\"";
const TENANTS: &str = "a list of two tenants' ids";

/// What a field must be that is missing.
fn expected_of(name: &str) -> &'static str {
    match name {
        "owner" => "the tenant whose asset or profile it is, where the operator acts",
        "tenants" => TENANTS,
        "partner" => "the other tenant's id",
        "streams" => TEXTS,
        "spec" => OBJECT,
        "offset" => OFFSET,
        "note" => "a string that says why it is skipped",
        "cause" => CAUSES,
        "partnerships" => NEEDS,
        "target_tenant" => "a tenant's id, unless there is an \"invitee\"",
        _ => TEXT,
    }
}

/// What ends a share by time.
pub(crate) const CAUSES: &str = "\"offer\" or \"access\"";

#[cfg(test)]
mod tests {
    use crate::json::document::parse;
    use crate::share::event::Sender;
    use crate::share::event::kind::EventType;
    use crate::share::event::payload;

    fn refusal(kind: EventType, sender: Sender<'_>, json: &str) -> (String, String) {
        let node = parse(json.as_bytes()).unwrap();
        let malformed = payload::read(kind, sender, &node).unwrap_err();
        (malformed.to_string(), malformed.in_words(&node))
    }

    #[test]
    fn a_refusal_says_what_was_found_and_what_must_be_there() {
        let acme = Sender::Tenant("acme");
        for (kind, sender, json, words) in [
            (
                EventType::ShareUpdated,
                acme,
                r#"{"share":"s","ends":"tomorrow"}"#,
                r#""ends" is "tomorrow", not an RFC 3339 time such as 2026-12-01T00:00:00Z"#,
            ),
            (EventType::ShareUpdated, acme, r#"{"share":"s","streams":"t"}"#, r#""streams" is "t", not a list of strings"#),
            (
                EventType::ShareUpdated,
                acme,
                r#"{"share":"s","permission":"read"}"#,
                r#""permission" is "read", not "view", "edit" or "manage""#,
            ),
            (EventType::ShareRevoked, acme, r#"{"share":7}"#, r#""share" is 7, not a string"#),
            (EventType::ShareRevoked, acme, "{}", r#""share" is missing: it must be a string"#),
            (
                EventType::ProfileRetired,
                Sender::Operator,
                r#"{"profile":"hire"}"#,
                r#""owner" is missing: it must be the tenant whose asset or profile it is, where the operator acts"#,
            ),
            (EventType::ShareExpired, Sender::Engine, r#"{"share":"s","cause":"x"}"#, r#""cause" is "x", not "offer" or "access""#),
            (
                EventType::ControlSkipped,
                Sender::Operator,
                r#"{"offset":-1,"note":""}"#,
                r#""offset" is -1, not a whole number of 0 or more"#,
            ),
            (
                EventType::ControlSkipped,
                Sender::Operator,
                r#"{"offset":1,"note":null}"#,
                r#""note" is missing: it must be a string that says why it is skipped"#,
            ),
            (
                EventType::ShareOffered,
                acme,
                r#"{"share":"s","asset":"a","streams":["t"],"profile":"all","target_tenant":"b","invitee":"a@b.c,d@e.f"}"#,
                r#""invitee" is "a@b.c,d@e.f": it has one of , ; < > " ( ): write one address alone, such as ann@example.com"#,
            ),
        ] {
            let (short, long) = refusal(kind, sender, json);
            assert_eq!(long, words);
            assert!(short.starts_with("data: ") && !short.contains("tomorrow") && !short.contains("d@e.f"), "{short}");
        }
    }

    #[test]
    fn a_code_is_never_shown_and_a_long_value_is_cut() {
        let (_, words) = refusal(EventType::ShareAccepted, Sender::Tenant("acme"), r#"{"share":"s","code":123456}"#);
        assert_eq!(words, r#""code" must be a string"#);
        let long = format!(r#"{{"share":"s","ends":"{}"}}"#, "é".repeat(500));
        let (_, words) = refusal(EventType::ShareUpdated, Sender::Tenant("acme"), &long);
        assert!(words.contains("é…, not an RFC 3339") && words.chars().count() < 160, "{words}");
    }
}
