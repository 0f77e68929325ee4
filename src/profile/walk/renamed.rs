//! Objects in which members are renamed: who stays when two come out under one name (docs/rules/profiles.md#identity-members,
//! docs/rules/profiles.md#renames).

use super::plan::Selection;
use super::witness::{ValueFate, Witness};
use super::{RenameArrival, RenamedMember, Walk};
use crate::json::tape::NodeIndex;
use crate::profile::template::Mark;
use crate::profile::trie::TrieIndex;
use std::ops::Range;

impl<'a, W: Witness> Walk<'a, W> {
    /// Writes what an object shows inside; true if that is something. All members are written first, each with a comma
    /// after it, and those that lose their name to another are taken out again.
    pub(super) fn renamed_members(&mut self, node: NodeIndex, active: Range<usize>, selection: Selection) -> bool {
        let (first_piece, first_arrival) = (self.scratch.pieces.len(), self.scratch.arrivals.len());
        self.template.flush(self.text);
        let start = self.template.mark();
        for child in self.tape.children(node) {
            if self.is_share_member(node, child) {
                self.witness.note(child, ValueFate::ShareMember);
                continue;
            }
            let plan = self.plan(child, active.clone(), true, selection);
            let rename = self.last_rename(&plan);
            let from = self.template.mark();
            let may_show = self.may_show(child, &plan);
            if !may_show {
                self.witness.note(child, ValueFate::NotSelected);
            }
            let is_shown = may_show && {
                match rename {
                    Some(rename) => self.write_name(rename),
                    None => self.copy_name(child),
                }
                self.value(child, &plan)
            };
            if is_shown {
                self.template.push(self.text, b',');
            } else {
                self.template.restore(from.clone());
            }
            if is_shown || plan.is_identity() {
                let (to, rename) = (self.template.mark(), rename.filter(|_| is_shown));
                self.scratch.pieces.push(RenamedMember { member: child, from, to, rename, is_identity: plan.is_identity() });
                self.note_arrival(rename, first_arrival);
            }
            self.forget(&plan);
        }
        self.bar_identity_names(active, first_piece, first_arrival);
        let shows_something = self.keep_winners(start, first_piece, first_arrival);
        self.scratch.pieces.truncate(first_piece);
        self.scratch.arrivals.truncate(first_arrival);
        shows_something
    }

    fn write_name(&mut self, rename: u32) {
        self.template.string(self.text, self.new_name(rename));
        self.template.push(self.text, b':');
    }

    fn new_name(&self, rename: u32) -> &'a str {
        self.projection.actions[rename as usize].disclosure().new_name.unwrap_or_default()
    }

    fn note_arrival(&mut self, rename: Option<u32>, first: usize) {
        let arrivals = &mut self.scratch.arrivals;
        if let Some(rename) = rename
            && !arrivals[first..].iter().any(|arrival| arrival.rename == rename)
        {
            arrivals.push(RenameArrival { rename, is_barred: false });
        }
    }

    /// A rename may not take the name of an identity member, not even of one that the record lacks.
    fn bar_identity_names(&mut self, active: Range<usize>, first_piece: usize, first_arrival: usize) {
        for at in first_arrival..self.scratch.arrivals.len() {
            let name = self.new_name(self.scratch.arrivals[at].rename);
            let mut standing: std::slice::Iter<'_, TrieIndex> = self.active_nodes(active.clone()).iter();
            let is_mapped = standing.any(|&index| self.projection.trie.is_identity_name(index, name));
            let is_there = |piece: &RenamedMember| piece.is_identity && self.tape.name_is(self.text, piece.member, name);
            let is_barred = is_mapped || self.scratch.pieces[first_piece..].iter().any(is_there);
            self.scratch.arrivals[at].is_barred = is_barred;
        }
    }

    /// Moves the members that stay together, and takes the last comma away; true if there are any.
    fn keep_winners(&mut self, start: Mark, first_piece: usize, first_arrival: usize) -> bool {
        let mut end = start.clone();
        for at in first_piece..self.scratch.pieces.len() {
            let piece = &self.scratch.pieces[at];
            let arrivals = &self.scratch.arrivals[first_arrival..];
            if self.stays(piece, arrivals) {
                self.template.keep(&piece.from, &piece.to, &mut end);
                if let Some(rename) = piece.rename {
                    self.witness.renamed(piece.member, rename);
                }
            } else {
                self.witness.note(piece.member, ValueFate::Overtaken { rename: self.overtaker(piece, arrivals) });
            }
        }
        let shows_something = !end.is_at(&start);
        self.template.restore(end);
        if shows_something {
            self.template.drop_comma();
        }
        shows_something
    }

    fn stays(&self, piece: &RenamedMember, arrivals: &[RenameArrival]) -> bool {
        match piece.rename {
            Some(rename) => arrivals.iter().any(|arrival| arrival.rename == rename && !arrival.is_barred),
            None => piece.is_identity || !arrivals.iter().any(|arrival| self.takes_name(arrival, piece)),
        }
    }

    /// Whether what comes out of a rename has the name of this member.
    fn takes_name(&self, arrival: &RenameArrival, piece: &RenamedMember) -> bool {
        !arrival.is_barred && self.tape.name_is(self.text, piece.member, self.new_name(arrival.rename))
    }

    /// The rename that takes a member's place: its own, which may not have its name, or that of another.
    fn overtaker(&self, piece: &RenamedMember, arrivals: &[RenameArrival]) -> Option<u32> {
        let other = || arrivals.iter().find(|arrival| self.takes_name(arrival, piece)).map(|arrival| arrival.rename);
        piece.rename.or_else(other)
    }
}
