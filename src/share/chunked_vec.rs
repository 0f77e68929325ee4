//! Numbered things in chunks: growing never moves what is there.

use std::sync::Arc;

const CHUNK: usize = 1024;

/// Things by number from 0, in the order they came; none is ever taken out. A clone costs a reference count for each chunk; a change
/// copies one chunk, and nothing where no clone holds it.
#[derive(Debug, Clone)]
pub(crate) struct ChunkedVec<T> {
    chunks: Vec<Arc<Vec<T>>>,
    len: u32,
}

impl<T> Default for ChunkedVec<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), len: 0 }
    }
}

impl<T: Clone> ChunkedVec<T> {
    /// Adds a thing and returns its number.
    pub(crate) fn push(&mut self, thing: T) -> u32 {
        let number = self.len;
        match self.chunks.last_mut() {
            Some(chunk) if chunk.len() < CHUNK => Arc::make_mut(chunk).push(thing),
            _ => {
                // The first chunk grows, so that a small table stays small.
                let mut chunk = Vec::with_capacity(if self.chunks.is_empty() { 4 } else { CHUNK });
                chunk.push(thing);
                self.chunks.push(Arc::new(chunk));
            }
        }
        self.len += 1;
        number
    }
}

impl<T> ChunkedVec<T> {
    /// How many there are.
    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    /// Each with its number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        (0u32..).zip(self.chunks.iter().flat_map(|chunk| chunk.iter()))
    }
}

impl<T> std::ops::Index<u32> for ChunkedVec<T> {
    type Output = T;

    fn index(&self, number: u32) -> &T {
        &self.chunks[number as usize / CHUNK][number as usize % CHUNK]
    }
}

impl<T: Clone> std::ops::IndexMut<u32> for ChunkedVec<T> {
    fn index_mut(&mut self, number: u32) -> &mut T {
        &mut Arc::make_mut(&mut self.chunks[number as usize / CHUNK])[number as usize % CHUNK]
    }
}
