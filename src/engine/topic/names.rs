//! The names of the topics that the engine writes to.

use crate::config::{Config, OutputTemplate};
use crate::id::{StreamName, TenantId};
use crate::topic::OwnTopics;

/// The names of all output topics of one configuration.
#[derive(Debug, Clone)]
pub struct TopicNames {
    /// `control.topic`.
    pub control: String,
    /// `output.topic`.
    pub template: OutputTemplate,
    /// `topics`.
    pub own: OwnTopics,
}

impl TopicNames {
    /// Those of this configuration.
    pub fn of(config: &Config) -> Self {
        Self { control: config.control.topic.clone(), template: config.output.topics.clone(), own: config.topics.clone() }
    }

    /// A tenant's topic of a stream.
    pub fn of_stream(&self, tenant: &TenantId, stream: &StreamName) -> String {
        self.template.topic(tenant.as_str(), stream.as_str())
    }

    /// A tenant's view of its shares.
    pub fn of_status(&self, tenant: &TenantId) -> String {
        self.own.status(tenant)
    }
}
