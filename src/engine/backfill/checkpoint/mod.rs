//! What a job notes of itself, as it stands in `sharecast.backfill` or beside the files that it writes (docs/backfill.md#exactly-once).

pub mod store;
pub mod digest;
pub mod jobs;

use std::collections::BTreeMap;

use crate::backfill::live::LiveRefusal;
use crate::backfill::result::{JobCounts, StoppedShare, TenantTotals};
use crate::document::{DocumentKind, Node};
use crate::engine::backfill::input::window::InputRange;
use crate::id::{Epoch, Offset, ShareId, TenantId};
use crate::json::document;
use crate::json::writer::{ObjectWriter, object, write_array};
use crate::record::dead_letter::DeadLetterReason;
use crate::release::Suppressed;
use crate::time::{TimestampMs, TimestampNs};

/// A job as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobEntry {
    /// What it was asked to do.
    pub options: JobIdentity,
    /// What is looked at of each input partition.
    pub ranges: Vec<InputRange>,
    /// The epoch that it decides by.
    pub epoch: Epoch,
    /// The moment that it decides at.
    pub now: TimestampMs,
    /// When it was started first.
    pub started: TimestampMs,
    /// Shares that get nothing more.
    pub stopped: Vec<StoppedShare>,
    /// Whether all of it is written.
    pub is_done: bool,
}

/// What makes a job the one it is: names with values in JSON, in a fixed order. A resume must bring the same.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JobIdentity(pub Vec<(String, Vec<u8>)>);

/// The member of `options` that is no option: the offsets that were found for the window.
const RANGES: &str = "offsets";

impl JobIdentity {
    /// Adds a text.
    pub fn text(&mut self, name: &str, text: &str) {
        let mut json = Vec::new();
        crate::json::text::write_string(text, &mut json);
        self.0.push((name.to_owned(), json));
    }

    /// Adds a list of texts, in any order.
    pub fn texts<'t>(&mut self, name: &str, texts: impl IntoIterator<Item = &'t str>) {
        let mut json = Vec::new();
        write_array(&mut json, |out| texts.into_iter().for_each(|text| out.text(text)));
        self.0.push((name.to_owned(), json));
    }

    /// What is another one in `other`, each in words with both values.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let value = |of: &Self, name: &str| {
            let found = of.0.iter().find(|(known, _)| known == name);
            found.map_or("nothing".to_owned(), |(_, json)| String::from_utf8_lossy(json).into_owned())
        };
        let names = self.0.iter().chain(&other.0).map(|(name, _)| name.as_str()).collect::<std::collections::BTreeSet<_>>();
        let differs = |name: &&str| value(self, name) != value(other, name);
        names.into_iter().filter(differs).map(|name| format!("{name} was {} and is {}", value(self, name), value(other, name))).collect()
    }
}

impl JobEntry {
    /// Its value.
    pub fn to_json(&self) -> Vec<u8> {
        object(|out| self.write(out))
    }

    /// Its members.
    pub fn write(&self, out: &mut ObjectWriter<'_>) {
        out.object("options", |out| {
            self.options.0.iter().for_each(|(name, json)| out.json(name, json));
            out.array(RANGES, |out| {
                for range in &self.ranges {
                    write_array(out.item(), |out| [range.start, range.end].iter().for_each(|at| out.json(at.to_string().as_bytes())));
                }
            });
        });
        out.number("epoch", self.epoch.0);
        out.time("now", self.now.moment());
        out.time("started", self.started.moment());
        out.array("stopped", |out| {
            for stopped in &self.stopped {
                out.object(|out| {
                    out.text("share", stopped.share.as_str());
                    out.text("reason", stopped.reason.word());
                    out.number("partition", stopped.partition);
                    out.number("offset", stopped.offset.0);
                });
            }
        });
        if self.is_done {
            out.flag("done", true);
        }
    }

    /// Reads a value; none where it is no entry.
    pub fn read(value: &[u8]) -> Option<Self> {
        Self::of(&document::parse(value).ok()?)
    }

    /// Reads the members.
    pub fn of(node: &Node) -> Option<Self> {
        let options = node.get("options")?;
        let json = |node: &Node| {
            let mut json = Vec::new();
            document::write(node, &mut json);
            json
        };
        let members = options.members().iter().filter(|member| member.name != RANGES);
        let range = |node: &Node| {
            let [start, end] = node.as_list()? else { return None };
            Some(InputRange { start: Offset(whole(start)?), end: Offset(whole(end)?) })
        };
        let stopped = |node: &Node| {
            Some(StoppedShare {
                share: ShareId::parse(node.get("share")?.as_str()?).ok()?,
                reason: LiveRefusal::parse(node.get("reason")?.as_str()?)?,
                partition: whole(node.get("partition")?)?,
                offset: Offset(whole(node.get("offset")?)?),
            })
        };
        Some(Self {
            options: JobIdentity(members.map(|member| (member.name.clone(), json(&member.value))).collect()),
            ranges: options.get(RANGES)?.as_list()?.iter().map(range).collect::<Option<_>>()?,
            epoch: Epoch(whole(node.get("epoch")?)?),
            now: time(node.get("now")?)?.millis(),
            started: time(node.get("started")?)?.millis(),
            stopped: node.get("stopped")?.as_list()?.iter().map(stopped).collect::<Option<_>>()?,
            is_done: node.get("done").is_some(),
        })
    }
}

/// How far a job has come in one input partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionEntry {
    /// The next offset to be looked at.
    pub offset: Offset,
    /// What became of the records before it.
    pub counts: PartitionCounts,
    /// Whether nothing is left.
    pub is_done: bool,
}

/// What became of a partition's records.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PartitionCounts {
    /// What a result counts.
    pub job: JobCounts,
    /// Outputs that the live graph has withheld.
    pub withheld: u64,
    /// Outputs that a failed route did not get, by topic.
    pub skipped: BTreeMap<String, u64>,
    /// Offsets that the input's retention has dropped before they were read.
    pub lost: u64,
}

impl PartitionCounts {
    /// Adds those of another part.
    pub fn add(&mut self, other: &Self) {
        self.job.add(&other.job);
        self.withheld += other.withheld;
        other.skipped.iter().for_each(|(topic, count)| *self.skipped.entry(topic.clone()).or_default() += count);
        self.lost += other.lost;
    }
}

impl PartitionEntry {
    /// Before the first record of the range.
    pub fn beginning(range: InputRange) -> Self {
        Self { offset: range.start, counts: PartitionCounts::default(), is_done: range.is_empty() }
    }

    /// Its value.
    pub fn to_json(&self) -> Vec<u8> {
        object(|out| self.write(out))
    }

    /// Its members.
    pub fn write(&self, out: &mut ObjectWriter<'_>) {
        out.number("offset", self.offset.0);
        out.object("counts", |out| write_counts(&self.counts, out));
        if self.is_done {
            out.flag("done", true);
        }
    }

    /// Reads a value; none where it is no checkpoint.
    pub fn read(value: &[u8]) -> Option<Self> {
        Self::of(&document::parse(value).ok()?)
    }

    /// Reads the members.
    pub fn of(node: &Node) -> Option<Self> {
        let (offset, counts) = (Offset(whole(node.get("offset")?)?), read_counts(node.get("counts")?)?);
        Some(Self { offset, counts, is_done: node.get("done").is_some() })
    }
}

fn write_counts(counts: &PartitionCounts, out: &mut ObjectWriter<'_>) {
    let job = &counts.job;
    out.number("read", job.read);
    out.number("released", job.released);
    out.object("suppressed", |out| job.suppressed.iter().for_each(|(reason, count)| out.number(reason.as_str(), *count)));
    out.object("dead", |out| job.dead.iter().for_each(|(reason, count)| out.number(reason.as_str(), *count)));
    out.object("tenants", |out| {
        for (tenant, totals) in &job.tenants {
            out.object(tenant.as_str(), |out| {
                out.number("records", totals.records);
                out.number("bytes", totals.bytes);
                out.time("first", totals.first);
                out.time("last", totals.last);
            });
        }
    });
    if counts.withheld > 0 {
        out.number("withheld", counts.withheld);
    }
    if !counts.skipped.is_empty() {
        out.object("skipped", |out| counts.skipped.iter().for_each(|(topic, count)| out.number(topic, *count)));
    }
    if counts.lost > 0 {
        out.number("lost", counts.lost);
    }
}

fn read_counts(node: &Node) -> Option<PartitionCounts> {
    let members = |name: &str| node.get(name).map(Node::members).unwrap_or_default();
    let number = |name: &str| node.get(name).map_or(Some(0), whole);
    let mut job = JobCounts { read: whole(node.get("read")?)?, released: whole(node.get("released")?)?, ..JobCounts::default() };
    for member in members("suppressed") {
        let reason = Suppressed::ALL.into_iter().find(|reason| reason.as_str() == member.name)?;
        job.suppressed.insert(reason, whole(&member.value)?);
    }
    for member in members("dead") {
        let reason = DeadLetterReason::ALL.into_iter().find(|reason| reason.as_str() == member.name)?;
        job.dead.insert(reason, whole(&member.value)?);
    }
    for member in members("tenants") {
        let value = &member.value;
        let totals = TenantTotals {
            records: whole(value.get("records")?)?,
            bytes: whole(value.get("bytes")?)?,
            first: time(value.get("first")?)?,
            last: time(value.get("last")?)?,
        };
        job.tenants.insert(TenantId::parse(&member.name).ok()?, totals);
    }
    let skipped = members("skipped").iter().map(|member| Some((member.name.clone(), whole(&member.value)?))).collect::<Option<_>>()?;
    Some(PartitionCounts { job, withheld: number("withheld")?, skipped, lost: number("lost")? })
}

fn whole<N: std::str::FromStr>(node: &Node) -> Option<N> {
    let DocumentKind::Number(text) = &node.kind else { return None };
    text.parse().ok()
}

fn time(node: &Node) -> Option<TimestampNs> {
    TimestampNs::parse_rfc3339(node.as_str()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> JobEntry {
        let mut options = JobIdentity::default();
        options.text("stream", "telemetry");
        options.texts("shares", ["s\"1"]);
        JobEntry {
            options,
            ranges: vec![InputRange { start: Offset(3), end: Offset(90) }, InputRange { start: Offset(0), end: Offset(0) }],
            epoch: Epoch(12),
            now: TimestampMs(1_500),
            started: TimestampMs(2_000),
            stopped: vec![StoppedShare {
                share: ShareId::parse("s1").unwrap(),
                reason: LiveRefusal::Suppressed(Suppressed::Paused),
                partition: 1,
                offset: Offset(40),
            }],
            is_done: false,
        }
    }

    /// As the version before has written them.
    #[test]
    fn entries_are_spelled_as_they_were_and_read_back() {
        let spelled = concat!(
            r#"{"options":{"stream":"telemetry","shares":["s\"1"],"offsets":[[3,90],[0,0]]},"epoch":12,"#,
            r#""now":"1970-01-01T00:00:01.5Z","started":"1970-01-01T00:00:02Z","#,
            r#""stopped":[{"share":"s1","reason":"paused","partition":1,"offset":40}]}"#
        );
        assert_eq!(String::from_utf8(entry().to_json()).unwrap(), spelled);
        assert_eq!(JobEntry::read(spelled.as_bytes()), Some(entry()));
        let done = JobEntry { is_done: true, stopped: Vec::new(), ..entry() };
        assert!(String::from_utf8(done.to_json()).unwrap().ends_with(r#""stopped":[],"done":true}"#));
        assert_eq!(JobEntry::read(&done.to_json()), Some(done));
        assert_eq!((JobEntry::read(b"{}"), JobEntry::read(b"x")), (None, None));
    }

    #[test]
    fn checkpoints_are_spelled_as_they_were_and_read_back() {
        let mut counts = PartitionCounts::default();
        assert_eq!(
            PartitionEntry { offset: Offset(7), counts: counts.clone(), is_done: false }.to_json(),
            br#"{"offset":7,"counts":{"read":0,"released":0,"suppressed":{},"dead":{},"tenants":{}}}"#
        );
        counts.job = JobCounts { read: 9, released: 4, ..JobCounts::default() };
        counts.job.suppressed.insert(Suppressed::Paused, 2);
        counts.job.dead.insert(DeadLetterReason::InvalidJson, 1);
        let totals =
            TenantTotals { records: 4, bytes: 80, first: TimestampMs(1).moment(), last: TimestampNs::from_nanos(2_000_001).unwrap() };
        counts.job.tenants.insert(TenantId::parse("acme").unwrap(), totals);
        counts.withheld = 3;
        counts.skipped.insert("share.acme.telemetry".to_owned(), 5);
        counts.lost = 6;
        let whole = PartitionEntry { offset: Offset(9), counts, is_done: true };
        let spelled = concat!(
            r#"{"offset":9,"counts":{"read":9,"released":4,"suppressed":{"paused":2},"dead":{"invalid_json":1},"#,
            r#""tenants":{"acme":{"records":4,"bytes":80,"first":"1970-01-01T00:00:00.001Z","last":"1970-01-01T00:00:00.002000001Z"}},"#,
            r#""withheld":3,"skipped":{"share.acme.telemetry":5},"lost":6},"done":true}"#
        );
        assert_eq!(String::from_utf8(whole.to_json()).unwrap(), spelled);
        assert_eq!(PartitionEntry::read(spelled.as_bytes()), Some(whole));
    }

    #[test]
    fn what_is_another_option_is_named_with_both_values() {
        let (mut one, mut other) = (entry().options, entry().options);
        assert!(one.differences(&other).is_empty());
        one.text("from", "a");
        other.text("from", "b");
        other.texts("targets", ["t"]);
        assert_eq!(one.differences(&other), [r#"from was "a" and is "b""#, r#"targets was nothing and is ["t"]"#]);
    }
}
