//! What one caller may see of the shares. Handlers and pages read nothing else: a state of the shares is private to this module and to
//! those that fold and write.

use std::sync::Arc;

use super::published::PublishedShares;
use crate::access::{Caller, Party};
use crate::id::{Epoch, TenantId};
use crate::share::lifecycle::record::ShareNumber;
use crate::share::status::{Audience, Document};
use crate::share::table::parties::{PartnershipView, TenantView};
use crate::share::table::query::{ProfileView, ShareView};
use crate::share::view::by_tenant::ShareSide;
use crate::share::view::list::{Listed, ShareFilter, Stats, Viewer, look_at};
use crate::share::view::search::ShareSearch;

/// One state of the shares, as one caller sees it. It is cheap to make, and does not change.
#[derive(Debug, Clone)]
pub struct CallerView {
    shares: Arc<PublishedShares>,
    viewer: Viewer,
}

/// Which shares are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShareQuery {
    /// The side that the caller has of them; both if none is named. The operator has none: of it `filter` says owners and targets.
    pub side: Option<ShareSide>,
    /// Those that were offered to an address (`true`), or those that were not.
    pub invited: Option<bool>,
    /// The rest.
    pub filter: ShareFilter,
}

/// One share as its viewer sees it.
#[derive(Debug, Clone, Copy)]
pub struct SeenShare<'v> {
    share: ShareView<'v>,
    audience: Audience,
}

/// Some shares of a list.
#[derive(Debug)]
pub struct SharePage<'v> {
    /// The newest offer first.
    pub shares: Vec<SeenShare<'v>>,
    /// There are more after them.
    pub has_more: bool,
}

/// How a tenant is known to the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenTenant<'v> {
    /// Its id.
    pub id: &'v str,
    /// Its parent; of the caller itself, and for the operator.
    pub parent: Option<&'v str>,
    /// Whether it is suspended; of the caller itself, and for the operator.
    pub is_suspended: Option<bool>,
}

impl CallerView {
    pub(super) fn new(shares: Arc<PublishedShares>, caller: &Caller) -> Self {
        let viewer = match &caller.who {
            Party::Operator => Viewer::Operator,
            Party::Tenant(tenant) => Viewer::Tenant(tenant.clone()),
        };
        Self { shares, viewer }
    }

    /// The offset of the last control record in it.
    pub fn epoch(&self) -> Epoch {
        self.shares.table.epoch()
    }

    /// The control time of that record.
    pub fn control_time(&self) -> crate::time::TimestampMs {
        self.shares.table.control_time()
    }

    /// Whose view it is; none of the operator.
    pub fn tenant(&self) -> Option<&TenantId> {
        match &self.viewer {
            Viewer::Operator => None,
            Viewer::Tenant(own) => Some(own),
        }
    }

    /// The viewer, as lists and histories name it.
    pub fn viewer(&self) -> &Viewer {
        &self.viewer
    }

    /// One share; none that is hidden from the caller, as if it were not there.
    pub fn share(&self, id: &str) -> Option<SeenShare<'_>> {
        let share = self.shares.table.share(id)?;
        look_at(share, &self.viewer, &ShareFilter::default()).map(SeenShare::of)
    }

    /// The shares that are looked for, the newest offer first: those that were offered before the share `before`, or all, at most
    /// `limit`. None if the caller sees no share `before`.
    pub fn shares(&self, query: &ShareQuery, before: Option<&str>, limit: usize) -> Option<SharePage<'_>> {
        let before = match before {
            None => ShareNumber(u32::MAX),
            Some(id) => {
                self.share(id)?;
                self.shares.table.find_share(id)?
            }
        };
        let mut shares: Vec<SeenShare<'_>> = self.found(query, before).take(limit + 1).collect();
        let has_more = shares.len() > limit;
        shares.truncate(limit);
        Some(SharePage { shares, has_more })
    }

    /// All that are looked for, the newest offer first.
    pub(super) fn all_of<'v, 'q>(&'v self, query: &'q ShareQuery) -> impl Iterator<Item = SeenShare<'v>> + use<'v, 'q>
    where
        'v: 'q,
    {
        self.found(query, ShareNumber(u32::MAX))
    }

    /// How many there are of each kind, of those that are looked for.
    pub fn stats(&self, query: &ShareQuery) -> Stats {
        let mut stats = Stats::default();
        self.found(query, ShareNumber(u32::MAX)).for_each(|found| stats.count(found.share.state()));
        stats
    }

    fn found<'v, 'q>(&'v self, query: &'q ShareQuery, before: ShareNumber) -> impl Iterator<Item = SeenShare<'v>> + use<'v, 'q>
    where
        'v: 'q,
    {
        let PublishedShares { table, by_tenant } = &*self.shares;
        let search = ShareSearch::new(table, &self.viewer, &query.filter);
        let numbers: Box<dyn Iterator<Item = ShareNumber>> = match (&self.viewer, one_owner(&query.filter)) {
            (Viewer::Tenant(own), _) => Box::new(by_tenant.newest_first(table, own, query.side, before)),
            // Who owns all of them is known: the others' are not looked at.
            (Viewer::Operator, Some(owner)) => Box::new(by_tenant.newest_first(table, &owner, Some(ShareSide::Owner), before)),
            (Viewer::Operator, None) => Box::new((0..table.share_count().min(before.0)).rev().map(ShareNumber)),
        };
        let is_invited = |found: &SeenShare<'_>| query.invited.is_none_or(|invited| invited == found.invitee().is_some());
        numbers.filter_map(move |number| search.look_at(number)).map(SeenShare::of).filter(is_invited)
    }

    /// The shares of the caller's view that changed after an epoch, by the epoch of their last change.
    pub fn changed_since(&self, epoch: Epoch) -> Vec<SeenShare<'_>> {
        let mut changed: Vec<SeenShare<'_>> = self.all().filter(|found| found.share.changed_at() > epoch).collect();
        changed.sort_by(|a, b| (a.share.changed_at(), a.share.id()).cmp(&(b.share.changed_at(), b.share.id())));
        changed
    }

    fn all(&self) -> Box<dyn Iterator<Item = SeenShare<'_>> + '_> {
        let PublishedShares { table, by_tenant } = &*self.shares;
        let look = |number: ShareNumber| {
            let share = table.share_at(number);
            let audience = self.viewer.audience(&share.document())?;
            Some(SeenShare { share, audience })
        };
        match &self.viewer {
            Viewer::Tenant(own) => Box::new(by_tenant.newest_first(table, own, None, ShareNumber(u32::MAX)).filter_map(look)),
            Viewer::Operator => Box::new((0..table.share_count()).map(ShareNumber).filter_map(look)),
        }
    }

    /// The partnerships of the caller, offered or active; the operator sees all.
    pub fn partnerships(&self) -> Vec<PartnershipView<'_>> {
        match &self.viewer {
            Viewer::Operator => self.shares.table.partnerships(),
            Viewer::Tenant(own) => self.shares.table.partnerships_of(own.as_str()),
        }
    }

    /// What lies between two tenants, one of which is the caller, unless it is the operator.
    pub fn partnership(&self, a: &str, b: &str) -> Option<PartnershipView<'_>> {
        let is_own = self.tenant().is_none_or(|own| own.as_str() == a || own.as_str() == b);
        self.shares.table.partnership_between(a, b).filter(|_| is_own)
    }

    /// The tenants that the caller has to do with: itself, its partners, and those at the other side of its shares. The operator sees all.
    pub fn tenants(&self) -> Vec<SeenTenant<'_>> {
        let table = &self.shares.table;
        match &self.viewer {
            Viewer::Operator => table.tenants().into_iter().map(SeenTenant::whole).collect(),
            Viewer::Tenant(own) => {
                let mut ids = table.counterparts_of(own.as_str());
                ids.push(own.as_str());
                ids.sort_unstable();
                ids.dedup();
                ids.into_iter().map(|id| self.known_tenant(own, id)).collect()
            }
        }
    }

    /// One of them.
    pub fn known_tenant_of_caller(&self, id: &str) -> Option<SeenTenant<'_>> {
        self.tenants().into_iter().find(|tenant| tenant.id == id)
    }

    fn known_tenant<'v>(&'v self, own: &TenantId, id: &'v str) -> SeenTenant<'v> {
        let known = self.shares.table.known_tenant(id).filter(|_| id == own.as_str());
        match known {
            Some(known) => SeenTenant::whole(known),
            // One that no event has named yet is not suspended, and has no parent.
            None => SeenTenant { id, parent: None, is_suspended: (id == own.as_str()).then_some(false) },
        }
    }

    /// The profiles that the caller has published; the operator sees all.
    pub fn profiles(&self) -> Vec<ProfileView<'_>> {
        let is_seen = |profile: &ProfileView<'_>| self.tenant().is_none_or(|own| own.as_str() == profile.owner);
        let mut profiles: Vec<_> = self.shares.table.profiles().filter(is_seen).collect();
        profiles.sort_unstable_by_key(|profile| (profile.owner, profile.name));
        profiles
    }

    /// One of them.
    pub fn profile(&self, owner: &str, name: &str) -> Option<ProfileView<'_>> {
        if self.tenant().is_some_and(|own| own.as_str() != owner) {
            return None;
        }
        let slot = self.shares.table.profile_slot(owner, name)?;
        self.shares.table.profile_in(slot)
    }

    /// The streams that shares can name.
    pub fn streams(&self) -> Vec<&str> {
        self.shares.table.configuration().streams.keys().map(|stream| stream.as_str()).collect()
    }

    /// Whether an offer needs a partnership.
    pub fn partnership_need(&self) -> crate::share::configuration::PartnershipNeed {
        self.shares.table.configuration().partnerships
    }

    /// The state, for those who decide by it and answer what the caller may see of the decision.
    pub(super) fn state(&self) -> &PublishedShares {
        &self.shares
    }
}

/// The one owner that a filter names.
fn one_owner(filter: &ShareFilter) -> Option<TenantId> {
    match filter.owners.as_slice() {
        [owner] => TenantId::parse(owner).ok(),
        _ => None,
    }
}

impl<'v> SeenTenant<'v> {
    fn whole(tenant: TenantView<'v>) -> Self {
        Self { id: tenant.id, parent: tenant.parent, is_suspended: Some(tenant.is_suspended) }
    }
}

impl<'v> SeenShare<'v> {
    fn of(found: Listed<'v>) -> Self {
        Self { share: found.share, audience: found.audience }
    }

    /// As whom the caller sees it.
    pub fn audience(self) -> Audience {
        self.audience
    }

    /// The document, without what the caller may not see.
    pub fn document(self) -> Document<'v> {
        self.share.document().seen_by(self.audience)
    }

    /// The document as the caller's status topic has it.
    pub fn to_json(self) -> Vec<u8> {
        self.share.to_json(self.audience)
    }

    /// The offset of the event that changed it last.
    pub fn changed_at(self) -> Epoch {
        self.share.changed_at()
    }

    /// The address that it was offered to, before and after it was accepted; the target is not told.
    pub fn invitee(self) -> Option<&'v str> {
        match self.audience {
            Audience::Owner => self.share.invited_address(),
            Audience::Target => None,
        }
    }
}
