//! What the live log has taken from shares since a job's graph was pinned (docs/backfill.md#pinned-and-live).
//!
//! A share that was paused and resumed between two transactions, or while nothing of the job ran, is stopped as well: so each state of
//! the fold is looked at, not only those that a transaction meets. What narrows a window takes away what lies outside of it alone.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};

use rustc_hash::FxHashMap;

use crate::backfill::decide::PastRelease;
use crate::backfill::live::{LiveRefusal, is_unchanged};
use crate::engine::control::FoldWatch;
use crate::id::ShareId;
use crate::release::Suppressed;
use crate::share::graph::{Grant, GrantState, ShareGraph};
use crate::share::table::{Folded, ShareTable, Touched};
use crate::time::TimestampNs;

/// What was taken from one share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Cut {
    /// All of it, by the first event that did so.
    whole: Option<LiveRefusal>,
    /// Event times before this one.
    before: Option<TimestampNs>,
    /// Event times from this one on.
    from: Option<TimestampNs>,
}

/// Shares that something was taken from. The fold writes it before it publishes the graph; workers read it.
#[derive(Debug, Default)]
pub struct Cuts {
    is_any: AtomicBool,
    of: RwLock<FxHashMap<ShareId, Cut>>,
}

impl Cuts {
    /// Why a share does not get what the pinned graph has released, if an event has taken it away.
    pub fn refusal(&self, release: &PastRelease<'_>) -> Option<LiveRefusal> {
        if !self.is_any.load(Ordering::Acquire) {
            return None;
        }
        let cuts = self.of.read().expect("cuts are only merged");
        let cut = cuts.get(release.release.grant.share)?;
        cut.whole
            .or_else(|| cut.before.filter(|before| release.t < *before).map(|_| LiveRefusal::Suppressed(Suppressed::BeforeWindow)))
            .or_else(|| cut.from.filter(|from| release.t >= *from).map(|_| LiveRefusal::Suppressed(Suppressed::AfterWindow)))
    }

    fn note(&self, share: &ShareId, cut: Cut) {
        if cut == Cut::default() {
            return;
        }
        let mut cuts = self.of.write().expect("cuts are only merged");
        let known = cuts.entry(share.clone()).or_default();
        known.whole = known.whole.or(cut.whole);
        known.before = known.before.max(cut.before);
        known.from = [known.from, cut.from].into_iter().flatten().min();
        self.is_any.store(true, Ordering::Release);
    }
}

/// Watches the fold from the pinned epoch on.
pub struct CutWatch {
    pinned: ShareGraph,
    cuts: Arc<Cuts>,
}

impl CutWatch {
    /// Holds what follows against this graph.
    pub fn new(pinned: ShareGraph, cuts: &Arc<Cuts>) -> Self {
        Self { pinned, cuts: Arc::clone(cuts) }
    }
}

impl FoldWatch for CutWatch {
    fn folded(&mut self, table: &ShareTable, folded: &Folded) {
        if folded.touched.is_empty() {
            return;
        }
        let live = table.graph();
        for touched in &folded.touched {
            // Who had no part when the job began has none now.
            let Some(then) = find(&self.pinned, touched) else { continue };
            self.cuts.note(&touched.share, cut_of(&then, find(&live, touched).as_ref(), &self.pinned, &live));
        }
    }
}

fn find<'g>(graph: &'g ShareGraph, touched: &Touched) -> Option<Grant<'g>> {
    graph.asset(touched.owner.as_str(), touched.asset.as_str())?.grant(touched.share.as_str())
}

/// What a share has lost since it was pinned.
fn cut_of(then: &Grant, grant: Option<&Grant<'_>>, pinned: &ShareGraph, live: &ShareGraph) -> Cut {
    let whole = |refusal| Cut { whole: Some(refusal), ..Cut::default() };
    let Some(grant) = grant else { return whole(LiveRefusal::Gone) };
    let now = live.control_time().moment();
    if grant.state == GrantState::Paused || grant.is_suspended {
        return whole(LiveRefusal::Suppressed(Suppressed::Paused));
    }
    if grant.starts.get().is_some_and(|starts| now < starts) {
        return whole(LiveRefusal::Suppressed(Suppressed::BeforeWindow));
    }
    if let Err(refusal) = is_unchanged(grant, live, then, pinned) {
        return whole(refusal);
    }
    Cut { whole: None, before: grant.granted_from.get(), from: grant.ends.get() }
}
