//! Every key there is, with the form of its value.

/// What may stand under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A map of further keys of this table; `*` in the table stands for any name.
    Map,
    /// A map of any names to texts, numbers or booleans.
    Free,
    /// A text, not empty.
    Text,
    /// A list of texts.
    Texts,
    /// A whole number in these bounds, both included.
    Whole(i64, i64),
    /// `true` or `false`.
    Flag,
    /// A length of time, `0` and none at all too (docs/rules/values.md#durations).
    Span,
    /// A length of time above 0.
    LongerSpan,
    /// One of these words.
    Word(&'static [&'static str]),
}

/// The largest number that Kafka's own settings take.
const MAX: i64 = i32::MAX as i64;

/// Every key, maps before what is in them.
pub const KEYS: &[(&str, Form)] = &[
    ("streams", Form::Map),
    ("streams.*", Form::Map),
    ("streams.*.mode", Form::Word(&["append", "upsert"])),
    ("streams.*.topic", Form::Text),
    ("streams.*.tenant", Form::Text),
    ("streams.*.asset", Form::Text),
    ("streams.*.time", Form::Text),
    ("streams.*.key_format", Form::Text),
    ("streams.*.rewrite", Form::Map),
    ("streams.*.rewrite.tenant", Form::Texts),
    ("streams.*.rewrite.asset", Form::Texts),
    ("streams.*.start", Form::Word(&["earliest", "latest"])),
    ("streams.*.critical", Form::Texts),
    ("partnerships", Form::Word(&["required", "invited", "open"])),
    ("late_grace", Form::Span),
    ("max_future", Form::Span),
    ("max_record_bytes", Form::Whole(1, MAX)),
    ("provenance", Form::Word(&["payload", "headers", "none"])),
    ("provenance_permission", Form::Flag),
    ("delivery", Form::Word(&["exactly_once", "at_least_once"])),
    ("mask", Form::Map),
    ("mask.secret", Form::Text),
    ("kafka", Form::Map),
    ("kafka.bootstrap", Form::Text),
    ("kafka.group", Form::Text),
    ("kafka.instance", Form::Text),
    ("kafka.data_plane", Form::Word(&["auto", "native", "librdkafka"])),
    ("kafka.client", Form::Free),
    ("kafka.consumer", Form::Free),
    ("kafka.producer", Form::Free),
    ("workers", Form::Whole(1, 1024)),
    ("batch", Form::Map),
    ("batch.interval", Form::LongerSpan),
    ("batch.max_records", Form::Whole(1, 1_000_000)),
    ("batch.max_routes", Form::Whole(1, 100_000)),
    ("control", Form::Map),
    ("control.topic", Form::Text),
    ("control.unreadable", Form::Word(&["halt", "skip"])),
    ("topics", Form::Map),
    ("topics.prefix", Form::Text),
    ("topics.status", Form::Text),
    ("fence", Form::Map),
    ("fence.enabled", Form::Flag),
    ("fence.max_view_age", Form::LongerSpan),
    ("fence.max_tick_age", Form::LongerSpan),
    ("fence.max_clock_skew", Form::LongerSpan),
    ("output", Form::Map),
    ("output.topic", Form::Text),
    ("output.provision", Form::Word(&["auto", "manual"])),
    ("output.partitions", Form::Whole(1, 100_000)),
    ("output.replication", Form::Whole(-1, 32_767)),
    ("output.retention", Form::LongerSpan),
    ("output.tombstones", Form::LongerSpan),
    ("output.compression", Form::Word(&["none", "lz4", "zstd", "snappy", "gzip"])),
    ("output.headers", Form::Texts),
    ("output.on_route_failure", Form::Word(&["dead_letter", "wait"])),
    ("snapshot", Form::Map),
    ("snapshot.path", Form::Text),
    ("snapshot.every", Form::LongerSpan),
    ("http", Form::Map),
    ("http.listen", Form::Text),
    ("api", Form::Map),
    ("api.listen", Form::Text),
    ("api.public_url", Form::Text),
    ("api.secret", Form::Text),
    ("api.auth", Form::Map),
    ("api.auth.mode", Form::Word(&["tokens", "jwt", "none"])),
    ("api.auth.tokens", Form::Text),
    ("api.auth.jwt", Form::Map),
    ("api.auth.jwt.issuer", Form::Text),
    ("api.auth.jwt.audience", Form::Text),
    ("api.auth.jwt.jwks", Form::Text),
    ("api.auth.jwt.algorithms", Form::Texts),
    ("api.auth.jwt.tenant_claim", Form::Text),
    ("api.auth.jwt.role_claim", Form::Text),
    ("api.directory", Form::Map),
    ("api.directory.stream", Form::Text),
    ("api.directory.name", Form::Text),
    ("api.directory.reference", Form::Text),
    ("api.limits", Form::Map),
    ("api.limits.body", Form::Whole(1024, 1 << 26)),
    ("api.limits.requests", Form::Whole(1, 1_000_000)),
    ("api.limits.timeout", Form::LongerSpan),
    ("invitations", Form::Map),
    ("invitations.link", Form::Text),
    ("mail", Form::Map),
    ("mail.from", Form::Text),
    ("mail.smtp", Form::Map),
    ("mail.smtp.host", Form::Text),
    ("mail.smtp.port", Form::Whole(1, 65_535)),
    ("mail.smtp.tls", Form::Word(&["none", "starttls", "tls"])),
    ("mail.smtp.user", Form::Text),
    ("mail.smtp.password", Form::Text),
    ("mail.templates", Form::Text),
    ("metrics", Form::Map),
    ("metrics.tenants", Form::Text),
    ("log", Form::Map),
    ("log.format", Form::Word(&["auto", "text", "json"])),
    ("log.level", Form::Word(&["error", "warn", "info", "debug", "trace"])),
];

/// The form of the key at these names; none if there is no such key.
pub(super) fn form_of(names: &[&str]) -> Option<Form> {
    KEYS.iter().find(|(key, _)| is_at(key, names)).map(|(_, form)| *form)
}

fn is_at(key: &str, names: &[&str]) -> bool {
    let mut parts = key.split('.');
    names.iter().all(|name| parts.next().is_some_and(|part| part == "*" || part == *name)) && parts.next().is_none()
}

/// The key nearest to an unknown one of this name in the map at `names`: one of the same name elsewhere, else the one
/// of that map that is written most alike.
pub(super) fn nearest(names: &[&str], unknown: &str) -> Option<String> {
    if let Some(near) = slip_of(names, unknown) {
        return Some(near);
    }
    let elsewhere = KEYS.iter().map(|(key, _)| key).find(|key| !key.contains('*') && last(key) == unknown);
    elsewhere.map(|key| (*key).to_owned()).or_else(|| most_alike(names, unknown))
}

/// The key of the map at `names` that an unknown one is a slip of the pen in.
pub(super) fn slip_of(names: &[&str], unknown: &str) -> Option<String> {
    most_alike(names, unknown).filter(|name| distance(name, unknown) <= 2)
}

fn most_alike(names: &[&str], unknown: &str) -> Option<String> {
    let inside = |key: &&str| {
        let (parent, _) = key.rsplit_once('.').unwrap_or(("", key));
        if names.is_empty() { parent.is_empty() } else { is_at(parent, names) }
    };
    KEYS.iter().map(|(key, _)| *key).filter(inside).map(last).min_by_key(|name| distance(name, unknown))
}

fn distance(name: &str, unknown: &str) -> usize {
    strsim::damerau_levenshtein(name, &unknown.to_ascii_lowercase().replace('-', "_"))
}

fn last(key: &str) -> String {
    key.rsplit('.').next().unwrap_or(key).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_inside_a_map_of_the_table() {
        for (key, _) in KEYS {
            if let Some((parent, _)) = key.rsplit_once('.') {
                assert!(KEYS.contains(&(parent, Form::Map)), "{key}");
            }
        }
    }

    #[test]
    fn names_the_nearest_key() {
        assert_eq!(nearest(&["streams", "telemetry"], "modus").as_deref(), Some("mode"));
        assert_eq!(nearest(&["streams", "telemetry"], "key-format").as_deref(), Some("key_format"));
        assert_eq!(nearest(&[], "max_view_age").as_deref(), Some("fence.max_view_age"));
        assert_eq!(nearest(&[], "stream").as_deref(), Some("streams"));
        assert_eq!(nearest(&["batch"], "xyz").map(|k| k.is_empty()), Some(false));
        assert_eq!(form_of(&["streams", "x", "mode"]), Some(Form::Word(&["append", "upsert"])));
        assert_eq!(form_of(&["streams", "x", "mode", "y"]), None);
    }
}
