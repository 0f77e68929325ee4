//! Shares that a snapshot brings: every index of them is built at once, in the order of its own memory.

use crate::id::ShareId;
use crate::share::hash_index::{IndexBuilder, hash_of};
use crate::share::lifecycle::record::{NOTHING, Share, ShareNumber};
use crate::share::table::ShareTable;
use crate::share::table::change::Presence;
use crate::share::table::schedule::{Awaited, Calendar};
use crate::time::TimestampMs;

/// What was noted of shares that no index has yet.
#[derive(Debug, Default)]
pub(crate) struct RestoredShares {
    ids: IndexBuilder,
    places: IndexBuilder,
    offers: Vec<Awaited>,
    starts: Vec<Awaited>,
    ends: Vec<Awaited>,
    graces: Vec<Awaited>,
    /// Asset and share of each, the asset's number in the upper half.
    by_asset: Vec<u64>,
}

/// What shares cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contradiction {
    ShareTwice,
    AssetOfTwo,
    AssetOfNobody,
}

impl ShareTable {
    /// Takes a share in; it is found once `index_restored` was called.
    pub(crate) fn restore(&mut self, share: Share, noted: &mut RestoredShares) {
        let (state, links) = (share.state, self.links(&share));
        let (hash, asset) = (hash_of(&[share.id.as_str()]), share.asset);
        let number = ShareNumber(self.graph.shares.push(share));
        noted.ids.push(hash, number.0);
        self.counts[state as usize] += 1;
        links.place.inspect(|hash| noted.places.push(*hash, number.0));
        links.pair.inspect(|[owner, target]| self.join_pair(number, *owner, *target));
        if asset != NOTHING {
            noted.by_asset.push(u64::from(asset) << 32 | u64::from(number.0));
        }
        let awaited = |at: TimestampMs| Awaited { at, share: number };
        noted.graces.extend(links.grace.map(awaited));
        if self.shows_grants {
            links.profile.inspect(|slot| self.profiles.get_mut(*slot).users.insert(number));
            noted.offers.extend(links.offer.map(awaited));
            noted.starts.extend(links.starts.filter(|at| *at >= self.now()).map(awaited));
            noted.ends.extend(links.ends.map(awaited));
        }
    }

    /// From now on all shares that were restored are found; no other share was there before.
    pub(crate) fn index_restored(&mut self, noted: RestoredShares) -> Result<(), Contradiction> {
        let id = |number: u32| -> &ShareId { &self.graph.shares[number].id };
        self.by_id = noted.ids.build(|a, b| id(a) == id(b)).map_err(|_| Contradiction::ShareTwice)?;
        self.places = noted.places.build(|_, _| false).unwrap_or_default();
        let schedule = &mut self.schedule;
        for (calendar, awaited) in [
            (&mut schedule.offers, noted.offers),
            (&mut schedule.starts, noted.starts),
            (&mut schedule.ends, noted.ends),
            (&mut schedule.graces, noted.graces),
        ] {
            *calendar = Calendar::of(awaited);
        }
        self.give_assets_their_shares(noted.by_asset)?;
        let tenants = &self.tenants;
        self.graph.index_assets(|owner| tenants.get(owner).id.as_str());
        Ok(())
    }

    fn give_assets_their_shares(&mut self, mut by_asset: Vec<u64>) -> Result<(), Contradiction> {
        by_asset.sort_unstable();
        let mut grants: Vec<(&ShareId, u32)> = Vec::new();
        let shares = self.graph.shares.clone();
        let mut counted = 0;
        for of_one in by_asset.chunk_by(|a, b| a >> 32 == b >> 32) {
            let asset = (of_one[0] >> 32) as u32;
            let owner = shares[of_one[0] as u32].owner;
            counted += 1;
            grants.clear();
            let mut quiet = Vec::new();
            for number in of_one.iter().map(|entry| *entry as u32) {
                let share = &shares[number];
                if share.owner != owner {
                    return Err(Contradiction::AssetOfTwo);
                }
                match self.presence(share) {
                    Presence::Granted(_) => grants.push((&share.id, number)),
                    Presence::Quiet(streams, what) => quiet.push((streams, what)),
                    Presence::Absent => {}
                }
            }
            grants.sort_unstable();
            let numbers: smallvec::SmallVec<[u32; 16]> = grants.iter().map(|(_, number)| *number).collect();
            let asset = &mut self.graph.assets[asset];
            asset.owner = owner;
            if self.shows_grants {
                asset.set_grants(&numbers);
                quiet.into_iter().for_each(|(streams, what)| asset.count(streams, what, true));
            }
        }
        if counted == self.graph.assets.len() { Ok(()) } else { Err(Contradiction::AssetOfNobody) }
    }
}
