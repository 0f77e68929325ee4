//! Lists of shares, and how many there are of each kind.

use crate::id::{Epoch, TenantId};
use crate::serve::published::PublishedShares;
use crate::serve::view::caller::CallerView;
use crate::serve::view::seen::SeenShare;
use crate::share::lifecycle::record::{ShareNumber, TenantNumber};
use crate::share::state::State;
use crate::share::status::Audience;
use crate::share::view::blocks::BlockNeedle;
use crate::share::view::by_tenant::{ShareList, ShareSide};
use crate::share::view::counts::SharesByState;
use crate::share::view::list::{ShareFilter, Stats, Viewer};
use crate::share::view::search::ShareSearch;

/// Whoever asks for more assets at once is shown them by looking at all shares.
const MOST_ASSETS_BY_INDEX: usize = 1_000;
/// A page ends after so many shares were looked at for it. Few in tests, so that pages end.
const MOST_LOOKED_AT: usize = if cfg!(test) { 5 } else { 250_000 };

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

/// Some shares of a list.
#[derive(Debug, Default)]
pub struct SharePage<'v> {
    /// The newest offer first.
    pub shares: Vec<SeenShare<'v>>,
    /// The share after which the list goes on: the last of the page, or, where many were looked at and few found, the last that was
    /// looked at. None at the end of the list.
    pub next: Option<&'v str>,
}

impl CallerView {
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
        let (search, mut page) = (self.search(query), SharePage::default());
        for (looked, number) in (1..).zip(self.candidates(query, before)) {
            if let Some(found) = search(number) {
                if page.shares.len() == limit {
                    page.next = page.shares.last().map(|last| last.id());
                    break;
                }
                page.shares.push(found);
            }
            // A list goes on after what the caller sees alone.
            if looked >= MOST_LOOKED_AT {
                let share = self.shares.table.share_at(number).id().as_str();
                page.next = self.share(share).map(SeenShare::id);
            }
            if page.next.is_some() {
                break;
            }
        }
        Some(page)
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

    pub(super) fn found<'v, 'q>(&'v self, query: &'q ShareQuery, before: ShareNumber) -> impl Iterator<Item = SeenShare<'v>> + use<'v, 'q>
    where
        'v: 'q,
    {
        self.candidates(query, before).filter_map(self.search(query))
    }

    /// Looks at one share, whether it is looked for.
    fn search<'v, 'q>(&'v self, query: &'q ShareQuery) -> impl Fn(ShareNumber) -> Option<SeenShare<'v>> + use<'v, 'q>
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
        move |number| search.look_at(number).map(SeenShare::of).filter(is_invited).filter(is_of_side)
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
        // Where a whole label or address is asked for, it is a text too.
        let text = match (&filter.search, &filter.labels[..], &filter.invitees[..]) {
            (Some(text), ..) | (None, [text], _) | (None, _, [text]) => Some(text),
            (None, ..) => None,
        };
        let lower = text.map(|text| text.to_lowercase());
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
        let PublishedShares { table, by_tenant } = &*self.shares;
        let all = ShareQuery::default();
        let mut changed: Vec<SeenShare<'_>> = match by_tenant.changed.since(epoch) {
            Some(numbers) => {
                let search = ShareSearch::new(table, &self.viewer, &all.filter);
                numbers.filter_map(|number| search.look_at(number)).map(SeenShare::of).collect()
            }
            None => self.all_of(&all).collect(),
        };
        changed.retain(|found| found.share.changed_at() > epoch);
        changed.sort_by(|a, b| (a.share.changed_at(), a.share.id()).cmp(&(b.share.changed_at(), b.share.id())));
        changed.dedup_by(|a, b| a.share.id() == b.share.id());
        changed
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::access::{Caller, Party, Role};
    use crate::share::state::Permission;
    use crate::share::tests::fixture::World;
    use crate::share::view::by_tenant::SharesByTenant;

    /// Pages of each length together are what is looked for, also where many shares lie between.
    #[test]
    fn pages_end_and_go_on() {
        let mut world = World::partners();
        for number in 0..40 {
            let (label, permission) = if number % 13 == 0 { ("crane", "edit") } else { ("digger", "view") };
            let target = ["zenith", "nobody"][number % 2];
            let data = format!(
                r#"{{"share":"s{number:02}","asset":"NW-{number}","target_tenant":"{target}","streams":["telemetry"],"profile":"all","label":"{label}","permission":"{permission}"}}"#
            );
            world.send("acme", "share.offered", &data);
        }
        let by_tenant = SharesByTenant::of(&world.table);
        let shares = Arc::new(PublishedShares { table: world.table, by_tenant });
        let (mut empty, mut found) = (0, 0);
        for who in [Party::Operator, Party::Tenant(TenantId::parse("acme").unwrap()), Party::Tenant(TenantId::parse("zenith").unwrap())] {
            let view = CallerView::new(Arc::clone(&shares), &Caller { who, role: Role::Viewer, name: None });
            let text = |text: &str| Some(text.to_owned());
            for filter in [
                ShareFilter::default(),
                ShareFilter { search: text("crane"), ..ShareFilter::default() },
                ShareFilter { search: text("nw-1"), ..ShareFilter::default() },
                ShareFilter { labels: vec!["crane".to_owned()], ..ShareFilter::default() },
                ShareFilter { permissions: vec![Permission::Edit], ..ShareFilter::default() },
                ShareFilter { permissions: vec![Permission::Manage], ..ShareFilter::default() },
            ] {
                let query = ShareQuery { filter, ..ShareQuery::default() };
                let all: Vec<&str> = view.all_of(&query).map(SeenShare::id).collect();
                for limit in [1, 3, 100] {
                    let (mut listed, mut before) = (Vec::new(), None);
                    loop {
                        let page = view.shares(&query, before.as_deref(), limit).unwrap();
                        assert!(page.shares.len() <= limit);
                        empty += usize::from(page.shares.is_empty() && page.next.is_some());
                        listed.extend(page.shares.iter().map(|share| share.id()));
                        let Some(next) = page.next else { break };
                        before = Some(next.to_owned());
                    }
                    assert_eq!(listed, all, "{query:?} {limit}");
                    found += listed.len();
                }
            }
        }
        assert!(empty > 0 && found > 100, "{empty} {found}");
    }
}
