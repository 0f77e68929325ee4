//! Finding numbered things by a hash of what they are, in few bytes each.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

const PARTS: usize = 256;
const EMPTY: u64 = u64::MAX;

/// Numbers by hash. The things themselves are elsewhere: the caller says which candidate it means.
///
/// In many small tables, so that growing one is never a pause: each slot is 8 bytes, the low half of the hash and
/// the number, which is below `u32::MAX`.
#[derive(Debug)]
pub(crate) struct Index {
    parts: Box<[HashPart]>,
}

#[derive(Debug, Default, Clone)]
struct HashPart {
    slots: Vec<u64>,
    used: usize,
}

/// Tenants choose what is hashed: nobody outside the process knows these, so nobody can choose what collides.
static SECRETS: LazyLock<[u64; 4]> = LazyLock::new(|| {
    let state = RandomState::new();
    [0, 1, 2, 3].map(|number: u64| state.hash_one(number))
});

/// A hash of texts in this order, the same for the life of the process only.
pub(crate) fn hash_of(texts: &[&str]) -> u64 {
    let [first, left, right, last] = *SECRETS;
    let mut hash = first;
    for text in texts {
        let bytes = text.as_bytes();
        // The length keeps texts apart that differ in where one ends.
        hash = folded(hash ^ last, bytes.len() as u64 ^ left);
        let (mut rest, mut words) = (bytes, [0; 2]);
        while rest.len() > 16 {
            words = [word(&rest[..8]), word(&rest[8..16])];
            hash = folded(words[0] ^ left ^ hash, words[1] ^ right);
            rest = &rest[16..];
        }
        words = match rest.len() {
            8.. => [word(&rest[..8]), word(&rest[rest.len() - 8..])],
            4.. => [half_word(&rest[..4]), half_word(&rest[rest.len() - 4..])],
            1.. => [u64::from(rest[0]) << 8 | u64::from(rest[rest.len() / 2]), u64::from(rest[rest.len() - 1])],
            0 => words,
        };
        hash = folded(words[0] ^ left ^ hash, words[1] ^ right);
    }
    folded(hash ^ first, last)
}

/// Both halves of the product, so that every bit depends on all.
fn folded(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

fn word(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |word| u64::from_le_bytes(*word))
}

fn half_word(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |word| u32::from_le_bytes(*word).into())
}

impl Default for Index {
    fn default() -> Self {
        Self { parts: vec![HashPart::default(); PARTS].into() }
    }
}

impl Index {
    /// The first number under this hash that `is` means.
    pub(crate) fn find(&self, hash: u64, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        self.all(hash).find(|number| is(*number))
    }

    /// Every number that may be under this hash.
    pub(crate) fn all(&self, hash: u64) -> impl Iterator<Item = u32> {
        let part = &self.parts[part_of(hash)];
        let tag = hash as u32;
        let first = if part.slots.is_empty() { 0 } else { part.home(tag) };
        let slots = part.slots[first..].iter().chain(&part.slots[..first]);
        slots.take_while(|slot| **slot != EMPTY).filter(move |slot| tag_of(**slot) == tag).map(|slot| number_of(*slot))
    }

    /// Adds a number; it is not in it yet.
    pub(crate) fn insert(&mut self, hash: u64, number: u32) {
        let part = &mut self.parts[part_of(hash)];
        if part.slots.len() * 7 <= (part.used + 1) * 8 {
            part.grow();
        }
        part.put(slot(hash as u32, number));
        part.used += 1;
    }

    /// Removes a number that was inserted under this hash.
    pub(crate) fn remove(&mut self, hash: u64, number: u32) {
        let part = &mut self.parts[part_of(hash)];
        let gone = slot(hash as u32, number);
        let capacity = part.slots.len();
        if capacity == 0 {
            return;
        }
        let mut at = part.home(hash as u32);
        while part.slots[at] != gone {
            if part.slots[at] == EMPTY {
                return;
            }
            at = (at + 1) % capacity;
        }
        part.used -= 1;
        // What stands after moves up unless that would put it before its home.
        let mut behind = at;
        loop {
            behind = (behind + 1) % capacity;
            if part.slots[behind] == EMPTY {
                break;
            }
            let home = part.home(tag_of(part.slots[behind]));
            if (behind + capacity - home) % capacity >= (behind + capacity - at) % capacity {
                part.slots[at] = part.slots[behind];
                at = behind;
            }
        }
        part.slots[at] = EMPTY;
    }
}

/// What an index is made of at once: the numbers by part, so that each part is filled while it is in the cache.
#[derive(Debug)]
pub(crate) struct IndexBuilder {
    parts: Vec<Vec<u64>>,
}

impl Default for IndexBuilder {
    fn default() -> Self {
        Self { parts: vec![Vec::new(); PARTS] }
    }
}

impl IndexBuilder {
    /// Notes a number under its hash.
    pub(crate) fn push(&mut self, hash: u64, number: u32) {
        self.parts[part_of(hash)].push(slot(hash as u32, number));
    }

    /// The index of them all, or two of one hash that `is_same` says are one thing.
    pub(crate) fn build(self, is_same: impl Fn(u32, u32) -> bool) -> Result<Index, [u32; 2]> {
        let mut index = Index::default();
        for (part, slots) in index.parts.iter_mut().zip(self.parts) {
            part.used = slots.len();
            // As full as parts are that grew.
            part.slots = vec![EMPTY; if slots.is_empty() { 0 } else { (slots.len() * 10 / 7).max(8) }];
            for slot in slots {
                if let Some(same) = part.put_unlike(slot, &is_same) {
                    return Err([number_of(same), number_of(slot)]);
                }
            }
        }
        Ok(index)
    }
}

impl HashPart {
    /// Where a tag belongs: in order of tags, whatever the capacity.
    fn home(&self, tag: u32) -> usize {
        ((u64::from(tag) * self.slots.len() as u64) >> 32) as usize
    }

    fn put(&mut self, slot: u64) {
        let mut at = self.home(tag_of(slot));
        while self.slots[at] != EMPTY {
            at = (at + 1) % self.slots.len();
        }
        self.slots[at] = slot;
    }

    /// Puts a slot in its place unless one of its tag is the same thing, and returns that one.
    fn put_unlike(&mut self, slot: u64, is_same: impl Fn(u32, u32) -> bool) -> Option<u64> {
        let mut at = self.home(tag_of(slot));
        while self.slots[at] != EMPTY {
            let known = self.slots[at];
            if tag_of(known) == tag_of(slot) && is_same(number_of(known), number_of(slot)) {
                return Some(known);
            }
            at = (at + 1) % self.slots.len();
        }
        self.slots[at] = slot;
        None
    }

    fn grow(&mut self) {
        let old = std::mem::take(&mut self.slots);
        self.slots = vec![EMPTY; (old.len() + old.len() / 2).max(8)];
        for slot in old.into_iter().filter(|slot| *slot != EMPTY) {
            self.put(slot);
        }
    }
}

fn part_of(hash: u64) -> usize {
    (hash >> 56) as usize
}

fn slot(tag: u32, number: u32) -> u64 {
    (u64::from(tag) << 32) | u64::from(number)
}

fn tag_of(slot: u64) -> u32 {
    (slot >> 32) as u32
}

fn number_of(slot: u64) -> u32 {
    slot as u32
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Every bit of a text and where it ends counts.
        #[test]
        fn hashes_tell_texts_apart(text in "[ -~]{0,60}", other in "[ -~]{0,60}", at in any::<prop::sample::Index>()) {
            prop_assert_eq!(hash_of(&[&text, &other]), hash_of(&[&text.clone(), &other.clone()]));
            let whole = format!("{text}{other}x");
            let at = at.index(whole.len());
            let mut changed = whole.clone().into_bytes();
            changed[at] ^= 1;
            let changed = String::from_utf8(changed).unwrap();
            prop_assert_ne!(hash_of(&[&whole]), hash_of(&[&changed]));
            prop_assert_ne!(hash_of(&[&whole]), hash_of(&[&whole, ""]));
            let (before, behind) = whole.split_at(at);
            prop_assert_ne!(hash_of(&[before, behind]), hash_of(&[&whole]));
            prop_assert_eq!(hash_of(&[before, behind]) == hash_of(&[behind, before]), before == behind);
        }

        #[test]
        fn an_index_of_all_is_as_if_they_had_come(hashes in prop::collection::vec(0u64..60, 0..200)) {
            let hash = |key: u64| (key / 2).wrapping_mul(0x9e37_79b9) ^ (key % 2) << 60;
            let each = || hashes.iter().map(|key| hash(*key)).zip(0u32..);
            let built = |is_same: &dyn Fn(u32, u32) -> bool| {
                let mut builder = IndexBuilder::default();
                each().for_each(|(hash, number)| builder.push(hash, number));
                builder.build(is_same)
            };
            let mut index = built(&|_, _| false).unwrap();
            for (hash, number) in each() {
                prop_assert_eq!(index.find(hash, |n| n == number), Some(number));
            }
            (0..100).for_each(|more| index.insert(hash(more), 1000 + more as u32));
            each().for_each(|(hash, number)| index.remove(hash, number));
            for (key, (hash, number)) in hashes.iter().zip(each()) {
                prop_assert_eq!(index.find(hash, |n| n == number), None);
                prop_assert!(index.find(hash, |n| u64::from(n) == 1000 + key).is_some());
            }
            let doubled = (1..hashes.len()).find(|at| hashes[..*at].contains(&hashes[*at]));
            let found = built(&|a, b| hashes[a as usize] == hashes[b as usize]).err();
            prop_assert_eq!(found.is_some(), doubled.is_some());
            prop_assert!(found.is_none_or(|[a, b]| a != b && hashes[a as usize] == hashes[b as usize]));
        }

        /// Against a plain map, with few hashes so that they collide.
        #[test]
        fn finds_what_was_put_in_and_not_taken_out(steps in prop::collection::vec((0u64..40, prop::bool::ANY), 1..400)) {
            let mut index = Index::default();
            let mut model: BTreeMap<u32, u64> = BTreeMap::new();
            for (at, (hash, is_removal)) in steps.into_iter().enumerate() {
                // Hashes spread over the tags, some equal in the low half.
                let hash = (hash / 2).wrapping_mul(0x9e37_79b9) ^ (hash % 2) << 60;
                if is_removal {
                    if let Some((&number, &hash)) = model.iter().nth(at % model.len().max(1)) {
                        index.remove(hash, number);
                        model.remove(&number);
                    }
                } else {
                    index.insert(hash, at as u32);
                    model.insert(at as u32, hash);
                }
                for (number, hash) in &model {
                    prop_assert_eq!(index.find(*hash, |n| n == *number), Some(*number));
                }
                prop_assert_eq!(index.parts.iter().map(|p| p.used).sum::<usize>(), model.len());
                let slots = index.parts.iter().flat_map(|p| &p.slots).filter(|s| **s != EMPTY).count();
                prop_assert_eq!(slots, model.len());
            }
        }
    }
}
