//! What the cluster still knows of the log that is lost: how far it went, and what changed after the dump.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cli::exit::{Failure, client_failure, input_failure};
use crate::config::Config;
use crate::document::{DocumentKind, Node};
use crate::engine::fence::epoch_report;
use crate::engine::topic::stored::{changed_key, epoch_prefix};
use crate::id::{Epoch, Offset};
use crate::json::document::parse;
use crate::kafka::{Admin, CommittedOffsets, KafkaSettings, TopicReader};
use crate::record::mapping::Mode;
use crate::sink_state::note::Reconciled;

/// A share's newest status document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FoundDocument {
    /// The offset of the event that it is of.
    pub(super) epoch: Offset,
    pub(super) owner: Option<String>,
    pub(super) target: Option<String>,
    /// As the document has it.
    pub(super) state: String,
}

/// What was found. An offset is of the old log.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// The note of the last event that changed anything.
    pub(super) changed: Option<Offset>,
    /// Every document and note before this one is written.
    pub(super) written: Option<Offset>,
    /// The highest epoch that a worker has reported.
    pub(super) reported: Option<Offset>,
    /// The highest offset that anything names.
    pub(super) highest: Option<Offset>,
    /// The highest offset that a status record is of, a rejected event's too.
    pub(super) documented: Option<Offset>,
    /// By share id, the newest document of each that changed after the dump.
    pub(super) newer: BTreeMap<String, FoundDocument>,
}

/// Keeps the higher one.
fn raise(highest: &mut Option<Offset>, found: Offset) {
    *highest = (*highest).max(Some(found));
}

impl Evidence {
    /// Looks at all there is, for a dump whose last offset is `last`.
    pub(super) fn gather(config: &Config, last: Offset, patience: Duration) -> Result<Self, Failure> {
        let kafka = KafkaSettings::of(&config.kafka);
        let admin = Admin::open(&kafka, patience).map_err(client_failure)?;
        let mut found = Self::default();
        found.read_state(config, &kafka, &admin, patience)?;
        found.read_documents(config, &kafka, &admin, last, patience)?;
        found.ask_offsets(config, &kafka, &admin, patience)?;
        Ok(found)
    }

    fn name(&mut self, offset: Offset) {
        raise(&mut self.highest, offset);
    }

    fn read_state(&mut self, config: &Config, kafka: &KafkaSettings, admin: &Admin, patience: Duration) -> Result<(), Failure> {
        let (changed, reports) = (changed_key(&config.kafka.group), epoch_prefix(&config.kafka.group));
        read(kafka, admin, &config.topics.state, patience, |key, value| {
            if key == changed.as_bytes() {
                self.changed = value.and_then(|value| parse(value).ok()).and_then(|node| offset_in(&node, "offset"));
                self.changed.into_iter().for_each(|offset| self.name(offset));
            } else if key.starts_with(reports.as_bytes()) {
                for Epoch(epoch) in value.map(epoch_report::read).unwrap_or_default().into_values() {
                    raise(&mut self.reported, Offset(epoch));
                    self.name(Offset(epoch));
                }
            } else if let Some(epoch) = value.and_then(|value| parse(value).ok()).and_then(|node| offset_in(&node, "epoch")) {
                self.name(epoch);
            }
        })
    }

    fn read_documents(
        &mut self,
        config: &Config,
        kafka: &KafkaSettings,
        admin: &Admin,
        last: Offset,
        patience: Duration,
    ) -> Result<(), Failure> {
        read(kafka, admin, &config.topics.shares, patience, |key, value| {
            let share = String::from_utf8_lossy(key).into_owned();
            let node = value.and_then(|value| parse(value).ok());
            let Some((node, epoch)) = node.as_ref().and_then(|node| Some((node, offset_in(node, "epoch")?))) else {
                self.newer.remove(&share);
                return;
            };
            self.name(epoch);
            raise(&mut self.documented, epoch);
            let text = |name: &str| node.get(name).and_then(Node::as_str).map(str::to_owned);
            match text("state") {
                Some(state) if epoch > last => {
                    let document = FoundDocument { epoch, owner: text("owner"), target: text("target_tenant"), state };
                    self.newer.insert(share, document);
                }
                _ => drop(self.newer.remove(&share)),
            }
        })
    }

    fn ask_offsets(&mut self, config: &Config, kafka: &KafkaSettings, admin: &Admin, patience: Duration) -> Result<(), Failure> {
        let group = &config.kafka.group;
        let status = CommittedOffsets::of(kafka, &status_group(group)).map_err(client_failure)?;
        let committed = status.ask(&[(&config.control.topic, 0)], patience).map_err(client_failure)?;
        self.written = committed.into_iter().next().flatten().map(|committed| committed.offset);
        self.written.into_iter().for_each(|next| self.name(Offset(next.0 - 1)));
        let offsets = CommittedOffsets::of(kafka, group).map_err(client_failure)?;
        for stream in config.streams.iter().filter(|stream| stream.mode == Mode::Upsert) {
            let Some(shape) = admin.topic(&stream.topic).map_err(client_failure)? else { continue };
            let partitions: Vec<(&str, i32)> = (0..shape.partitions).map(|partition| (stream.topic.as_str(), partition)).collect();
            for committed in offsets.ask(&partitions, patience).map_err(client_failure)?.into_iter().flatten() {
                Reconciled::read(&committed.note).into_iter().for_each(|note| self.name(Offset(note.epoch.0)));
            }
        }
        Ok(())
    }
}

/// The status writer's group.
pub(super) fn status_group(group: &str) -> String {
    format!("{group}-status")
}

/// Shows key and value of every record of a topic of one partition; none of one that is not there.
fn read(
    kafka: &KafkaSettings,
    admin: &Admin,
    topic: &str,
    patience: Duration,
    mut each: impl FnMut(&[u8], Option<&[u8]>),
) -> Result<(), Failure> {
    if admin.topic(topic).map_err(client_failure)?.is_none() {
        return Ok(());
    }
    let mut reader = TopicReader::open_within(kafka, topic, [0], patience).map_err(input_failure)?;
    reader.read_to_end(patience, |record| each(record.key().unwrap_or_default(), record.value())).map_err(input_failure)
}

fn offset_in(node: &Node, name: &str) -> Option<Offset> {
    match &node.get(name)?.kind {
        DocumentKind::Number(text) => text.parse().ok().map(Offset),
        _ => None,
    }
}
