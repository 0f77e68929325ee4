//! Finding numbered things by a hash of what they are, in few bytes each.

use std::hash::{DefaultHasher, Hasher};

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

/// A hash of texts in this order, the same for the life of the process only.
pub(crate) fn hash_of(texts: &[&str]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for text in texts {
        hasher.write(text.as_bytes());
        hasher.write_u8(0xff);
    }
    hasher.finish()
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
