//! One walk over a record that writes what a projection shows of it.

mod plain;
mod plan;
mod renamed;
pub(crate) mod witness;

use self::plan::{Plan, Selection};
use self::witness::{ValueFate, Witness};
use super::action::Action;
use super::compile::Projection;
use super::mask::MaskKeys;
use super::parties::Parties;
use super::recording::MadeValue;
use super::template::{Mark, Template};
use super::trie::{RuleTrie, Rules, TrieIndex};
use super::value::{ActionContext, MakingBuffers, make};
use crate::json::tape::{NodeIndex, NodeKind, Tape, TapeEntry};
use std::ops::Range;

/// Memory that walks use again and again. Between walks all of it is empty.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// The trie's nodes that stand for the values from the root to here, those with nothing below left out.
    pub(super) active: Vec<TrieIndex>,
    /// The transforms that end at these values.
    pub(super) transforms: Vec<u32>,
    pub(super) pieces: Vec<RenamedMember>,
    pub(super) arrivals: Vec<RenameArrival>,
    making: MakingBuffers,
    /// What actions made of a value.
    made: Vec<u8>,
}

/// A member of an object in which renames may happen.
#[derive(Debug)]
pub(super) struct RenamedMember {
    pub(super) member: NodeIndex,
    /// What was written for it, its comma after it; nothing for an identity member that is not shown.
    pub(super) from: Mark,
    pub(super) to: Mark,
    /// The rename that named it.
    pub(super) rename: Option<u32>,
    pub(super) is_identity: bool,
}

/// A rename that some member of an object came out of.
#[derive(Debug)]
pub(super) struct RenameArrival {
    pub(super) rename: u32,
    /// An identity member has this name, so that the renamed ones go (docs/rules/profiles.md#identity-members).
    pub(super) is_barred: bool,
}

pub(super) struct Walk<'a, W> {
    pub(super) text: &'a [u8],
    pub(super) tape: &'a Tape,
    pub(super) projection: &'a Projection,
    pub(super) parties: &'a Parties<'a>,
    pub(super) keys: &'a mut MaskKeys,
    pub(super) template: &'a mut Template,
    pub(super) scratch: &'a mut Scratch,
    /// Is told what becomes of each value; `()` of a walk that nobody asks about.
    pub(super) witness: W,
}

impl<'a, W: Witness> Walk<'a, W> {
    /// Writes the root; it is always written (docs/rules/profiles.md#containers).
    pub(in crate::profile) fn run(mut self) {
        let root = self.projection.trie.node(RuleTrie::ROOT);
        self.scratch.active.push(RuleTrie::ROOT);
        let selection = Selection::default().with(root.ends);
        if self.tape.kind(NodeIndex::ROOT) == NodeKind::Object {
            let active = 0..self.scratch.active.len();
            self.members(NodeIndex::ROOT, active, selection);
        } else {
            self.template.push(self.text, b'{');
        }
        self.template.flush(self.text);
        self.scratch.active.clear();
        self.scratch.transforms.clear();
    }

    /// Writes a container's opening and what it shows inside; true if that is something.
    fn members(&mut self, node: NodeIndex, active: Range<usize>, selection: Selection) -> bool {
        let start = self.tape.span(node).start;
        self.template.copy(self.text, start..start + 1);
        let in_object = self.tape.kind(node) == NodeKind::Object;
        if active.len() == 1 && self.projection.trie.node(self.scratch.active[active.start]).has_names_only() {
            return self.named_members(node, active, selection);
        }
        if in_object && active.clone().any(|at| self.projection.trie.node(self.scratch.active[at]).renames_children) {
            return self.renamed_members(node, active, selection);
        }
        let mut is_empty = true;
        for child in self.tape.children(node) {
            if self.is_share_member(node, child) {
                self.witness.note(child, ValueFate::ShareMember);
                continue;
            }
            let plan = self.plan(child, active.clone(), in_object, selection);
            is_empty &= !self.element(child, &plan, in_object, is_empty);
            self.forget(&plan);
        }
        !is_empty
    }

    /// Writes a member or element as planned, a comma before it unless it is the first; false if it is not shown.
    fn element(&mut self, child: NodeIndex, plan: &Plan, in_object: bool, is_first: bool) -> bool {
        if !self.may_show(child, plan) {
            self.witness.note(child, ValueFate::NotSelected);
            return false;
        }
        let mark = self.template.mark();
        let entry = self.tape.entry(child);
        if !is_first {
            let begins = if in_object { entry.name.start - 1 } else { entry.start };
            self.template.separate(self.text, begins as usize);
        }
        if in_object {
            self.copy_name(child);
        }
        let is_shown = self.value(child, plan);
        if !is_shown {
            self.template.restore(mark);
        }
        is_shown
    }

    /// Only a top-level `_share` is removed from the input.
    fn is_share_member(&self, parent: NodeIndex, child: NodeIndex) -> bool {
        parent == NodeIndex::ROOT && self.is_share_name(&self.tape.entry(child))
    }

    #[inline(always)]
    fn is_share_name(&self, member: &TapeEntry) -> bool {
        member.name.hash == self.projection.share_hash && member.has_name(self.text, "_share")
    }

    fn active_nodes(&self, active: Range<usize>) -> &[TrieIndex] {
        &self.scratch.active[active]
    }

    fn forget(&mut self, plan: &Plan) {
        self.scratch.active.truncate(plan.active.start);
        self.scratch.transforms.truncate(plan.transforms.start);
    }

    #[inline(always)]
    fn may_show(&self, child: NodeIndex, plan: &Plan) -> bool {
        plan.rules.meet(Rules::ALWAYS)
            || plan.selection.is_selected()
            || (self.tape.kind(child).is_container() && plan.selection.may_show_below(plan.below))
    }

    /// Writes what comes of a value that may be shown; false if it is not shown, whatever was written.
    fn value(&mut self, node: NodeIndex, plan: &Plan) -> bool {
        if plan.is_identity() {
            return self.identity(node, plan);
        }
        let has_actions = !plan.transforms.is_empty();
        if has_actions && !self.only_renames(plan) {
            return self.is_in_output(node, plan) && self.transformed(node, plan);
        }
        if !self.tape.kind(node).is_container() {
            self.template.copy(self.text, self.tape.span(node));
            self.witness.note(node, ValueFate::Kept);
            return true;
        }
        self.container(node, plan)
    }

    /// Writes a container that no action replaces.
    fn container(&mut self, node: NodeIndex, plan: &Plan) -> bool {
        let is_selected = plan.selection.is_selected();
        if is_selected && plan.below.are_only(Rules::INCLUDES) {
            self.copy_value(node);
            self.witness.note(node, ValueFate::Kept);
            return true;
        }
        let end = self.tape.span(node).end;
        // What comes of the values inside is noted after it.
        self.witness.note(node, if is_selected { ValueFate::Kept } else { ValueFate::NotSelected });
        let shows_inside = self.members(node, plan.active.clone(), plan.selection);
        self.template.copy(self.text, end - 1..end);
        shows_inside || is_selected
    }

    /// A mapped member is always written; one that only `rewrite` names if it would be in the output.
    fn identity(&mut self, node: NodeIndex, plan: &Plan) -> bool {
        let is_shown = plan.rules.meet(Rules::TENANT | Rules::ASSET) || self.is_in_output(node, plan);
        if is_shown {
            self.template.slot(self.text, plan.rules.meet(Rules::ANY_ASSET));
        }
        self.witness.note(node, if is_shown { ValueFate::Identity } else { ValueFate::NotSelected });
        is_shown
    }

    /// Whether a value that may be shown is in the output before its own actions: selected, or something inside it is.
    fn is_in_output(&mut self, node: NodeIndex, plan: &Plan) -> bool {
        if plan.selection.is_selected() {
            return true;
        }
        let (mark, noted) = (self.template.mark(), self.witness.mark());
        self.witness.note(node, ValueFate::NotSelected);
        let shows_inside = self.members(node, plan.active.clone(), plan.selection);
        self.template.restore(mark);
        if shows_inside {
            self.witness.restore(noted);
        }
        shows_inside
    }

    fn only_renames(&self, plan: &Plan) -> bool {
        self.actions(plan).all(|action| action.disclosure().keeps_value)
    }

    fn actions(&self, plan: &Plan) -> impl Iterator<Item = &'a Action> {
        let actions: &'a [Action] = &self.projection.actions;
        self.scratch.transforms[plan.transforms.clone()].iter().map(|&index| &actions[index as usize])
    }

    /// The last rename of a member, which names it.
    fn last_rename(&self, plan: &Plan) -> Option<u32> {
        let is_rename = |index: &&u32| self.projection.actions[**index as usize].disclosure().new_name.is_some();
        self.scratch.transforms[plan.transforms.clone()].iter().rev().find(is_rename).copied()
    }

    /// Writes what the actions make of a value one after the other; false if one of them drops it.
    fn transformed(&mut self, node: NodeIndex, plan: &Plan) -> bool {
        let Scratch { transforms, making: MakingBuffers { between, unescaped }, made: json, .. } = &mut *self.scratch;
        let transforms = &transforms[plan.transforms.clone()];
        let mut means = ActionContext { keys: self.keys, parties: self.parties, unescaped };
        json.clear();
        let made = make((self.text, self.tape), node, &self.projection.actions, transforms, &mut means, between, json);
        let is_kept = made.outcome.is_ok();
        self.template.is_of_one_target |= made.is_of_one_target;
        self.template.note_made(|| MadeValue { node, transforms: transforms.to_vec(), is_kept });
        match made.outcome {
            Ok(()) => {
                self.template.json(self.text, json);
                self.witness.note(node, ValueFate::Changed { transforms });
            }
            Err(transform) => self.witness.note(node, ValueFate::Dropped { transform }),
        }
        is_kept
    }
}
