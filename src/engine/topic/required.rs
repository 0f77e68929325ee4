//! Which topics a configuration and the shares of today need, and what is wrong with those that are there
//! (docs/rules/events.md#the-control-topic, docs/rules/outputs.md#provisioning, docs/rules/upserts.md#the-input).

use std::collections::{BTreeMap, BTreeSet};

use crate::config::Config;
use crate::engine::output::lookup::TopicKind;
use crate::engine::topic::names::TopicNames;
use crate::engine::topic::spec::{TOMBSTONE_RETENTION, TopicSpecs};
use crate::id::TenantId;
use crate::kafka::{TopicShape, TopicSpec};
use crate::record::mapping::Mode;
use crate::share::state::State;
use crate::share::table::ShareTable;

/// A topic that is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// How it is made where it is missing.
    pub spec: TopicSpec,
    /// Whether it must have exactly that many partitions.
    pub partitions_are_fixed: bool,
}

/// A setting that is other than wanted, and that can be changed while everything runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adjustment {
    /// The setting.
    pub key: &'static str,
    /// As it was found.
    pub found: String,
    /// As it is wanted.
    pub wanted: String,
}

impl Need {
    /// What can be set at the topic as it was found, with no harm to anybody.
    pub fn adjustment(&self, config: &BTreeMap<String, String>) -> Option<Adjustment> {
        let key = TOMBSTONE_RETENTION;
        let wanted = self.spec.config.get(key)?.clone();
        let found = config.get(key).map_or("nothing", String::as_str).to_owned();
        (found != wanted).then_some(Adjustment { key, found, wanted })
    }

    /// What is to be changed at the topic as it was found; nothing if it will do.
    pub fn faults(&self, shape: &TopicShape, config: &BTreeMap<String, String>) -> Vec<String> {
        let mut faults = Vec::new();
        let wanted = self.spec.partitions;
        if self.partitions_are_fixed && shape.partitions != wanted {
            faults.push(format!(
                "it has {} partitions and needs {wanted}: move what it holds aside, delete it, and provision again",
                shape.partitions
            ));
        }
        let found = |key: &str| config.get(key).map_or("nothing", String::as_str);
        let policy = found("cleanup.policy");
        match self.spec.config.get("cleanup.policy") {
            Some(wanted) if policy != wanted => faults.push(format!("cleanup.policy is {policy}; set it to {wanted}")),
            None if policy.contains("compact") => {
                faults.push(format!("cleanup.policy is {policy}, which drops all but the last record of an asset; set it to delete"));
            }
            _ => {}
        }
        let key = "message.timestamp.type";
        if let Some(wanted) = self.spec.config.get(key)
            && found(key) != wanted
        {
            faults.push(format!("{key} is {}; set it to {wanted}", found(key)));
        }
        faults
    }
}

/// An upsert stream's input, whose partitions its standing topic follows: its name and how many it has, if it is there.
pub type InputPartitions<'a> = &'a dyn Fn(&str) -> Option<i32>;

/// The topics besides the control topic, each once: sharecast's own, then those of tenants by name. Of a tenant those that its shares of
/// today need: its status topic from the first offer on, a stream's topic from the grant on.
pub fn needs(config: &Config, table: &ShareTable, partitions_of: InputPartitions<'_>) -> Vec<Need> {
    let specs = TopicSpecs::of(config);
    let names = TopicNames::of(config);
    let is_fixed = |name: &str| [&names.own.shares, &names.own.state, &names.own.backfill].iter().any(|fixed| *fixed == name);
    let own = specs.own().into_iter().map(|spec| Need { partitions_are_fixed: is_fixed(&spec.name), spec });
    let upserts = config.streams.iter().filter(|stream| stream.mode == Mode::Upsert);
    let standing = upserts.filter_map(|stream| Some(specs.standing(&names.own.standing(&stream.name), partitions_of(&stream.topic)?)));
    let mut needs: Vec<Need> = own.chain(standing.map(|spec| Need { spec, partitions_are_fixed: true })).collect();
    let (mut parties, mut routes) = (BTreeSet::new(), BTreeSet::new());
    for share in table.shares() {
        let document = share.document();
        if !matches!(document.state, State::Pending | State::Active | State::Paused) {
            continue;
        }
        parties.extend([Some(document.owner), document.target_tenant].into_iter().flatten());
        if document.state.is_live() {
            routes
                .extend(document.target_tenant.into_iter().flat_map(|target| document.streams.iter().map(move |stream| (target, *stream))));
        }
    }
    for party in parties.into_iter().filter_map(|id| TenantId::parse(id).ok()) {
        needs.push(Need { spec: specs.of_tenant(&names.of_status(&party), TopicKind::Status), partitions_are_fixed: true });
    }
    for (target, name) in routes {
        let (Ok(target), Some(stream)) = (TenantId::parse(target), config.stream(name)) else { continue };
        let spec = specs.of_tenant(&names.of_stream(&target, &stream.name), TopicKind::of(stream));
        needs.push(Need { spec, partitions_are_fixed: stream.mode == Mode::Upsert });
    }
    needs
}

/// The topics that are never a tenant's to read: what others share stands in them, or how the engine remembers it.
pub fn hidden_topics(config: &Config) -> Vec<String> {
    let own = config.topics.fixed().map(str::to_owned);
    let upserts = config.streams.iter().filter(|stream| stream.mode == Mode::Upsert);
    own.into_iter().chain(upserts.map(|stream| config.topics.standing(&stream.name))).chain([config.control.topic.clone()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigEnv;

    #[test]
    fn tombstones_are_kept_in_topics_that_others_follow_and_one_that_forgets_sooner_is_adjusted() {
        let config = Config::load(&[("c", "output: { tombstones: 7d }")], &ConfigEnv::none()).unwrap();
        let specs = TopicSpecs::of(&config);
        let stream = |name| TopicKind::of(config.stream(name).unwrap());
        let kept = |spec: TopicSpec| spec.config.get(TOMBSTONE_RETENTION).cloned();
        for kind in [TopicKind::Status, stream("details")] {
            assert_eq!(kept(specs.of_tenant("t", kind)).as_deref(), Some("604800000"));
        }
        assert_eq!(kept(specs.of_tenant("t", stream("telemetry"))), None);
        assert_eq!(kept(specs.standing("s", 1)), None);
        let of_own: Vec<String> = specs.own().into_iter().filter(|spec| kept(spec.clone()).is_some()).map(|spec| spec.name).collect();
        assert_eq!(of_own, ["sharecast.shares"]);

        let found = |value: &str| [(TOMBSTONE_RETENTION.to_owned(), value.to_owned())].into();
        let need = Need { spec: specs.of_tenant("t", TopicKind::Status), partitions_are_fixed: true };
        assert_eq!(need.adjustment(&found("604800000")), None);
        let adjustment = need.adjustment(&found("86400000")).unwrap();
        assert_eq!((adjustment.found.as_str(), adjustment.wanted.as_str()), ("86400000", "604800000"));
        let append = Need { spec: specs.of_tenant("t", stream("telemetry")), partitions_are_fixed: false };
        assert_eq!(append.adjustment(&found("86400000")), None);
    }
}
