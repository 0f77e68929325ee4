//! The names of the topics that the engine writes to besides tenants' streams.

use crate::config::OutputTemplate;
use crate::id::{StreamName, TenantId};

/// Compacted: every share's status document, and rejected events.
pub const SHARES: &str = "sharecast.shares";
/// Input records that could not be read, with their reasons.
pub const DEAD_LETTERS: &str = crate::record::dead_letter::DEAD_LETTERS;
/// One partition, compacted: small facts such as which partitions were begun.
pub const STATE: &str = "sharecast.state";

/// Compacted: what a mailer needs to know of each open invitation, by share id; a tombstone once it is closed.
pub const INVITATIONS: &str = "sharecast.invitations";

/// What stands in the topics of an upsert stream: compacted, as many partitions as the stream's input.
pub fn standing_topic(stream: &StreamName) -> String {
    format!("sharecast.standing.{stream}")
}

/// The names of all output topics of one configuration.
#[derive(Debug, Clone)]
pub struct TopicNames {
    /// `control.topic`.
    pub control: String,
    /// `output.topic`.
    pub template: OutputTemplate,
}

impl TopicNames {
    /// A tenant's topic of a stream.
    pub fn of_stream(&self, tenant: &TenantId, stream: &StreamName) -> String {
        self.template.topic(tenant.as_str(), stream.as_str())
    }

    /// A tenant's view of its shares; keeps its name whatever the template says (docs/rules/outputs.md#tenants-topics).
    pub fn of_status(&self, tenant: &TenantId) -> String {
        format!("share.{tenant}.shares")
    }
}
