//! Topics that would delete what a job writes: Kafka deletes by the records' own time (docs/backfill.md#retention).

use std::collections::BTreeMap;

use crate::kafka::{Admin, ClientError};

/// A topic that deletes too early, and by which setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpiringTopic {
    /// The topic.
    pub topic: String,
    /// `retention.ms=…`.
    pub setting: String,
}

/// Those of these topics that are there and would delete a record that is `age_ms` old.
pub fn expiring<'t>(admin: &Admin, topics: impl Iterator<Item = &'t str>, age_ms: i64) -> Result<Vec<ExpiringTopic>, ClientError> {
    let mut found = Vec::new();
    for topic in topics {
        if admin.topic(topic)?.is_some()
            && let Some(setting) = deletes_within(&admin.topic_config(topic)?, age_ms)
        {
            found.push(ExpiringTopic { topic: topic.to_owned(), setting });
        }
    }
    Ok(found)
}

/// The setting by which a topic of this configuration deletes records before they are `age_ms` old.
fn deletes_within(config: &BTreeMap<String, String>, age_ms: i64) -> Option<String> {
    let deletes = config.get("cleanup.policy").is_none_or(|policy| policy.split(',').any(|policy| policy.trim() == "delete"));
    let retention_ms: i64 = config.get("retention.ms")?.parse().ok()?;
    (deletes && (0..age_ms).contains(&retention_ms)).then(|| format!("retention.ms={retention_ms}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_deletes_by_time_and_too_early_is_found() {
        let config = |policy: &str, retention: &str| {
            [("cleanup.policy", policy), ("retention.ms", retention)].map(|(name, value)| (name.to_owned(), value.to_owned())).into()
        };
        let day = 86_400_000;
        assert_eq!(deletes_within(&config("delete", "3600000"), day).as_deref(), Some("retention.ms=3600000"));
        assert_eq!(deletes_within(&config("compact,delete", "3600000"), day).as_deref(), Some("retention.ms=3600000"));
        assert_eq!(deletes_within(&config("compact", "3600000"), day), None);
        assert_eq!(deletes_within(&config("delete", "-1"), day), None);
        assert_eq!(deletes_within(&config("delete", "86400000"), day), None);
        assert_eq!(deletes_within(&config("delete", "86399999"), day).as_deref(), Some("retention.ms=86399999"));
        assert_eq!(deletes_within(&BTreeMap::new(), day), None);
    }
}
