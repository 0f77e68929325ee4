//! What a process that has died left with the cluster under its name, and how that is taken away: librdkafka cannot.

use std::time::Duration;

use super::cluster::{CallError, Cluster, CoordinatorCall};
use super::error_code::ErrorCode;
use super::frame::FrameWriter;
use super::messages::Api;
use super::messages::leave;
use super::messages::metadata::CoordinatorKind;
use super::producer::{StartError, take_name};
use super::settings::WireSettings;
use super::verdict::{CoordinatorVerdict, of_leave};
use crate::kafka::client::{ClientError, Deadline};
use crate::kafka::settings::KafkaSettings;

/// What the coordinator's log says of such a member.
const REASON: &str = "its process has died: another one has its name";

/// A client that fences who has died, and takes its members out of their groups.
pub struct Predecessor {
    cluster: Cluster,
    bootstrap: String,
    until: Deadline,
}

impl Predecessor {
    /// All of it takes no longer than `wait`.
    ///
    /// # Errors
    /// Where only librdkafka speaks to this cluster.
    pub fn open(settings: &KafkaSettings, wait: Duration) -> Result<Self, ClientError> {
        let settings_of_wire = WireSettings::of(settings).map_err(|why| ClientError::Settings(why.to_string()))?;
        Ok(Self { cluster: Cluster::new(settings_of_wire), bootstrap: settings.bootstrap.clone(), until: Deadline::after(wait) })
    }

    /// Whoever writes under this `transactional.id` is fenced, and its transaction is over when this returns.
    pub fn fence(&mut self, transactional_id: &str) -> Result<(), ClientError> {
        match take_name(&mut self.cluster, transactional_id, &self.bootstrap, self.until) {
            Ok(_) => Ok(()),
            Err(StartError::NotNative(why)) => Err(ClientError::Settings(why.to_string())),
            Err(StartError::Client(error)) => Err(error),
        }
    }

    /// Takes these members out of `group`. Returns how many of them were still in it.
    pub fn leave(&mut self, group: &str, members: &[String]) -> Result<usize, ClientError> {
        if members.is_empty() {
            return Ok(0);
        }
        let call = CoordinatorCall { kind: CoordinatorKind::Group, name: group, api: Api::LeaveGroup };
        let ask = |request: &mut FrameWriter| leave::ask_leave(request, group, members, REASON);
        let answer = self.cluster.call(call, self.until, ask, leave::read_leave, |(error, members)| judge(*error, members));
        let (_, left) = answer.map_err(|error| {
            let about = |words: String| format!("LeaveGroup of {group}: {words}");
            match error {
                CallError::Unanswered(words) => ClientError::Unavailable(about(words)),
                CallError::LoginRefused(words) => ClientError::LoginRefused(about(words)),
                CallError::NotNative(why) => ClientError::Settings(about(why.to_string())),
                CallError::Refused(_, code) => ClientError::Refused(about(code.to_string())),
            }
        })?;
        Ok(left.iter().filter(|(_, error)| *error == ErrorCode::NONE).count())
    }
}

/// Of the whole, or of the first member that was not let go.
fn judge(error: ErrorCode, members: &[(String, ErrorCode)]) -> (CoordinatorVerdict, ErrorCode) {
    let of_all = std::iter::once(error).chain(members.iter().map(|(_, error)| *error));
    let verdicts = of_all.map(|code| (of_leave(code), code));
    verdicts.into_iter().find(|(verdict, _)| *verdict != CoordinatorVerdict::Done).unwrap_or((CoordinatorVerdict::Done, ErrorCode::NONE))
}
