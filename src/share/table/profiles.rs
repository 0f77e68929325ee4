//! The profiles that owners have published.

use std::sync::Arc;

use crate::id::{ProfileName, StreamName};
use crate::share::chunked_vec::ChunkedVec;
use crate::share::lifecycle::record::{ShareNumber, TenantNumber};
use crate::share::profile_slot::ProfileSlot;
use crate::share::sorted_set::SortedSet;

/// Every profile that was ever published, by slot. The first slot is the built-in `all`.
#[derive(Debug, Clone)]
pub(crate) struct Profiles {
    slots: ChunkedVec<Published>,
}

/// One profile.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    /// None of the built-in one.
    pub(crate) owner: Option<TenantNumber>,
    pub(crate) name: ProfileName,
    /// The streams it has sections for, configured or not; the built-in one has one for every stream.
    pub(crate) sections: Box<[StreamName]>,
    pub(crate) is_retired: bool,
    /// 1 at the first publication, one more at each that said something else or came after a retirement.
    pub(crate) revision: u32,
    /// `spec` as it was published last, JSON without whitespace.
    pub(crate) spec: Arc<[u8]>,
    /// The text that `spec` was written as, of the last publication. It has no part in what is decided.
    pub(crate) source: Option<Arc<str>>,
    /// The live shares that use it; not known of the built-in one, which never changes.
    pub(crate) users: SortedSet<ShareNumber>,
}

impl Published {
    /// Whether it has a section for a stream.
    pub(crate) fn has_section(&self, stream: &StreamName) -> bool {
        self.owner.is_none() || self.sections.contains(stream)
    }
}

impl Profiles {
    pub(crate) fn new(all: ProfileName) -> Self {
        let mut slots = ChunkedVec::default();
        slots.push(Published {
            owner: None,
            name: all,
            sections: Box::default(),
            is_retired: false,
            revision: 1,
            spec: Arc::default(),
            source: None,
            users: SortedSet::default(),
        });
        Self { slots }
    }

    pub(crate) fn add(&mut self, profile: Published) -> ProfileSlot {
        ProfileSlot(self.slots.push(profile))
    }

    pub(crate) fn get(&self, slot: ProfileSlot) -> &Published {
        &self.slots[slot.0]
    }

    pub(crate) fn get_mut(&mut self, slot: ProfileSlot) -> &mut Published {
        &mut self.slots[slot.0]
    }

    /// All but the built-in one.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (ProfileSlot, &Published)> {
        self.slots.iter().skip(1).map(|(slot, profile)| (ProfileSlot(slot), profile))
    }

    pub(crate) fn len(&self) -> u32 {
        self.slots.len()
    }
}
