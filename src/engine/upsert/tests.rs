//! What a partition's note may say.

use std::sync::Arc;
use std::sync::mpsc::channel;

use rustc_hash::FxHashMap;

use super::changes::{Changes, Teller, Work, hearing};
use super::*;
use crate::config::OutputTemplate;
use crate::decide::ReleaseRules;
use crate::engine::jobs::{Loaded, Ticket};
use crate::engine::topics::TopicNames;
use crate::id::{Epoch, ShareId, StreamName};
use crate::record::decode::ReadRules;
use crate::record::mapping::{KeyFormat, Mapping, Source};
use crate::share::table::{FoldRules, Outcome, ShareTable, Touched};
use crate::standing::note::Reconciled;
use crate::standing::partition::AssetHash;
use crate::time::Span;
use crate::transport::Batch;

/// Takes jobs and never answers.
#[derive(Default)]
struct Silent {
    loads: Vec<Ticket>,
    /// Documents asked for.
    fetched: Vec<Offset>,
}

impl Desk for Silent {
    fn ask(&mut self, job: Job) {
        match job {
            Job::Load(ticket, _) => self.loads.push(ticket),
            Job::Fetch(_, offsets) => self.fetched.extend(offsets),
            Job::Notes(_) | Job::Again(..) => {}
        }
    }

    fn news(&mut self) -> Option<News> {
        None
    }
}

fn streams() -> Arc<[Stream]> {
    let mapping = Mapping {
        tenant: Source::KeyField,
        asset: Source::KeyField,
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

fn upserts() -> (Upserts, Teller) {
    let read = ReadRules { max_record_bytes: 1 << 20, max_future: Span::ZERO };
    let rules = UpsertRules {
        release: ReleaseRules { read, late_grace: Span::ZERO, shows_provenance: true, shows_permission: false },
        names: TopicNames { control: "control".into(), template: OutputTemplate::standard() },
        form: "Payload".into(),
        passes_headers: Vec::new(),
        has_provenance_headers: false,
    };
    let (teller, hearing) = hearing();
    (Upserts::new(rules, None, streams(), Arc::new(Gates::new(1)), hearing, channel().0), teller)
}

/// A partition whose last owner had come as far as epoch 0.
fn loaded(upserts: &mut Upserts, desk: &mut Silent) -> SourcePartition {
    loaded_with(upserts, desk, FxHashMap::default())
}

fn loaded_with(upserts: &mut Upserts, desk: &mut Silent, documents: FxHashMap<AssetHash, Offset>) -> SourcePartition {
    let partition = SourcePartition { stream: StreamIndex(0), partition: 0 };
    upserts.arrive(partition, None, desk);
    let note = Reconciled { epoch: Epoch(0), time: Millis(0), owed: BTreeSet::new() };
    let loaded = Loaded { position: Offset(5), note, documents, standing: Vec::new() };
    upserts.take(News { partition, life: desk.loads.last().unwrap().life, what: Read::Loaded(Box::new(loaded)) });
    partition
}

fn noted(upserts: &mut Upserts, view: &View, routes: &mut Routes, is_written: bool) -> Option<Epoch> {
    let (mut letters, time) = (Vec::new(), Millis(1_000).moment());
    let mut now = Now { view, time, boot: BootTime::default(), routes, letters: &mut letters, max_routes: 10 };
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
/// share while the document of the one before still stands.
#[test]
fn a_note_says_no_more_than_was_heard() {
    let (mut upserts, teller) = upserts();
    let (mut desk, mut routes) = (Silent::default(), Routes::default());
    let rules = FoldRules { streams: streams(), partnerships_open: true, late_grace: Span::ZERO, halts_on_unreadable: true };
    let mut table = ShareTable::new(rules);
    let mut fold = |offset| table.fold(Offset(offset), Millis(offset), Err(crate::share::event::Unreadable(String::new())));
    fold(3);
    loaded(&mut upserts, &mut desk);
    let old = view(&table, 3);
    let late = Millis(1_000).moment();
    assert_eq!(upserts.activate(&old, late, &mut routes).len(), 1);
    assert_eq!(noted(&mut upserts, &old, &mut routes, false), Some(Epoch(3)), "it was held against this graph");
    assert_eq!(noted(&mut upserts, &old, &mut routes, false), None, "nothing new");
    table.fold(Offset(9), Millis(9), Err(crate::share::event::Unreadable(String::new())));
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
    let rules = FoldRules { streams: streams(), partnerships_open: true, late_grace: Span::ZERO, halts_on_unreadable: true };
    let table = ShareTable::new(rules);
    loaded(&mut upserts, &mut desk);
    let late = Millis(1_000).moment();
    assert!(upserts.activate(&view(&table, -1), late, &mut routes).is_empty(), "the graph is at epoch -1, the note at 0");
}

fn folded(lines: &[&str]) -> ShareTable {
    let rules = FoldRules { streams: streams(), partnerships_open: true, late_grace: Span::ZERO, halts_on_unreadable: true };
    let mut table = ShareTable::new(rules);
    for (offset, line) in (0..).zip(lines) {
        let line = format!(r#"{{"specversion":"1.0","id":"e{offset}","time":"2026-01-01T00:00:00Z",{line}}}"#);
        let folded = table.fold(Offset(offset), Millis(offset), crate::share::event::read_line(line.as_bytes()).unwrap().record);
        assert_eq!(folded.outcome, Outcome::Applied);
    }
    table
}

/// A topic that takes no document of this size does not take it the next time either: one dead letter is enough.
#[test]
fn a_first_document_that_is_refused_waits_no_more() {
    let (mut upserts, teller) = upserts();
    let (mut desk, mut routes) = (Silent::default(), Routes::default());
    let table = folded(&[
        r#""source":"/tenants/nw","type":"sharecast.share.offered.v1","data":{"share":"s","asset":"x","target_tenant":"acme","streams":["details"],"profile":"all"}"#,
        r#""source":"/tenants/acme","type":"sharecast.share.accepted.v1","data":{"share":"s"}"#,
    ]);
    let view = view(&table, 1);
    let asset = AssetHash::of(crate::record::decode::Identity { tenant: "nw", asset: "x" });
    let partition = loaded_with(&mut upserts, &mut desk, FxHashMap::from_iter([(asset, Offset(3))]));
    let late = Millis(1_000).moment();
    upserts.activate(&view, late, &mut routes);
    let share = ShareId::parse("s").unwrap();
    let touched = Touched { share, owner: TenantId::parse("nw").unwrap(), asset: crate::id::AssetId::parse("x").unwrap() };
    let touched = vec![Work::of(touched, Millis(1), true)];
    teller.tell(&Arc::new(Changes { touched, through: Epoch(1), ..Changes::default() }));
    upserts.listen(&routes, BootTime::default(), &mut desk);
    let mut letters = Vec::new();
    let mut transact = |upserts: &mut Upserts, routes: &mut Routes| {
        upserts.begin(&mut Now { view: &view, time: late, boot: BootTime::default(), routes, letters: &mut letters, max_routes: 10 });
        upserts.committed();
    };
    transact(&mut upserts, &mut routes);
    assert!(desk.fetched.is_empty(), "the gate is closed");
    upserts.gates.noted(StreamIndex(0), [Some(Reconciled { epoch: Epoch(1), time: Millis(0), owed: BTreeSet::new() })]);
    upserts.listen(&routes, BootTime::default(), &mut desk);
    assert_eq!(desk.fetched, [Offset(3)]);
    let route = routes.find(&TenantId::parse("acme").unwrap(), StreamIndex(0), || "share.acme.details".to_owned());
    routes.learn_limit(route, 10, BootTime::default());
    let mut records = Batch::default();
    records.push(partition, Offset(3), Millis(7), Some(b"nw/x"), Some(br#"{"a":"much longer than ten bytes"}"#), std::iter::empty());
    let what = Read::Documents { records, fetched: Some((vec![Offset(3)], Offset(5))) };
    upserts.take(News { partition, life: desk.loads.last().unwrap().life, what });
    transact(&mut upserts, &mut routes);
    upserts.listen(&routes, BootTime::default(), &mut desk);
    assert_eq!(desk.fetched, [Offset(3)], "it is not read back for another dead letter");
    assert_eq!(letters.len(), 1);
}
