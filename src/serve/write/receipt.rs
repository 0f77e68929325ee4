//! What became of a write, and what one would come to.

use crate::clock::BootTime;
use crate::id::Epoch;
use crate::json::writer::object;
use crate::serve::problem::{ItemProblem, Problem};
use crate::serve::write::trial::{OrderTrial, PreparedRow, PreparedStep};
use crate::share::state::Reason;

/// What became of a write, once it is folded.
#[derive(Debug, Clone)]
pub struct WriteReceipt {
    /// The epoch that has it.
    pub epoch: Epoch,
    /// The offset of the newest event among what was asked for, whoever wrote it.
    pub newest: Epoch,
    /// When the write was acknowledged.
    pub acknowledged: BootTime,
    /// In the order of the items.
    pub rows: Vec<ReceiptRow>,
}

/// What became of one item.
#[derive(Debug, Clone)]
pub struct ReceiptRow {
    /// What the item names.
    pub name: String,
    /// The share that it is about.
    pub share: Option<String>,
    /// The event's id, if there is one in the log.
    pub event: Option<String>,
    /// What became of it.
    pub outcome: RowOutcome,
    /// The share's document right after it, as the caller sees it.
    pub document: Option<Vec<u8>>,
}

/// What became of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowOutcome {
    /// It was written and applied.
    Applied,
    /// The share was as the event would have made it: nothing was written.
    AlreadySo,
    /// It was written before, under the same key.
    Repeated,
    /// Another event came in between, and it was refused.
    Refused(Reason),
}

impl RowOutcome {
    /// The word of answers.
    pub fn word(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::AlreadySo => "already_so",
            Self::Repeated => "repeated",
            Self::Refused(_) => "refused",
        }
    }
}

impl WriteReceipt {
    /// Of one item: its row, or why it was refused after all.
    ///
    /// # Errors
    /// A rule that another event had it break.
    pub fn single(mut self) -> Result<ReceiptRow, Problem> {
        let Some(row) = self.rows.pop() else { return Err(Problem::new(500, "it came to nothing")) };
        match row.outcome {
            RowOutcome::Refused(reason) => Err(Problem::broken(reason, format!("another event came in between: {}", reason.in_words()))),
            RowOutcome::Applied | RowOutcome::AlreadySo | RowOutcome::Repeated => Ok(row),
        }
    }
}

impl ReceiptRow {
    /// `{"name","share"?,"event"?,"outcome","reason"?,"detail"?,"status"?}`.
    pub fn to_json(&self) -> Vec<u8> {
        object(|out| {
            out.text("name", &self.name);
            out.text_if("share", self.share.as_deref());
            out.text_if("event", self.event.as_deref());
            out.text("outcome", self.outcome.word());
            if let RowOutcome::Refused(reason) = self.outcome {
                out.text("reason", reason.code());
                out.text("detail", reason.in_words());
            }
            if let Some(document) = &self.document {
                out.json("status", document);
            }
        })
    }
}

/// What an order would come to.
#[derive(Debug)]
pub struct Review {
    pub(super) trial: OrderTrial,
    /// How many items were asked about.
    pub count: usize,
}

impl Review {
    pub(super) fn of(trial: OrderTrial, count: usize) -> Self {
        Self { trial, count }
    }

    /// Each item that would be refused.
    pub fn refusals(&self) -> &[ItemProblem] {
        &self.trial.refusals
    }

    /// Members that would leave and are marked as critical.
    pub fn critical(&self) -> &[String] {
        &self.trial.critical
    }

    /// How many events would be written.
    pub fn to_write(&self) -> usize {
        self.trial.to_write().count()
    }

    /// `{"dry_run":true,"items","to_write","rows":[…],"refusals":[…],"critical":[…]}`.
    pub fn to_json(&self) -> Vec<u8> {
        object(|out| {
            out.flag("dry_run", true);
            out.number("items", self.count as i64);
            out.number("to_write", self.to_write() as i64);
            out.array("rows", |rows| self.trial.rows.iter().for_each(|row| rows.json(&review_row(row))));
            out.array("refusals", |items| self.trial.refusals.iter().for_each(|refusal| items.json(&refusal.to_json())));
            out.texts("critical", self.trial.critical.iter().map(String::as_str));
        })
    }
}

fn review_row(row: &PreparedRow) -> Vec<u8> {
    object(|out| {
        out.number("index", row.index as i64);
        out.text("name", &row.name);
        out.text_if("share", row.share.as_deref());
        out.text(
            "outcome",
            match row.step {
                PreparedStep::Write => "to_write",
                PreparedStep::AlreadySo => "already_so",
                PreparedStep::Before => "repeated",
            },
        );
        if let Some(change) = &row.change {
            out.text("owner", &change.owner);
            out.text("target", &change.target);
            out.text_if("asset", change.asset.as_deref());
            out.text_if("target_asset", change.target_asset.as_deref());
            out.text_if("before", change.before.map(|state| state.word()));
            out.text_if("after", change.after.map(|state| state.word()));
            out.text("standing", &change.standing);
        }
    })
}
