//! A record of an upsert stream as it is read, and a document as a target is to see it.

use crate::decide::{ReleaseRules, add_compared, provenance};
use crate::id::Epoch;
use crate::profile::condition::ConditionError;
use crate::profile::parties::Parties;
use crate::profile::project::Projector;
use crate::record::dead_letter::Refusal;
use crate::record::decode;
use crate::record::decode::Identity;
use crate::record::mapping::Stream;
use crate::release;
use crate::sink_state::entry::Digest;
use crate::sink_state::reconcile::Put;

/// Reads and renders documents one after the other, in memory that it keeps.
#[derive(Debug)]
pub struct Renderer {
    rules: ReleaseRules,
    projector: Projector,
    compared: Vec<u8>,
    full: Vec<u8>,
}

/// Whose record it is; none where its identity does not lie outside the value, which the configuration sees to.
pub fn identity<'r, H>(stream: &Stream, key: Option<&'r [u8]>, headers: H) -> Result<Option<Identity<'r>>, Refusal>
where
    H: Iterator<Item = (&'r [u8], Option<&'r [u8]>)> + Clone,
{
    Ok(decode::outer_identity(stream, key, headers)?.complete())
}

impl Renderer {
    /// `mask_secret` as for the projector.
    pub fn new(rules: ReleaseRules, mask_secret: Option<&[u8]>) -> Self {
        Self { rules, projector: Projector::new(mask_secret), compared: Vec::new(), full: Vec::new() }
    }

    /// Reads a record's value. Returns whether it is a document, which is at hand until the next is read. One that cannot be read
    /// deletes like a null one, besides being refused.
    pub fn read(&mut self, value: Option<&[u8]>) -> Result<bool, Refusal> {
        let Some(value) = value else { return Ok(false) };
        let projector = &mut self.projector;
        decode::load(Some(value), &self.rules.read, move |text| projector.load(text)).map(|_| true)
    }

    /// Whether the condition of the share's profile is true of the document at hand, `text`; one of which it is not is shown to nobody.
    pub fn meets_condition(&self, put: Put<'_>, identity: Identity<'_>, text: &[u8]) -> Result<bool, ConditionError> {
        release::meets_condition(put.projection, &put.grant, identity, text, self.projector.tape())
    }

    /// What "equal to the last one written" compares of the document at hand, `text`: what is shown of it without `_share`, and the
    /// permission where that is shown. `form` is what else of the configuration shows in it.
    pub fn digest(&mut self, put: Put<'_>, owner: &str, text: &[u8], form: &str) -> Digest {
        self.compared.clear();
        self.projector.project(text, put.projection, &parties(put, owner), None, &mut self.compared);
        add_compared(&put.grant, &self.rules, &mut self.compared);
        Digest::of(form, &self.compared)
    }

    /// The document at hand as the target gets it.
    pub fn render(&mut self, put: Put<'_>, owner: &str, text: &[u8], epoch: Epoch) -> &[u8] {
        let provenance = provenance(&put.grant, epoch, &self.rules);
        self.full.clear();
        self.projector.project(text, put.projection, &parties(put, owner), provenance.as_ref(), &mut self.full);
        &self.full
    }
}

fn parties<'p>(put: Put<'p>, owner: &'p str) -> Parties<'p> {
    Parties { owner, target: put.grant.target.as_str(), target_asset: put.grant.target_asset.as_str() }
}
