//! What may arrive at a target, member by member, as the one who reads it needs it: names as they come out, what was done to the
//! values, and nothing of what is withheld. What is not named here never arrives.

pub mod asyncapi;
pub mod json_schema;
pub mod members;
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
                ("ce_sharebackfill", "the job, of an old record that was sent later"),
            ];
            headers.extend(own.map(|(name, what)| (name.to_owned(), what)));
            if self.shows_permission {
                headers.push(("ce_sharepermission".to_owned(), "view, edit or manage"));
            }
        }
        headers
    }
}

/// How the end of a share shows in a stream.
pub fn how_it_ends(mode: Mode) -> &'static str {
    match mode {
        Mode::Append => "no more records come; nothing marks the last one",
        Mode::Upsert => "a tombstone: a record with the key and a null value takes the document away, also while the share is paused",
    }
}

/// What the Kafka timestamp is.
pub const TIMESTAMP: &str = "when the owner's record was written, or coarser where its time is";
