//! A sorted set of small things in little memory: no pointer and no vacancy for each.

use std::cmp::Ordering;
use std::sync::Arc;

/// So many on a run, and so many runs on a shelf. Small in tests, so that they part.
const MOST: usize = if cfg!(test) { 4 } else { 128 };

/// Runs of things; none of them is empty.
type Shelf<T> = Vec<Arc<Vec<T>>>;

/// Things in order, each once. Whoever adds at the end leaves full runs, whoever adds anywhere leaves them three quarters full. A clone
/// costs one reference count; a change copies one run, its shelf and the list of shelves, and nothing where no clone holds them.
#[derive(Debug)]
pub(crate) struct SortedSet<T> {
    /// None of them is empty.
    shelves: Arc<Vec<Arc<Shelf<T>>>>,
    len: usize,
}

impl<T> Default for SortedSet<T> {
    fn default() -> Self {
        Self { shelves: Arc::default(), len: 0 }
    }
}

impl<T> Clone for SortedSet<T> {
    fn clone(&self) -> Self {
        Self { shelves: Arc::clone(&self.shelves), len: self.len }
    }
}

impl<T: Ord + Copy> SortedSet<T> {
    /// Those of a sorted list.
    pub(crate) fn of_sorted(sorted: &[T]) -> Self {
        let shelf = |things: &[T]| Arc::new(things.chunks(MOST).map(|run| Arc::new(run.to_vec())).collect());
        Self { shelves: Arc::new(sorted.chunks(MOST * MOST).map(shelf).collect()), len: sorted.len() }
    }

    /// Adds a thing if it is not in it.
    pub(crate) fn insert(&mut self, thing: T) {
        self.insert_by(thing, |other| other.cmp(&thing));
    }

    /// Takes a thing out if it is in it.
    pub(crate) fn remove(&mut self, thing: T) {
        let Some((shelf, run)) = self.run_of(thing) else { return };
        let shelves = Arc::make_mut(&mut self.shelves);
        let runs = Arc::make_mut(&mut shelves[shelf]);
        let things = Arc::make_mut(&mut runs[run]);
        let Ok(at) = things.binary_search(&thing) else { return };
        things.remove(at);
        self.len -= 1;
        if things.len() < things.capacity() / 4 {
            things.shrink_to_fit();
        }
        if things.is_empty() {
            runs.remove(run);
            if runs.is_empty() {
                shelves.remove(shelf);
            }
        }
    }

    /// Those from this one on, in order.
    pub(crate) fn from(&self, first: T) -> impl Iterator<Item = T> {
        self.after(move |thing| *thing < first)
    }

    /// Those before this one, the last of them first.
    #[cfg_attr(not(feature = "io"), allow(dead_code))]
    pub(crate) fn before(&self, end: T) -> impl Iterator<Item = T> {
        let (shelf, run) = self.run_of(end).unwrap_or_default();
        let shelves = &self.shelves[..self.shelves.len().min(shelf + 1)];
        let runs = shelves
            .iter()
            .enumerate()
            .rev()
            .flat_map(move |(at, runs)| runs[..if at == shelf { run + 1 } else { runs.len() }].iter().rev());
        runs.flat_map(|run| run.iter().rev()).copied().skip_while(move |thing| *thing >= end)
    }

    /// All, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = T> {
        self.shelves.iter().flat_map(|runs| runs.iter()).flat_map(|run| run.iter()).copied()
    }

    /// How many there are.
    #[cfg_attr(not(feature = "io"), allow(dead_code))]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The run that a thing is on, or belongs on.
    fn run_of(&self, thing: T) -> Option<(usize, usize)> {
        self.last_run(|first| *first <= thing)
    }
}

impl<T: Copy> SortedSet<T> {
    /// Adds a thing if it is not in it. `compare` says where the others stand beside it; it orders all that are in the set.
    pub(crate) fn insert_by(&mut self, thing: T, compare: impl Fn(&T) -> Ordering) {
        let Some((shelf, run)) = self.last_run(|first| compare(first).is_le()) else {
            Arc::make_mut(&mut self.shelves).push(Arc::new(vec![Arc::new(vec![thing])]));
            self.len = 1;
            return;
        };
        let shelves = Arc::make_mut(&mut self.shelves);
        let runs = Arc::make_mut(&mut shelves[shelf]);
        let things = Arc::make_mut(&mut runs[run]);
        let Err(at) = things.binary_search_by(compare) else { return };
        self.len += 1;
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
        runs.insert(run + 1, Arc::new(behind));
        if runs.len() > MOST {
            let keeps = if run + 2 == runs.len() { MOST } else { MOST / 2 };
            let behind = runs.split_off(keeps);
            shelves.insert(shelf + 1, Arc::new(behind));
        }
    }

    /// Those after the ones of which `is_before` holds, in order.
    pub(crate) fn after(&self, is_before: impl Fn(&T) -> bool) -> impl Iterator<Item = T> {
        let (shelf, run) = self.last_run(&is_before).unwrap_or_default();
        let rest = self.shelves.get(shelf..).unwrap_or_default();
        let runs = rest.iter().enumerate().flat_map(move |(at, runs)| &runs[if at == 0 { run } else { 0 }..]);
        runs.flat_map(|run| run.iter()).copied().skip_while(move |thing| is_before(thing))
    }

    /// The last run whose first thing is such; the first of all where none is.
    fn last_run(&self, is_such: impl Fn(&T) -> bool) -> Option<(usize, usize)> {
        let begins = |run: &Arc<Vec<T>>| run.first().is_some_and(&is_such);
        let shelf = self.shelves.partition_point(|runs| runs.first().is_some_and(begins)).saturating_sub(1);
        let run = self.shelves.get(shelf)?.partition_point(begins).saturating_sub(1);
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
            let (kept, was) = (set.clone(), model.clone());
            for (thing, what) in steps {
                match what {
                    0 => { set.remove(thing); model.remove(&thing); }
                    1 => { let next = model.last().map_or(0, |last| last + 1); set.insert(next); model.insert(next); }
                    _ => { set.insert(thing); model.insert(thing); }
                }
                prop_assert!(set.iter().eq(model.iter().copied()));
                prop_assert!(set.from(thing).eq(model.range(thing..).copied()));
                prop_assert!(set.before(thing).eq(model.range(..thing).rev().copied()));
                prop_assert_eq!((set.len(), set.is_empty()), (model.len(), model.is_empty()));
                prop_assert_eq!(set.shelves.is_empty(), model.is_empty());
                prop_assert!(set.shelves.iter().all(|runs| (1..=MOST).contains(&runs.len())));
                prop_assert!(set.shelves.iter().flat_map(|runs| runs.iter()).all(|run| (1..=MOST).contains(&run.len())));
            }
            prop_assert!(kept.iter().eq(was), "a copy stays as it was");
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
