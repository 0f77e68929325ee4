//! The walk's common way: members that are copied or left out as they stand.

use super::Walk;
use super::plan::Selection;
use super::witness::{ValueFate, Witness};
use crate::json::tape::{NodeIndex, NodeKind, TapeEntry};
use crate::profile::trie::Rules;
use std::ops::Range;

impl<W: Witness> Walk<'_, W> {
    /// `members` where only names matter, which is nearly everywhere. A member that no path knows, or that one ends at
    /// without more to say than whether it is selected, needs no plan.
    pub(super) fn named_members(&mut self, node: NodeIndex, active: Range<usize>, selection: Selection) -> bool {
        let trie = &self.projection.trie;
        let trie_node = trie.node(self.scratch.active[active.start]);
        if self.tape.entry(node).kind != NodeKind::Object {
            return selection.is_selected() && self.all_elements(node);
        }
        let is_root = node == NodeIndex::ROOT;
        let mut is_empty = true;
        let mut children = self.tape.children(node);
        while let Some((child, entry)) = children.next_entry() {
            if is_root && self.is_share_name(&entry) {
                self.witness.note(child, ValueFate::ShareMember);
                continue;
            }
            let Some(next) = trie.named_child(trie_node, self.text, &entry) else {
                is_empty &= !self.plain_member(child, &entry, selection, is_empty);
                continue;
            };
            let next_node = trie.node(next);
            let is_end = next_node.below == Rules::NONE || !entry.kind.is_container();
            if is_end && next_node.ends.are_only(Rules::PLAIN) {
                is_empty &= !self.plain_member(child, &entry, selection.with(next_node.ends), is_empty);
                continue;
            }
            let plan = self.plan_of(next, next_node, selection);
            is_empty &= !self.element(child, &plan, true, is_empty);
            self.forget(&plan);
        }
        !is_empty
    }

    /// Copies a member if it is selected; true then.
    #[inline(always)]
    fn plain_member(&mut self, child: NodeIndex, entry: &TapeEntry, selection: Selection, is_first: bool) -> bool {
        let is_shown = selection.is_selected();
        if is_shown {
            self.copy_member(child, entry, is_first);
        }
        self.witness.note(child, if is_shown { ValueFate::Kept } else { ValueFate::NotSelected });
        is_shown
    }

    /// Copies all elements of a selected array; true if there are any.
    fn all_elements(&mut self, node: NodeIndex) -> bool {
        let mut is_empty = true;
        for child in self.tape.children(node) {
            let span = self.tape.span(child);
            if !is_empty {
                self.template.separate(self.text, span.start);
            }
            self.copy_value(child);
            is_empty = false;
        }
        !is_empty
    }

    /// Copies a member whole, as it is written but for blanks between tokens.
    #[inline(always)]
    fn copy_member(&mut self, child: NodeIndex, entry: &TapeEntry, is_first: bool) {
        let begins = entry.name.start as usize - 1;
        if !is_first {
            self.template.separate(self.text, begins);
        }
        if entry.name.end + 2 == entry.start && !entry.has_blanks() {
            self.template.copy(self.text, begins..entry.end as usize);
        } else {
            self.copy_name(child);
            self.copy_value(child);
        }
    }

    pub(super) fn copy_value(&mut self, node: NodeIndex) {
        let entry = self.tape.entry(node);
        let span = entry.start as usize..entry.end as usize;
        if entry.has_blanks() {
            self.template.copy_compact(self.text, span);
        } else {
            self.template.copy(self.text, span);
        }
    }

    /// Copies a member's name and colon as they are written.
    pub(super) fn copy_name(&mut self, member: NodeIndex) {
        let name = self.tape.name_span(member);
        let value = self.tape.span(member).start;
        if name.end + 2 == value {
            self.template.copy(self.text, name.start - 1..value);
        } else {
            self.template.copy(self.text, name.start - 1..name.end + 1);
            self.template.push(self.text, b':');
        }
    }
}
