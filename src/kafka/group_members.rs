//! Who is in a consumer group, asked without joining it.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};

use super::client::{ClientError, Logged, create, serve, unanswered};
use super::settings::KafkaSettings;

/// A client that asks who is in a group.
pub struct GroupMembers {
    consumer: BaseConsumer<Logged>,
}

impl GroupMembers {
    /// For the groups of this cluster.
    pub fn open(settings: &KafkaSettings) -> Result<Self, ClientError> {
        Ok(Self { consumer: create(&settings.plain())? })
    }

    /// The ids of the members of `group`, as its coordinator has them; none while it is not stable, has no members, or is not
    /// known.
    pub fn ask(&self, group: &str, wait: Duration) -> Result<Option<Vec<String>>, ClientError> {
        serve(self.consumer.client());
        let groups = self.consumer.fetch_group_list(Some(group), wait).map_err(|error| unanswered(self.consumer.client(), &error))?;
        let found = groups.groups().iter().find(|found| found.name() == group && found.state() == "Stable");
        let members = found.map(|found| found.members().iter().map(|member| member.id().to_owned()).collect::<Vec<_>>());
        Ok(members.filter(|members| !members.is_empty()))
    }
}
