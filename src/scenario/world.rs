//! The world of a test as a control log: every fact is folded by the table that `run` has.

use super::{Fact, ScenarioError};
use crate::document::{DocumentKind, Member, Node};
use crate::id::Offset;
use crate::share::event::{self, kind::EventType};
use crate::share::state::{Reason, State};
use crate::share::table::{FoldRules, Outcome, ShareTable};
use crate::time::TimestampMs;

/// A control log, and the table that it leads to.
pub(super) struct WorldLog {
    pub(super) lines: Vec<u8>,
    pub(super) table: ShareTable,
    next: i64,
}

impl WorldLog {
    /// Folds the facts one after the other.
    ///
    /// # Errors
    /// A fact of the world that breaks a rule, with the reason.
    pub(super) fn of<'f>(facts: impl IntoIterator<Item = &'f Fact>, rules: &FoldRules) -> Result<Self, ScenarioError> {
        let mut log = Self { lines: Vec::new(), table: ShareTable::new(rules.clone()), next: 0 };
        for fact in facts {
            log.add(fact)?;
        }
        Ok(log)
    }

    fn add(&mut self, fact: &Fact) -> Result<(), ScenarioError> {
        let refused = |what: String| Err(ScenarioError { what, place: fact.place });
        match self.append(fact.kind, &fact.source, fact.at, &fact.data) {
            _ if fact.may_be_refused => {}
            Outcome::Rejected(reason) => return refused(format!("{} is refused: {}", fact.kind.name(), in_words(reason))),
            Outcome::Unreadable(why) | Outcome::SetAside(why) => return refused(format!("{}: {why}", fact.kind.name())),
            Outcome::Applied | Outcome::Repeated | Outcome::Tick => {}
        }
        let share = fact.data.get("share").and_then(Node::as_str).filter(|_| fact.kind == EventType::ShareOffered && !fact.may_be_refused);
        let Some(share) = share.and_then(|id| self.table.share(id)) else { return Ok(()) };
        let document = share.document();
        match (document.state, document.reason) {
            (State::Failed, reason) => refused(format!(
                "the share cannot be: {}",
                reason.map_or_else(|| "it breaks a rule".to_owned(), |reason| format!("{}: {}", reason.code(), reason.in_words()))
            )),
            (State::Pending, _) if fact.is_accepted => {
                let Some(target) = document.target_tenant.map(str::to_owned) else { return Ok(()) };
                let data = share_only(document.share, fact);
                match self.append(EventType::ShareAccepted, &format!("/tenants/{target}"), fact.at, &data) {
                    Outcome::Rejected(reason) => refused(format!("{target} cannot accept the share: {}", in_words(reason))),
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// Appends an event, and folds it as a replay of the lines will.
    fn append(&mut self, kind: EventType, source: &str, at: TimestampMs, data: &Node) -> Outcome {
        let line = event::write_structured(&format!("world-{}", self.next), source, &kind.full_name(), at, data);
        let outcome = match event::read_line(&line) {
            Ok(read) => self.table.fold(Offset(self.next), at, read.record).outcome,
            Err(error) => Outcome::Unreadable(event::Unreadable(error.to_string())),
        };
        self.lines.extend_from_slice(&line);
        self.lines.push(b'\n');
        self.next += 1;
        outcome
    }
}

fn share_only(share: &str, fact: &Fact) -> Node {
    let value = Node { kind: DocumentKind::String(share.to_owned()), place: fact.place };
    Node { kind: DocumentKind::Map(vec![Member { name: "share".to_owned(), place: fact.place, value }]), place: fact.place }
}

fn in_words(code: &str) -> String {
    format!("{code}: {}", Reason::of_code(code).map(Reason::in_words).unwrap_or_default())
}
