//! The names of the topics that the engine writes to.

use crate::config::OutputTemplate;
use crate::id::{StreamName, TenantId};
use crate::topic::status_topic;
pub use crate::topic::{BACKFILL, DEAD_LETTERS, INVITATIONS, SHARES, STATE, standing_topic};

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

    /// A tenant's view of its shares.
    pub fn of_status(&self, tenant: &TenantId) -> String {
        status_topic(tenant)
    }
}
