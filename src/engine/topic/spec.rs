//! How each topic is made: its partitions and its configuration, in one place for the engine, `provision` and the CLI
//! (docs/rules/outputs.md#provisioning, docs/rules/upserts.md#what-is-stored).

use std::collections::BTreeMap;

use crate::config::{Config, OutputConfig};
use crate::engine::output::lookup::TopicKind;
use crate::kafka::TopicSpec;
use crate::topic::OwnTopics;

/// A dead letter holds a whole input record besides its headers; inputs may be larger than a topic's default megabyte.
const DEAD_LETTER_BYTES: usize = 16 << 20;

/// A backfill's checkpoint has some hundred bytes for each tenant that got something.
const CHECKPOINT_BYTES: usize = 16 << 20;

/// How long a compacted topic keeps a tombstone.
pub const TOMBSTONE_RETENTION: &str = "delete.retention.ms";

/// The specifications of one configuration's topics.
#[derive(Debug, Clone)]
pub struct TopicSpecs {
    output: OutputConfig,
    own: OwnTopics,
}

impl TopicSpecs {
    /// By this configuration.
    pub fn of(config: &Config) -> Self {
        Self { output: config.output.clone(), own: config.topics.clone() }
    }

    /// Whether the engine makes topics that are missing (`output.provision: auto`).
    pub fn are_made_by_engine(&self) -> bool {
        self.output.is_auto_provisioned
    }

    /// The topics that are sharecast's own whatever the streams; not the control topic.
    pub fn own(&self) -> [TopicSpec; 5] {
        [
            self.spec(&self.own.shares, 1, self.table()),
            self.spec(&self.own.dead_letters, 1, dead_letters()),
            self.spec(&self.own.state, 1, compacted()),
            self.spec(&self.own.invitations, 1, compacted()),
            self.backfill(),
        ]
    }

    /// The mailer's topic.
    pub fn invitations(&self) -> TopicSpec {
        self.spec(&self.own.invitations, 1, compacted())
    }

    /// Where backfills note how far they have come.
    pub fn backfill(&self) -> TopicSpec {
        // What a partition's records came to is listed by tenant there.
        let config = compacted().into_iter().chain([("max.message.bytes".to_owned(), CHECKPOINT_BYTES.to_string())]).collect();
        self.spec(&self.own.backfill, 1, config)
    }

    /// What a backfill needs besides tenants' topics.
    pub fn of_backfills(&self) -> [TopicSpec; 3] {
        [self.spec(&self.own.dead_letters, 1, dead_letters()), self.spec(&self.own.state, 1, compacted()), self.backfill()]
    }

    /// What is stored in an upsert stream's outputs, written to the number of the input's partition: as many as the input has.
    pub fn standing(&self, topic: &str, input_partitions: i32) -> TopicSpec {
        self.spec(topic, input_partitions, compacted())
    }

    /// A tenant's topic.
    pub fn of_tenant(&self, topic: &str, kind: TopicKind) -> TopicSpec {
        match kind {
            TopicKind::Status => self.spec(topic, 1, self.table()),
            TopicKind::Upsert(_) => self.spec(topic, self.output.partitions, self.table()),
            TopicKind::Stream(_) => {
                let mut config = as_the_input_says();
                if let Some(retention) = self.output.retention {
                    config.insert("retention.ms".into(), retention.millis().to_string());
                }
                self.spec(topic, self.output.partitions, config)
            }
        }
    }

    /// Of a topic that others follow from where they left off: a reader that comes back must still find what was taken back. What the
    /// engine keeps for itself is read from its beginning each time, and a mailer has no use for the tombstone of a mail that is gone.
    fn table(&self) -> BTreeMap<String, String> {
        let mut config = compacted();
        config.insert(TOMBSTONE_RETENTION.to_owned(), self.output.tombstones.millis().to_string());
        config
    }

    fn spec(&self, name: &str, partitions: i32, config: BTreeMap<String, String>) -> TopicSpec {
        TopicSpec { name: name.to_owned(), partitions, replication: self.output.replication.map_or(-1, i32::from), config }
    }
}

/// Records keep their input's timestamp, however far from the broker's clock.
fn as_the_input_says() -> BTreeMap<String, String> {
    let never = i64::MAX.to_string();
    let entries = [("message.timestamp.type", "CreateTime"), ("message.timestamp.after.max.ms", &never)];
    entries.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn with(name: &str, value: String) -> BTreeMap<String, String> {
    let mut config = as_the_input_says();
    config.insert(name.to_owned(), value);
    config
}

fn compacted() -> BTreeMap<String, String> {
    with("cleanup.policy", "compact".to_owned())
}

fn dead_letters() -> BTreeMap<String, String> {
    with("max.message.bytes", DEAD_LETTER_BYTES.to_string())
}
