//! How the engine spells what it stores in Kafka: the keys of `sharecast.state`, and what of the configuration is part of a standing
//! document's digest. Another spelling is another fact: what an engine of the version before has stored would no longer be found, and every
//! document would be written again.

use crate::config::ProvenanceForm;
use crate::id::{Offset, TenantId};
use crate::json::writer::object;
use crate::share::event::invitation_code::CodeHash;
use crate::time::TimestampNs;

/// The key of the note that an input partition was begun.
pub fn start_key(group: &str, topic: &str, partition: i32) -> String {
    format!("start/{group}/{topic}/{partition}")
}

/// Its value: where it was begun.
pub fn start_value(first: Offset) -> String {
    format!(r#"{{"offset":{first}}}"#)
}

/// What the keys begin with of the notes that say what routes are owed of an input partition.
pub fn owed_prefix(group: &str, topic: &str, partition: i32) -> String {
    format!("owed/{group}/{topic}/{partition}/")
}

/// The key of one of them.
pub fn owed_key(group: &str, topic: &str, partition: i32, tenant: &TenantId) -> String {
    format!("{}{tenant}", owed_prefix(group, topic, partition))
}

/// Its value: from which offset on.
pub fn owed_value(tenant: &TenantId, from: Offset) -> String {
    format!(r#"{{"tenant":"{tenant}","from":{from}}}"#)
}

/// What the keys begin with of the reports that say which epochs the workers of a group decide by.
pub fn epoch_prefix(group: &str) -> String {
    format!("epoch/{group}/")
}

/// The key of an instance's report.
pub fn epoch_key(group: &str, instance: &str) -> String {
    format!("{}{instance}", epoch_prefix(group))
}

/// The key of a backfill's entry in `sharecast.backfill`.
pub fn backfill_key(group: &str, job: &str) -> String {
    format!("{}{job}", backfill_prefix(group))
}

/// The key of its checkpoint of one input partition.
pub fn backfill_partition_key(group: &str, job: &str, partition: i32) -> String {
    format!("{}{job}/{partition}", backfill_prefix(group))
}

/// What the keys begin with of all backfills of a group.
pub fn backfill_prefix(group: &str) -> String {
    format!("{group}/")
}

/// What the instances of reports begin with that are a backfill's; no engine's may.
pub use crate::config::BACKFILL_INSTANCE;

/// The key of the note that says which control event changed anything last.
pub fn changed_key(group: &str) -> String {
    format!("changed/{group}")
}

/// Its value: the event's offset.
pub fn changed_value(last: Offset) -> String {
    format!(r#"{{"offset":{last}}}"#)
}

/// What the keys begin with of the notes that say which mails a group's mailer has sent.
pub fn mail_prefix(group: &str) -> String {
    format!("mail/{group}/")
}

/// The key of the note that the mail with a share's code was sent.
pub fn mail_key(group: &str, share: &str, code: CodeHash) -> String {
    format!("{}{share}/{code}", mail_prefix(group))
}

/// Its value: when the server took it.
pub fn mail_value(at: TimestampNs) -> Vec<u8> {
    object(|out| out.time("at", at))
}

/// The share and the code's hash of a key that begins with `mail_prefix`.
pub fn read_mail_key<'k>(group: &str, key: &'k str) -> Option<(&'k str, CodeHash)> {
    let (share, hash) = key.strip_prefix(&mail_prefix(group))?.rsplit_once('/')?;
    Some((share, CodeHash::parse(hash)?))
}

/// What of the configuration shows in an upsert document besides its projection.
pub fn document_form(provenance: ProvenanceForm) -> &'static str {
    match provenance {
        ProvenanceForm::Payload => "Payload",
        ProvenanceForm::Headers => "Headers",
        ProvenanceForm::Nowhere => "Nowhere",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink_state::entry::Digest;

    /// As the version before has written them.
    #[test]
    fn keys_and_values_are_spelled_as_they_were() {
        let acme = TenantId::parse("acme").unwrap();
        assert_eq!(start_key("g", "telemetry.raw", 3), "start/g/telemetry.raw/3");
        assert_eq!(start_value(Offset(17)), r#"{"offset":17}"#);
        assert_eq!(owed_prefix("g", "telemetry.raw", 3), "owed/g/telemetry.raw/3/");
        assert_eq!(owed_key("g", "telemetry.raw", 3, &acme), "owed/g/telemetry.raw/3/acme");
        assert_eq!(owed_value(&acme, Offset(8)), r#"{"tenant":"acme","from":8}"#);
        assert_eq!(epoch_prefix("g"), "epoch/g/");
        assert_eq!(epoch_key("g", "engine-1"), "epoch/g/engine-1");
        assert_eq!(epoch_key("g", &format!("{BACKFILL_INSTANCE}week-1")), "epoch/g/backfill-week-1");
        assert_eq!(backfill_key("g", "week-1"), "g/week-1");
        assert_eq!(backfill_partition_key("g", "week-1", 3), "g/week-1/3");
        let hash = CodeHash::of("k");
        assert_eq!(mail_key("g", "s1", hash), format!("mail/g/s1/{hash}"));
        assert_eq!(read_mail_key("g", &mail_key("g", "s1", hash)), Some(("s1", hash)));
        assert_eq!(read_mail_key("g", "mail/gg/s1/x"), None);
        assert_eq!(mail_value(TimestampNs::parse_rfc3339("2026-01-01T00:00:00Z").unwrap()), br#"{"at":"2026-01-01T00:00:00Z"}"#);
        assert_eq!(changed_key("g"), "changed/g");
        assert_eq!(changed_value(Offset(9)), r#"{"offset":9}"#);
    }

    #[test]
    fn a_document_that_stands_has_the_digest_that_it_had() {
        let digest = |provenance| format!("{:016x}", Digest::of(document_form(provenance), br#"{"name":"Excavator"}"#).0);
        assert_eq!(digest(ProvenanceForm::Payload), "fe62577146d570b1");
        assert_eq!(digest(ProvenanceForm::Headers), "fdc6d5c15216ad9b");
        assert_eq!(digest(ProvenanceForm::Nowhere), "a3ad15361d89d7c1");
    }
}
