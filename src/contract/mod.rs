//! What may arrive at a target, member by member, as the one who reads it needs it: names as they come out, what was done to the
//! values, and nothing of what is withheld. What is not named here never arrives.

pub mod asyncapi;
pub mod json_schema;
pub mod members;
pub mod share_documents;
pub mod shares;
#[cfg(test)]
mod tests;

use crate::config::{Config, ProvenanceForm};
use crate::record::mapping::Mode;

/// What stands around a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordEnvelope {
    /// Where outputs say which share released them.
    pub provenance: ProvenanceForm,
    /// Whether they also say what the target may do.
    pub shows_permission: bool,
    /// Input headers that are passed on.
    pub headers: Vec<String>,
}

impl RecordEnvelope {
    /// That of a configuration.
    pub fn of(config: &Config) -> Self {
        Self { provenance: config.provenance, shows_permission: config.shows_permission(), headers: config.output.headers.clone() }
    }

    /// Every header that a record may have, with what it says.
    pub fn all_headers(&self) -> Vec<(String, &'static str)> {
        let mut headers: Vec<(String, &'static str)> =
            self.headers.iter().map(|name| (name.clone(), "passed on from the owner's record, where it has one")).collect();
        if self.provenance == ProvenanceForm::Headers {
            let own = [
                ("content-type", "application/json"),
                ("ce_specversion", "1.0"),
                ("ce_id", "one id for each record and share"),
                ("ce_source", "/sharecast"),
                ("ce_type", "sharecast.<stream>.v1"),
                ("ce_shareid", "the share"),
                ("ce_sharerev", "the share's revision"),
                ("ce_shareepoch", "the epoch that decided"),
            ];
            let permission = self.shows_permission.then_some(("ce_sharepermission", "view, edit or manage"));
            let backfill = ("ce_sharebackfill", "the job, of an old record that was sent later");
            headers.extend(own.into_iter().chain(permission).chain([backfill]).map(|(name, what)| (name.to_owned(), what)));
        }
        headers
    }
}

/// How the end of a share shows in a stream.
pub fn how_it_ends(mode: Mode) -> &'static str {
    match mode {
        Mode::Append => "no more records come; nothing marks the last one",
        Mode::Upsert => {
            "a tombstone: a record with the key, a null value and no headers takes the document away, because the share has ended, is \
             paused or has another key, or because its owner has deleted the document or withholds it"
        }
    }
}

/// What the Kafka timestamp of a stream's records is.
pub fn timestamp(mode: Mode) -> &'static str {
    match mode {
        Mode::Append => "that of the owner's record, or coarser where its time is",
        Mode::Upsert => "that of the owner's record; of a tombstone that of its cause",
    }
}

/// A topic keeps what came under earlier contracts.
pub const EARLIER: &str = "older records in a topic may be of shares that are over and of earlier profiles";
