//! Where an outbox keeps outputs: a lane for each partition of each route, as far as partitions are known.

use std::ops::Range;

use super::OutputSlot;
use crate::engine::output::route::RouteIndex;
use crate::simd;
use crate::transport::partition_of;

/// Lines of the cache that are fetched ahead: most of an output of some hundred bytes, and a slot.
const OUTPUT_LINES: usize = 7;
const SLOT_LINES: usize = 2;
/// A route has no more lanes; partitions of larger topics share them.
const MAX_LANES: u32 = 64;
/// After so many batches the memory of lanes is given back that none of them used.
const TRIM_EVERY: u32 = 64;

/// Outputs of one route, and of some of its partitions.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) route: RouteIndex,
    pub(super) partitions: Option<u32>,
    pub(super) slots: Vec<OutputSlot>,
    /// Keys and values.
    pub(super) bytes: Vec<u8>,
    /// It is in `used`.
    is_used: bool,
    /// It was in `used` since memory was last given back.
    is_warm: bool,
}

impl Lane {
    /// Has the memory fetched that the next output will be written to. Many others are written before it, so it has left the cache; and
    /// until what is written has arrived there, nothing that was written after it does.
    #[inline(always)]
    pub(super) fn fetch_ahead(&mut self) {
        simd::fetch_ahead::<OUTPUT_LINES, _>(self.bytes.spare_capacity_mut());
        simd::fetch_ahead::<SLOT_LINES, _>(self.slots.spare_capacity_mut());
    }
}

/// The lanes of one route: all are there before the first of them is used.
#[derive(Debug, Clone, Default)]
struct RouteLanes {
    at: Range<usize>,
    partitions: u32,
}

/// All lanes.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    pub(super) all: Vec<Lane>,
    /// Those of the batch at hand, in the order of their first outputs.
    pub(super) used: Vec<usize>,
    /// By route.
    by_route: Vec<RouteLanes>,
    /// How many partitions routes have that were taken to have another number.
    learned: Vec<(RouteIndex, u32)>,
    /// Batches since memory was last given back.
    batches: u32,
}

impl Lanes {
    /// The lane for an output, which is used from here on.
    pub(super) fn lane_of(&mut self, route: RouteIndex, key: &[u8]) -> usize {
        let index = route.0 as usize;
        if self.by_route.get(index).is_none_or(|lanes| lanes.at.is_empty()) {
            self.make(route, 0);
        }
        let RouteLanes { at, partitions } = &self.by_route[index];
        let lane = match at.len() {
            1 => at.start,
            count => at.start + (partition_of(key, *partitions) as usize) % count,
        };
        if !self.all[lane].is_used {
            self.all[lane].is_used = true;
            self.used.push(lane);
        }
        lane
    }

    /// Counts from the next batch on.
    pub(super) fn learn(&mut self, route: RouteIndex, partitions: u32) {
        if self.by_route.get(route.0 as usize).is_none_or(|lanes| lanes.partitions != partitions) {
            self.learned.push((route, partitions));
        }
    }

    /// Begins the next batch.
    pub(super) fn clear(&mut self) {
        for at in self.used.drain(..) {
            let lane = &mut self.all[at];
            lane.slots.clear();
            lane.bytes.clear();
            (lane.is_used, lane.is_warm) = (false, true);
        }
        for (route, partitions) in std::mem::take(&mut self.learned) {
            self.make(route, partitions);
        }
        self.batches += 1;
        if self.batches == TRIM_EVERY {
            self.batches = 0;
            self.trim();
        }
    }

    /// Gives a route lanes for so many partitions; none is one lane for whatever they are. What it had is left without memory.
    fn make(&mut self, route: RouteIndex, partitions: u32) {
        let index = route.0 as usize;
        if self.by_route.len() <= index {
            self.by_route.resize(index + 1, RouteLanes::default());
        }
        let count = partitions.clamp(1, MAX_LANES) as usize;
        let before = self.by_route[index].at.clone();
        let at = if count <= before.len() { before.start..before.start + count } else { self.all.len()..self.all.len() + count };
        let known = (partitions > 0).then_some(partitions);
        let lane = || Lane { route, partitions: known, slots: Vec::new(), bytes: Vec::new(), is_used: false, is_warm: false };
        before.for_each(|old| self.all[old] = lane());
        self.all.resize_with(self.all.len().max(at.end), lane);
        self.by_route[index] = RouteLanes { at, partitions };
    }

    fn trim(&mut self) {
        for lane in &mut self.all {
            if !std::mem::take(&mut lane.is_warm) {
                (lane.slots, lane.bytes) = (Vec::new(), Vec::new());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_not_used_for_long_is_given_back() {
        let mut lanes = Lanes::default();
        let first = lanes.lane_of(RouteIndex(0), b"k");
        lanes.all[first].bytes.extend_from_slice(&[0; 1000]);
        for batch in 0..2 * TRIM_EVERY {
            lanes.clear();
            assert!(lanes.all[first].bytes.capacity() >= 1000 || batch + 1 >= TRIM_EVERY);
            let other = lanes.lane_of(RouteIndex(1), b"k");
            lanes.all[other].bytes.extend_from_slice(&[0; 1000]);
        }
        assert_eq!(lanes.all.iter().map(|lane| lane.bytes.capacity() > 0).collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn a_route_keeps_the_lanes_that_it_has_where_they_are_enough() {
        let mut lanes = Lanes::default();
        for partitions in [1, 4, 2, 4, 0, 64, 1000, 3] {
            lanes.learn(RouteIndex(0), partitions);
            lanes.clear();
            let found = lanes.by_route[0].clone();
            assert_eq!((found.at.len() as u32, found.partitions), (partitions.clamp(1, MAX_LANES), partitions));
        }
        assert!(lanes.all.len() <= 1 + 4 + 4 + 64);
    }
}
