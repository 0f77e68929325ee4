//! Kafka's rules for topic names.

/// The longest name that Kafka takes.
pub(super) const MAX_LENGTH: usize = 249;

/// Whether Kafka takes every character of a text in a topic's name.
pub(super) fn has_only_topic_characters(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// Whether Kafka takes the name.
pub(super) fn is_valid(name: &str) -> bool {
    (1..=MAX_LENGTH).contains(&name.len()) && !matches!(name, "." | "..") && has_only_topic_characters(name)
}

/// What a valid name is, for an error.
pub(super) const RULE: &str = "a topic name has 1 to 249 of A-Z a-z 0-9 . _ - and is not . or ..";

/// The name as Kafka's metrics have it: two topics that are the same there cannot both be created.
pub(super) fn in_metrics(name: &str) -> String {
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
