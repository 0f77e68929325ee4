//! The lists of streams that shares name.

use rustc_hash::FxHashMap;

use crate::id::{StreamIndex, StreamSet};

/// Every list of streams that some share names, each once: order is kept for documents, the set for decisions.
#[derive(Debug, Default)]
pub(crate) struct StreamLists {
    lists: Vec<StreamList>,
    numbers: FxHashMap<Box<[StreamIndex]>, u32>,
}

/// One list of configured streams, none twice.
#[derive(Debug)]
pub(crate) struct StreamList {
    pub(crate) order: Box<[StreamIndex]>,
    pub(crate) set: StreamSet,
}

impl StreamLists {
    pub(crate) fn number(&mut self, order: &[StreamIndex]) -> u32 {
        if let Some(number) = self.numbers.get(order) {
            return *number;
        }
        let number = self.lists.len() as u32;
        self.lists.push(StreamList { order: order.into(), set: set_of(order) });
        self.numbers.insert(order.into(), number);
        number
    }

    pub(crate) fn get(&self, number: u32) -> &StreamList {
        &self.lists[number as usize]
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &StreamList> {
        self.lists.iter()
    }
}

/// A list as a set.
pub(crate) fn set_of(order: &[StreamIndex]) -> StreamSet {
    order.iter().fold(StreamSet::default(), |set, stream| set.with(*stream))
}
