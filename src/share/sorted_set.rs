//! A sorted set of small things in little memory: no pointer and no vacancy for each.

/// So many on a run, and so many runs on a shelf. Small in tests, so that they part.
const MOST: usize = if cfg!(test) { 4 } else { 128 };

/// Things in order, each once. Whoever adds at the end leaves full runs, whoever adds anywhere leaves them three quarters full.
#[derive(Debug)]
pub(crate) struct SortedSet<T> {
    /// Shelves of runs of things; none of them is empty.
    shelves: Vec<Vec<Vec<T>>>,
}

impl<T> Default for SortedSet<T> {
    fn default() -> Self {
        Self { shelves: Vec::new() }
    }
}

impl<T: Ord + Copy> SortedSet<T> {
    /// Those of a sorted list.
    pub(crate) fn of_sorted(sorted: &[T]) -> Self {
        let shelf = |things: &[T]| things.chunks(MOST).map(<[T]>::to_vec).collect();
        Self { shelves: sorted.chunks(MOST * MOST).map(shelf).collect() }
    }

    /// Adds a thing if it is not in it.
    pub(crate) fn insert(&mut self, thing: T) {
        let Some((shelf, run)) = self.run_of(thing) else {
            self.shelves.push(vec![vec![thing]]);
            return;
        };
        let runs = &mut self.shelves[shelf];
        let things = &mut runs[run];
        let Err(at) = things.binary_search(&thing) else { return };
        if things.len() < MOST {
            things.insert(at, thing);
            return;
        }
        // Where things come in order, the full run stays full.
        let keeps = if at == MOST { MOST } else { MOST / 2 };
        let mut behind = things.split_off(keeps);
        let (part, at) = if at >= keeps { (&mut behind, at - keeps) } else { (&mut *things, at) };
        part.insert(at, thing);
        things.shrink_to(keeps + keeps / 4);
        runs.insert(run + 1, behind);
        if runs.len() > MOST {
            let keeps = if run + 2 == runs.len() { MOST } else { MOST / 2 };
            let behind = runs.split_off(keeps);
            self.shelves.insert(shelf + 1, behind);
        }
    }

    /// Takes a thing out if it is in it.
    pub(crate) fn remove(&mut self, thing: T) {
        let Some((shelf, run)) = self.run_of(thing) else { return };
        let runs = &mut self.shelves[shelf];
        let things = &mut runs[run];
        let Ok(at) = things.binary_search(&thing) else { return };
        things.remove(at);
        if things.len() < things.capacity() / 4 {
            things.shrink_to_fit();
        }
        if things.is_empty() {
            runs.remove(run);
            if runs.is_empty() {
                self.shelves.remove(shelf);
            }
        }
    }

    /// Those from this one on, in order.
    pub(crate) fn from(&self, first: T) -> impl Iterator<Item = T> {
        let (shelf, run) = self.run_of(first).unwrap_or_default();
        let rest = self.shelves.get(shelf..).unwrap_or_default();
        let runs = rest.iter().enumerate().flat_map(move |(at, runs)| &runs[if at == 0 { run } else { 0 }..]);
        runs.flatten().copied().skip_while(move |thing| *thing < first)
    }

    /// All, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = T> {
        self.shelves.iter().flatten().flatten().copied()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.shelves.is_empty()
    }

    /// The run that a thing is on, or belongs on.
    fn run_of(&self, thing: T) -> Option<(usize, usize)> {
        let begins_by = |run: &Vec<T>| run.first().is_some_and(|first| *first <= thing);
        let shelf = self.shelves.partition_point(|runs| runs.first().is_some_and(begins_by)).saturating_sub(1);
        let run = self.shelves.get(shelf)?.partition_point(begins_by).saturating_sub(1);
        Some((shelf, run))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn is_a_sorted_set(steps in prop::collection::vec((0u32..200, 0u8..4), 1..600), sorted in prop::collection::btree_set(0u32..400, 0..100)) {
            let mut set = SortedSet::of_sorted(&sorted.iter().copied().collect::<Vec<_>>());
            let mut model = sorted;
            for (thing, what) in steps {
                match what {
                    0 => { set.remove(thing); model.remove(&thing); }
                    1 => { let next = model.last().map_or(0, |last| last + 1); set.insert(next); model.insert(next); }
                    _ => { set.insert(thing); model.insert(thing); }
                }
                prop_assert!(set.iter().eq(model.iter().copied()));
                prop_assert!(set.from(thing).eq(model.range(thing..).copied()));
                prop_assert_eq!(set.is_empty(), model.is_empty());
                prop_assert!(set.shelves.iter().all(|runs| (1..=MOST).contains(&runs.len())));
                prop_assert!(set.shelves.iter().flatten().all(|run| (1..=MOST).contains(&run.len())));
            }
        }

        #[test]
        fn takes_out_everything(things in prop::collection::vec(0u32..1000, 0..200)) {
            let mut set = SortedSet::default();
            things.iter().for_each(|thing| set.insert(*thing));
            things.iter().for_each(|thing| set.remove(*thing));
            prop_assert!(set.is_empty() && BTreeSet::from_iter(set.iter()).is_empty());
        }
    }
}
