//! What becomes of each value on a walk, for who asks why. A walk that nobody asks about has `()`, which costs nothing.

use crate::json::tape::{NodeIndex, Tape};

/// What becomes of a value, and of all inside it of which nothing else is noted after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ValueFate<'t> {
    /// It leaves as it is.
    Kept,
    /// It leaves as what these transforms, by their places in the projection, make of it.
    Changed { transforms: &'t [u32] },
    /// One of the target's ids leaves in its place.
    Identity,
    /// No include selects it, or an exclude takes it back.
    NotSelected,
    /// A transform has no value of it.
    Dropped { transform: u32 },
    /// A renamed member has its name, or its own new name is that of an identity member.
    Overtaken { rename: Option<u32> },
    /// A top-level `_share` of the input.
    ShareMember,
}

/// Is told what becomes of values. What is noted later holds.
pub(crate) trait Witness {
    /// How much was noted.
    type Mark;

    /// Notes what becomes of a value.
    fn note(&mut self, node: NodeIndex, fate: ValueFate<'_>);

    /// Notes that a value leaves under a name that a transform gives.
    fn renamed(&mut self, node: NodeIndex, rename: u32);

    /// Remembers how much was noted.
    fn mark(&self) -> Self::Mark;

    /// Takes back what was noted since: it was only tried.
    fn restore(&mut self, mark: Self::Mark);
}

impl Witness for () {
    type Mark = ();

    #[inline(always)]
    fn note(&mut self, _: NodeIndex, _: ValueFate<'_>) {}

    #[inline(always)]
    fn renamed(&mut self, _: NodeIndex, _: u32) {}

    #[inline(always)]
    fn mark(&self) {}

    #[inline(always)]
    fn restore(&mut self, (): ()) {}
}

/// What was noted of each value of one record.
#[derive(Debug, Default)]
pub(crate) struct RecordTrace {
    steps: Vec<(NodeIndex, StoredFate)>,
    renames: Vec<(NodeIndex, u32)>,
}

/// As `ValueFate`, owned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StoredFate {
    Kept,
    Changed(Vec<u32>),
    Identity,
    NotSelected,
    Dropped(u32),
    Overtaken(Option<u32>),
    ShareMember,
}

impl Witness for &mut RecordTrace {
    type Mark = (usize, usize);

    fn note(&mut self, node: NodeIndex, fate: ValueFate<'_>) {
        let fate = match fate {
            ValueFate::Kept => StoredFate::Kept,
            ValueFate::Changed { transforms } => StoredFate::Changed(transforms.to_vec()),
            ValueFate::Identity => StoredFate::Identity,
            ValueFate::NotSelected => StoredFate::NotSelected,
            ValueFate::Dropped { transform } => StoredFate::Dropped(transform),
            ValueFate::Overtaken { rename } => StoredFate::Overtaken(rename),
            ValueFate::ShareMember => StoredFate::ShareMember,
        };
        self.steps.push((node, fate));
    }

    fn renamed(&mut self, node: NodeIndex, rename: u32) {
        self.renames.push((node, rename));
    }

    fn mark(&self) -> (usize, usize) {
        (self.steps.len(), self.renames.len())
    }

    fn restore(&mut self, (steps, renames): (usize, usize)) {
        self.steps.truncate(steps);
        self.renames.truncate(renames);
    }
}

/// What became of one value in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NodeFate<'t> {
    /// The value that it was noted of: this one, or one around it.
    pub(crate) noted_of: NodeIndex,
    pub(crate) fate: &'t StoredFate,
    /// The transform that names it.
    pub(crate) rename: Option<u32>,
}

impl RecordTrace {
    /// What became of each value, by its place in the tape; none of the record itself.
    pub(crate) fn fates(&self, tape: &Tape) -> Vec<Option<NodeFate<'_>>> {
        let count = tape.end_of(NodeIndex::ROOT).0 as usize;
        let mut fates = vec![None; count];
        for (node, fate) in &self.steps {
            let of = NodeFate { noted_of: *node, fate, rename: None };
            fates[node.0 as usize..tape.end_of(*node).0 as usize].fill(Some(of));
        }
        for (node, rename) in &self.renames {
            if let Some(fate) = &mut fates[node.0 as usize] {
                fate.rename = Some(*rename);
            }
        }
        fates
    }
}
