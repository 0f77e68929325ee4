//! What a decision compared: values, for who asks why.

use std::fmt;

use crate::share::graph::GrantState;
use crate::time::TimestampNs;

/// One side of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ComparedTerm {
    /// When it is decided.
    Now(TimestampNs),
    /// The record's event time.
    EventTime(TimestampNs),
    /// From which event time on the share releases.
    GrantedFrom(TimestampNs),
    /// When access begins.
    Starts(TimestampNs),
    /// When access ends.
    Ends(TimestampNs),
    /// The same and `late_grace`.
    EndsAndGrace(TimestampNs),
    /// When a past pause began.
    PausedFrom(TimestampNs),
    /// When it ended.
    ResumedAt(TimestampNs),
    /// The share's state.
    State(GrantState),
    /// One of the two tenants is suspended.
    Suspended,
}

closed_set! {
    /// How two sides lie to each other.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Sign;
    /// As it is written between them.
    fn word;

    /// The first is the earlier.
    Before = "<",
    /// The first is not the later.
    NotAfter = "<=",
    /// What the first is.
    Equal = "=",
}

/// What was found to be so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleComparison {
    /// One side.
    pub left: ComparedTerm,
    /// How it lies to the other.
    pub sign: Sign,
    /// The other; a state and its like have none.
    pub right: Option<ComparedTerm>,
}

impl RuleComparison {
    /// Compares two times: what is so, and whether it is that `left` lies before `right`.
    #[inline(always)]
    pub(super) fn before(left: ComparedTerm, right: ComparedTerm) -> (Self, bool) {
        if left.moment() < right.moment() {
            (Self { left, sign: Sign::Before, right: Some(right) }, true)
        } else {
            (Self { left: right, sign: Sign::NotAfter, right: Some(left) }, false)
        }
    }

    /// What a thing is.
    #[inline(always)]
    pub(super) fn equal(left: ComparedTerm) -> Self {
        Self { left, sign: Sign::Equal, right: None }
    }

    /// Both sides in words.
    pub fn sides(&self) -> (String, String) {
        match self.right {
            Some(right) => (self.left.to_string(), right.to_string()),
            None => self.left.as_statement(),
        }
    }
}

impl ComparedTerm {
    /// Its time; of what has none the first that can be.
    #[inline(always)]
    fn moment(self) -> TimestampNs {
        match self {
            Self::Now(at)
            | Self::EventTime(at)
            | Self::GrantedFrom(at)
            | Self::Starts(at)
            | Self::Ends(at)
            | Self::EndsAndGrace(at)
            | Self::PausedFrom(at)
            | Self::ResumedAt(at) => at,
            Self::State(_) | Self::Suspended => TimestampNs::FIRST,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Now(_) => "now",
            Self::EventTime(_) => "event time",
            Self::GrantedFrom(_) => "granted_from",
            Self::Starts(_) => "starts",
            Self::Ends(_) => "ends",
            Self::EndsAndGrace(_) => "ends + late_grace",
            Self::PausedFrom(_) => "paused",
            Self::ResumedAt(_) => "resumed",
            Self::State(_) => "state",
            Self::Suspended => "one of the two tenants",
        }
    }

    /// Of what is no time: what it is, and what of it.
    fn as_statement(self) -> (String, String) {
        let is = match self {
            Self::State(GrantState::Active) => "ACTIVE",
            Self::State(GrantState::Paused) => "PAUSED",
            Self::State(GrantState::Expired) => "EXPIRED",
            Self::Suspended => "suspended",
            time => return (time.name().to_owned(), time.moment().to_string()),
        };
        (self.name().to_owned(), is.to_owned())
    }
}

impl fmt::Display for ComparedTerm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name(), self.moment())
    }
}
