//! The view itself, and what it has beside shares.

use std::sync::Arc;

use crate::access::{Caller, Party};
use crate::id::{Epoch, TenantId};
use crate::serve::published::PublishedShares;
use crate::serve::view::seen::SeenShare;
use crate::share::table::parties::{PartnershipView, TenantView};
use crate::share::table::query::ProfileView;
use crate::share::view::by_tenant::TenantCounts;
use crate::share::view::list::{ShareFilter, Viewer, look_at};

/// One state of the shares, as one caller sees it. It is cheap to make, and does not change.
#[derive(Debug, Clone)]
pub struct CallerView {
    pub(super) shares: Arc<PublishedShares>,
    pub(super) viewer: Viewer,
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
    pub(in crate::serve) fn new(shares: Arc<PublishedShares>, caller: &Caller) -> Self {
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

    /// How many live shares are between two tenants, in either direction; one of them is the caller, unless it is the operator.
    pub(crate) fn live_between(&self, a: &str, b: &str) -> usize {
        let is_own = self.tenant().is_none_or(|own| own.as_str() == a || own.as_str() == b);
        let PublishedShares { table, by_tenant } = &*self.shares;
        if is_own { by_tenant.live_between(table, a, b) as usize } else { 0 }
    }

    /// How many live shares a tenant gives, and how many it receives. The caller is the tenant, or the operator.
    pub(crate) fn live_of(&self, tenant: &str) -> (usize, usize) {
        let is_own = self.tenant().is_none_or(|own| own.as_str() == tenant);
        let PublishedShares { table, by_tenant } = &*self.shares;
        let counts = if is_own { by_tenant.counts(table, tenant) } else { TenantCounts::default() };
        (counts.owned.live(), counts.received.live())
    }

    /// How many shares the caller had from others that are over; of any, for the operator.
    pub(crate) fn over_count(&self) -> usize {
        let PublishedShares { table, by_tenant } = &*self.shares;
        let over = match self.tenant() {
            Some(own) => by_tenant.counts(table, own.as_str()).over,
            None => by_tenant.over_count(),
        };
        over as usize
    }

    /// How many live shares use a profile of the caller; of any, for the operator.
    pub(crate) fn users_of(&self, profile: &ProfileView<'_>) -> usize {
        let is_own = self.tenant().is_none_or(|own| own.as_str() == profile.owner);
        if is_own { self.shares.table.user_count(profile.slot) } else { 0 }
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
    pub(in crate::serve) fn state(&self) -> &PublishedShares {
        &self.shares
    }
}

impl<'v> SeenTenant<'v> {
    fn whole(tenant: TenantView<'v>) -> Self {
        Self { id: tenant.id, parent: tenant.parent, is_suspended: Some(tenant.is_suspended) }
    }
}
