//! librdkafka's settings that exactly-once (SPEC section 10) and the fence (section 11) stand on.

use super::spelling::canonical;

/// A setting that is not free.
struct Guarded {
    /// Its name, and names of the same that librdkafka keeps apart. Aliases are folded before this is asked.
    names: &'static [&'static str],
    /// The values that do no harm; none: the engine sets it.
    harmless: &'static [&'static str],
    /// Why others are refused.
    why: &'static str,
    /// What to write instead.
    instead: &'static str,
}

const fn set_by(names: &'static [&'static str], why: &'static str, instead: &'static str) -> Guarded {
    Guarded { names, harmless: &[], why, instead }
}

const fn only(names: &'static [&'static str], harmless: &'static [&'static str], why: &'static str) -> Guarded {
    Guarded { names, harmless, why, instead: "" }
}

const REMOVE: &str = "remove it";

const GUARDED: &[Guarded] = &[
    // Who we are.
    set_by(&["metadata.broker.list"], "is said elsewhere", "write `kafka.bootstrap`"),
    set_by(&["group.id"], "is said elsewhere", "write `kafka.group`"),
    set_by(
        &["group.instance.id"],
        "would be the same for all workers of a process, which then fence each other",
        "remove it; `kafka.instance` names the process",
    ),
    set_by(&["transactional.id"], "is `<group>-<instance>-<worker>`, so that no two producers fence each other", "write `kafka.instance`"),
    set_by(
        &["test.mock.num.brokers", "test.mock.broker.rtt"],
        "would put a mock in the place of the cluster: nothing would be kept",
        REMOVE,
    ),
    set_by(&["log.queue"], "is where the engine takes librdkafka's logs from", "remove it; `log.level` says what is logged"),
    set_by(&["sasl.jaas.config"], "is a setting of Java clients", "write `sasl.mechanism`, `sasl.username` and `sasl.password`"),
    // What is read, and from where.
    set_by(&["enable.auto.commit", "auto.commit.enable"], "would commit offsets outside the transaction of their outputs", REMOVE),
    set_by(&["enable.auto.offset.store"], "would note offsets of records that are not yet committed", REMOVE),
    set_by(
        &["auto.offset.reset"],
        "is always `error`: where offsets are missing, records would silently come twice or never",
        "write `streams.NAME.start`",
    ),
    set_by(&["isolation.level"], "is chosen for each reader: data is read committed, the fence's question is asked uncommitted", REMOVE),
    set_by(&["group.protocol"], "is always `classic`: the session time-out is the engine's, and with it the order of time-outs", REMOVE),
    only(&["partition.assignment.strategy"], &["cooperative-sticky"], "would take partitions away that stay, with a batch under way"),
    set_by(&["group.remote.assignor", "group.protocol.type"], "belongs to another group protocol", REMOVE),
    set_by(&["enable.partition.eof"], "would report the end of a partition as an error of it", REMOVE),
    set_by(&["allow.auto.create.topics"], "would create topics by looking at them, with the wrong settings", "write `output.provision`"),
    set_by(&["offset.store.method", "offset.store.path"], "would keep offsets elsewhere than in the transaction of their outputs", REMOVE),
    set_by(&["topic.blacklist"], "would hide topics that are there from the engine, which would take them for deleted", REMOVE),
    // What is written, and how surely.
    set_by(&["enable.idempotence"], "is always `true`: records would double and change places when a broker answers late", REMOVE),
    set_by(&["request.required.acks"], "is always `all`: acknowledged records would be lost with their leader", REMOVE),
    only(&["max.in.flight.requests.per.connection"], &["1", "2", "3", "4", "5"], "breaks the order of an idempotent producer above 5"),
    set_by(
        &["message.timeout.ms"],
        "is as long as the transaction: a record must fail with it, not before",
        "write `transaction.timeout.ms` under `kafka.producer`",
    ),
    set_by(&["message.send.max.retries"], "would give up records before the transaction ends", REMOVE),
    set_by(&["partitioner"], "is always `murmur2_random`: keys would land where Java clients do not look for them", REMOVE),
    only(&["queuing.strategy"], &["fifo"], "would turn the order of records around"),
    set_by(&["delivery.report.only.error"], "is chosen for each producer: what it waits for would never be reported", REMOVE),
    set_by(&["enable.gapless.guarantee"], "has no use in a transaction, which is all or nothing", REMOVE),
    only(&["api.version.request"], &["true"], "would take the brokers for ones without transactions"),
    set_by(&["broker.version.fallback", "api.version.fallback.ms"], "would take the brokers for ones without transactions", REMOVE),
];

/// Why this setting may not have this value and what to write instead; none if it may.
pub(super) fn refusal(name: &str, value: &str) -> Option<(String, String)> {
    let name = canonical(name);
    let guarded = GUARDED.iter().find(|guarded| guarded.names.contains(&name))?;
    if guarded.harmless.contains(&value.to_ascii_lowercase().as_str()) {
        return None;
    }
    let instead = match (guarded.instead, guarded.harmless) {
        ("", [one]) => format!("remove it: it is `{one}`"),
        ("", [first, .., last]) => format!("remove it, or write `{first}` to `{last}`"),
        (instead, _) => instead.to_owned(),
    };
    Some((guarded.why.to_owned(), instead))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sections_10_and_11_stand_on_is_refused() {
        for (name, value) in [
            ("enable.auto.commit", "true"),
            ("isolation.level", "read_uncommitted"),
            ("auto.offset.reset", "earliest"),
            ("transactional.id", "x"),
            ("group.id", "x"),
            ("enable.idempotence", "false"),
            ("acks", "1"),
            ("group.protocol", "consumer"),
            ("partition.assignment.strategy", "range"),
            ("partitioner", "consistent"),
            ("bootstrap.servers", "x:1"),
            ("message.timeout.ms", "1000"),
            ("max.in.flight", "6"),
        ] {
            assert!(refusal(name, value).is_some(), "{name}={value}");
        }
        for (name, value) in [
            ("api.version.request", "True"),
            ("queuing.strategy", "fifo"),
            ("linger.ms", "50"),
            ("sasl.password", "x"),
            ("max.in.flight", "5"),
        ] {
            assert_eq!(refusal(name, value), None, "{name}={value}");
        }
    }

    #[test]
    fn no_other_name_gets_around_a_refusal() {
        for (alias, name) in super::super::spelling::ALIASES {
            assert_eq!(refusal(alias, "x").is_some(), refusal(name, "x").is_some(), "{alias}");
        }
        for alias in ["bootstrap.servers", "acks", "retries", "delivery.timeout.ms", "max.in.flight"] {
            assert!(refusal(alias, "7").is_some(), "{alias}");
        }
    }

    #[test]
    fn no_setting_stands_twice() {
        let mut names: Vec<_> = GUARDED.iter().flat_map(|guarded| guarded.names).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
