//! The one ArcSwap: what the control plane publishes and the workers load, once a batch.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::id::{Epoch, Offset};
use crate::share::graph::ShareGraph;
use crate::time::TimestampMs;

/// A published graph with the control position it was published at.
#[derive(Debug)]
pub struct View {
    /// Every control record before `position`, folded; it never changes once it is published.
    pub graph: ShareGraph,
    /// The fold's position when the graph was published: every control record before it is in the graph, and the
    /// fence compares it with the answers of the end-offset probe. Transaction markers move it without changing the graph.
    pub position: Offset,
    /// Control time of the newest event in the graph that took something away; how fast workers follow is measured by it.
    pub newest_cut: Option<TimestampMs>,
    /// The newest control record in the graph that touched a share or a profile: ticks and refused events leave it as it is.
    pub newest_change: Epoch,
}

/// The current view. Only newer ones follow: positions never go back.
#[derive(Debug)]
pub struct Live {
    view: ArcSwap<View>,
}

impl Live {
    /// Begins with this view.
    pub fn new(view: View) -> Self {
        Self { view: ArcSwap::from_pointee(view) }
    }

    /// The view to decide a whole batch by.
    pub fn load(&self) -> Arc<View> {
        self.view.load_full()
    }

    /// Replaces the view; the control plane alone calls this.
    pub fn publish(&self, view: View) {
        self.view.store(Arc::new(view));
    }
}
