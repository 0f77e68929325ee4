//! librdkafka's settings by their one name: many have another one, and two spellings of one setting must not both count.

use std::collections::BTreeMap;

use crate::config::written::{ConfigEntry, ConfigKind, ConfigValue, Findings};

/// Each other name, and the name that librdkafka keeps the setting under.
pub const ALIASES: &[(&str, &str)] = &[
    ("bootstrap.servers", "metadata.broker.list"),
    ("max.in.flight", "max.in.flight.requests.per.connection"),
    ("sasl.mechanism", "sasl.mechanisms"),
    ("sasl.oauthbearer.client.credentials.client.id", "sasl.oauthbearer.client.id"),
    ("sasl.oauthbearer.client.credentials.client.secret", "sasl.oauthbearer.client.secret"),
    ("max.partition.fetch.bytes", "fetch.message.max.bytes"),
    ("linger.ms", "queue.buffering.max.ms"),
    ("retries", "message.send.max.retries"),
    ("compression.type", "compression.codec"),
    ("acks", "request.required.acks"),
    ("delivery.timeout.ms", "message.timeout.ms"),
];

/// The one name of a setting.
pub fn canonical(name: &str) -> &str {
    ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, canonical)| canonical)
}

/// Whether the value of a setting is never shown, by its name. What librdkafka does not know is a secret too: see `Taken`.
pub fn looks_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["password", "passphrase", "secret", "key", "token", "credential", "pem", "jaas", "sasl", "private", "assertion", "jwt"]
        .iter()
        .any(|part| name.contains(part))
}

/// What librdkafka says of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// It takes it.
    Yes,
    /// It has no setting of this name; the nearest that it has.
    UnknownName(Option<String>),
    /// It does not take the value. The words may repeat it.
    WrongValue(String),
}

/// The sections of librdkafka's own settings.
pub(in crate::config) const SECTIONS: [&str; 3] = ["client", "consumer", "producer"];

/// Gives every setting of one source its one name, before sources are laid over one another.
pub(in crate::config) fn fold_names(root: &mut ConfigValue, findings: &mut Findings) {
    let ConfigKind::Map(entries) = &mut root.kind else { return };
    let Some(ConfigValue { kind: ConfigKind::Map(kafka), .. }) =
        entries.iter_mut().find(|entry| entry.name == "kafka").map(|e| &mut e.value)
    else {
        return;
    };
    for section in kafka.iter_mut().filter(|entry| SECTIONS.contains(&entry.name.as_str())) {
        if let ConfigKind::Map(settings) = &mut section.value.kind {
            fold_section(settings, &format!("kafka.{}", section.name), findings);
        }
    }
}

fn fold_section(settings: &mut Vec<ConfigEntry>, section: &str, findings: &mut Findings) {
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    settings.retain_mut(|entry| {
        let name = canonical(&entry.name).to_owned();
        let written = std::mem::replace(&mut entry.name, name);
        entry.alias = (written != entry.name).then(|| written.clone());
        match seen.insert(entry.name.clone(), written.clone()) {
            None => true,
            Some(first) => {
                findings.error(entry.spot, format!("`{section}.{written}` and `{section}.{first}` are one setting"), "keep one of them");
                false
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_an_alias_of_two_and_none_of_an_alias() {
        for (at, (alias, name)) in ALIASES.iter().enumerate() {
            assert_eq!((canonical(alias), canonical(name)), (*name, *name));
            assert!(ALIASES[at + 1..].iter().all(|(other, _)| other != alias));
        }
    }

    #[test]
    fn secrets_are_known_by_their_names() {
        for name in ["sasl.password", "SASL.Username", "ssl.key.pem", "ssl.keystore.location", "sasl.oauthbearer.client.secret", "my.token"]
        {
            assert!(looks_secret(name), "{name}");
        }
        for name in ["linger.ms", "socket.keepalive.enable", "ssl.ca.location", "compression.codec"] {
            assert!(!looks_secret(name), "{name}");
        }
    }
}
