//! A tenant's topics: which they are, what they hold, and their end.

use std::collections::HashSet;
use std::time::Duration;

use crate::cli::exit::{Exit, Failure, admin_failure, client_failure, input_failure};
use crate::cli::outcome::follow;
use crate::cli::trial::Until;
use crate::config::Config;
use crate::engine::topic::names::TopicNames;
use crate::engine::topic::required::hidden_topics;
use crate::id::{Offset, TenantId};
use crate::kafka::{Admin, Backlog, KafkaSettings, TopicReader};
use crate::record::mapping::Mode;
use crate::share::table::ShareTable;

/// Between two looks at what stands in an upsert topic.
const LOOK: Duration = Duration::from_millis(200);

/// The names that the configuration gives the topics of one tenant.
pub(super) struct TenantTopics {
    /// Each with whether documents stand in it that the engine takes away.
    names: Vec<(String, bool)>,
    /// Why some may not be deleted.
    shared: Vec<String>,
}

/// One that is there.
pub(super) struct TenantTopic {
    pub(super) name: String,
    partitions: i32,
    /// Its offsets from the oldest to the newest record: as many records as it has, or more.
    records: i64,
    holds_documents: bool,
}

impl TenantTopic {
    pub(super) fn row(&self) -> Vec<String> {
        vec![self.name.clone(), self.partitions.to_string(), self.records.to_string()]
    }
}

impl TenantTopics {
    /// Those of the streams of today, and its status topic.
    pub(super) fn of(config: &Config, tenant: &TenantId, table: &ShareTable) -> Self {
        let names = names_of(config, tenant);
        let inputs = config.streams.iter().map(|stream| (stream.topic.clone(), format!("the input of {}", stream.name)));
        let own = hidden_topics(config).into_iter().map(|topic| (topic, "sharecast's own".to_owned()));
        let others = table.tenants().into_iter().filter(|other| other.id != tenant.as_str());
        let others = others.filter_map(|other| TenantId::parse(other.id).ok());
        let others =
            others.flat_map(|other| names_of(config, &other).into_iter().map(move |(name, _)| (name, format!("a topic of {other}"))));
        let taken = inputs.chain(own).chain(others).filter(|(topic, _)| names.iter().any(|(name, _)| name == topic));
        let shared = taken.map(|(topic, whose)| format!("{topic} is {whose} too")).collect();
        Self { names, shared }
    }

    /// What is somebody else's as well is not deleted, nor is anything else then: nobody meant that.
    pub(super) fn refuse_shared(&self) -> Result<(), Failure> {
        if self.shared.is_empty() {
            return Ok(());
        }
        let what = format!("its topics cannot be deleted: {}; nothing was written. Leave --delete-topics out", self.shared.join("; "));
        Err(Failure::new(Exit::Configuration, what))
    }

    /// Which of them are there, and what they hold.
    pub(super) fn look(&self, config: &Config, until: Until) -> Result<Vec<TenantTopic>, Failure> {
        let kafka = KafkaSettings::of(&config.kafka);
        let admin = Admin::open(&kafka, until.left()).map_err(client_failure)?;
        let backlog = Backlog::open(&kafka).map_err(client_failure)?;
        let mut found = Vec::new();
        for (name, holds_documents) in &self.names {
            let Some(shape) = admin.topic(name).map_err(client_failure)? else { continue };
            let partitions: Vec<(&str, i32)> = (0..shape.partitions).map(|partition| (name.as_str(), partition)).collect();
            let bounds = backlog.bounds_of_each(&partitions, until.left()).map_err(client_failure)?;
            let records = bounds.iter().map(|bounds| bounds.end.0 - bounds.start.0).sum();
            let (name, holds_documents) = (name.clone(), *holds_documents);
            found.push(TenantTopic { name, partitions: shape.partitions, records, holds_documents });
        }
        Ok(found)
    }
}

fn names_of(config: &Config, tenant: &TenantId) -> Vec<(String, bool)> {
    let names = TopicNames::of(config);
    let streams = config.streams.iter().map(|stream| (names.of_stream(tenant, &stream.name), stream.mode == Mode::Upsert));
    streams.chain([(names.of_status(tenant), false)]).collect()
}

/// Deletes them: after the status writer has written what the cut at `cut` leads to, and the workers have taken their documents back.
/// Whoever writes later would make the topics again.
pub(super) fn delete(config: &Config, topics: &[TenantTopic], cut: Option<Offset>, patience: Duration) -> Result<(), Failure> {
    let kafka = KafkaSettings::of(&config.kafka);
    if let Some(cut) = cut {
        let reader = TopicReader::open_at_end_within(&kafka, &config.topics.shares, [0], patience).map_err(input_failure)?;
        follow(config, &kafka, reader, &[(cut, "")], patience)?;
    }
    for topic in topics.iter().filter(|topic| topic.holds_documents) {
        await_empty(&kafka, topic, patience)?;
    }
    let names: Vec<&str> = topics.iter().map(|topic| topic.name.as_str()).collect();
    let admin = Admin::open(&kafka, patience).map_err(client_failure)?;
    admin.delete(&names).map_err(|error| {
        let failure = admin_failure(error);
        let what = format!("{failure}; the shares have ended, and the same command deletes what is left (it takes the right to Delete)");
        Failure::new(failure.exit, what)
    })
}

/// Waits until no document stands in it any more.
fn await_empty(kafka: &KafkaSettings, topic: &TenantTopic, patience: Duration) -> Result<(), Failure> {
    let mut standing: HashSet<Vec<u8>> = HashSet::new();
    let until = Until::after(patience);
    let mut reader = TopicReader::open_within(kafka, &topic.name, 0..topic.partitions, patience).map_err(input_failure)?;
    loop {
        let read = reader.catch_up(until.left().max(LOOK), |record| {
            let key = record.key().unwrap_or_default().to_vec();
            match record.value() {
                Some(_) => standing.insert(key),
                None => standing.remove(&key),
            };
        });
        read.map_err(input_failure)?;
        if standing.is_empty() {
            return Ok(());
        }
        if until.left().is_zero() {
            let what = format!(
                "the shares have ended, but {} documents are still in {}: an engine of this group takes them away. Its topics stay; give the \
                 same command again",
                standing.len(),
                topic.name
            );
            return Err(Failure::new(Exit::Failed, what));
        }
        std::thread::sleep(LOOK);
    }
}
