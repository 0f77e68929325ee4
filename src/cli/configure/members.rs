//! Which members of the group would not understand `control.configured`: by what each reports of itself in `sharecast.state`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use crate::cli::exit::{Exit, Failure, client_failure, input_failure};
use crate::config::Config;
use crate::engine::fence::epoch_report;
use crate::engine::topic::stored::epoch_prefix;
use crate::kafka::{GroupMember, GroupMembers, KafkaSettings, TopicReader};
use crate::transport::ConsumeError;

/// A member that cannot read the event, or of which that is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OldMember {
    name: String,
    has_reported: bool,
}

impl fmt::Display for OldMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = if self.has_reported { "its version is older than this type" } else { "it has not reported its version" };
        write!(f, "{}: {why}", self.name)
    }
}

/// What members report: by id, whether the report says a version, which those that know the type do.
type ReportedVersions = BTreeMap<String, bool>;

/// The members of the group of workers that are too old, or may be.
pub(super) fn old_members(config: &Config, patience: Duration) -> Result<Vec<OldMember>, Failure> {
    let kafka = KafkaSettings::of(&config.kafka);
    let failed = |failure: Failure| {
        let what = format!("who is in the group {} cannot be learnt: {failure}; nothing was written", config.kafka.group);
        Failure::new(failure.exit, what)
    };
    let groups = GroupMembers::open(&kafka).map_err(client_failure).map_err(failed)?;
    let present = groups.members(&config.kafka.group, patience).map_err(client_failure).map_err(failed)?;
    if present.is_empty() {
        return Ok(Vec::new());
    }
    Ok(too_old(&present, &reports(config, &kafka, patience).map_err(failed)?))
}

fn reports(config: &Config, kafka: &KafkaSettings, patience: Duration) -> Result<ReportedVersions, Failure> {
    let prefix = epoch_prefix(&kafka.group);
    // The newest of each process: a member that has gone matters to nobody.
    let mut by_key: BTreeMap<Vec<u8>, Vec<(String, bool)>> = BTreeMap::new();
    let mut reader = match TopicReader::open_within(kafka, &config.topics.state, [0], patience) {
        Ok(reader) => reader,
        // No engine has run here, or it may not be read: then nothing is known of anybody.
        Err(ConsumeError::Refused(_)) => return Ok(ReportedVersions::new()),
        Err(error) => return Err(input_failure(error)),
    };
    reader
        .read_to_end(patience, |record| {
            let Some(key) = record.key().filter(|key| key.starts_with(prefix.as_bytes())) else { return };
            let value = record.value().unwrap_or_default();
            let knows = epoch_report::version_of(value).is_some();
            by_key.insert(key.to_vec(), epoch_report::read(value).into_keys().map(|member| (member, knows)).collect());
        })
        .map_err(|error| Failure::new(Exit::Unavailable, error.to_string()))?;
    Ok(by_key.into_values().flatten().collect())
}

fn too_old(present: &[GroupMember], reported: &ReportedVersions) -> Vec<OldMember> {
    let old = present.iter().filter(|member| reported.get(&member.id) != Some(&true));
    let named: BTreeSet<(String, bool)> = old.map(|member| (member.to_string(), reported.contains_key(&member.id))).collect();
    named.into_iter().map(|(name, has_reported)| OldMember { name, has_reported }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_reports_no_version_is_too_old_and_so_is_who_reports_nothing() {
        let member = |id: &str| GroupMember { id: id.to_owned(), client: format!("client-{id}"), host: "/10.0.0.1".to_owned() };
        let reported: ReportedVersions = [("a".to_owned(), true), ("b".to_owned(), false), ("gone".to_owned(), false)].into();
        let found: Vec<String> = too_old(&["a", "b", "c"].map(member), &reported).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            ["client-b at 10.0.0.1: its version is older than this type", "client-c at 10.0.0.1: it has not reported its version",]
        );
    }
}
