//! What `--version` says.

use std::sync::LazyLock;

/// Version, commit and librdkafka.
static TEXT: LazyLock<String> = LazyLock::new(|| {
    let commit =
        option_env!("SHARECAST_COMMIT").map_or_else(|| "a build without its commit".to_owned(), |commit| format!("commit {commit}"));
    format!("{} ({commit}, {})", env!("CARGO_PKG_VERSION"), client())
});

/// The version with what it was built from.
pub fn text() -> &'static str {
    &TEXT
}

#[cfg(feature = "io")]
fn client() -> String {
    format!("librdkafka {}", crate::kafka::client_version())
}

#[cfg(not(feature = "io"))]
fn client() -> String {
    "without Kafka".to_owned()
}
