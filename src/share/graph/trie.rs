//! A map that is cheap to copy and to change in one place: a hash trie that shares what did not change.

use std::sync::Arc;

const BITS: u32 = 5;

/// Values by a 64-bit hash; the caller tells values of one hash apart. A clone costs one reference count; a change
/// copies the path to its place, and nothing where no clone holds it.
#[derive(Debug, Clone)]
pub(crate) struct Trie<V> {
    root: Branch<V>,
}

/// The children of one place, in one block of memory after their count.
#[derive(Debug)]
struct Branch<V> {
    /// Which of the 32 children are there.
    present: u32,
    children: Arc<[Child<V>]>,
}

#[derive(Debug)]
enum Child<V> {
    Branch(Branch<V>),
    Leaf(Arc<Leaf<V>>),
}

#[derive(Debug, Clone)]
struct Leaf<V> {
    hash: u64,
    value: V,
    /// Further values of the very same hash.
    next: Option<Arc<Leaf<V>>>,
}

impl<V> Clone for Branch<V> {
    fn clone(&self) -> Self {
        Self { present: self.present, children: Arc::clone(&self.children) }
    }
}

impl<V> Clone for Child<V> {
    fn clone(&self) -> Self {
        match self {
            Self::Branch(branch) => Self::Branch(branch.clone()),
            Self::Leaf(leaf) => Self::Leaf(Arc::clone(leaf)),
        }
    }
}

impl<V> Default for Trie<V> {
    fn default() -> Self {
        Self { root: Branch { present: 0, children: Arc::new([]) } }
    }
}

impl<V> Trie<V> {
    /// The value of this hash that `is` means.
    pub(crate) fn get(&self, hash: u64, is: impl Fn(&V) -> bool) -> Option<&V> {
        let mut branch = &self.root;
        let mut shift = 0;
        loop {
            let bit = bit_of(hash, shift);
            if branch.present & bit == 0 {
                return None;
            }
            match &branch.children[branch.place(bit)] {
                Child::Branch(deeper) => branch = deeper,
                Child::Leaf(leaf) if leaf.hash != hash => return None,
                Child::Leaf(leaf) => return chain(leaf).find(|value| is(value)),
            }
            shift += BITS;
        }
    }

    /// Every value, in no order that means anything.
    pub(crate) fn for_each<'v>(&'v self, mut visit: impl FnMut(&'v V)) {
        let mut branches = vec![&self.root];
        while let Some(branch) = branches.pop() {
            for child in branch.children.iter() {
                match child {
                    Child::Branch(deeper) => branches.push(deeper),
                    Child::Leaf(leaf) => chain(leaf).for_each(&mut visit),
                }
            }
        }
    }
}

impl<V: Clone> Trie<V> {
    /// The value of this hash that `is` means, made if it is not there, to be changed.
    pub(crate) fn entry(&mut self, hash: u64, is: impl Fn(&V) -> bool, make: impl FnOnce() -> V) -> &mut V {
        let mut make = Some(make);
        let mut branch = &mut self.root;
        let mut shift = 0;
        loop {
            let bit = bit_of(hash, shift);
            if branch.present & bit == 0
                && let Some(make) = make.take()
            {
                branch.add(bit, Child::Leaf(Arc::new(Leaf { hash, value: make(), next: None })));
            }
            let at = branch.place(bit);
            let child = &mut Arc::make_mut(&mut branch.children)[at];
            child.make_way(hash, shift + BITS);
            match child {
                Child::Branch(deeper) => branch = deeper,
                Child::Leaf(leaf) => return in_chain(leaf, is, make),
            }
            shift += BITS;
        }
    }
}

impl<V> Branch<V> {
    fn place(&self, bit: u32) -> usize {
        (self.present & (bit - 1)).count_ones() as usize
    }

    fn add(&mut self, bit: u32, child: Child<V>) {
        let (before, behind) = self.children.split_at(self.place(bit));
        self.children = before.iter().cloned().chain([child]).chain(behind.iter().cloned()).collect();
        self.present |= bit;
    }
}

impl<V> Child<V> {
    /// A leaf of another hash moves one level down.
    fn make_way(&mut self, hash: u64, shift: u32) {
        if let Self::Leaf(leaf) = self
            && leaf.hash != hash
        {
            let moved = Arc::clone(leaf);
            *self = Self::Branch(Branch { present: bit_of(moved.hash, shift), children: Arc::new([Self::Leaf(moved)]) });
        }
    }
}

fn chain<V>(first: &Arc<Leaf<V>>) -> impl Iterator<Item = &V> {
    std::iter::successors(Some(first), |leaf| leaf.next.as_ref()).map(|leaf| &leaf.value)
}

/// The value in a chain; `make` is there unless the chain's one value was just made.
fn in_chain<V: Clone>(leaf: &mut Arc<Leaf<V>>, is: impl Fn(&V) -> bool, make: Option<impl FnOnce() -> V>) -> &mut V {
    let leaf = Arc::make_mut(leaf);
    let Some(make) = make.filter(|_| !is(&leaf.value)) else { return &mut leaf.value };
    let hash = leaf.hash;
    match &mut leaf.next {
        Some(next) => in_chain(next, is, Some(make)),
        none => &mut Arc::make_mut(none.insert(Arc::new(Leaf { hash, value: make(), next: None }))).value,
    }
}

/// Two different hashes part at the latest where `shift` takes their last bits.
fn bit_of(hash: u64, shift: u32) -> u32 {
    1 << ((hash >> shift) & ((1 << BITS) - 1))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Few hashes that agree in many low bits, so that deep branches and chains arise.
    fn hash_of(key: u64) -> u64 {
        match key % 4 {
            0 => key / 4,
            1 => (key / 4) << 62,
            2 => 7,
            _ => (key / 4) << 30 | 7,
        }
    }

    fn contents(trie: &Trie<(u64, u32)>) -> BTreeMap<u64, u32> {
        let mut all = BTreeMap::new();
        trie.for_each(|(key, value)| assert_eq!(all.insert(*key, *value), None));
        all
    }

    proptest! {
        #[test]
        fn copies_stay_as_they_were(steps in prop::collection::vec((0u64..64, 0u32..100, prop::bool::ANY), 1..200)) {
            let mut trie = Trie::default();
            let mut model = BTreeMap::new();
            let mut copies = Vec::new();
            for (key, value, is_copied) in steps {
                trie.entry(hash_of(key), |v: &(u64, u32)| v.0 == key, || (key, 0)).1 = value;
                model.insert(key, value);
                if is_copied {
                    copies.push((trie.clone(), model.clone()));
                }
            }
            copies.push((trie, model));
            for (copy, model) in &copies {
                prop_assert_eq!(&contents(copy), model);
                for key in 0..64 {
                    prop_assert_eq!(copy.get(hash_of(key), |v| v.0 == key).map(|v| v.1), model.get(&key).copied());
                }
            }
        }
    }
}
