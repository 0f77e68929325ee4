//! What follows from an answer, or from none.

use std::sync::Arc;
use std::time::Instant;

use super::{AskedPartition, DAMAGED, FetchEvent, FetchPositions, PASSES, ReadPartition};
use crate::kafka::wire::error_code::ErrorCode;
use crate::kafka::wire::fetcher::fetched::{FetchFault, FetchedRecords};
use crate::kafka::wire::fetcher::fetched_batch::BatchFault;
use crate::kafka::wire::fetcher::verdict::{FetchVerdict, of_fetch};
use crate::kafka::wire::messages::fetch::FetchedPartition;
use crate::kafka::wire::messages::leader_epoch::EpochEnd;
use crate::topic::PartitionName;
use crate::transport::SourcePartition;

impl FetchPositions {
    /// The partition, if this is what was asked for it last.
    fn asked_part(&mut self, node: i32, asked: &AskedPartition) -> Option<&mut ReadPartition> {
        let part = self.parts.get_mut(&asked.source)?;
        (part.release == asked.release && part.asked_of == Some(node) && part.place == asked.place).then_some(part)
    }

    fn name(&self, source: SourcePartition) -> String {
        let topic = self.parts.get(&source).map_or("", |part| &self.topics[part.topic].name);
        PartitionName(topic, source.partition).to_string()
    }

    /// Takes in what a leader says of partitions that it was asked for, whose batches are in this frame. What it was not asked for, or says
    /// twice, counts for nothing; what it does not name is asked for again. Returns how many bytes came.
    pub(in crate::kafka::wire::fetcher) fn answered(
        &mut self,
        node: i32,
        asked: Vec<AskedPartition>,
        partitions: Vec<FetchedPartition>,
        frame: &Arc<Vec<u8>>,
        now: Instant,
    ) -> usize {
        let mut came = 0;
        // As a rule they are named in the order in which they were asked for.
        let mut open: Vec<Option<AskedPartition>> = asked.into_iter().map(Some).collect();
        let mut expected = 0;
        for answer in partitions {
            let is_its = |asked: &Option<AskedPartition>| {
                asked.as_ref().is_some_and(|asked| asked.source.partition == answer.partition && asked.id == answer.topic)
            };
            let at = if open.get(expected).is_some_and(is_its) { Some(expected) } else { open.iter().position(is_its) };
            let Some(asked) = at.and_then(|at| open[at].take()) else { continue };
            expected = at.map_or(0, |at| at + 1);
            came += answer.records.len();
            self.judge(node, asked, answer, frame, now);
        }
        let unanswered: Vec<AskedPartition> = open.into_iter().flatten().collect();
        self.not_answered(node, &unanswered, Some(now + PASSES));
        came
    }

    fn judge(&mut self, node: i32, asked: AskedPartition, answer: FetchedPartition, frame: &Arc<Vec<u8>>, now: Instant) {
        let source = asked.source;
        let Some(part) = self.asked_part(node, &asked) else { return };
        let topic = part.topic;
        part.asked_of = None;
        part.is_warm = false;
        match of_fetch(answer.error) {
            FetchVerdict::Records => {
                part.has_begun = true;
                if !answer.records.is_empty() {
                    part.is_warm = true;
                    let fetched = FetchedRecords::new(Arc::clone(frame), answer.records, asked.place.next, answer.aborted);
                    part.fetched = Some(fetched);
                    self.ready.push_back(source);
                    self.turn = Some(source);
                }
            }
            FetchVerdict::OutOfRange => self.out_of_range(source, "its offset is not in the log"),
            FetchVerdict::AgainElsewhere => {
                part.not_before = Some(now + PASSES);
                match answer.leader {
                    Some(leader) => self.lead(source, leader),
                    None => self.topics[topic].is_stale = true,
                }
            }
            FetchVerdict::AgainAfterLook => {
                part.not_before = Some(now + PASSES);
                self.topics[topic].is_stale = true;
            }
            FetchVerdict::AgainLater => part.not_before = Some(now + PASSES),
            FetchVerdict::Damaged => {
                let fault = FetchFault::Batch(BatchFault::Damaged("its leader says that its log is"));
                self.cannot_read(source, &fault, now);
            }
            FetchVerdict::Refused => {
                part.not_before = Some(now + DAMAGED);
                let words = format!("{}: {}", self.name(source), answer.error);
                self.events.push_back((Some((source, asked.release)), FetchEvent::Refused(words)));
            }
        }
    }

    /// Takes in where a new leader's log ends as far as what was read is concerned. Where that is before the place that is read on, what was
    /// read is gone from the log, and what follows is not what followed.
    pub(in crate::kafka::wire::fetcher) fn checked(&mut self, node: i32, asked: &[AskedPartition], ends: &[EpochEnd], now: Instant) {
        for asked in asked {
            let name = &self.topics[asked.topic].name;
            let is_its = |end: &&EpochEnd| end.partition == asked.source.partition && *end.topic == **name;
            let Some(end) = ends.iter().find(is_its) else {
                self.not_answered(node, std::slice::from_ref(asked), Some(now + PASSES));
                continue;
            };
            let Some(part) = self.asked_part(node, asked) else { continue };
            part.asked_of = None;
            match end.error {
                ErrorCode::NONE if end.epoch < 0 || end.end < part.place.next => {
                    self.out_of_range(asked.source, "its log was cut off before what was read of it");
                }
                ErrorCode::NONE => part.needs_check = false,
                ErrorCode::TOPIC_AUTHORIZATION_FAILED => {
                    part.not_before = Some(now + DAMAGED);
                    let words = format!("{}: {}", self.name(asked.source), end.error);
                    self.events.push_back((Some((asked.source, asked.release)), FetchEvent::Refused(words)));
                }
                _ => {
                    part.not_before = Some(now + PASSES);
                    self.topics[asked.topic].is_stale = true;
                }
            }
        }
    }

    pub(super) fn out_of_range(&mut self, source: SourcePartition, why: &str) {
        let name = self.name(source);
        if let Some(part) = self.parts.get_mut(&source) {
            part.has_ended = true;
            tracing::debug!(partition = %name, offset = part.place.next, why, "nothing more can be read");
            self.events.push_back((Some((source, part.release)), FetchEvent::OutOfRange(source)));
        }
    }

    /// Records cannot be read: they are fetched again, for nothing is passed over.
    pub(super) fn cannot_read(&mut self, source: SourcePartition, fault: &FetchFault, now: Instant) {
        let name = self.name(source);
        let Some(part) = self.parts.get_mut(&source) else { return };
        part.not_before = Some(now + DAMAGED);
        part.is_warm = false;
        if let FetchFault::Batch(BatchFault::OldFormat(_)) = fault {
            let words = format!("{name}: {fault}");
            self.events.push_back((Some((source, part.release)), FetchEvent::NotNative(words)));
        } else if part.told_at.replace(part.place.next) != Some(part.place.next) {
            let offset = part.place.next;
            tracing::error!(partition = %name, offset, %fault, "records cannot be read; they are asked for again, and none is passed over");
            self.events.push_back((Some((source, part.release)), FetchEvent::Unavailable(format!("{name}: {fault}"))));
        }
    }

    /// Nothing has come for these: they are asked for again, from then on.
    fn not_answered(&mut self, node: i32, asked: &[AskedPartition], from: Option<Instant>) {
        for asked in asked {
            if let Some(part) = self.asked_part(node, asked) {
                (part.asked_of, part.not_before) = (None, from);
            }
        }
    }

    /// A connection was lost, with what was asked on it; perhaps another one leads by now.
    pub(in crate::kafka::wire::fetcher) fn lost(&mut self, node: i32, asked: &[AskedPartition]) {
        self.not_answered(node, asked, None);
        self.suspect(node);
    }
}
