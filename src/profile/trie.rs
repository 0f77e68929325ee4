//! All paths of a projection as one tree of segments, walked along with a record.
//!
//! Several of its nodes may stand for one value at once, because a name, a wildcard and filters can all select it.

use crate::json::path::{Filter, Name, Path, Segment};
use crate::json::tape::{MAX_DEPTH, NodeIndex, Tape, TapeEntry, hash_name};
use std::collections::HashMap;
use std::ops::{BitOr, BitOrAssign};

/// What paths that end at a value make of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Rules(u16);

impl Rules {
    pub(super) const NONE: Self = Self(0);
    pub(super) const INCLUDE: Self = Self(1);
    pub(super) const EXCLUDE: Self = Self(2);
    /// The mapping's tenant.
    pub(super) const TENANT: Self = Self(4);
    /// The mapping's asset.
    pub(super) const ASSET: Self = Self(8);
    /// A tenant member that only `rewrite` names.
    pub(super) const ALSO_TENANT: Self = Self(16);
    /// An asset member that only `rewrite` names.
    pub(super) const ALSO_ASSET: Self = Self(32);
    /// The mapping's event time.
    pub(super) const TIME: Self = Self(64);
    pub(super) const TRANSFORM: Self = Self(128);
    /// Written whatever is selected (docs/rules/profiles.md#identity-members).
    pub(super) const ALWAYS: Self = Self(4 | 8 | 64);
    /// An include of the section that restricts this one (`Projection::restricted`); of a section by itself, the whole record.
    pub(super) const ALSO_INCLUDE: Self = Self(256);
    /// An exclude of the section that restricts this one.
    pub(super) const ALSO_EXCLUDE: Self = Self(512);
    /// Rules that say no more than whether a value is selected.
    pub(super) const PLAIN: Self = Self(1 | 2 | 64 | 256 | 512);
    /// Rules that select.
    pub(super) const INCLUDES: Self = Self(1 | 256);
    /// Members that get one of the target's ids.
    pub(super) const IDENTITY: Self = Self(4 | 8 | 16 | 32);
    /// Those of them that get the asset's.
    pub(super) const ANY_ASSET: Self = Self(8 | 32);

    pub(super) fn meet(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The bits of the four rules that select or take back, next to each other: include, exclude, and those of the other section.
    #[inline(always)]
    pub(super) fn selecting_bits(self) -> u8 {
        (self.0 & 3) as u8 | (self.0 >> 6 & 12) as u8
    }

    /// Whether there is no rule but these.
    pub(super) fn are_only(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }
}

impl BitOr for Rules {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Rules {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// A node of the trie, by its place in `RuleTrie`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TrieIndex(u32);

#[derive(Debug)]
pub(super) struct RuleTrie {
    nodes: Vec<TrieNode>,
}

/// What paths with one beginning have in common.
#[derive(Debug, Default)]
pub(super) struct TrieNode {
    names: NameTable,
    wildcard: Option<TrieIndex>,
    filters: Vec<(Filter, TrieIndex)>,
    /// Of the paths that end here.
    pub(super) ends: Rules,
    /// Of the paths that go on from here.
    pub(super) below: Rules,
    /// The transforms that end here, ascending.
    pub(super) transforms: Vec<u32>,
    /// Whether a rename ends at a child.
    pub(super) renames_children: bool,
}

impl TrieNode {
    /// Whether names are all that it goes on with, and none of them is renamed.
    #[inline(always)]
    pub(super) fn has_names_only(&self) -> bool {
        self.wildcard.is_none() && self.filters.is_empty() && !self.renames_children
    }
}

impl RuleTrie {
    pub(super) const ROOT: TrieIndex = TrieIndex(0);

    pub(super) fn node(&self, index: TrieIndex) -> &TrieNode {
        &self.nodes[index.0 as usize]
    }

    /// The node that members of `child`'s name lead to.
    #[inline(always)]
    pub(super) fn named_child(&self, at: &TrieNode, text: &[u8], child: &TapeEntry) -> Option<TrieIndex> {
        at.names.find(child.name.hash, |name| child.has_name(text, name))
    }

    /// Calls `enter` with each child of `at` that stands for `child`, a value in an object or an array, and `judged` with each filter
    /// that is asked, by its place, and whether it holds.
    #[inline(always)]
    pub(super) fn each_child(
        &self,
        at: TrieIndex,
        text: &[u8],
        tape: &Tape,
        child: NodeIndex,
        in_object: bool,
        mut judged: impl FnMut(usize, bool),
        mut enter: impl FnMut(TrieIndex),
    ) {
        let node = self.node(at);
        if in_object && let Some(next) = self.named_child(node, text, &tape.entry(child)) {
            enter(next);
        }
        if let Some(next) = node.wildcard {
            enter(next);
        }
        for (index, (filter, next)) in node.filters.iter().enumerate() {
            let holds = filter.holds(text, tape, child);
            judged(index, holds);
            if holds {
                enter(*next);
            }
        }
    }

    /// What a filter of `each_child` says of a value.
    pub(super) fn filter_holds(&self, at: TrieIndex, filter: usize, text: &[u8], tape: &Tape, node: NodeIndex) -> bool {
        self.node(at).filters[filter].0.holds(text, tape, node)
    }

    /// Whether a member of this name, of whatever value, is an identity member below `at`.
    pub(super) fn is_identity_name(&self, at: TrieIndex, name: &str) -> bool {
        let node = self.node(at);
        let named = node.names.find(hash_name(name), |other| other == name);
        named.into_iter().chain(node.wildcard).any(|next| self.node(next).ends.meet(Rules::IDENTITY))
    }
}

/// Builds a trie path by path.
#[derive(Debug, Default)]
pub(super) struct TrieBuilder<'a> {
    nodes: Vec<TrieNode>,
    /// The names of each node's children; tables are made of them at the end.
    names: Vec<Vec<(&'a Name, TrieIndex)>>,
    children: HashMap<(u32, &'a Segment), TrieIndex>,
}

impl<'a> TrieBuilder<'a> {
    pub(super) fn new() -> Self {
        let mut builder = Self::default();
        builder.push();
        builder
    }

    /// Adds a rule at the end of a path; of a transform also which, and whether it renames.
    pub(super) fn add(&mut self, path: &'a Path, rule: Rules, transform: Option<(u32, bool)>) {
        // No record is deep enough for longer ones.
        if path.segments.len() > MAX_DEPTH {
            return;
        }
        let mut at = RuleTrie::ROOT;
        let mut parent = at;
        for segment in &path.segments {
            self.nodes[at.0 as usize].below |= rule;
            parent = at;
            at = self.child(at, segment);
        }
        let node = &mut self.nodes[at.0 as usize];
        node.ends |= rule;
        if let Some((index, renames)) = transform {
            if node.transforms.last() != Some(&index) {
                node.transforms.push(index);
            }
            self.nodes[parent.0 as usize].renames_children |= renames;
        }
    }

    pub(super) fn finish(mut self) -> RuleTrie {
        for (node, names) in self.nodes.iter_mut().zip(self.names) {
            node.names = NameTable::new(&names);
        }
        RuleTrie { nodes: self.nodes }
    }

    fn child(&mut self, at: TrieIndex, segment: &'a Segment) -> TrieIndex {
        if let Some(&child) = self.children.get(&(at.0, segment)) {
            return child;
        }
        let child = self.push();
        self.children.insert((at.0, segment), child);
        let node = &mut self.nodes[at.0 as usize];
        match segment {
            Segment::Name(name) => self.names[at.0 as usize].push((name, child)),
            Segment::Wildcard => node.wildcard = Some(child),
            Segment::Filter(filter) => node.filters.push((filter.clone(), child)),
        }
        child
    }

    fn push(&mut self) -> TrieIndex {
        self.nodes.push(TrieNode::default());
        self.names.push(Vec::new());
        TrieIndex(self.nodes.len() as u32 - 1)
    }
}

/// A hash table of names, at most half full; the hashes are made when a record is parsed.
#[derive(Debug, Default)]
struct NameTable {
    slots: Vec<Option<RuleSlot>>,
}

#[derive(Debug, Clone)]
struct RuleSlot {
    hash: u32,
    next: TrieIndex,
    name: Box<str>,
}

impl NameTable {
    fn new(names: &[(&Name, TrieIndex)]) -> Self {
        if names.is_empty() {
            return Self::default();
        }
        let mut slots: Vec<Option<RuleSlot>> = vec![None; (names.len() * 2).next_power_of_two()];
        let mask = slots.len() - 1;
        for (name, next) in names {
            let mut at = name.hash as usize & mask;
            while slots[at].is_some() {
                at = (at + 1) & mask;
            }
            slots[at] = Some(RuleSlot { hash: name.hash, next: *next, name: name.text.as_str().into() });
        }
        Self { slots }
    }

    #[inline(always)]
    fn find(&self, hash: u32, is_name: impl Fn(&str) -> bool) -> Option<TrieIndex> {
        let mask = self.slots.len().wrapping_sub(1);
        let mut at = hash as usize & mask;
        while let Some(Some(slot)) = self.slots.get(at) {
            if slot.hash == hash && is_name(&slot.name) {
                return Some(slot.next);
            }
            at = (at + 1) & mask;
        }
        None
    }
}
