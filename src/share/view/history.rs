//! What became of one share, event by event.

use crate::document::Node;
use crate::id::{Offset, ShareId};
use crate::json::writer::object;
use crate::share::event::kind::EventType;
use crate::share::event::{Envelope, Unreadable};
use crate::share::table::{Folded, Outcome, ShareTable};
use crate::share::view::list::Viewer;
use crate::time::TimestampMs;

/// One control event that touched the share, or was meant to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// Its offset.
    pub offset: Offset,
    /// Its control time.
    pub time: TimestampMs,
    /// Who sent it: its `source`.
    pub source: String,
    /// The person or program that acted for the source; for its own side and the operator.
    pub actor: Option<String>,
    /// Its whole type.
    pub kind: String,
    /// What became of it: `applied`, `rejected`, `repeated` or `unreadable`.
    pub outcome: &'static str,
    /// Why it was rejected.
    pub reason: Option<&'static str>,
    /// The share's revision after it; none where there was no share.
    pub revision: Option<u32>,
}

impl HistoryEntry {
    /// `{"offset","time","source","type","outcome","reason"?,"revision"?}`.
    pub fn to_json(&self) -> Vec<u8> {
        object(|out| {
            out.number("offset", self.offset.0);
            out.time("time", self.time.moment());
            out.text("source", &self.source);
            out.text_if("actor", self.actor.as_deref());
            out.text("type", &self.kind);
            out.text("outcome", self.outcome);
            out.text_if("reason", self.reason);
            if let Some(revision) = self.revision {
                out.number("revision", revision);
            }
        })
    }
}

/// What of an event is needed once it is folded, if it may have to do with the share.
#[derive(Debug)]
pub struct Noted {
    source: String,
    actor: Option<String>,
    kind: String,
    /// Whether its data names the share.
    names_it: bool,
}

/// Collects the history of one share as one viewer may see it, while the log is folded.
///
/// The operator sees every event that names the share or changed its document. A tenant sees those that wrote a document
/// to its own status topic (docs/rules/status.md#who-sees-what), and besides them its own events that name the share.
#[derive(Debug)]
pub struct History {
    share: ShareId,
    viewer: Viewer,
    entries: Vec<HistoryEntry>,
}

impl History {
    /// Of this share, for this viewer.
    pub fn new(share: ShareId, viewer: Viewer) -> Self {
        Self { share, viewer, entries: Vec::new() }
    }

    /// To be asked of every record before it is folded.
    pub fn note(&self, record: &Result<Envelope, Unreadable>) -> Option<Noted> {
        let event = record.as_ref().ok()?;
        let kind = EventType::parse(&event.kind)?;
        let names_it = kind.is_of_share() && event.data.get("share").and_then(Node::as_str) == Some(self.share.as_str());
        // A share that is not named is changed with all others of a tenant or a partnership.
        let may_cascade = matches!(kind, EventType::TenantUpdated | EventType::PartnershipEnded);
        (names_it || may_cascade).then(|| Noted {
            source: event.source.clone(),
            actor: event.actor.clone(),
            kind: event.kind.clone(),
            names_it,
        })
    }

    /// To be told what became of a record that was noted.
    pub fn add(&mut self, offset: Offset, noted: Noted, folded: &Folded, table: &ShareTable) {
        let topic = self.viewer.topic();
        let is_written = |document: &crate::share::status::StatusDocument| document.topic == topic && document.key == self.share.as_str();
        let has_changed = folded.outcome == Outcome::Applied && folded.documents.iter().any(is_written);
        let is_own = match &self.viewer {
            Viewer::Operator => true,
            Viewer::Tenant(own) => noted.source.strip_prefix("/tenants/") == Some(own.as_str()),
        };
        let is_shown = has_changed || noted.names_it && is_own;
        if !is_shown {
            return;
        }
        let (outcome, reason) = match folded.outcome {
            Outcome::Applied => ("applied", None),
            Outcome::Rejected(reason) => ("rejected", Some(reason)),
            Outcome::Repeated => ("repeated", None),
            Outcome::Unreadable(_) | Outcome::SetAside(_) => ("unreadable", None),
            Outcome::Tick => return,
        };
        let revision = table.share(self.share.as_str()).map(|share| share.revision());
        let Noted { source, actor, kind, .. } = noted;
        let actor = actor.filter(|_| is_own);
        self.entries.push(HistoryEntry { offset, time: table.control_time(), source, actor, kind, outcome, reason, revision });
    }

    /// What was collected, in the order of the log.
    pub fn into_entries(self) -> Vec<HistoryEntry> {
        self.entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::TenantId;
    use crate::share::event::read_structured;
    use crate::share::tests::fixture::{minute, rules};

    /// Offset, outcome or reason, and revision of what a viewer sees of `s1`.
    fn seen(viewer: Viewer) -> Vec<(i64, &'static str, Option<u32>)> {
        let mut table = ShareTable::new(rules());
        let mut history = History::new(ShareId::parse("s1").unwrap(), viewer);
        let offer = r#"{"share":"s1","asset":"NW-7","target_tenant":"zenith","streams":["telemetry"],"profile":"all"}"#;
        let other = offer.replace("s1", "s2").replace("NW-7", "NW-8");
        for (offset, (source, kind, data)) in [
            ("zenith", "share.accepted", r#"{"share":"s1"}"#),
            ("operator", "partnership.established", r#"{"tenants":["acme","zenith"]}"#),
            ("acme", "share.offered", offer),
            ("acme", "share.offered", &other),
            ("other", "share.revoked", r#"{"share":"s1"}"#),
            ("zenith", "share.accepted", r#"{"share":"s1"}"#),
            ("acme", "share.updated", r#"{"share":"s1","permission":"view"}"#),
            ("operator", "tenant.updated", r#"{"tenant":"zenith","suspended":true}"#),
            ("acme", "share.revoked", r#"{"share":"s1","note":5}"#),
            ("acme", "share.resent", r#"{"share":"s1"}"#),
            ("acme", "partnership.ended", r#"{"partner":"zenith"}"#),
            ("zenith", "share.left", r#"{"share":"s1"}"#),
        ]
        .into_iter()
        .enumerate()
        {
            let source = if source == "operator" { "/operator".to_owned() } else { format!("/tenants/{source}") };
            let event =
                format!(r#"{{"specversion":"1.0","id":"e{offset}","source":"{source}","type":"sharecast.{kind}.v1","data":{data}}}"#);
            let record = read_structured(event.as_bytes());
            let noted = history.note(&record);
            let folded = table.fold(Offset(offset as i64), minute(offset as i64), record);
            if let Some(noted) = noted {
                history.add(Offset(offset as i64), noted, &folded, &table);
            }
        }
        history.into_entries().iter().map(|entry| (entry.offset.0, entry.reason.unwrap_or(entry.outcome), entry.revision)).collect()
    }

    #[test]
    fn the_operator_sees_every_event_that_named_or_changed_the_share() {
        assert_eq!(
            seen(Viewer::Operator),
            [
                (0, "unknown_share", None),
                (2, "applied", Some(1)),
                (4, "not_owner", Some(1)),
                (5, "applied", Some(2)),
                (6, "applied", Some(2)),
                (7, "applied", Some(3)),
                (8, "unreadable", Some(3)),
                (9, "wrong_state", Some(3)),
                (10, "applied", Some(4)),
                (11, "wrong_state", Some(4)),
            ]
        );
    }

    #[test]
    fn d22_a_tenant_sees_what_changed_its_view_and_its_own_events() {
        let tenant = |id| Viewer::Tenant(TenantId::parse(id).unwrap());
        let changes = [2, 5, 7, 10];
        let offsets = |id| seen(tenant(id)).iter().map(|entry| entry.0).collect::<Vec<_>>();
        assert_eq!(offsets("zenith"), [[0].as_slice(), &changes, &[11]].concat());
        assert_eq!(offsets("acme"), [2, 5, 6, 7, 8, 9, 10]);
        assert_eq!(offsets("other"), [4]);
    }

    #[test]
    fn an_entry_as_json() {
        let entry = HistoryEntry {
            offset: Offset(7),
            time: minute(0),
            source: "/operator".to_owned(),
            actor: Some("Jo".to_owned()),
            kind: "sharecast.share.revoked.v1".to_owned(),
            outcome: "rejected",
            reason: Some("wrong_state"),
            revision: Some(3),
        };
        let expected = r#"{"offset":7,"time":"2026-01-01T00:00:00Z","source":"/operator","actor":"Jo","type":"sharecast.share.revoked.v1","outcome":"rejected","reason":"wrong_state","revision":3}"#;
        assert_eq!(String::from_utf8(entry.to_json()).unwrap(), expected);
    }
}
