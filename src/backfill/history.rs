//! What shares named and what profiles said earlier, by control time. What never changed takes no memory.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::id::{ShareId, StreamSet};
use crate::share::graph::ProfileSlot;
use crate::time::{TimestampMs, TimestampNs};

/// What a share names: a profile and streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Naming {
    pub(super) profile: ProfileSlot,
    pub(super) streams: StreamSet,
}

/// What the accepted shares named that named something else earlier.
#[derive(Debug, Clone, Default)]
pub(super) struct NamingHistory {
    /// Each with the control time from which on it held, rising; the first held from the acceptance on.
    shares: FxHashMap<ShareId, Vec<(TimestampMs, Naming)>>,
}

impl NamingHistory {
    pub(super) fn change(&mut self, share: &str, at: TimestampMs, was: Naming, is: Naming) {
        let Ok(share) = ShareId::parse(share) else { return };
        let namings = self.shares.entry(share).or_insert_with(|| vec![(TimestampNs::FIRST.millis(), was)]);
        namings.push((at, is));
    }

    /// What the share named at `u`, its acceptance or later; none if that is what it names today.
    pub(super) fn at(&self, share: &ShareId, u: TimestampNs) -> Option<Naming> {
        self.shares.get(share).and_then(|namings| last_at(namings, u)).copied()
    }

    pub(super) fn knows(&self, share: &ShareId) -> bool {
        self.shares.contains_key(share)
    }
}

/// A text of a profile, by its number among those of the profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct TextNumber(pub(super) u32);

/// What one profile said.
#[derive(Debug, Clone, Default)]
pub(super) struct Publications {
    /// Each with its control time, rising; none where it was retired.
    states: Vec<(TimestampMs, Option<TextNumber>)>,
    /// Every text that it ever had, once each.
    texts: Vec<Arc<[u8]>>,
}

impl Publications {
    /// It says this from now on; none retires it.
    pub(super) fn push(&mut self, at: TimestampMs, text: Option<&[u8]>) {
        let number = text.map(|text| match self.texts.iter().position(|known| **known == *text) {
            Some(known) => TextNumber(known as u32),
            None => {
                self.texts.push(text.into());
                TextNumber(self.texts.len() as u32 - 1)
            }
        });
        self.states.push((at, number));
    }

    /// Its text as it was published last at or before `u`, unless it was retired since.
    pub(super) fn at(&self, u: TimestampNs) -> Option<TextNumber> {
        last_at(&self.states, u).copied().flatten()
    }

    /// Its text as it was published last.
    pub(super) fn last(&self) -> Option<TextNumber> {
        self.states.last().and_then(|(_, text)| *text)
    }

    pub(super) fn text(&self, number: TextNumber) -> &[u8] {
        &self.texts[number.0 as usize]
    }

    /// Whether it was published once and never changed.
    pub(super) fn is_constant(&self) -> bool {
        self.states.len() <= 1
    }
}

/// What held last at or before `u`.
fn last_at<S>(states: &[(TimestampMs, S)], u: TimestampNs) -> Option<&S> {
    let after = states.partition_point(|(from, _)| from.moment() <= u);
    after.checked_sub(1).map(|last| &states[last].1)
}
