//! The streams that shares name, by number. The numbers are the table's own: a share may name a stream that only others read.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::id::{StreamIndex, StreamName, StreamSet};
use crate::record::mapping::Stream;
use crate::share::chunked_vec::ChunkedVec;
use crate::share::paged_vec::PagedVec;

/// A stream's number in one table. Those that this process reads come first, by their index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct StreamNumber(pub(crate) u32);

/// Every stream that was ever configured, and every list of them that some share names, each once.
#[derive(Debug, Default, Clone)]
pub(crate) struct StreamLists {
    /// By number; none is ever removed.
    names: Vec<StreamName>,
    /// So many of them are read here.
    read: usize,
    /// Those that the configuration in force names.
    configured: Vec<StreamNumber>,
    lists: ChunkedVec<StreamList>,
    /// `read` of each list, for graphs.
    read_of: PagedVec<StreamSet, 16>,
    /// Shared with clones until one of them gets a new list.
    numbers: Arc<FxHashMap<Box<[StreamNumber]>, u32>>,
}

/// One list of streams, none twice.
#[derive(Debug, Clone)]
pub(crate) struct StreamList {
    /// As it was named.
    pub(crate) order: Box<[StreamNumber]>,
    /// Those of them that this process reads: what the graph holds.
    pub(crate) read: StreamSet,
}

impl StreamLists {
    /// No list; configured is what is read here.
    pub(crate) fn new(local: &[Stream]) -> Self {
        let mut streams = Self { names: local.iter().map(|stream| stream.name.clone()).collect(), read: local.len(), ..Self::default() };
        streams.configured = (0..local.len() as u32).map(StreamNumber).collect();
        streams
    }

    /// From now on these are configured.
    pub(crate) fn configure<'n>(&mut self, names: impl Iterator<Item = &'n StreamName>) {
        self.configured = names.map(|name| self.name_number(name)).collect();
    }

    /// The streams that are configured.
    pub(crate) fn configured(&self) -> impl Iterator<Item = StreamNumber> {
        self.configured.iter().copied()
    }

    /// The number of a stream that is configured.
    pub(crate) fn find(&self, name: &str) -> Option<StreamNumber> {
        self.configured.iter().copied().find(|number| self.name(*number).as_str() == name)
    }

    /// The number of a name, a new one if it has none yet.
    pub(crate) fn name_number(&mut self, name: &StreamName) -> StreamNumber {
        let at = self.names.iter().position(|known| known == name).unwrap_or_else(|| {
            self.names.push(name.clone());
            self.names.len() - 1
        });
        StreamNumber(at as u32)
    }

    /// A stream's name.
    pub(crate) fn name(&self, number: StreamNumber) -> &StreamName {
        &self.names[number.0 as usize]
    }

    /// All names, by number.
    pub(crate) fn names(&self) -> &[StreamName] {
        &self.names
    }

    /// The number of a list.
    pub(crate) fn number(&mut self, order: &[StreamNumber]) -> u32 {
        if let Some(number) = self.numbers.get(order) {
            return *number;
        }
        let number = self.lists.len();
        let is_read = |stream: &&StreamNumber| (stream.0 as usize) < self.read;
        let read = order.iter().filter(is_read).fold(StreamSet::default(), |set, stream| set.with(StreamIndex(stream.0 as u8)));
        self.read_of.push(read);
        self.lists.push(StreamList { order: order.into(), read });
        Arc::make_mut(&mut self.numbers).insert(order.into(), number);
        number
    }

    pub(crate) fn get(&self, number: u32) -> &StreamList {
        &self.lists[number]
    }

    /// Those streams of each list that are read here.
    pub(crate) fn read_of(&self) -> PagedVec<StreamSet, 16> {
        self.read_of.clone()
    }

    /// How many lists there are.
    pub(crate) fn len(&self) -> u32 {
        self.lists.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &StreamList> {
        self.lists.iter().map(|(_, list)| list)
    }
}

impl StreamList {
    /// Whether the two have a stream in common.
    pub(crate) fn meets(&self, other: &[StreamNumber]) -> bool {
        self.order.iter().any(|stream| other.contains(stream))
    }
}
