//! What one caller may see of the shares. Handlers and pages read nothing else: a state of the shares is private to this module and to
//! those that fold and write.

use std::sync::Arc;

use super::published::PublishedShares;
use crate::access::{Caller, Party};
use crate::id::{Epoch, TenantId};
use crate::share::lifecycle::record::{ShareNumber, TenantNumber};
use crate::share::state::State;
use crate::share::status::{Audience, Document};
use crate::share::table::parties::{PartnershipView, TenantView};
use crate::share::table::query::{ProfileView, ShareView};
use crate::share::view::blocks::BlockNeedle;
use crate::share::view::by_tenant::{ShareList, ShareSide, TenantCounts};
use crate::share::view::counts::SharesByState;
use crate::share::view::list::{Listed, ShareFilter, Stats, Viewer, look_at};
use crate::share::view::search::{ShareSearch, has};
use crate::time::TimestampNs;

/// So many assets are looked at by id before a text is looked for by its owner's shares.
const AT_FIRST: usize = 2_000;
/// So many shares are few.
const FEW: usize = 50_000;
/// Whoever asks for more assets at once is shown them by looking at all shares.
const MOST_ASSETS_BY_INDEX: usize = 1_000;

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
#[derive(Debug, Default)]
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
    pub(crate) fn all_of<'v, 'q>(&'v self, query: &'q ShareQuery) -> impl Iterator<Item = SeenShare<'v>> + use<'v, 'q>
    where
        'v: 'q,
    {
        self.found(query, ShareNumber(u32::MAX))
    }

    /// How many there are of each kind, of those that are looked for.
    pub fn stats(&self, query: &ShareQuery) -> Stats {
        let mut stats = Stats::default();
        match self.counted(query) {
            Some(counts) => counts.iter().for_each(|counts| counts.add_to(&mut stats, &query.filter.states)),
            None => self.found(query, ShareNumber(u32::MAX)).for_each(|found| stats.count(found.share.state())),
        }
        stats
    }

    /// The counts that are kept as shares change, where nothing but sides, owners and states is asked for.
    fn counted(&self, query: &ShareQuery) -> Option<Vec<SharesByState>> {
        let ShareFilter { states, owners, .. } = &query.filter;
        let named = ShareFilter { states: states.clone(), owners: owners.clone(), ..ShareFilter::default() };
        if query.filter != named || query.invited == Some(false) {
            return None;
        }
        let PublishedShares { table, by_tenant } = &*self.shares;
        let is_invited = query.invited.is_some();
        let counts = |tenant: &TenantId| by_tenant.counts(table, tenant.as_str());
        let given = |tenant: &TenantId| if is_invited { counts(tenant).invited } else { counts(tenant).owned };
        let received = |tenant: &TenantId| (!is_invited).then(|| counts(tenant).received);
        match (&self.viewer, query.side, self.whose(query)) {
            (Viewer::Tenant(_), ..) if !owners.is_empty() => None,
            (Viewer::Tenant(own), None, _) => Some([given(own)].into_iter().chain(received(own)).collect()),
            (Viewer::Tenant(own), Some(ShareSide::Owner), _) => Some(vec![given(own)]),
            (Viewer::Tenant(own), Some(ShareSide::Target), _) => Some(received(own).into_iter().collect()),
            (Viewer::Operator, Some(_), _) => None,
            (Viewer::Operator, None, Some(mut owners)) => {
                owners.sort_unstable();
                owners.dedup();
                Some(owners.iter().map(given).collect())
            }
            (Viewer::Operator, None, None) if is_invited => Some(vec![by_tenant.invitation_counts()]),
            (Viewer::Operator, None, None) => Some(vec![by_tenant.all_counts()]),
        }
    }

    fn found<'v, 'q>(&'v self, query: &'q ShareQuery, before: ShareNumber) -> impl Iterator<Item = SeenShare<'v>> + use<'v, 'q>
    where
        'v: 'q,
    {
        let search = ShareSearch::new(&self.shares.table, &self.viewer, &query.filter);
        // What is on the list of invitations is one: to look at the address of each costs more than all the rest.
        let is_listed = self.lists_invitations(query) && query.filter.assets.is_empty();
        let is_invited = move |found: &SeenShare<'_>| is_listed || query.invited.is_none_or(|invited| invited == found.invitee().is_some());
        let is_of_side = |found: &SeenShare<'_>| match query.side {
            None => true,
            Some(ShareSide::Owner) => found.audience == Audience::Owner,
            Some(ShareSide::Target) => found.audience == Audience::Target,
        };
        let found = self.candidates(query, before).filter_map(move |number| search.look_at(number)).map(SeenShare::of);
        found.filter(is_invited).filter(is_of_side)
    }

    /// Whether invitations are asked for, as who sends them has them.
    fn lists_invitations(&self, query: &ShareQuery) -> bool {
        query.invited == Some(true) && query.side != Some(ShareSide::Target)
    }

    /// The shares that may be looked for, the newest offer first: those of the shortest list that has them all.
    fn candidates<'v>(&'v self, query: &ShareQuery, before: ShareNumber) -> Box<dyn Iterator<Item = ShareNumber> + 'v> {
        let PublishedShares { table, by_tenant } = &*self.shares;
        let (filter, owners) = (&query.filter, self.whose(query));
        if !filter.assets.is_empty() && filter.assets.len() <= MOST_ASSETS_BY_INDEX {
            let tenants: Vec<_> = match &owners {
                Some(owners) => owners.iter().filter_map(|owner| table.tenants.find(owner.as_str())).collect(),
                None => table.tenants.iter().map(|(number, _)| number).collect(),
            };
            return Box::new(by_tenant.by_asset.newest_first(table, &tenants, &filter.assets, before).into_iter());
        }
        let is_invitations = self.lists_invitations(query);
        let is_offers = query.side == Some(ShareSide::Target) && filter.states == [State::Pending];
        let list = match (&self.viewer, is_invitations, is_offers) {
            (_, true, _) => ShareList::Invitations,
            (Viewer::Tenant(_), _, true) => ShareList::OpenOffers,
            (Viewer::Tenant(_), ..) => ShareList::All(query.side),
            // Who owns all of them is known: the others' are not looked at.
            (Viewer::Operator, ..) => ShareList::All(Some(ShareSide::Owner)),
        };
        let lower = filter.search.as_ref().map(|text| text.to_lowercase());
        let targets: Vec<TenantNumber> = filter.targets.iter().filter_map(|target| table.tenants.find(target)).collect();
        let is_named = !filter.targets.is_empty() && targets.len() == filter.targets.len();
        let needle = BlockNeedle::of(lower.as_deref(), &filter.states, is_named.then_some(&targets));
        match owners.as_deref() {
            Some([owner]) => by_tenant.newest_first(table, owner, list, &needle, before),
            _ if is_invitations => Box::new(by_tenant.invitations(&needle, before)),
            _ => Box::new(by_tenant.all(&needle, before)),
        }
    }

    /// The caller, or the owners that the operator names; none where it names none.
    fn whose(&self, query: &ShareQuery) -> Option<Vec<TenantId>> {
        match &self.viewer {
            Viewer::Tenant(own) => Some(vec![own.clone()]),
            Viewer::Operator if query.filter.owners.is_empty() => None,
            Viewer::Operator => Some(query.filter.owners.iter().filter_map(|owner| TenantId::parse(owner).ok()).collect()),
        }
    }

    /// The shares of the caller's view that changed after an epoch, by the epoch of their last change.
    pub fn changed_since(&self, epoch: Epoch) -> Vec<SeenShare<'_>> {
        let all = ShareQuery::default();
        let mut changed: Vec<SeenShare<'_>> = self.all_of(&all).filter(|found| found.share.changed_at() > epoch).collect();
        changed.sort_by(|a, b| (a.share.changed_at(), a.share.id()).cmp(&(b.share.changed_at(), b.share.id())));
        changed
    }

    /// The assets that an owner has offered to anybody, by id, those after `after`. The caller is the owner, or the operator.
    pub(crate) fn shared_assets<'v>(&'v self, owner: &str, after: Option<&'v str>) -> impl Iterator<Item = &'v str> {
        let is_own = self.tenant().is_none_or(|own| own.as_str() == owner);
        let PublishedShares { table, by_tenant } = &*self.shares;
        is_own.then(|| by_tenant.assets(table, owner, after)).into_iter().flatten()
    }

    /// Those of them whose id has the text, which is in lower case, at most `limit`.
    pub(crate) fn shared_assets_with<'v>(&'v self, owner: &str, lower: &str, after: Option<&'v str>, limit: usize) -> Vec<&'v str> {
        let has_text = |asset: &&str| has(asset, lower);
        let mut all = self.shared_assets(owner, after);
        let mut found: Vec<&str> = all.by_ref().take(AT_FIRST).filter(has_text).take(limit).collect();
        if found.len() == limit || all.next().is_none() {
            return found;
        }
        // Where few of the owner's shares can have it, these are looked at, else all that are left.
        let PublishedShares { table, by_tenant } = &*self.shares;
        let (Ok(tenant), needle) = (TenantId::parse(owner), BlockNeedle::of(Some(lower), &[], None)) else { return found };
        let list = ShareList::All(Some(ShareSide::Owner));
        let some: Vec<ShareNumber> = by_tenant.newest_first(table, &tenant, list, &needle, ShareNumber(u32::MAX)).take(FEW + 1).collect();
        if some.len() > FEW {
            return self.shared_assets(owner, after).filter(has_text).take(limit).collect();
        }
        let offered = some.into_iter().filter_map(|number| table.offered_asset(number));
        found = offered.filter(|asset| after.is_none_or(|after| *asset > after)).filter(has_text).collect();
        found.sort_unstable();
        found.dedup();
        found.truncate(limit);
        found
    }

    /// The shares of an owner's asset that the caller sees as the owner, the newest offer first.
    pub(crate) fn shares_of_asset(&self, owner: &str, asset: &str) -> Vec<SeenShare<'_>> {
        let PublishedShares { table, by_tenant } = &*self.shares;
        let Some(number) = table.tenants.find(owner) else { return Vec::new() };
        let filter = ShareFilter { owners: vec![owner.to_owned()], ..ShareFilter::default() };
        let search = ShareSearch::new(table, &self.viewer, &filter);
        let seen = by_tenant.by_asset.named(table, number, asset).filter_map(|number| search.look_at(number)).map(SeenShare::of);
        // Others may be under the same hash.
        let is_it = |found: &SeenShare<'_>| found.audience == Audience::Owner && found.document().asset == Some(asset);
        let mut found: Vec<SeenShare<'_>> = seen.filter(is_it).collect();
        found.reverse();
        found
    }

    /// Whether an owner has ever named an asset in an offer. The caller is the owner, or the operator.
    pub(crate) fn has_named(&self, owner: &str, asset: &str) -> bool {
        let table = &self.shares.table;
        let is_own = self.tenant().is_none_or(|own| own.as_str() == owner);
        is_own && table.tenants.find(owner).is_some_and(|number| table.graph.find(owner, asset, |of| of == number).is_some())
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
    pub(super) fn state(&self) -> &PublishedShares {
        &self.shares
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

    /// Its id.
    pub fn id(self) -> &'v str {
        self.share.id().as_str()
    }

    /// Where it is in its life.
    pub fn state(self) -> State {
        self.share.state()
    }

    /// When the offer lapses.
    pub(crate) fn offer_expires(self) -> Option<TimestampNs> {
        self.share.offer_expires()
    }

    /// Whether a target has ever accepted it.
    pub fn was_accepted(self) -> bool {
        self.share.was_accepted()
    }

    /// The address that it was offered to, before and after it was accepted; the target is not told.
    pub fn invitee(self) -> Option<&'v str> {
        match self.audience {
            Audience::Owner => self.share.invited_address(),
            Audience::Target => None,
        }
    }
}
