//! Who is in a consumer group, asked without joining it.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::groups::{GroupList, GroupMemberInfo};

use super::client::{ClientError, Deadline, Logged, ask, create, serve};
use super::settings::KafkaSettings;

/// A client that asks who is in a group.
pub struct GroupMembers {
    consumer: BaseConsumer<Logged>,
}

/// A member of a group, as its coordinator has it. `Display` names it for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    /// Its id.
    pub id: String,
    /// Its client's name.
    pub client: String,
    /// Where it connects from.
    pub host: String,
}

impl std::fmt::Display for GroupMember {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at {}", self.client, self.host.trim_start_matches('/'))
    }
}

impl GroupMembers {
    /// For the groups of this cluster.
    pub fn open(settings: &KafkaSettings) -> Result<Self, ClientError> {
        Ok(Self { consumer: create(&settings.plain())? })
    }

    /// The ids of the members of `group`, as its coordinator has them; none while it is not stable, has no members, or is not
    /// known.
    pub fn ask(&self, group: &str, wait: Duration) -> Result<Option<Vec<String>>, ClientError> {
        let groups = self.look(group, wait)?;
        let found = groups.groups().iter().find(|found| found.name() == group && found.state() == "Stable");
        let members = found.map(|found| found.members().iter().map(|member| member.id().to_owned()).collect::<Vec<_>>());
        Ok(members.filter(|members| !members.is_empty()))
    }

    /// Who is in `group`, in whatever state it is: the client's name and host of each.
    pub fn present(&self, group: &str, wait: Duration) -> Result<Vec<String>, ClientError> {
        Ok(self.members(group, wait)?.iter().map(ToString::to_string).collect())
    }

    /// Who is in `group`, in whatever state it is.
    pub fn members(&self, group: &str, wait: Duration) -> Result<Vec<GroupMember>, ClientError> {
        let groups = self.look(group, wait)?;
        let found = groups.groups().iter().find(|found| found.name() == group);
        let member = |member: &GroupMemberInfo| GroupMember {
            id: member.id().to_owned(),
            client: member.client_id().to_owned(),
            host: member.client_host().to_owned(),
        };
        Ok(found.map(|found| found.members().iter().map(member).collect()).unwrap_or_default())
    }

    fn look(&self, group: &str, wait: Duration) -> Result<GroupList, ClientError> {
        serve(self.consumer.client());
        let what = format_args!("the members of group {group}");
        let look = |left| self.consumer.fetch_group_list(Some(group), left);
        Ok(ask(self.consumer.client(), serve, what, Deadline::after(wait), look)?)
    }
}
