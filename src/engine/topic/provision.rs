//! Creating topics: the engine's own at start, tenants' at the grant (docs/rules/outputs.md#provisioning, `output.provision: auto`).

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing::{info, warn};

use crate::engine::output::lookup::{NotMade, TopicKind, TopicMaker};
use crate::engine::topic::names::TopicNames;
use crate::engine::topic::spec::TopicSpecs;
use crate::kafka::{Admin, AdminError, ClientError, Created};
use crate::live::Live;
use crate::record::mapping::Stream;
use crate::share::table::Touched;

/// Creates topics by one configuration.
pub struct Provisioner {
    admin: Mutex<Admin>,
    specs: TopicSpecs,
}

impl Provisioner {
    /// Creates topics through `admin`, if `output.provision` is `auto`.
    pub fn new(admin: Admin, specs: TopicSpecs) -> Self {
        Self { admin: Mutex::new(admin), specs }
    }

    /// Creates the engine's own topics that are missing.
    pub fn make_own(&self) -> Result<(), AdminError> {
        let specs = self.specs.own();
        let created = self.admin.lock().expect("no panic while creating").create(&specs)?;
        for (spec, created) in specs.iter().zip(created) {
            if created == Created::New {
                info!(topic = spec.name, "topic created");
            }
        }
        Ok(())
    }

    /// Creates those of the engine's own topics that a backfill needs, if they are missing.
    pub fn make_for_backfills(&self) -> Result<(), AdminError> {
        self.admin.lock().expect("no panic while creating").create(&self.specs.of_backfills()).map(drop)
    }

    /// Creates what is stored in upsert streams' topics, each with as many partitions as the stream's input.
    pub fn make_standing(&self, topics: &[(String, i32)]) -> Result<(), AdminError> {
        let specs: Vec<_> = topics.iter().map(|(name, partitions)| self.specs.standing(name, *partitions)).collect();
        let created = self.admin.lock().expect("no panic while creating").create(&specs)?;
        for (spec, _) in specs.iter().zip(created).filter(|(_, created)| *created == Created::New) {
            info!(topic = spec.name, "topic created");
        }
        Ok(())
    }
}

impl TopicMaker for Provisioner {
    fn make(&self, topic: &str, kind: TopicKind) -> Result<(), NotMade> {
        if !self.specs.are_made_by_engine() {
            return Err(NotMade::Refused("the topic is missing, and output.provision is manual".into()));
        }
        let spec = self.specs.of_tenant(topic, kind);
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

    fn partitions(&self, kind: TopicKind) -> Option<usize> {
        let matters = !matches!(kind, TopicKind::Stream(_));
        matters.then(|| self.specs.of_tenant("", kind).partitions as usize)
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
        let Some(grant) = shares.grant(touched.share.as_str()) else { return };
        for stream in self.streams.iter().filter(|stream| grant.streams.contains(stream.index)) {
            let topic = self.names.of_stream(grant.target, &stream.name);
            if !made.contains(&topic) {
                match self.maker.make(&topic, TopicKind::of(stream)) {
                    Ok(()) => drop(made.insert(topic)),
                    Err(reason) => warn!(topic, %reason, "topic could not be created at the grant"),
                }
            }
        }
    }
}
