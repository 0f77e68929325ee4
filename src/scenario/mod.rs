//! A test of sharing: a world, records under a virtual clock, and what each tenant is to get (docs/testing-profiles.md). Pure: the
//! records are decided by `replay`, and nothing here has a rule of its own.

pub mod compare;
pub mod example;
pub mod keys;
mod read;
mod why;
pub mod run;
mod world;

use crate::document::{Node, TextPosition};
use crate::json::path::Path;
use crate::profile::spec::ProfileSpec;
use crate::share::event::kind::EventType;
use crate::time::TimestampMs;

/// A test file as it was read.
#[derive(Debug)]
pub struct Scenario {
    /// `streams`; without it the configuration's.
    pub streams: Option<Node>,
    /// The world's facts, in the order in which they become true.
    facts: Vec<Fact>,
    profiles: Vec<ScenarioProfile>,
    /// `now`: when a record without `at` is seen.
    now: Option<TimestampMs>,
    records: Vec<ScenarioRecord>,
    expectations: Vec<Expectation>,
    /// Reasons of dead letters that are expected, in order.
    dead_letters: Vec<(String, TextPosition)>,
}

/// Why a file is no test: what is wrong with it, where, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct ScenarioError {
    /// What is wrong and what to write instead.
    pub what: String,
    /// Where in the test file.
    pub place: TextPosition,
}

/// A profile of the world.
#[derive(Debug)]
pub struct ScenarioProfile {
    /// Its name.
    pub name: String,
    /// The file that it was read from; none of one in the test file.
    pub file: Option<String>,
    /// What it says.
    pub spec: ProfileSpec,
}

/// One event of the world.
#[derive(Debug)]
struct Fact {
    kind: EventType,
    source: String,
    data: Node,
    place: TextPosition,
    /// When it happens; the world itself is there from 1970 on.
    at: TimestampMs,
    /// An event of `world.events` may be refused: that is for the test to find out.
    may_be_refused: bool,
    /// Of an offer, whether its target accepts it.
    is_accepted: bool,
}

/// One record.
#[derive(Debug)]
struct ScenarioRecord {
    stream: String,
    place: TextPosition,
    /// As a line of replay's input.
    line: Vec<u8>,
}

/// What one tenant is to get.
#[derive(Debug)]
struct Expectation {
    tenant: String,
    place: TextPosition,
    /// More may come than is named.
    is_open: bool,
    outputs: Vec<ExpectedOutput>,
}

/// One record that is to come.
#[derive(Debug)]
struct ExpectedOutput {
    stream: String,
    place: TextPosition,
    key: Option<String>,
    value: ExpectedValue,
}

/// What its value is to be.
#[derive(Debug)]
enum ExpectedValue {
    /// Exactly this, or a tombstone where it is null; `_share` counts only where it is named.
    Exactly(Node),
    /// These members are there, and those are not.
    Members { has: Vec<ExpectedPath>, lacks: Vec<ExpectedPath> },
}

/// A path of an expectation.
#[derive(Debug)]
struct ExpectedPath {
    path: Path,
    written: String,
    place: TextPosition,
}

/// What a file that a test names holds, with its text, or why it cannot be read.
pub type ReadProfile<'r> = dyn Fn(&str) -> Result<(String, Node, ProfileSpec), String> + 'r;
