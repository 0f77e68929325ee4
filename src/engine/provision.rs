//! Creating topics: the engine's own at start, tenants' at the grant (SPEC section 9, `output.provision: auto`).

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing::{info, warn};

use super::seeing::{NotMade, TopicKind, TopicMaker};
use super::topics::{DEAD_LETTERS, SHARES, STATE, TopicNames};
use crate::config::OutputConfig;
use crate::kafka::{Admin, AdminError, ClientError, Created, TopicSpec};
use crate::live::Live;
use crate::record::mapping::Stream;
use crate::share::table::Touched;

/// A dead letter holds a whole input record besides its headers; inputs may be larger than a topic's default megabyte.
const DEAD_LETTER_BYTES: usize = 16 << 20;

/// Creates topics by one configuration.
pub struct Provisioner {
    admin: Mutex<Admin>,
    output: OutputConfig,
}

impl Provisioner {
    /// Creates topics through `admin`, if `output.provision` is `auto`.
    pub fn new(admin: Admin, output: OutputConfig) -> Self {
        Self { admin: Mutex::new(admin), output }
    }

    /// Creates the engine's own topics that are missing.
    pub fn make_own(&self) -> Result<(), AdminError> {
        let own = [(SHARES, compacted()), (DEAD_LETTERS, dead_letters()), (STATE, compacted())];
        let specs: Vec<TopicSpec> = own.into_iter().map(|(name, config)| self.spec(name, 1, config)).collect();
        let created = self.admin.lock().expect("no panic while creating").create(&specs)?;
        for (spec, created) in specs.iter().zip(created) {
            if created == Created::New {
                info!(topic = spec.name, "topic created");
            }
        }
        Ok(())
    }

    /// Creates what stands in upsert streams' topics, each with as many partitions as the stream's input.
    pub fn make_standing(&self, topics: &[(String, i32)]) -> Result<(), AdminError> {
        let specs: Vec<TopicSpec> = topics.iter().map(|(name, partitions)| self.spec(name, *partitions, compacted())).collect();
        let created = self.admin.lock().expect("no panic while creating").create(&specs)?;
        for (spec, _) in specs.iter().zip(created).filter(|(_, created)| *created == Created::New) {
            info!(topic = spec.name, "topic created");
        }
        Ok(())
    }

    fn spec(&self, name: &str, partitions: i32, config: BTreeMap<String, String>) -> TopicSpec {
        TopicSpec { name: name.to_owned(), partitions, replication: self.output.replication.map_or(-1, i32::from), config }
    }

    fn tenant_spec(&self, topic: &str, kind: TopicKind) -> TopicSpec {
        match kind {
            TopicKind::Status => self.spec(topic, 1, compacted()),
            TopicKind::Upsert(_) => self.spec(topic, self.output.partitions, compacted()),
            TopicKind::Stream(_) => {
                let mut config =
                    pairs(&[("message.timestamp.type", "CreateTime"), ("message.timestamp.after.max.ms", &i64::MAX.to_string())]);
                if let Some(retention) = self.output.retention {
                    config.insert("retention.ms".into(), retention.millis().to_string());
                }
                self.spec(topic, self.output.partitions, config)
            }
        }
    }
}

impl TopicMaker for Provisioner {
    fn make(&self, topic: &str, kind: TopicKind) -> Result<(), NotMade> {
        if !self.output.is_auto_provisioned {
            return Err(NotMade::Refused("the topic is missing, and output.provision is manual".into()));
        }
        let spec = self.tenant_spec(topic, kind);
        match self.admin.lock().expect("no panic while creating").create(std::slice::from_ref(&spec)) {
            Ok(created) => {
                if created.first() == Some(&Created::New) {
                    info!(topic, "topic created");
                }
                Ok(())
            }
            Err(AdminError::Client(ClientError::Unavailable(reason))) => Err(NotMade::Unavailable(reason)),
            Err(error) => Err(NotMade::Refused(error.to_string())),
        }
    }

    fn largest_batch(&self, topic: &str) -> Option<usize> {
        match self.admin.lock().expect("no panic while creating").topic_config(topic) {
            Ok(config) => config.get("max.message.bytes")?.parse().ok(),
            Err(error) => {
                info!(topic, %error, "its max.message.bytes cannot be asked for; what it refuses is found by trying");
                None
            }
        }
    }
}

fn pairs(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn compacted() -> BTreeMap<String, String> {
    pairs(&[
        ("cleanup.policy", "compact"),
        ("message.timestamp.type", "CreateTime"),
        ("message.timestamp.after.max.ms", &i64::MAX.to_string()),
    ])
}

fn dead_letters() -> BTreeMap<String, String> {
    let most = DEAD_LETTER_BYTES.to_string();
    pairs(&[
        ("message.timestamp.type", "CreateTime"),
        ("message.timestamp.after.max.ms", &i64::MAX.to_string()),
        ("max.message.bytes", &most),
    ])
}

/// Creates tenants' topics as shares touch them, ahead of the first record.
pub struct GrantFollower {
    /// Creates.
    pub maker: Arc<Provisioner>,
    /// The published graph: its grants say which topics are needed.
    pub live: Arc<Live>,
    /// The configured streams.
    pub streams: Arc<[Stream]>,
    /// Names.
    pub names: TopicNames,
    /// Shares that events have touched.
    pub touched: Receiver<Vec<Touched>>,
    /// Raised when the process ends.
    pub stop: Arc<AtomicBool>,
}

impl GrantFollower {
    /// Follows until told to stop. What fails here is tried again by the worker that first needs the topic.
    pub fn run(self) {
        let mut made: HashSet<String> = HashSet::new();
        while !self.stop.load(Ordering::Relaxed) {
            match self.touched.recv_timeout(Duration::from_millis(100)) {
                Ok(touched) => touched.iter().for_each(|share| self.follow(share, &mut made)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn follow(&self, touched: &Touched, made: &mut HashSet<String>) {
        let view = self.live.load();
        let Some(shares) = view.graph.asset(touched.owner.as_str(), touched.asset.as_str()) else { return };
        let Some(grant) = shares.grants.iter().find(|grant| grant.share == touched.share) else { return };
        for stream in self.streams.iter().filter(|stream| grant.streams.contains(stream.index)) {
            let topic = self.names.of_stream(&grant.target, &stream.name);
            if !made.contains(&topic) {
                match self.maker.make(&topic, TopicKind::of(stream)) {
                    Ok(()) => drop(made.insert(topic)),
                    Err(reason) => warn!(topic, %reason, "topic could not be created at the grant"),
                }
            }
        }
    }
}
