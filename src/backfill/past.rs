//! The fold of the control log that a backfill decides by, with what was earlier.
//!
//! A snapshot of the table has no history: whoever wants a `Past` folds the log from its first record.

use rustc_hash::FxHashMap;

use super::history::{Naming, NamingHistory, Publications, TextNumber};
use super::options::ShareFilters;
use crate::document::Node;
use crate::id::{Epoch, Offset, ShareId, TenantId};
use crate::json::document::parse;
use crate::profile::compile::Projection;
use crate::profile::spec::{ProfileSpec, Section};
use crate::record::mapping::Stream;
use crate::share::event::kind::EventType;
use crate::share::event::{Envelope, Unreadable};
use crate::share::graph::{Grant, ProfileSlot, ShareGraph};
use crate::share::table::{FoldRules, Folded, ShareTable};
use crate::time::{TimestampMs, TimestampNs};

/// The table at a moment, and what shares and profiles were earlier. It may be folded on after it was pinned.
#[derive(Debug)]
pub struct Past {
    table: ShareTable,
    namings: NamingHistory,
    profiles: FxHashMap<ProfileSlot, Publications>,
}

impl Past {
    /// A past of nothing.
    pub fn new(rules: FoldRules) -> Self {
        Self { table: ShareTable::new(rules), namings: NamingHistory::default(), profiles: FxHashMap::default() }
    }

    /// Folds the record at `offset` with control time `time`, as `ShareTable::fold`. Records later than the job's `now` do not exist:
    /// they are not folded before it is pinned (docs/rules/backfill.md#now).
    pub fn fold(&mut self, offset: Offset, time: TimestampMs, record: Result<Envelope, Unreadable>) -> Folded {
        let updated = record.as_ref().ok().and_then(updated_share);
        let was = updated.as_deref().and_then(|share| self.naming(share));
        let folded = self.table.fold(offset, time, record);
        let at = self.table.control_time();
        if let (Some(share), Some(was)) = (updated, was)
            && let Some(is) = self.naming(&share).filter(|is| *is != was)
        {
            self.namings.change(&share, at, was, is);
        }
        if let Some(slot) = folded.profile {
            let text = self.table.published_text(slot);
            self.profiles.entry(slot).or_default().push(at, text);
        }
        folded
    }

    /// The table at this moment.
    pub fn table(&self) -> &ShareTable {
        &self.table
    }

    /// The table, for who folds it on without what was.
    pub fn into_table(self) -> ShareTable {
        self.table
    }

    /// This moment of it, for the shares that fit.
    pub fn pin(&self, now: TimestampMs, filters: &ShareFilters) -> Pinned {
        let graph = if filters.fit_all() { self.table.graph() } else { self.table.graph_of(|share| filters.fit(share)) };
        let mut accepted = FxHashMap::default();
        graph.for_each_grant(|grant| {
            let has_history = self.namings.knows(grant.share) || self.profiles.get(&grant.profile).is_some_and(|p| !p.is_constant());
            if has_history && let Some(at) = self.table.accepted_at(grant.share.as_str()) {
                accepted.insert(grant.share.clone(), at);
            }
        });
        Pinned { now: now.moment(), graph, accepted, namings: self.namings.clone(), profiles: self.profiles.clone() }
    }

    fn naming(&self, share: &str) -> Option<Naming> {
        self.table.naming(share).map(|(profile, streams)| Naming { profile, streams })
    }
}

/// The share that an event may have name another profile or other streams.
fn updated_share(event: &Envelope) -> Option<String> {
    let is_update = EventType::parse(&event.kind) == Some(EventType::ShareUpdated);
    event.data.get("share").and_then(Node::as_str).filter(|_| is_update).map(str::to_owned)
}

/// What a job decides by, from its first record to its last: the graph of its `now`, and what was earlier.
#[derive(Debug, Clone)]
pub struct Pinned {
    now: TimestampNs,
    graph: ShareGraph,
    /// Of the grants that have a history; of others it makes no difference.
    accepted: FxHashMap<ShareId, TimestampMs>,
    namings: NamingHistory,
    profiles: FxHashMap<ProfileSlot, Publications>,
}

/// How many shares and targets a job can write for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reach {
    /// Shares that may release something.
    pub shares: usize,
    /// Their targets.
    pub targets: usize,
}

/// By what a share's fields were chosen at an earlier moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Earlier {
    /// By what they are chosen by today: the two projections are one.
    AsToday,
    /// By this text of this profile.
    Text(ProfileSlot, TextNumber),
    /// The share did not name the stream, or its profile was not published.
    Missing,
}

impl Pinned {
    /// The moment that the job decides at.
    pub fn now(&self) -> TimestampNs {
        self.now
    }

    /// The graph of that moment, of the shares that fit.
    pub fn graph(&self) -> &ShareGraph {
        &self.graph
    }

    /// The graph's epoch.
    pub fn epoch(&self) -> Epoch {
        self.graph.epoch()
    }

    /// How many shares may release records of this stream, and to how many targets.
    pub fn reach(&self, stream: &Stream) -> Reach {
        let (mut shares, mut targets) = (0, std::collections::BTreeSet::<&TenantId>::new());
        self.graph.for_each_grant(|grant| {
            if grant.streams.contains(stream.index) {
                shares += 1;
                targets.insert(grant.target);
            }
        });
        Reach { shares, targets: targets.len() }
    }

    /// By what a grant's fields were chosen for a record of event time `t`: at `t`, or at the acceptance if that is later.
    pub(super) fn earlier(&self, grant: &Grant, stream: &Stream, t: TimestampNs) -> Earlier {
        let Some(accepted) = self.accepted.get(grant.share) else { return Earlier::AsToday };
        let u = t.max(accepted.moment());
        let today = Naming { profile: grant.profile, streams: grant.streams };
        let then = self.namings.at(grant.share, u).unwrap_or(today);
        if !then.streams.contains(stream.index) {
            return Earlier::Missing;
        }
        if then.profile == ProfileSlot::ALL {
            return if today.profile == ProfileSlot::ALL { Earlier::AsToday } else { Earlier::Text(ProfileSlot::ALL, TextNumber(0)) };
        }
        let Some(publications) = self.profiles.get(&then.profile) else { return Earlier::Missing };
        match publications.at(u) {
            None => Earlier::Missing,
            Some(text) if then.profile == today.profile && publications.last() == Some(text) => Earlier::AsToday,
            Some(text) => Earlier::Text(then.profile, text),
        }
    }

    /// Today's projection of a grant restricted by that of an earlier text; none if one of the two has no section for the stream.
    pub(super) fn restricted(&self, grant: &Grant, (slot, text): (ProfileSlot, TextNumber), stream: &Stream) -> Option<Box<Projection>> {
        let earlier = self.section(slot, text, stream)?;
        let last = match grant.profile {
            ProfileSlot::ALL => TextNumber(0),
            today => self.profiles.get(&today)?.last()?,
        };
        let today = self.section(grant.profile, last, stream)?;
        Some(Box::new(Projection::restricted(&today, &earlier, &stream.mapping)))
    }

    fn section(&self, slot: ProfileSlot, text: TextNumber, stream: &Stream) -> Option<Section> {
        if slot == ProfileSlot::ALL {
            return Some(Section::all());
        }
        let node = parse(self.profiles.get(&slot)?.text(text)).ok()?;
        ProfileSpec::read(&node).ok()?.section(stream.name.as_str()).cloned()
    }
}
