//! Names of topics: sharecast's own, those of tenants that no template names, and Kafka's rules for all.

use crate::id::{StreamName, TenantId};

/// The control topic, unless `control.topic` says otherwise.
pub const CONTROL: &str = "sharecast.control";
/// Compacted: every share's status document, and rejected events.
pub const SHARES: &str = "sharecast.shares";
/// Input records that could not be read, with their reasons.
pub const DEAD_LETTERS: &str = "sharecast.dead-letters";
/// One partition, compacted: small facts such as which partitions were begun.
pub const STATE: &str = "sharecast.state";
/// Compacted: what a mailer needs to know of each open invitation, by share id; a tombstone once it is closed.
pub const INVITATIONS: &str = "sharecast.invitations";
/// One partition, compacted: which backfills there are, and how far each has come.
pub const BACKFILL: &str = "sharecast.backfill";
/// Sharecast's own topics whatever the streams, besides the control topic.
pub const OWN: [&str; 5] = [SHARES, DEAD_LETTERS, STATE, INVITATIONS, BACKFILL];

/// What stands in the topics of an upsert stream: compacted, as many partitions as the stream's input.
pub fn standing_topic(stream: &StreamName) -> String {
    format!("sharecast.standing.{stream}")
}

/// A tenant's view of its shares; keeps its name whatever the template says (docs/rules/outputs.md#tenants-topics).
pub fn status_topic(tenant: &TenantId) -> String {
    format!("share.{tenant}.shares")
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
    fn topic_names_follow_kafka() {
        assert!(is_valid("telemetry.raw") && is_valid("a_B-9") && is_valid(&"a".repeat(249)) && is_valid("..."));
        for bad in ["", ".", "..", "a b", "a/b", "é", &"a".repeat(250)] {
            assert!(!is_valid(bad), "{bad}");
        }
        assert_eq!(in_metrics("a.b_c"), in_metrics("a_b.c"));
    }
}
