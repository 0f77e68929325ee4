//! What a worker is configured with, and what the workers of a process share.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::clock::Clock;
use crate::config::Delivery;
use crate::engine::fence::epoch_report::WorkerEpochs;
use crate::engine::fence::{Closed, Fence};
use crate::engine::output::lookup::TopicMaker;
use crate::engine::topic::names::TopicNames;
use crate::engine::worker::tuning::LiveTuning;
use crate::id::StreamIndex;
use crate::live::{Live, View};
use crate::record::mapping::{Mode, Stream};
use crate::topic::{PartitionName, partition_names};
use crate::transport::{SourcePartition, Start};

/// A worker's own settings.
#[derive(Debug, Clone)]
pub struct WorkerSettings {
    /// `kafka.group`.
    pub group: String,
    /// `<group>-<instance>-<worker>`.
    pub transactional_id: String,
    /// The configured streams.
    pub streams: Arc<[Stream]>,
    /// Where a stream's partitions begin at their first start, by stream.
    pub starts: Arc<[Start]>,
    /// So many records are worth a transaction: they wait for no others.
    pub enough_records: usize,
    /// `sharecast.standing.<stream>`, by stream.
    pub standing: Arc<[String]>,
    /// Whether outputs are in a transaction with their offsets, and can be taken back until its commit.
    pub delivery: Delivery,
    /// Names of output topics.
    pub names: TopicNames,
    /// `on_route_failure: wait`: what a failed route does not take is owed. Otherwise it becomes a dead letter.
    pub waits: bool,
    /// `output.headers`: input headers that are passed on.
    pub passes_headers: Vec<String>,
    /// `provenance: headers`.
    pub has_provenance_headers: bool,
    /// `provenance_permission`: they name the permission too.
    pub has_permission_header: bool,
    /// A partition that is held for longer is told of: nothing that passes by itself takes as long.
    pub held_for: Duration,
}

impl WorkerSettings {
    /// The input topic of a partition.
    pub fn topic_of(&self, partition: SourcePartition) -> &str {
        &self.streams[usize::from(partition.stream.0)].topic
    }

    /// The partition as logs name it.
    pub fn name_of(&self, partition: SourcePartition) -> PartitionName<'_> {
        PartitionName(self.topic_of(partition), partition.partition)
    }

    /// Several of them.
    pub fn names_of(&self, partitions: &[SourcePartition]) -> String {
        partition_names(partitions.iter().map(|partition| self.name_of(*partition)))
    }
}

/// What the workers of a process share.
#[derive(Clone)]
pub struct Shared {
    /// The view to decide by.
    pub live: Arc<Live>,
    /// What may change while they run.
    pub tuning: Arc<LiveTuning>,
    /// Asked twice a batch.
    pub fence: Arc<Mutex<Fence>>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Creates missing tenant topics.
    pub topic_maker: Arc<dyn TopicMaker>,
    /// Raised when the process ends.
    pub stop: Arc<AtomicBool>,
    /// The partitions that this process holds.
    pub held: AssignedPartitions,
    /// Those of them that have waited for too long to be begun.
    pub overdue: Overdue,
    /// Inputs in which gaps are normal.
    pub compacted: Compacted,
    /// How many workers have a producer.
    pub producers: Arc<AtomicUsize>,
    /// How many workers have had an assignment, an empty one too.
    pub assigned: Arc<AtomicUsize>,
    /// What each worker says it decides by.
    pub said: WorkerEpochs,
}

impl Shared {
    /// For how long a view may be used yet.
    pub fn time_left(&self, view: &View) -> Duration {
        let boot = self.clock.boot();
        self.fence.lock().expect("the fence is never left half changed").time_left(view, boot)
    }

    /// Whether a batch may be decided, or committed, by this view.
    pub fn check_fence(&self, view: &View) -> Result<(), Closed> {
        let (wall, boot) = (self.clock.wall(), self.clock.boot());
        self.fence.lock().expect("the fence is never left half changed").check(view, wall, boot)
    }
}

/// The partitions that this process's workers hold at the moment.
pub type AssignedPartitions = Arc<Mutex<BTreeSet<SourcePartition>>>;

/// Topics and partitions that this process has held for too long, for `/readyz`.
pub type Overdue = Arc<Mutex<BTreeSet<(String, i32)>>>;

/// By stream, whether its input is compacted: then gaps between offsets are normal.
#[derive(Debug, Clone)]
pub struct Compacted(Arc<[AtomicBool]>);

impl Compacted {
    /// Until the topics have been asked, by what a stream's mode needs.
    pub fn by_mode(streams: &[Stream]) -> Self {
        Self(streams.iter().map(|stream| AtomicBool::new(stream.mode == Mode::Upsert)).collect())
    }

    /// Whether gaps are normal in this stream's input.
    pub fn is(&self, stream: StreamIndex) -> bool {
        self.0[usize::from(stream.0)].load(Ordering::Relaxed)
    }

    /// What the topic's configuration says.
    pub fn learn(&self, stream: StreamIndex, is_compacted: bool) {
        self.0[usize::from(stream.0)].store(is_compacted, Ordering::Relaxed);
    }
}
