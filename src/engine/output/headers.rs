//! Headers of what is written: those of the input that are passed on, and provenance.

use crate::engine::output::outbox::RecordOrigin;
use crate::id::Epoch;
use crate::share::graph::Grant;
use crate::transport::Record;

/// The record's headers that `output.headers` allows.
pub fn passed_headers(allowed: &[String], record: &Record<'_>) -> Vec<(String, Vec<u8>)> {
    if allowed.is_empty() {
        return Vec::new();
    }
    let passed = record.headers.iter().filter_map(|(name, value)| {
        let name = allowed.iter().find(|allowed| allowed.as_bytes() == name)?;
        Some((name.clone(), value?.to_vec()))
    });
    passed.collect()
}

/// CloudEvents in binary mode (docs/rules/outputs.md#provenance): what `_share` would say, as extension attributes; `permission` where
/// that is shown.
pub fn provenance_headers(
    grant: &Grant,
    epoch: Epoch,
    permission: Option<&str>,
    stream: &str,
    origin: RecordOrigin,
) -> Vec<(String, Vec<u8>)> {
    let RecordOrigin { source, offset } = origin;
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("ce_specversion", "1.0".to_owned()),
        ("ce_id", format!("{}/{}/{offset}", grant.share, source.partition)),
        ("ce_source", "/sharecast".to_owned()),
        ("ce_type", format!("sharecast.{stream}.v1")),
        ("ce_shareid", grant.share.to_string()),
        ("ce_sharerev", grant.revision.to_string()),
        ("ce_shareepoch", epoch.to_string()),
    ];
    let permission = permission.map(|word| ("ce_sharepermission", word.to_owned()));
    headers.into_iter().chain(permission).map(|(name, value)| (name.to_owned(), value.into_bytes())).collect()
}
