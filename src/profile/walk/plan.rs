//! What the rules say of one value on the walk.

use super::witness::Witness;
use super::{Scratch, Walk};
use crate::json::tape::NodeIndex;
use crate::profile::recording::JudgedFilter;
use crate::profile::trie::{Rules, TrieIndex, TrieNode};
use std::ops::Range;

/// Whether rules at a value or around it select it: the bits of `Rules::selecting_bits` of all of them.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Selection(u8);

/// Both sections include it, and none takes it back.
const SELECTED: u8 = 1 | 4;
const EXCLUDED: u8 = 2 | 8;

impl Selection {
    #[inline(always)]
    pub(super) fn is_selected(self) -> bool {
        self.0 == SELECTED
    }

    #[inline(always)]
    pub(super) fn with(self, rules: Rules) -> Self {
        if rules.meet(Rules::TIME) {
            // The time member is outside exclude (docs/rules/profiles.md#identity-members).
            return Self(SELECTED);
        }
        Self(self.0 | rules.selecting_bits())
    }

    /// Whether something with these rules below may be written.
    #[inline(always)]
    pub(super) fn may_show_below(self, below: Rules) -> bool {
        let may_be_selected = self.0 & EXCLUDED == 0 && (self.0 | below.selecting_bits()) & SELECTED == SELECTED;
        may_be_selected || below.meet(Rules::ALWAYS)
    }
}

/// What the rules say of one value.
#[derive(Debug)]
pub(super) struct Plan {
    /// In `Scratch::active`.
    pub(super) active: Range<usize>,
    /// In `Scratch::transforms`; none for identity members.
    pub(super) transforms: Range<usize>,
    pub(in crate::profile) rules: Rules,
    pub(super) below: Rules,
    pub(super) selection: Selection,
}

impl Plan {
    pub(super) fn is_identity(&self) -> bool {
        self.rules.meet(Rules::IDENTITY)
    }
}

impl<W: Witness> Walk<'_, W> {
    /// What the rules say of a child of a value that `active` stands for.
    #[inline(always)]
    pub(super) fn plan(&mut self, child: NodeIndex, active: Range<usize>, in_object: bool, around: Selection) -> Plan {
        let Scratch { active: stack, transforms, .. } = &mut *self.scratch;
        let (first_active, first_transform) = (stack.len(), transforms.len());
        let (mut rules, mut below) = (Rules::NONE, Rules::NONE);
        let trie = &self.projection.trie;
        for at in active {
            let above = stack[at];
            let judged = |filter, holds| self.template.note_filter(JudgedFilter { at: above, filter, node: child, holds });
            trie.each_child(above, self.text, self.tape, child, in_object, judged, |next| {
                let node = trie.node(next);
                rules |= node.ends;
                below |= node.below;
                transforms.extend_from_slice(&node.transforms);
                if node.below != Rules::NONE {
                    stack.push(next);
                }
            });
        }
        if rules.meet(Rules::IDENTITY) {
            transforms.truncate(first_transform);
        }
        let mut transforms = first_transform..transforms.len();
        if transforms.len() > 1 {
            transforms.end = self.order_transforms(first_transform);
        }
        Plan { active: first_active..self.scratch.active.len(), transforms, rules, below, selection: around.with(rules) }
    }

    /// The plan of a child that one node of the trie stands for.
    #[inline(always)]
    pub(super) fn plan_of(&mut self, next: TrieIndex, node: &TrieNode, around: Selection) -> Plan {
        let Scratch { active, transforms, .. } = &mut *self.scratch;
        let (first_active, first_transform) = (active.len(), transforms.len());
        active.push(next);
        if !node.transforms.is_empty() && !node.ends.meet(Rules::IDENTITY) {
            transforms.extend_from_slice(&node.transforms);
            self.projection.drop_repeats(transforms, first_transform);
        }
        let (active, transforms) = (first_active..first_active + 1, first_transform..self.scratch.transforms.len());
        Plan { active, transforms, rules: node.ends, below: node.below, selection: around.with(node.ends) }
    }

    /// Brings the transforms from `first` on into their order, each once; returns their end.
    fn order_transforms(&mut self, first: usize) -> usize {
        let transforms = &mut self.scratch.transforms;
        transforms[first..].sort_unstable();
        let mut kept = first;
        for at in first..transforms.len() {
            if at == first || transforms[at] != transforms[kept - 1] {
                transforms[kept] = transforms[at];
                kept += 1;
            }
        }
        transforms.truncate(kept);
        self.projection.drop_repeats(transforms, first);
        transforms.len()
    }
}
