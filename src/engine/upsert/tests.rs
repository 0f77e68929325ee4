//! What a partition's note may say.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use super::*;
use crate::config::OutputTemplate;
use crate::decide::ReleaseRules;
use crate::engine::feed::{ChangeSender, Changes, Work, hearing};
use crate::engine::output::condition_errors::ConditionErrors;
use crate::engine::restore::request::{Assignment, FoundEntry, Loaded};
use crate::engine::topic::names::TopicNames;
use crate::id::{AssetId, Epoch, ShareId, StreamName, StreamSet};
use crate::record::decode::{Identity, ReadRules};
use crate::record::mapping::{FieldSource, KeyFormat, Mapping};
use crate::share::configuration::PartnershipNeed;
use crate::share::event::read_structured;
use crate::share::table::{FoldRules, Outcome, ShareTable};
use crate::sink_state::entry::Digest;
use crate::sink_state::note::Reconciled;
use crate::sink_state::partition::{AssetHash, SinkEntry};
use crate::time::Period;
use crate::topic::OwnTopics;
use crate::transport::Batch;

/// Takes requests and never answers.
#[derive(Default)]
struct Silent {
    loads: Vec<Assignment>,
    /// Documents asked for.
    fetched: Vec<Offset>,
}

impl Restore for Silent {
    fn ask(&mut self, job: RestoreRequest) {
        match job {
            RestoreRequest::Load(ticket, _) => self.loads.push(ticket),
            RestoreRequest::Fetch(_, offsets) => self.fetched.extend(offsets),
            RestoreRequest::Notes(_) | RestoreRequest::Again(..) | RestoreRequest::Gap(..) => {}
        }
    }

    fn news(&mut self) -> Option<RestoreEvent> {
        None
    }
}

fn streams() -> Arc<[Stream]> {
    let mapping = Mapping {
        tenant: FieldSource::KeyField,
        asset: FieldSource::KeyField,
        key_format: Some(KeyFormat::parse("{tenant}/{asset}").unwrap()),
        time: None,
        rewrite_tenant: Vec::new(),
        rewrite_asset: Vec::new(),
    };
    let name = StreamName::parse("details").unwrap();
    [Stream { name, index: StreamIndex(0), mode: Mode::Upsert, topic: "in".into(), mapping }].into()
}

fn view(table: &ShareTable, newest_change: i64) -> View {
    View { graph: table.graph(), position: Offset(0), newest_cut: None, newest_change: Epoch(newest_change) }
}

fn upserts() -> (Upserts, ChangeSender) {
    let (upserts, teller, _) = asking_upserts();
    (upserts, teller)
}

/// With what the fold is asked.
fn asking_upserts() -> (Upserts, ChangeSender, Receiver<ControlCommand>) {
    let read = ReadRules { max_record_bytes: 1 << 20, max_future: Period::ZERO };
    let rules = UpsertRules {
        release: ReleaseRules { read, late_grace: Period::ZERO, shows_provenance: true, shows_permission: false },
        names: TopicNames { control: "control".into(), template: OutputTemplate::standard(), own: OwnTopics::standard() },
        form: "Payload".into(),
        passes_headers: Vec::new(),
        has_provenance_headers: false,
    };
    let (teller, hearing) = hearing();
    let (commands, asked) = channel();
    (Upserts::new(rules, None, streams(), Arc::new(Gates::new(1)), hearing, commands), teller, asked)
}

/// A partition whose last owner had come as far as epoch 0.
fn loaded(upserts: &mut Upserts, desk: &mut Silent) -> SourcePartition {
    loaded_with(upserts, desk, Vec::new(), &[])
}

/// The same, with what is stored there and assets that have a document.
fn loaded_with(upserts: &mut Upserts, desk: &mut Silent, standing: Vec<FoundEntry>, documents: &[&str]) -> SourcePartition {
    let partition = SourcePartition { stream: StreamIndex(0), partition: 0 };
    upserts.arrive(partition, None, desk);
    let note = Reconciled { epoch: Epoch(0), time: TimestampMs(0), owed: BTreeSet::new() };
    let documents = documents.iter().map(|asset| (AssetHash::of(Identity { tenant: "o", asset }), Offset(1))).collect();
    let loaded = Loaded { position: Offset(5), note, documents, standing };
    upserts.take(RestoreEvent { partition, life: desk.loads.last().unwrap().life, what: RestorePayload::Loaded(Box::new(loaded)) });
    partition
}

fn noted(upserts: &mut Upserts, view: &View, routes: &mut Routes, is_written: bool) -> Option<Epoch> {
    let (mut letters, time) = (Vec::new(), TimestampMs(1_000).moment());
    let mut now = Now {
        view,
        time,
        boot: BootTime::default(),
        routes,
        letters: &mut letters,
        condition_errors: &mut ConditionErrors::default(),
        max_routes: 10,
    };
    upserts.begin(&mut now);
    if is_written {
        let state = upserts.partitions[0].active_mut().unwrap();
        state.advance(state.position());
    }
    let offsets = upserts.offsets(view, time, routes);
    upserts.committed();
    offsets.first().and_then(|offset| Reconciled::read(offset.note.as_bytes())).map(|note| note.epoch)
}

/// A graph is published before anybody is told what changed in it. A note that went by the graph would let a key pass to another
/// share while the document of the one before is still stored.
#[test]
fn a_note_says_no_more_than_was_heard() {
    let (mut upserts, teller) = upserts();
    let (mut desk, mut routes) = (Silent::default(), Routes::default());
    let rules = FoldRules { streams: streams(), partnerships: PartnershipNeed::Open, late_grace: Period::ZERO, halts_on_unreadable: true };
    let mut table = ShareTable::new(rules);
    let mut fold = |offset| table.fold(Offset(offset), TimestampMs(offset), Err(crate::share::event::Unreadable(String::new())));
    fold(3);
    loaded(&mut upserts, &mut desk);
    let old = view(&table, 3);
    let late = TimestampMs(1_000).moment();
    assert_eq!(upserts.activate(&old, late, &mut routes).len(), 1);
    assert_eq!(noted(&mut upserts, &old, &mut routes, false), Some(Epoch(3)), "it was held against this graph");
    assert_eq!(noted(&mut upserts, &old, &mut routes, false), None, "nothing new");
    table.fold(Offset(9), TimestampMs(9), Err(crate::share::event::Unreadable(String::new())));
    let new = view(&table, 9);
    assert_eq!(noted(&mut upserts, &new, &mut routes, false), None, "what changed in it has not been heard");
    assert_eq!(noted(&mut upserts, &new, &mut routes, true), Some(Epoch(3)), "not even beside something else");
    teller.tell(&Arc::new(Changes { through: Epoch(9), ..Changes::default() }));
    assert!(!upserts.listen(&routes, BootTime::default(), &mut desk));
    assert_eq!(noted(&mut upserts, &new, &mut routes, false), Some(Epoch(9)));
}

/// The next owner must not bring back what the last one has taken away by a newer graph.
#[test]
fn a_partition_waits_for_the_graph_and_the_time_of_its_last_owner() {
    let (mut upserts, _teller) = upserts();
    let (mut desk, mut routes) = (Silent::default(), Routes::default());
    let rules = FoldRules { streams: streams(), partnerships: PartnershipNeed::Open, late_grace: Period::ZERO, halts_on_unreadable: true };
    let table = ShareTable::new(rules);
    loaded(&mut upserts, &mut desk);
    let late = TimestampMs(1_000).moment();
    assert!(upserts.activate(&view(&table, -1), late, &mut routes).is_empty(), "the graph is at epoch -1, the note at 0");
}

/// What is stored of the share and asset `name`.
fn found(name: &str, key: &str, deleted_at: Option<i64>) -> FoundEntry {
    let stood = SinkEntry {
        target: TenantId::parse("t").unwrap(),
        key: AssetId::parse(key).unwrap(),
        digest: Digest(1),
        asset: AssetHash::of(Identity { tenant: "o", asset: name }),
    };
    FoundEntry {
        share: ShareId::parse(name).unwrap(),
        owner: TenantId::parse("o").unwrap(),
        asset: AssetId::parse(name).unwrap(),
        stood,
        written_at: TimestampMs(0),
        deleted_at: deleted_at.map(TimestampMs),
    }
}

/// A log of shares of `o` for `t`, each of the asset of its name.
struct ChangeLog {
    table: ShareTable,
    next: i64,
}

impl ChangeLog {
    fn new(shares: &[&str], more: &str) -> Self {
        let rules =
            FoldRules { streams: streams(), partnerships: PartnershipNeed::Open, late_grace: Period::ZERO, halts_on_unreadable: true };
        let mut log = Self { table: ShareTable::new(rules), next: 0 };
        for share in shares {
            let what =
                format!(r#""share":"{share}","owner":"o","asset":"{share}","target_tenant":"t","streams":["details"],"profile":"all""#);
            log.fold(10, "share.offered", &format!("{{{what}{more}}}"));
            log.fold(10, "share.accepted", &format!(r#"{{"share":"{share}"}}"#));
        }
        log
    }

    fn fold(&mut self, at: i64, kind: &str, data: &str) {
        let id = self.next;
        let event = format!(r#"{{"specversion":"1.0","id":"{id}","source":"/operator","type":"sharecast.{kind}.v1","data":{data}}}"#);
        let folded = self.table.fold(Offset(id), TimestampMs(at), read_structured(event.as_bytes()));
        assert_eq!(folded.outcome, Outcome::Applied, "{event}");
        self.next += 1;
    }

    fn act(&mut self, at: i64, kind: &str, share: &str) {
        self.fold(at, kind, &format!(r#"{{"share":"{share}"}}"#));
    }
}

/// Tombstones of one transaction, by share.
fn tombstones(upserts: &mut Upserts, view: &View, routes: &mut Routes) -> Vec<(String, i64)> {
    let mut letters = Vec::new();
    let mut now = Now {
        view,
        time: TimestampMs(1_000).moment(),
        boot: BootTime::default(),
        routes,
        letters: &mut letters,
        condition_errors: &mut ConditionErrors::default(),
        max_routes: 10,
    };
    upserts.begin(&mut now);
    let mut written: Vec<_> = upserts.writes().map(|(write, _)| (write.share().to_string(), write.timestamp.0)).collect();
    written.sort();
    upserts.offsets(view, TimestampMs(1_000).moment(), now.routes);
    upserts.committed();
    written
}

/// Nobody told the new owner what has happened: the fold knows of what is over, the input of what was deleted.
#[test]
fn who_takes_a_partition_over_writes_tombstones_with_the_times_of_their_causes() {
    let names = ["revoked", "left", "lapsed", "late", "paused", "moved", "deleted", "stays"];
    let mut log = ChangeLog::new(&names, "");
    log.fold(20, "share.updated", r#"{"share":"lapsed","ends":"1970-01-01T00:00:00.050Z"}"#);
    log.fold(20, "share.updated", r#"{"share":"late","ends":"1970-01-01T00:00:00.060Z"}"#);
    log.act(100, "share.revoked", "revoked");
    log.fold(110, "share.expired", r#"{"share":"late","cause":"access"}"#);
    log.act(120, "share.left", "left");
    log.act(200, "share.paused", "paused");
    log.fold(300, "share.updated", r#"{"share":"moved","target_asset":"elsewhere"}"#);
    let (mut upserts, _teller, asked) = asking_upserts();
    let (mut desk, mut routes) = (Silent::default(), Routes::default());
    let standing = names.iter().map(|name| found(name, name, (*name == "deleted").then_some(150))).collect();
    let documents: Vec<&str> = names.into_iter().filter(|name| *name != "deleted").collect();
    loaded_with(&mut upserts, &mut desk, standing, &documents);
    let view = view(&log.table, log.next - 1);
    assert_eq!(upserts.activate(&view, TimestampMs(1_000).moment(), &mut routes).len(), 1);
    upserts.listen(&routes, BootTime::default(), &mut desk);
    let known: Vec<(String, i64)> =
        [("deleted", 150), ("lapsed", 50), ("moved", 300), ("paused", 300)].map(|(share, at)| (share.to_owned(), at)).into();
    assert_eq!(tombstones(&mut upserts, &view, &mut routes), known);
    assert_eq!(upserts.partitions[0].note.epoch, Epoch(0), "nothing is noted while something is still to be taken back");
    let Ok(ControlCommand::Ends { shares, reply }) = asked.try_recv() else { panic!("the fold is asked") };
    assert_eq!(shares.len(), 3);
    reply.send(shares.iter().map(|share| log.table.end_of(share, TimestampMs(1_000).moment())).collect()).unwrap();
    upserts.listen(&routes, BootTime::default(), &mut desk);
    let over: Vec<(String, i64)> = [("late", 60), ("left", 120), ("revoked", 100)].map(|(share, at)| (share.to_owned(), at)).into();
    assert_eq!(tombstones(&mut upserts, &view, &mut routes), over);
    assert_eq!(upserts.partitions[0].note.epoch, Epoch(log.next - 1));
}

/// A view is ahead of what was told of it: what took the document away is found among what is still to be carried out.
#[test]
fn what_is_told_later_is_the_cause_and_not_the_record_that_finds_it() {
    let mut log = ChangeLog::new(&["a", "b", "c"], "");
    let (mut upserts, teller) = upserts();
    let (mut desk, mut routes) = (Silent::default(), Routes::default());
    loaded_with(&mut upserts, &mut desk, ["a", "b", "c"].map(|name| found(name, name, None)).into(), &["a", "b", "c"]);
    upserts.activate(&view(&log.table, 0), TimestampMs(1_000).moment(), &mut routes);
    let work = |share: &str, cause: i64, shown: StreamSet| Work {
        share: ShareId::parse(share).unwrap(),
        owner: TenantId::parse("o").unwrap(),
        asset: AssetId::parse(share).unwrap(),
        cause: TimestampMs(cause),
        shown,
    };
    let (everything, nothing) = (StreamSet::ALL, StreamSet::default());
    log.act(90, "share.paused", "a");
    log.act(91, "share.resumed", "a");
    log.act(100, "share.revoked", "a");
    log.act(110, "share.revoked", "b");
    log.fold(120, "share.updated", r#"{"share":"c","label":"x"}"#);
    log.act(130, "share.paused", "c");
    let touched = vec![
        work("a", 80, everything),
        work("a", 90, nothing),
        work("a", 91, everything),
        work("a", 100, nothing),
        work("b", 70, everything),
        work("b", 110, nothing),
        work("c", 120, everything),
    ];
    teller.tell(&Arc::new(Changes { touched, through: Epoch(log.next - 2), ..Changes::default() }));
    upserts.listen(&routes, BootTime::default(), &mut desk);
    let view = view(&log.table, log.next - 1);
    let expected: Vec<(String, i64)> = [("a", 90), ("b", 110), ("c", 130)].map(|(share, at)| (share.to_owned(), at)).into();
    assert_eq!(tombstones(&mut upserts, &view, &mut routes), expected, "the pause of c is in the view and not told: the graph's time");
}

/// What a failed topic was owed keeps the time of what took its document away first.
#[test]
fn an_owed_tombstone_keeps_the_time_of_its_cause() {
    let mut log = ChangeLog::new(&["a"], "");
    let (mut upserts, teller) = upserts();
    let (mut desk, mut routes) = (Silent::default(), Routes::default());
    loaded_with(&mut upserts, &mut desk, vec![found("a", "a", None)], &["a"]);
    upserts.activate(&view(&log.table, 0), TimestampMs(1_000).moment(), &mut routes);
    let tell = |upserts: &mut Upserts, routes: &Routes, cause: i64, through: i64| {
        let work = Work {
            share: ShareId::parse("a").unwrap(),
            owner: TenantId::parse("o").unwrap(),
            asset: AssetId::parse("a").unwrap(),
            cause: TimestampMs(cause),
            shown: StreamSet::default(),
        };
        teller.tell(&Arc::new(Changes { touched: vec![work], through: Epoch(through), ..Changes::default() }));
        upserts.listen(routes, BootTime::default(), &mut Silent::default());
    };
    // Paused, then revoked, while the route takes nothing.
    for (at, kind) in [(100, "share.paused"), (200, "share.revoked")] {
        log.act(at, kind, "a");
        let view = view(&log.table, log.next - 1);
        tell(&mut upserts, &routes, at, log.next - 1);
        let (mut letters, time) = (Vec::new(), TimestampMs(1_000).moment());
        let mut now = Now {
            view: &view,
            time,
            boot: BootTime::default(),
            routes: &mut routes,
            letters: &mut letters,
            condition_errors: &mut ConditionErrors::default(),
            max_routes: 10,
        };
        upserts.begin(&mut now);
        upserts.divert(now.routes, None, |_| true);
        upserts.committed();
    }
    let works: Vec<_> = upserts.owed.works().map(|work| work.cause.0).collect();
    assert_eq!(works, [100]);
    // Its route is tried again.
    upserts.listen(&routes, BootTime::default(), &mut desk);
    let view = view(&log.table, log.next - 1);
    assert_eq!(tombstones(&mut upserts, &view, &mut routes), [("a".to_owned(), 100)]);
}

/// A topic that takes no document of this size does not take it the next time either: one dead letter is enough.
#[test]
fn a_first_document_that_is_refused_waits_no_more() {
    let log = ChangeLog::new(&["a"], "");
    let (mut upserts, teller) = upserts();
    let (mut desk, mut routes) = (Silent::default(), Routes::default());
    let partition = loaded_with(&mut upserts, &mut desk, Vec::new(), &["a"]);
    let (view, late) = (view(&log.table, 1), TimestampMs(1_000).moment());
    upserts.activate(&view, late, &mut routes);
    let work = Work {
        share: ShareId::parse("a").unwrap(),
        owner: TenantId::parse("o").unwrap(),
        asset: AssetId::parse("a").unwrap(),
        cause: TimestampMs(10),
        shown: StreamSet::ALL,
    };
    teller.tell(&Arc::new(Changes { touched: vec![work], through: Epoch(1), ..Changes::default() }));
    upserts.listen(&routes, BootTime::default(), &mut desk);
    let mut letters = Vec::new();
    let mut transact = |upserts: &mut Upserts, routes: &mut Routes| {
        upserts.begin(&mut Now {
            view: &view,
            time: late,
            boot: BootTime::default(),
            routes,
            letters: &mut letters,
            condition_errors: &mut ConditionErrors::default(),
            max_routes: 10,
        });
        upserts.committed();
    };
    transact(&mut upserts, &mut routes);
    assert!(desk.fetched.is_empty(), "the gate is closed");
    upserts.gates.noted(StreamIndex(0), [Some(Reconciled { epoch: Epoch(1), time: TimestampMs(0), owed: BTreeSet::new() })]);
    upserts.listen(&routes, BootTime::default(), &mut desk);
    assert_eq!(desk.fetched, [Offset(1)]);
    let route = routes.find(&TenantId::parse("t").unwrap(), StreamIndex(0), || "share.t.details".to_owned());
    routes.learn_limit(route, 10, BootTime::default());
    let mut records = Batch::default();
    records.push(partition, Offset(1), TimestampMs(7), Some(b"o/a"), Some(br#"{"a":"much longer than ten bytes"}"#), std::iter::empty());
    let what = RestorePayload::Documents { records, fetched: Some((vec![Offset(1)], Offset(5))) };
    upserts.take(RestoreEvent { partition, life: desk.loads.last().unwrap().life, what });
    transact(&mut upserts, &mut routes);
    upserts.listen(&routes, BootTime::default(), &mut desk);
    assert_eq!(desk.fetched, [Offset(1)], "it is not read back for another dead letter");
    assert_eq!(letters.len(), 1);
}
