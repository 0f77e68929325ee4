//! One profile on one record, without any share.

use super::members::{MemberExplanation, ProfileText, members};
use super::record::{WholeRecord, whose};
use crate::json::path::{Path, Selected};
use crate::json::tape::Tape;
use crate::profile::compile::Projection;
use crate::profile::condition::{ConditionError, ShareFacts};
use crate::profile::parties::Parties;
use crate::profile::project::Projector;
use crate::record::dead_letter::Refusal;
use crate::record::decode::{self, ReadRules};
use crate::record::mapped_nodes::MappedNodes;
use crate::record::mapping::{Mode, Stream};
use crate::share::state::Permission;

/// What a profile shows of a record. Ids stay the owner's: it is target and owner at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownRecord {
    /// What would leave.
    pub value: Vec<u8>,
    /// What becomes of each member.
    pub members: Vec<MemberExplanation>,
    /// Whether the profile's condition withholds the record; why, where it has no value.
    pub filtered: Option<Option<ConditionError>>,
}

/// Shows records by one projection.
#[derive(Debug)]
pub struct RecordProjector<'p> {
    stream: &'p Stream,
    projection: &'p Projection,
    profile: &'p ProfileText,
    rules: ReadRules,
    projector: Projector,
}

impl<'p> RecordProjector<'p> {
    /// `profile` is the text that `projection` was made of; `mask_secret` as for the projector.
    pub fn new(
        stream: &'p Stream,
        projection: &'p Projection,
        profile: &'p ProfileText,
        rules: ReadRules,
        mask_secret: Option<&[u8]>,
    ) -> Self {
        Self { stream, projection, profile, rules, projector: Projector::new(mask_secret) }
    }

    /// Shows a record; the refusal says why it would be a dead letter, whatever the clock.
    pub fn show(&mut self, record: &WholeRecord) -> Result<ShownRecord, Refusal> {
        let projector = &mut self.projector;
        let text = decode::load(record.value.as_deref(), &self.rules, move |text| projector.load(text))?;
        let (owner, asset) = self.ids(record, text)?;
        if self.stream.mode == Mode::Append {
            let tape = self.projector.tape();
            let nodes = MappedNodes::of(self.stream, text, tape);
            decode::any_event_time(self.stream, text, tape, nodes, record.timestamp, &mut String::new())?;
        }
        let facts = ShareFacts {
            id: "project",
            owner: &owner,
            target: &owner,
            asset: &asset,
            target_asset: &asset,
            permission: Permission::View.word(),
            label: None,
        };
        let filtered =
            self.projection.condition.as_ref().and_then(|condition| match condition.holds(text, self.projector.tape(), &facts) {
                Ok(true) => None,
                Ok(false) => Some(None),
                Err(error) => Some(Some(error)),
            });
        let parties = Parties { owner: &owner, target: &owner, target_asset: &asset };
        let trace = self.projector.trace(text, self.projection, &parties);
        let members = members(text, self.projector.tape(), &trace, self.profile, self.stream.name.as_str());
        let mut value = Vec::new();
        self.projector.project(text, self.projection, &parties, None, &mut value);
        Ok(ShownRecord { value, members, filtered })
    }

    /// The owner's ids. Where key and headers have them and there are none, they are those that `rewrite` names in the value.
    fn ids(&self, record: &WholeRecord, text: &[u8]) -> Result<(String, String), Refusal> {
        let mapping = &self.stream.mapping;
        let is_bare = record.key.is_none() && record.headers.is_empty();
        if !(is_bare && (mapping.tenant.is_outside_value() || mapping.asset.is_outside_value())) {
            return whose(record, self.stream, &self.rules, &mut Tape::default());
        }
        let tape = self.projector.tape();
        let at = |paths: &[Path], without: &str| {
            let found = paths.iter().find_map(|path| match path.find(text, tape) {
                Selected::One(node) => tape.string_text(text, node).map(|text| text.into_owned()),
                Selected::Nothing | Selected::Several => None,
            });
            found.unwrap_or_else(|| without.to_owned())
        };
        let of = |source: &crate::record::mapping::FieldSource, rewrite: &[Path], without: &str| match source {
            crate::record::mapping::FieldSource::Path(path) => at(std::slice::from_ref(path), without),
            _ => at(rewrite, without),
        };
        Ok((of(&mapping.tenant, &mapping.rewrite_tenant, "owner"), of(&mapping.asset, &mapping.rewrite_asset, "asset")))
    }
}
