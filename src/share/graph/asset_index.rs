//! Finding assets by a hash of what they are: a trie of sorted runs that shares what did not change.

use std::sync::Arc;

const BITS: u32 = 5;
const BRANCHES: usize = 1 << BITS;
/// So many on a run before it is parted. Small in tests, so that branches arise.
const MOST: usize = if cfg!(test) { 4 } else { 512 };
/// All bits that tell tags apart are used up at this depth: what is equal then stays on one run.
const LAST_SHIFT: u32 = 30;

/// Numbers by hash; the caller tells those of one hash apart. A clone costs one reference count; a change copies one run and the
/// branches above it, and the branches only where a clone holds them.
#[derive(Debug, Clone, Default)]
pub(crate) struct AssetIndex {
    root: IndexNode,
}

/// The nodes at one depth agree in the first bits of their tags.
#[derive(Debug, Clone, Default)]
enum IndexNode {
    #[default]
    Empty,
    Branch(Arc<[IndexNode; BRANCHES]>),
    /// Entries in order: the upper half of the hash, then the number. A run never changes: another one takes its place.
    Run(Arc<[u64]>),
}

impl AssetIndex {
    /// The number under this hash that `is` means.
    pub(crate) fn find(&self, hash: u64, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        let tag = (hash >> 32) as u32;
        let (mut node, mut shift) = (&self.root, 0);
        loop {
            match node {
                IndexNode::Empty => return None,
                IndexNode::Branch(nodes) => node = &nodes[branch_of(tag, shift)],
                IndexNode::Run(run) => {
                    let alike = run[first_of(run, tag, shift)..].iter().take_while(|entry| tag_of(**entry) == tag);
                    return alike.map(|entry| *entry as u32).find(|number| is(*number));
                }
            }
            shift += BITS;
        }
    }

    /// Adds a number; it is not in it yet.
    pub(crate) fn insert(&mut self, hash: u64, number: u32) {
        let entry = entry(hash, number);
        let tag = tag_of(entry);
        let (mut node, mut shift) = (&mut self.root, 0);
        while let IndexNode::Branch(nodes) = node {
            node = &mut Arc::make_mut(nodes)[branch_of(tag, shift)];
            shift += BITS;
        }
        let run: &[u64] = if let IndexNode::Run(run) = node { run } else { &[] };
        let (before, behind) = run.split_at(run.partition_point(|known| *known < entry));
        // An exact size, so that it is one copy.
        let with = before.iter().chain([&entry]).chain(behind).copied();
        *node = if run.len() < MOST { IndexNode::Run(with.collect()) } else { built(&with.collect::<Vec<_>>(), shift) };
    }

    /// The index of all these entries.
    pub(crate) fn of(mut entries: Vec<u64>) -> Self {
        entries.sort_unstable();
        Self { root: built(&entries, 0) }
    }
}

/// An asset's entry under its hash.
pub(crate) fn entry(hash: u64, number: u32) -> u64 {
    hash & !u64::from(u32::MAX) | u64::from(number)
}

/// The node of sorted entries that agree in the bits before `shift`.
fn built(entries: &[u64], shift: u32) -> IndexNode {
    if entries.is_empty() {
        return IndexNode::Empty;
    }
    if entries.len() <= MOST || shift >= LAST_SHIFT {
        return IndexNode::Run(entries.into());
    }
    let mut rest = entries;
    IndexNode::Branch(Arc::new(std::array::from_fn(|branch| {
        let (own, behind) = rest.split_at(rest.partition_point(|entry| branch_of(tag_of(*entry), shift) <= branch));
        rest = behind;
        built(own, shift + BITS)
    })))
}

/// Where the first entry is whose tag is not below this one. Tags are spread evenly, so it is near where it would be if they were
/// spread exactly so.
fn first_of(run: &[u64], tag: u32, shift: u32) -> usize {
    let mut at = ((u64::from(tag << shift) * run.len() as u64) >> 32) as usize;
    while at > 0 && tag_of(run[at - 1]) >= tag {
        at -= 1;
    }
    while at < run.len() && tag_of(run[at]) < tag {
        at += 1;
    }
    at
}

fn tag_of(entry: u64) -> u32 {
    (entry >> 32) as u32
}

fn branch_of(tag: u32, shift: u32) -> usize {
    (tag << shift >> (u32::BITS - BITS)) as usize
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Hashes that agree in many of the first bits, some in all, so that deep branches and long runs of equals arise.
    fn hash_of(key: u32) -> u64 {
        let tag = match key % 4 {
            0 => key,
            1 => key << 24,
            2 => 7,
            _ => (key << 16) | 7,
        };
        u64::from(tag) << 32 | u64::from(key)
    }

    fn check(index: &AssetIndex, model: &BTreeMap<u32, u32>) -> Result<(), TestCaseError> {
        for key in 0..130 {
            // The caller tells apart what has one hash.
            let found = index.find(hash_of(key), |number| model.get(&key) == Some(&number));
            prop_assert_eq!(found, model.get(&key).copied());
        }
        Ok(())
    }

    proptest! {
        /// Many versions alive at once, hashes forced to collide.
        #[test]
        fn copies_stay_as_they_were(keys in prop::collection::vec((0u32..128, prop::bool::ANY), 1..200)) {
            let (mut index, mut model) = (AssetIndex::default(), BTreeMap::new());
            let mut copies = Vec::new();
            for (number, (key, is_copied)) in (0..).zip(keys) {
                if model.contains_key(&key) {
                    continue;
                }
                index.insert(hash_of(key), number);
                model.insert(key, number);
                if is_copied {
                    copies.push((index.clone(), model.clone()));
                }
            }
            let built = AssetIndex::of(model.iter().map(|(key, number)| entry(hash_of(*key), *number)).collect());
            copies.extend([(index, model.clone()), (built, model)]);
            for (index, model) in &copies {
                check(index, model)?;
            }
        }
    }
}
