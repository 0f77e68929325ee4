//! A section's `when`: a condition in CEL on the record and the share (docs/rules/profiles.md#conditions). Pure.
//!
//! `scan` bounds a source before it is parsed, `syntax` reads it into the tree of `expr`, and `eval` evaluates that. The library
//! that parses has no part in what a condition means.

mod elements;
mod eval;
mod expr;
mod scan;
mod syntax;
mod value;
#[cfg(test)]
mod tests;

use self::eval::Evaluation;
use self::expr::Expr;
use self::value::{CelValue, Text};
use crate::json::tape::Tape;

/// Why a source is no condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct InvalidCondition {
    /// What is wrong, and what to write instead.
    pub what: String,
    /// The byte of the source that it begins at; the first where only the whole can be named.
    pub at: usize,
}

impl InvalidCondition {
    fn new(what: impl Into<String>, at: usize) -> Self {
        Self { what: what.into(), at }
    }
}

/// Why a condition has no value. None of it says what was in the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    /// It asks for a member or an element that is not there.
    #[error("a member or an element is missing")]
    Missing,
    /// Values of these types cannot be compared, counted or computed with.
    #[error("the types of two values do not fit")]
    Types,
    /// A result that is no int of 64 bits, or no finite double.
    #[error("a result is out of range")]
    Overflow,
    /// A division by zero.
    #[error("a division by zero")]
    DivisionByZero,
    /// More steps than this record allows.
    #[error("it takes too many steps on this record")]
    TooCostly,
    /// Its value is no boolean.
    #[error("its value is neither true nor false")]
    NotBoolean,
}

/// What a condition sees of the share.
#[derive(Debug, Clone, Copy)]
pub struct ShareFacts<'a> {
    /// The share's id.
    pub id: &'a str,
    /// The owner's tenant id.
    pub owner: &'a str,
    /// The target's tenant id.
    pub target: &'a str,
    /// The asset's id in the owner's words.
    pub asset: &'a str,
    /// The asset's id in the target's words.
    pub target_asset: &'a str,
    /// What the target may do.
    pub permission: &'a str,
    /// The name that is shown to the target; null where there is none.
    pub label: Option<&'a str>,
}

impl<'a> ShareFacts<'a> {
    const NAMES: [&'static str; 7] = ["id", "owner", "target", "asset", "target_asset", "permission", "label"];

    fn member(&self, name: &str) -> Option<CelValue<'a>> {
        self.members().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    fn members(&self) -> impl Iterator<Item = (&'static str, CelValue<'a>)> + use<'a> {
        let Self { id, owner, target, asset, target_asset, permission, label } = *self;
        let values = [Some(id), Some(owner), Some(target), Some(asset), Some(target_asset), Some(permission), label];
        let value = |text: Option<&'a str>| text.map_or(CelValue::Null, |text| CelValue::String(Text::Borrowed(text)));
        Self::NAMES.into_iter().zip(values.map(value))
    }
}

/// A condition, read once for all records.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    source: Box<str>,
    expr: Expr,
}

impl Condition {
    /// Reads a source of at most 4 KiB. Takes no more stack than a small thread has, whatever the source.
    pub fn parse(source: &str) -> Result<Self, InvalidCondition> {
        Ok(Self { expr: syntax::read(source)?, source: source.into() })
    }

    /// As its owner wrote it.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it is true of a record and a share. `tape` is what parsing `text` gave. Anything but true withholds the record, an
    /// error too.
    pub fn holds(&self, text: &[u8], tape: &Tape, share: &ShareFacts<'_>) -> Result<bool, ConditionError> {
        match Evaluation::new(text, tape, share).value(&self.expr)? {
            CelValue::Bool(holds) => Ok(holds),
            _ => Err(ConditionError::NotBoolean),
        }
    }
}
