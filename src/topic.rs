//! Names of topics: one installation's own, those of tenants that no output template names, and Kafka's rules for all.

use std::fmt;

use crate::id::{StreamName, TenantId};

/// A partition as logs and errors name it: `telemetry.raw/3`. No topic's name has a `/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PartitionName<'t>(pub &'t str, pub i32);

impl fmt::Display for PartitionName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(topic, partition) = self;
        write!(f, "{topic}/{partition}")
    }
}

/// Several of them, with commas between.
pub fn partition_names<'t>(partitions: impl IntoIterator<Item = PartitionName<'t>>) -> String {
    let names: Vec<String> = partitions.into_iter().map(|partition| partition.to_string()).collect();
    names.join(", ")
}

/// What an installation's own topics begin with, unless `topics.prefix` says otherwise.
pub const PREFIX: &str = "sharecast";

/// The names of one installation's own topics, and of tenants' status topics. Everything that names one of them asks here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnTopics {
    /// `topics.prefix`.
    prefix: String,
    /// The control topic, unless `control.topic` gives it another name.
    pub control: String,
    /// Compacted: every share's status document, and rejected events.
    pub shares: String,
    /// Input records that could not be read, with their reasons.
    pub dead_letters: String,
    /// One partition, compacted: small facts such as which partitions were begun.
    pub state: String,
    /// Compacted: what a mailer needs to know of each open invitation, by share id; a tombstone once it is closed.
    pub invitations: String,
    /// One partition, compacted: which backfills there are, and how far each has come.
    pub backfill: String,
    /// `topics.status`.
    status: StatusTemplate,
}

impl OwnTopics {
    /// Those that begin with `prefix` and a dot, beside status topics of these names.
    pub fn new(prefix: &str, status: StatusTemplate) -> Self {
        let under = |name: &str| format!("{prefix}.{name}");
        Self {
            prefix: prefix.to_owned(),
            control: under("control"),
            shares: under("shares"),
            dead_letters: under("dead-letters"),
            state: under("state"),
            invitations: under("invitations"),
            backfill: under("backfill"),
            status,
        }
    }

    /// Those of a configuration that names none.
    pub fn standard() -> Self {
        Self::new(PREFIX, StatusTemplate::standard())
    }

    /// `topics.prefix`.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Those that there are whatever the streams, besides the control topic.
    pub fn fixed(&self) -> [&str; 5] {
        [&self.shares, &self.dead_letters, &self.state, &self.invitations, &self.backfill]
    }

    /// What stands in the topics of an upsert stream: compacted, as many partitions as the stream's input.
    pub fn standing(&self, stream: &StreamName) -> String {
        format!("{}.standing.{stream}", self.prefix)
    }

    /// A tenant's view of its shares; no output goes there.
    pub fn status(&self, tenant: &TenantId) -> String {
        self.status.topic(tenant)
    }

    /// `topics.status`.
    pub fn status_template(&self) -> &StatusTemplate {
        &self.status
    }
}

/// `topics.status`: a text with `{tenant}` in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusTemplate {
    /// What every status topic begins with; never empty.
    pub before: String,
    /// What every status topic ends with.
    pub after: String,
}

impl StatusTemplate {
    /// `share.{tenant}.shares`.
    pub fn standard() -> Self {
        Self { before: "share.".to_owned(), after: ".shares".to_owned() }
    }

    /// A tenant's status topic.
    pub fn topic(&self, tenant: &TenantId) -> String {
        format!("{}{tenant}{}", self.before, self.after)
    }
}

/// The longest name that Kafka takes.
pub const MAX_LENGTH: usize = 249;

/// Whether Kafka takes every character of a text in a topic's name.
pub fn has_only_topic_characters(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// Whether Kafka takes the name.
pub fn is_valid(name: &str) -> bool {
    (1..=MAX_LENGTH).contains(&name.len()) && !matches!(name, "." | "..") && has_only_topic_characters(name)
}

/// What a valid name is, for an error.
pub const RULE: &str = "a topic name has 1 to 249 of A-Z a-z 0-9 . _ - and is not . or ..";

/// The name as Kafka's metrics have it: two topics that are the same there cannot both be created.
pub fn in_metrics(name: &str) -> String {
    name.replace('.', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_own_name_begins_with_the_prefix() {
        let stream = StreamName::parse("details").unwrap();
        let names = |own: &OwnTopics| {
            let fixed = own.fixed().into_iter().map(str::to_owned);
            fixed.chain([own.control.clone(), own.standing(&stream)]).collect::<Vec<_>>()
        };
        let standard = [
            "sharecast.shares",
            "sharecast.dead-letters",
            "sharecast.state",
            "sharecast.invitations",
            "sharecast.backfill",
            "sharecast.control",
            "sharecast.standing.details",
        ];
        assert_eq!(names(&OwnTopics::standard()), standard);
        let other = OwnTopics::new("eu.cast", StatusTemplate::standard());
        assert_eq!(names(&other), standard.map(|name| name.replace("sharecast", "eu.cast")));
        assert_eq!(other.status(&TenantId::parse("acme").unwrap()), "share.acme.shares");
    }

    #[test]
    fn a_partition_is_named_by_its_topic_and_number() {
        assert_eq!(
            partition_names([("telemetry.raw", 3), ("a", 0)].map(|(topic, number)| PartitionName(topic, number))),
            "telemetry.raw/3, a/0"
        );
    }

    #[test]
    fn topic_names_follow_kafka() {
        assert!(is_valid("telemetry.raw") && is_valid("a_B-9") && is_valid(&"a".repeat(249)) && is_valid("..."));
        for bad in ["", ".", "..", "a b", "a/b", "é", &"a".repeat(250)] {
            assert!(!is_valid(bad), "{bad}");
        }
        assert_eq!(in_metrics("a.b_c"), in_metrics("a_b.c"));
    }
}
