//! A table to send events to, for tests.

use serde_json::Value;

use crate::id::{Offset, StreamIndex, StreamName};
use crate::record::mapping::{FieldSource, Mapping, Mode, Stream};
use crate::share::configuration::PartnershipNeed;
use crate::share::event::read_structured;
use crate::share::status::{Audience, StatusTopic};
use crate::share::table::{FoldRules, Folded, Outcome, ShareTable};
use crate::time::{Period, TimestampMs, TimestampNs};

/// Minutes of 2026-01-01 as control time.
pub(in crate::share) fn minute(minute: i64) -> TimestampMs {
    TimestampMs(1_767_225_600_000 + minute * 60_000)
}

/// A moment from its text.
pub(super) fn at(text: &str) -> TimestampNs {
    TimestampNs::parse_rfc3339(text).unwrap()
}

pub(crate) fn rules() -> FoldRules {
    let streams = [("telemetry", Mode::Append), ("details", Mode::Upsert), ("extras", Mode::Append)];
    let mapping = Mapping {
        tenant: FieldSource::Key,
        asset: FieldSource::Key,
        key_format: None,
        time: None,
        rewrite_tenant: vec![],
        rewrite_asset: vec![],
    };
    let stream = |(index, (name, mode)): (usize, (&str, Mode))| Stream {
        name: StreamName::parse(name).unwrap(),
        index: StreamIndex(index as u8),
        mode,
        topic: name.to_owned(),
        mapping: mapping.clone(),
    };
    FoldRules {
        streams: streams.into_iter().enumerate().map(stream).collect(),
        partnerships: PartnershipNeed::Required,
        late_grace: Period::parse("10m").unwrap(),
        halts_on_unreadable: true,
    }
}

/// One table, its log and its clock.
pub(crate) struct World {
    pub(crate) table: ShareTable,
    pub(crate) now: TimestampMs,
    pub(super) next: i64,
    /// Everything that was folded.
    pub(super) log: Vec<(Offset, TimestampMs, Vec<u8>)>,
}

impl World {
    pub(super) fn new(rules: FoldRules) -> Self {
        Self { table: ShareTable::new(rules), now: minute(0), next: 0, log: Vec::new() }
    }

    /// Partners acme and zenith, acme's profile `hire` with both streams and `only-t` with telemetry.
    pub(crate) fn partners() -> Self {
        let mut world = Self::new(rules());
        world.ok("operator", "partnership.established", r#"{"tenants":["acme","zenith"]}"#);
        world.ok("acme", "profile.published", r#"{"profile":"hire","spec":{"telemetry":{"include":["$"]},"details":{"include":["$"]}}}"#);
        world.ok("acme", "profile.published", r#"{"profile":"only-t","spec":{"telemetry":{"include":["$"]}}}"#);
        world
    }

    /// `partners` with an ACTIVE share `s1`, its offer changed by these members.
    pub(super) fn active(members: &str) -> Self {
        let mut world = Self::partners();
        world.offer("s1", members);
        world.ok("zenith", "share.accepted", r#"{"share":"s1"}"#);
        world
    }

    /// The event `e<number>` of this sender, now.
    pub(crate) fn send(&mut self, sender: &str, kind: &str, data: &str) -> Folded {
        let id = format!("e{}", self.next);
        self.send_as(&id, sender, kind, data)
    }

    pub(crate) fn send_as(&mut self, id: &str, sender: &str, kind: &str, data: &str) -> Folded {
        let source = match sender {
            "operator" | "sharecast" => format!("/{sender}"),
            tenant => format!("/tenants/{tenant}"),
        };
        let event = format!(r#"{{"specversion":"1.0","id":"{id}","source":"{source}","type":"sharecast.{kind}.v1","data":{data}}}"#);
        self.fold(event.as_bytes())
    }

    pub(crate) fn fold(&mut self, event: &[u8]) -> Folded {
        let folded = self.table.fold(Offset(self.next), self.now, read_structured(event));
        self.log.push((Offset(self.next), self.now, event.to_vec()));
        self.next += 1;
        folded
    }

    /// Sends what must be taken.
    pub(crate) fn ok(&mut self, sender: &str, kind: &str, data: &str) -> Folded {
        let folded = self.send(sender, kind, data);
        assert_eq!(folded.outcome, Outcome::Applied, "{sender} {kind} {data}");
        folded
    }

    /// Sends what must be rejected with this reason, and change nothing.
    pub(super) fn no(&mut self, reason: &str, sender: &str, kind: &str, data: &str) {
        let before = self.states();
        let folded = self.send(sender, kind, data);
        assert_eq!(code(&folded.outcome), reason, "{sender} {kind} {data}");
        assert_eq!((folded.touched.len(), folded.profile, folded.documents.len()), (0, None, 1));
        assert_eq!(self.states(), before);
    }

    /// An offer by acme to zenith of NW-7 under `hire`, with these members besides or instead: `"ends":"…"`.
    pub(crate) fn offer(&mut self, id: &str, members: &str) -> Value {
        let comma = if members.is_empty() { "" } else { "," };
        let data = format!(
            r#"{{"share":"{id}","asset":"NW-7","target_tenant":"zenith","streams":["telemetry","details"],"profile":"hire"{comma}{members}}}"#
        );
        self.ok("acme", "share.offered", &data);
        self.document(id)
    }

    /// The share's document as it would be written now.
    pub(super) fn document(&self, id: &str) -> Value {
        serde_json::from_slice(&self.table.share(id).unwrap().to_json(Audience::Owner)).unwrap()
    }

    pub(super) fn state(&self, id: &str) -> String {
        self.document(id)["state"].as_str().unwrap().to_owned()
    }

    pub(super) fn after(&mut self, minutes: i64) -> &mut Self {
        self.now.0 += minutes * 60_000;
        self
    }

    fn states(&self) -> Vec<Vec<u8>> {
        self.table.shares().map(|share| share.document().write(Audience::Owner, crate::id::Epoch(0))).collect()
    }
}

pub(super) fn code(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Rejected(reason) => reason,
        Outcome::Applied => "applied",
        Outcome::Repeated => "repeated",
        Outcome::Tick => "tick",
        Outcome::Unreadable(_) => "unreadable",
        Outcome::SetAside(_) => "set aside",
    }
}

/// Topic and value of each document.
pub(super) fn written(folded: &Folded) -> Vec<(String, Value)> {
    let topic = |topic: &StatusTopic| match topic {
        StatusTopic::Shares => "sharecast.shares".to_owned(),
        StatusTopic::Tenant(tenant) => format!("share.{tenant}.shares"),
    };
    folded.documents.iter().map(|d| (topic(&d.topic), serde_json::from_slice(&d.value).unwrap())).collect()
}
