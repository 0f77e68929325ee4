//! Why a record did or did not flow: the decision of `run`, with what it compared and what became of each member. Pure.
//!
//! No rule is written here. `decision` listens while the decision is made by the code that makes it live; `members` says in the
//! words of the profile what the projector's own walk noted; `record` is a record whole; `text` and `json` show the answer.

pub mod decision;
pub mod json;
pub mod members;
pub mod project;
pub mod record;
pub mod sample;
pub mod text;

use crate::decide::ReleaseRules;
use crate::explain::members::MemberExplanation;
use crate::id::{Epoch, Offset};
use crate::record::dead_letter::Refusal;
use crate::record::mapping::Mode;
#[cfg(feature = "io")]
use crate::share::view::by_tenant::SharesByTenant;
use crate::time::TimestampNs;

/// The answer: what becomes of one record, share by share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The record, as far as it is known.
    pub record: ExplainedRecord,
    /// The epoch of the graph that decides.
    pub epoch: Epoch,
    /// When it is decided.
    pub now: TimestampNs,
    /// Each share of the asset that names the stream, by share id.
    pub shares: Vec<ShareExplanation>,
    /// The one target that is looked at, if not all are.
    pub only_target: Option<String>,
    /// Shares of the asset that do not name the stream.
    pub other_shares: Vec<String>,
    /// Why it cannot be read: then it is a dead letter.
    pub dead: Option<Refusal>,
    /// A control record that cannot be understood: while it waits nothing is decided at all.
    pub waits_for: Option<Offset>,
}

/// What is known of the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedRecord {
    /// Its stream.
    pub stream: String,
    /// Whether that keeps documents.
    pub mode: Mode,
    /// Where it lies; none of one that was given by hand.
    pub place: Option<RecordPlace>,
    /// Whose it is.
    pub owner: Option<String>,
    /// Of which asset, in its owner's words.
    pub asset: Option<String>,
    /// Its event time; none of a document, and where it cannot be read.
    pub time: Option<TimestampNs>,
}

/// Where a record lies in its topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordPlace {
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: Offset,
}

/// What becomes of the record for one share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareExplanation {
    /// The share.
    pub share: String,
    /// Who receives; none of an invitation that nobody has accepted.
    pub target: Option<String>,
    /// The profile that it names.
    pub profile: String,
    /// Why the target does not get it: the first rule that fails.
    pub suppressed: Option<&'static str>,
    /// What was compared: all for a release, else what the deciding rule compared.
    pub compared: Vec<ComparedValues>,
    /// What becomes of each member, of a release.
    pub members: Vec<MemberExplanation>,
    /// What the target gets, of a release.
    pub value: Option<Vec<u8>>,
    /// What is not known here.
    pub unknown: Vec<String>,
}

/// One comparison in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComparedValues {
    /// One side with its value.
    pub left: String,
    /// What lies between.
    pub op: &'static str,
    /// The other.
    pub right: String,
}

impl Explanation {
    /// What it says of one target, whoever else has shares of the asset.
    #[must_use]
    pub fn only_for(self, target: &str) -> Self {
        let shares = self.shares.into_iter().filter(|share| share.target.as_deref() == Some(target)).collect();
        Self { shares, only_target: Some(target.to_owned()), ..self }
    }

    /// Whether somebody gets the record.
    pub fn releases(&self) -> bool {
        self.shares.iter().any(|share| share.suppressed.is_none())
    }
}

/// Explains by one configuration.
#[derive(Debug)]
pub struct Explainer<'c> {
    rules: ReleaseRules,
    mask_secret: Option<&'c [u8]>,
    #[cfg(feature = "io")]
    by_tenant: Option<&'c SharesByTenant>,
}

impl<'c> Explainer<'c> {
    /// `mask_secret` as for the projector.
    pub fn new(rules: ReleaseRules, mask_secret: Option<&'c [u8]>) -> Self {
        Self {
            rules,
            mask_secret,
            #[cfg(feature = "io")]
            by_tenant: None,
        }
    }

    /// Asks these lists which shares an owner has, and looks at no others. They are those of every table that is asked about.
    #[cfg(feature = "io")]
    #[must_use]
    pub fn with_lists(self, by_tenant: &'c SharesByTenant) -> Self {
        Self { by_tenant: Some(by_tenant), ..self }
    }
}

#[cfg(test)]
mod tests;
