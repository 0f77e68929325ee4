//! The events that are remembered, so that the same one again changes nothing (docs/rules/events.md#repeats).

use std::collections::VecDeque;

use crate::share::event::fingerprint::Fingerprint;
use crate::share::hash_index::{Index, IndexBuilder};
use crate::time::TimestampMs;

/// How long an event is remembered, in control time.
const MEMORY_MS: i64 = 30 * 24 * 3600 * 1000;
/// So many forgotten events are cleared away at each event, so that no event pays for a long silence.
const CLEARED_AT_ONCE: usize = 64;
/// Small in tests, so that they go round chunks.
const CHUNK: usize = if cfg!(test) { 4 } else { 1024 };

/// What is known of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventRepeat {
    /// No event of this source and id is remembered: it is folded.
    New,
    /// The same event was there: it changes nothing.
    Same,
    /// Another event of this source and id was there: `id_reused`.
    Other,
}

/// The remembered events in order of control time, in chunks so that growing moves none of them.
#[derive(Debug, Default)]
pub(crate) struct EventDedup {
    chunks: VecDeque<Vec<DedupEntry>>,
    /// How many there are.
    len: usize,
    /// How many of the first chunk are cleared away.
    cleared: usize,
    /// The number of the first entry.
    first: u32,
    index: Index,
}

/// One remembered event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DedupEntry {
    pub(crate) event: Fingerprint,
    pub(crate) time: TimestampMs,
}

impl EventDedup {
    /// Whether an event is known at `now`.
    pub(crate) fn look_up(&self, event: &Fingerprint, now: TimestampMs) -> EventRepeat {
        match self.find(event.name) {
            Some(number) if is_remembered(self.entry(number), now) => {
                if self.entry(number).event.content == event.content {
                    EventRepeat::Same
                } else {
                    EventRepeat::Other
                }
            }
            _ => EventRepeat::New,
        }
    }

    /// Whether an event of this source and id is remembered at `now`, whatever it says.
    pub(crate) fn knows(&self, source: &str, id: &str, now: TimestampMs) -> bool {
        self.find(Fingerprint::name_of(source, id)).is_some_and(|number| is_remembered(self.entry(number), now))
    }

    /// Remembers an event that is new at `now`.
    pub(crate) fn remember(&mut self, event: Fingerprint, now: TimestampMs) {
        self.clear_away(now);
        self.restore(DedupEntry { event, time: now });
    }

    /// Puts an entry after the others; one of the same event before it is forgotten.
    fn restore(&mut self, entry: DedupEntry) {
        let name = entry.event.name;
        if let Some(forgotten) = self.find(name) {
            self.index.remove(name[0], forgotten);
        }
        let number = wrap(self.first.wrapping_add(self.len as u32));
        if (self.cleared + self.len).is_multiple_of(CHUNK) {
            self.chunks.push_back(Vec::with_capacity(if self.len == 0 { 4 } else { CHUNK }));
        }
        if let Some(chunk) = self.chunks.back_mut() {
            chunk.push(entry);
            self.len += 1;
        }
        self.index.insert(name[0], number);
    }

    /// One that has forgotten nothing of these, the oldest first.
    pub(crate) fn of(entries: Vec<DedupEntry>) -> Self {
        let mut builder = IndexBuilder::default();
        for (number, entry) in (0..).zip(&entries) {
            builder.push(entry.event.name[0], number);
        }
        let is_same = |a: u32, b: u32| entries[a as usize].event.name == entries[b as usize].event.name;
        match builder.build(is_same) {
            Ok(index) => {
                let chunks = entries.chunks(CHUNK).map(<[DedupEntry]>::to_vec).collect();
                Self { chunks, len: entries.len(), cleared: 0, first: 0, index }
            }
            // An event that was forgotten and came again, before the first was cleared away.
            Err(_) => {
                let mut memory = Self::default();
                entries.into_iter().for_each(|entry| memory.restore(entry));
                memory
            }
        }
    }

    /// The entries, oldest first; some may be forgotten already.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &DedupEntry> {
        self.chunks.iter().flatten().skip(self.cleared)
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    fn clear_away(&mut self, now: TimestampMs) {
        for _ in 0..CLEARED_AT_ONCE {
            if self.len == 0 || is_remembered(self.entry(self.first), now) {
                return;
            }
            let name = self.entry(self.first).event.name;
            self.index.remove(name[0], self.first);
            self.len -= 1;
            self.first = wrap(self.first.wrapping_add(1));
            self.cleared += 1;
            if self.cleared == CHUNK || self.len == 0 {
                self.chunks.pop_front();
                self.cleared = 0;
            }
        }
    }

    fn find(&self, name: [u64; 2]) -> Option<u32> {
        self.index.find(name[0], |number| self.entry(number).event.name == name)
    }

    fn entry(&self, number: u32) -> &DedupEntry {
        let at = self.cleared + wrap(number.wrapping_sub(self.first)) as usize;
        &self.chunks[at / CHUNK][at % CHUNK]
    }
}

/// Numbers go round below what an index holds.
fn wrap(number: u32) -> u32 {
    number & (u32::MAX >> 1)
}

fn is_remembered(entry: &DedupEntry, now: TimestampMs) -> bool {
    now.0 < entry.time.0.saturating_add(MEMORY_MS)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// docs/rules/events.md#repeats, against a plain map that forgets by looking at the time.
        #[test]
        fn remembers_for_thirty_days(steps in prop::collection::vec((0u64..24, 0u64..2, 0i64..4), 1..300)) {
            let mut memory = EventDedup::default();
            let mut model: BTreeMap<u64, (u64, i64)> = BTreeMap::new();
            let mut now = 0;
            for (name, content, days) in steps {
                now += days * 24 * 3_600_000;
                let event = Fingerprint { name: [name % 8, name], content };
                let expected = match model.get(&name) {
                    Some((_, time)) if now >= time + MEMORY_MS => EventRepeat::New,
                    Some((known, _)) if *known == content => EventRepeat::Same,
                    Some(_) => EventRepeat::Other,
                    None => EventRepeat::New,
                };
                prop_assert_eq!(memory.look_up(&event, TimestampMs(now)), expected);
                if expected == EventRepeat::New {
                    memory.remember(event, TimestampMs(now));
                    model.insert(name, (content, now));
                }
                prop_assert_eq!(memory.iter().count(), memory.len());
                let restored = EventDedup::of(memory.iter().copied().collect());
                prop_assert_eq!(restored.look_up(&event, TimestampMs(now)), memory.look_up(&event, TimestampMs(now)));
                if days == 0 {
                    memory = restored;
                }
                let oldest = memory.iter().next().map(|entry| entry.time.0);
                prop_assert!(oldest.is_none_or(|time| now < time + MEMORY_MS) || expected != EventRepeat::New, "what is forgotten is cleared away");
            }
        }
    }
}
