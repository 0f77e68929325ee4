//! Why a transaction was not committed, and why a worker ends.

use std::fmt;

use crate::engine::fence::Closed;
use crate::engine::output::outbox::RecordOrigin;
use crate::transport::{ConsumeError, ProduceError};

/// How far a transaction had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TxStage {
    /// Nothing was open yet.
    Begin,
    /// Records were being written.
    Write,
    /// Offsets were being sent.
    Offsets,
    /// The commit was sent.
    Commit,
    /// The abort was sent.
    Abort,
}

/// Why a transaction was not committed. The batch is kept in every case.
#[derive(Debug)]
pub enum TxError {
    /// The fence was closed before anything was decided.
    Closed(Closed),
    /// The batch's view grew too old before the commit.
    Aged(Closed),
    /// This member has no part in the group at the moment.
    NoMembership,
    /// One output was refused at once; the record it came from is known.
    Output(ProduceError, Option<RecordOrigin>),
    /// Delivery reports that failed.
    Reports(Vec<ProduceError>),
    /// Anything else, and where.
    Failed(ProduceError, TxStage),
    /// What the abort of a transaction failed with, and why it was to be aborted.
    AbortFailed(ProduceError, Box<TxError>),
}

impl TxError {
    /// Every name that `name` returns.
    pub const NAMES: [&'static str; 5] = ["fence_closed", "view_aged", "no_membership", "output", "transaction"];

    /// Whether a transaction is open that must be aborted.
    pub fn leaves_transaction_open(&self) -> bool {
        let is_usable = |error: &ProduceError| !matches!(error, ProduceError::Fatal(_) | ProduceError::Fenced(_));
        match self {
            Self::Closed(_) | Self::AbortFailed(..) => false,
            Self::Aged(_) | Self::NoMembership => true,
            Self::Output(error, _) => is_usable(error),
            Self::Reports(errors) => errors.iter().all(is_usable),
            Self::Failed(error, stage) => is_usable(error) && *stage != TxStage::Begin,
        }
    }

    /// The metric's label.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Closed(_) => "fence_closed",
            Self::Aged(_) => "view_aged",
            Self::NoMembership => "no_membership",
            Self::Output(..) | Self::Reports(_) => "output",
            Self::Failed(..) | Self::AbortFailed(..) => "transaction",
        }
    }
}

impl fmt::Display for TxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(reason) | Self::Aged(reason) => reason.fmt(f),
            Self::NoMembership => f.write_str("no member of the group at the moment"),
            Self::Output(error, _) | Self::Failed(error, _) | Self::AbortFailed(error, _) => error.fmt(f),
            Self::Reports(errors) => errors.iter().try_for_each(|error| write!(f, "{error}; ")),
        }
    }
}

/// Why a worker, and with it the process, ends.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The input side failed for good.
    #[error(transparent)]
    Input(ConsumeError),
    /// The output side failed for good.
    #[error(transparent)]
    Output(ProduceError),
    /// The committed offset of a partition that was begun before is of no use: going on would double or skip records.
    #[error(
        "the committed offset of {topic}/{partition} {what}. Nothing was read, so nothing is doubled or skipped. Choose one, with \
         sharecast stopped: set the offset with `kafka-consumer-groups.sh --reset-offsets` (--to-earliest may double records, --to-latest skips \
         those between), or configure another kafka.group to begin anew at streams.X.start"
    )]
    PositionLost {
        /// The input topic.
        topic: String,
        /// Its partition.
        partition: i32,
        /// What is wrong with the offset.
        what: &'static str,
    },
    /// Another process uses the same name.
    #[error(
        "fenced twice within a minute: another process uses the transactional.id {transactional_id}. Two processes of one kafka.instance name \
         fence each other; give each its own name"
    )]
    FencedTwice {
        /// The id in question.
        transactional_id: String,
    },
}
