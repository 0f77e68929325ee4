//! Numbered things that are cheap to copy as a whole and to change in one place.

use std::sync::Arc;

/// Children of the lowest branch. A change after a copy counts a reference in each of them, and they lie all over the memory: few.
const LOW: usize = 16;
const MIDDLE: usize = 32;
const HIGH: usize = 32;

type LowBranch<T, const N: usize> = [Option<Arc<[T; N]>>; LOW];
type MiddleBranch<T, const N: usize> = [Option<Arc<LowBranch<T, N>>>; MIDDLE];
type HighBranch<T, const N: usize> = [Option<Arc<MiddleBranch<T, N>>>; HIGH];

/// Things by number from 0, in the order they came, `N` on a page; none is ever taken out. A clone costs one reference count; a change
/// copies the page and the branches above it, and nothing where no clone holds them.
#[derive(Debug)]
pub(crate) struct PagedVec<T, const N: usize> {
    /// Each of them holds some hundred thousand things.
    branches: Arc<Vec<Arc<HighBranch<T, N>>>>,
    len: u32,
}

impl<T, const N: usize> Clone for PagedVec<T, N> {
    fn clone(&self) -> Self {
        Self { branches: Arc::clone(&self.branches), len: self.len }
    }
}

impl<T, const N: usize> Default for PagedVec<T, N> {
    fn default() -> Self {
        Self { branches: Arc::default(), len: 0 }
    }
}

impl<T, const N: usize> PagedVec<T, N> {
    /// How many there are.
    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    /// The thing of this number, if there are so many.
    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        if number >= self.len {
            return None;
        }
        self.page(number as usize / N)?.get(number as usize % N)
    }

    /// Each with its number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let pages = (0..(self.len as usize).div_ceil(N)).filter_map(|page| self.page(page));
        (0..self.len).zip(pages.flatten())
    }

    fn page(&self, page: usize) -> Option<&[T; N]> {
        let high = self.branches.get(page / (LOW * MIDDLE * HIGH))?;
        let middle = high[page / (LOW * MIDDLE) % HIGH].as_deref()?;
        let low = middle[page / LOW % MIDDLE].as_deref()?;
        low[page % LOW].as_deref()
    }
}

impl<T: Clone + Default, const N: usize> PagedVec<T, N> {
    /// Adds a thing and returns its number.
    pub(crate) fn push(&mut self, thing: T) -> u32 {
        let number = self.len;
        self.len += 1;
        *self.place(number) = thing;
        number
    }

    /// The thing of this number, to be changed.
    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        (number < self.len).then(|| self.place(number))
    }

    /// The place of a number; the page is made if it is new.
    fn place(&mut self, number: u32) -> &mut T {
        let page = number as usize / N;
        let branches = Arc::make_mut(&mut self.branches);
        let high = page / (LOW * MIDDLE * HIGH);
        while branches.len() <= high {
            branches.push(Arc::new([const { None }; HIGH]));
        }
        let high = Arc::make_mut(&mut branches[high]);
        let middle = Arc::make_mut(high[page / (LOW * MIDDLE) % HIGH].get_or_insert_with(|| Arc::new([const { None }; MIDDLE])));
        let low = Arc::make_mut(middle[page / LOW % MIDDLE].get_or_insert_with(|| Arc::new([const { None }; LOW])));
        let vacant = || Arc::new(std::array::from_fn(|_| T::default()));
        &mut Arc::make_mut(low[page % LOW].get_or_insert_with(vacant))[number as usize % N]
    }
}

impl<T, const N: usize> std::ops::Index<u32> for PagedVec<T, N> {
    type Output = T;

    fn index(&self, number: u32) -> &T {
        self.get(number).unwrap_or_else(|| panic!("number {number} of {}", self.len))
    }
}

impl<T: Clone + Default, const N: usize> std::ops::IndexMut<u32> for PagedVec<T, N> {
    fn index_mut(&mut self, number: u32) -> &mut T {
        let len = self.len;
        self.get_mut(number).unwrap_or_else(|| panic!("number {number} of {len}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Versions = Vec<(PagedVec<String, 2>, Vec<String>)>;

    proptest! {
        /// Many versions alive at once, each as it was when it was taken.
        #[test]
        fn copies_stay_as_they_were(steps in prop::collection::vec((0usize..400, 0u32..1000, 0u8..4), 1..300)) {
            let (mut things, mut model) = (PagedVec::<String, 2>::default(), Vec::new());
            let mut versions: Versions = Vec::new();
            for (at, value, what) in steps {
                match what {
                    0 => versions.push((things.clone(), model.clone())),
                    1 if !model.is_empty() => {
                        let at = at % model.len();
                        things[at as u32] = value.to_string();
                        model[at] = value.to_string();
                    }
                    2 if !versions.is_empty() => drop(versions.swap_remove(at % versions.len())),
                    _ => for _ in 0..at % 40 {
                        prop_assert_eq!(things.push(value.to_string()) as usize, model.len());
                        model.push(value.to_string());
                    },
                }
            }
            versions.push((things, model));
            for (things, model) in &versions {
                prop_assert_eq!(things.len() as usize, model.len());
                prop_assert_eq!(things.iter().map(|(number, thing)| (number as usize, thing)).collect::<Vec<_>>(), model.iter().enumerate().collect::<Vec<_>>());
                for at in 0..model.len() as u32 + 3 {
                    prop_assert_eq!(things.get(at), model.get(at as usize));
                }
            }
        }
    }

    #[test]
    fn numbers_beyond_every_branch_are_found() {
        let mut things = PagedVec::<u32, 1>::default();
        let count = (2 * LOW * MIDDLE * HIGH + 3) as u32;
        (0..count).for_each(|number| assert_eq!(things.push(number), number));
        let copy = things.clone();
        (0..count).step_by(LOW * MIDDLE - 1).for_each(|number| things[number] = 0);
        assert!(
            (0..count)
                .all(|number| copy[number] == number
                    && (things[number] == number) == (number % (LOW * MIDDLE - 1) as u32 != 0 || number == 0))
        );
    }
}
