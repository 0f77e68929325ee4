//! A profile's number.

/// A profile's place in the table and the graph: published, retired and published again, it keeps its slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProfileSlot(pub u32);

impl ProfileSlot {
    /// The built-in profile `all`.
    pub const ALL: Self = Self(0);
}
