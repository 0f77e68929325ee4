//! The ids of a bulk run's events and shares. They follow from what is to be done, so that a run that was interrupted can be
//! repeated: what it wrote already is then the same event again (docs/rules/events.md#repeats).
//!
//! The same *command* later must be another event all the same: pause, resume, pause. So an event on a share is named by the
//! share's revision, which has risen since if anything was done, and an offer by how many offers of the same content have ended
//! since. A run with a name (`--batch`) leaves both out, and everything but whom and what a line is about: under one name each line is
//! done once in 30 days, whatever happens meanwhile and whatever times the command computes again.

use sha2::{Digest, Sha256};

use crate::document::Node;
use crate::json::document::write;
use crate::share::event::kind::EventType;

/// The members that say whom and what an event is about.
const NAMES: [&str; 4] = ["share", "owner", "asset", "target_tenant"];

/// What all lines of a run have in common.
#[derive(Debug, Clone, Copy)]
pub struct Run<'r> {
    /// `source` of its events.
    pub source: &'r str,
    /// What is done.
    pub kind: EventType,
    /// `--batch`.
    pub batch: Option<&'r str>,
}

impl Run<'_> {
    /// The id of the share that an offer of this content makes, if so many of the same content have come to their end before.
    pub(super) fn share_id(&self, data: &Node, ended: u32) -> String {
        self.digest("share", data, [if self.batch.is_some() { 0 } else { ended }, 0])
    }

    /// The id of the event of this content on a share at this revision; of an offer, whose share is new, at 0. `attempt` tells
    /// apart what was written at one revision without effect.
    pub fn event_id(&self, data: &Node, revision: u32, attempt: u32) -> String {
        let turn = if self.batch.is_some() { [0, 0] } else { [revision, attempt] };
        format!("bulk-{}", self.digest("event", data, turn))
    }

    /// 128 bits in hex. Lengths stand first, so that no two contents run together; members in the order of their names.
    fn digest(&self, what: &str, data: &Node, turn: [u32; 2]) -> String {
        let mut hasher = Sha256::new();
        let mut add = |bytes: &[u8]| {
            hasher.update((bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        for text in ["sharecast bulk 1", what, self.source, self.kind.name(), self.batch.unwrap_or_default()] {
            add(text.as_bytes());
        }
        turn.iter().for_each(|number| add(&number.to_le_bytes()));
        let is_told = |name: &str| self.batch.is_none() || NAMES.contains(&name);
        let mut members: Vec<_> = data.members().iter().filter(|member| is_told(&member.name)).collect();
        members.sort_by(|a, b| a.name.cmp(&b.name));
        for member in members {
            let mut value = Vec::new();
            write(&member.value, &mut value);
            add(member.name.as_bytes());
            add(&value);
        }
        hasher.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }
}
