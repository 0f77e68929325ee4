//! Invitations by what became of them, and how many there are of each.

use crate::serve::published::PublishedShares;
use crate::serve::view::caller::CallerView;
use crate::serve::view::lists::ShareQuery;
use crate::serve::view::seen::SeenShare;
use crate::share::lifecycle::record::ShareNumber;
use crate::share::state::{Permission, State};
use crate::share::view::by_tenant::ShareSide;
use crate::share::view::invitations::InvitationOutcome;
use crate::share::view::list::ShareFilter;
use crate::time::TimestampNs;

/// How many there are of each, in the order of `InvitationOutcome::ALL`.
type CountOfEach = [usize; InvitationOutcome::ALL.len()];

/// Which invitations are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct InvitationFilter {
    /// A part of what [`ShareFilter::search`] looks at.
    pub(crate) search: Option<String>,
    /// Any if none is named.
    pub(crate) permission: Option<Permission>,
    /// Of one asset alone.
    pub(crate) asset: Option<String>,
    /// Whose; of the operator alone.
    pub(crate) owner: Option<String>,
}

/// Some invitations, the newest first.
#[derive(Debug, Default)]
pub(crate) struct InvitationsFound<'v> {
    /// All that fit, whatever the outcome that is asked for.
    pub(crate) counts: CountOfEach,
    pub(crate) invitations: Vec<(SeenShare<'v>, InvitationOutcome)>,
    pub(crate) has_more: bool,
}

impl CallerView {
    /// The invitations that the caller has sent, the operator's are everybody's: of one outcome at `now`, or of any, after the share
    /// `after`, at most `limit`. Whoever names a share that it does not see begins at the beginning.
    pub(crate) fn invitations(
        &self,
        filter: &InvitationFilter,
        outcome: Option<InvitationOutcome>,
        after: &str,
        now: TimestampNs,
        limit: usize,
    ) -> InvitationsFound<'_> {
        let mut query = self.invitation_query(filter);
        let outcome_of = |share: SeenShare<'_>| InvitationOutcome::of(share.state(), share.was_accepted(), share.offer_expires(), now);
        let (counts, has_lapsed) = self.kept_counts(filter, now).unwrap_or_else(|| {
            let mut counts = CountOfEach::default();
            self.all_of(&query).filter_map(outcome_of).for_each(|outcome| counts[outcome as usize] += 1);
            (counts, true)
        });
        if outcome.is_some_and(|outcome| counts[outcome as usize] == 0) {
            return InvitationsFound { counts, ..InvitationsFound::default() };
        }
        query.filter.states = outcome.map(InvitationOutcome::states).unwrap_or_default();
        if outcome == Some(InvitationOutcome::Expired) && !has_lapsed {
            query.filter.states.retain(|state| *state != State::Pending);
        }
        let before = self.share(after).and_then(|share| self.shares.table.find_share(share.id()));
        let is_asked = |found: &(SeenShare<'_>, InvitationOutcome)| outcome.is_none_or(|asked| asked == found.1);
        let found = self.found(&query, before.unwrap_or(ShareNumber(u32::MAX))).filter_map(|share| Some((share, outcome_of(share)?)));
        let mut invitations: Vec<_> = found.filter(is_asked).take(limit + 1).collect();
        let has_more = invitations.len() > limit;
        invitations.truncate(limit);
        InvitationsFound { counts, invitations, has_more }
    }

    fn invitation_query(&self, filter: &InvitationFilter) -> ShareQuery {
        let InvitationFilter { search, permission, asset, owner } = filter.clone();
        let filter = ShareFilter {
            search,
            permissions: permission.into_iter().collect(),
            assets: asset.into_iter().collect(),
            owners: owner.into_iter().collect(),
            ..ShareFilter::default()
        };
        ShareQuery { side: self.tenant().map(|_| ShareSide::Owner), invited: Some(true), filter }
    }

    /// The counts that are kept as shares change, with what has lapsed since and is not recorded yet, and whether anything has; none
    /// where texts or an asset are looked for.
    fn kept_counts(&self, filter: &InvitationFilter, now: TimestampNs) -> Option<(CountOfEach, bool)> {
        let InvitationFilter { search: None, asset: None, permission, owner } = filter else { return None };
        let PublishedShares { table, by_tenant } = &*self.shares;
        let whose = match (self.tenant(), owner) {
            (Some(own), Some(owner)) if own.as_str() != owner => return Some(Default::default()),
            (Some(own), _) => Some(own.as_str()),
            (None, owner) => owner.as_deref(),
        };
        let (kept, number) = match whose {
            Some(owner) => (by_tenant.counts(table, owner).outcomes, table.tenants.find(owner)),
            None => (by_tenant.all_outcomes(), None),
        };
        let permissions: Vec<Permission> = permission.iter().copied().collect();
        let mut counts = kept.named(&permissions);
        let awaited = table.schedule.offers.up_to(now.millis()).map(|share| &table.graph.shares[share.0]);
        let is_asked = |permission: Permission| permissions.is_empty() || permissions.contains(&permission);
        let lapsed = awaited.filter(|share| {
            let is_theirs = whose.is_none() || number == Some(share.owner);
            let has_lapsed = share.offer_expires().is_some_and(|at| at <= now);
            is_theirs && is_asked(share.permission()) && share.invitee().is_some() && has_lapsed
        });
        let lapsed = lapsed.count().min(counts[InvitationOutcome::Pending as usize]);
        counts[InvitationOutcome::Pending as usize] -= lapsed;
        counts[InvitationOutcome::Expired as usize] += lapsed;
        Some((counts, lapsed > 0))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::access::{Caller, Party, Role};
    use crate::id::TenantId;
    use crate::share::tests::fixture::World;
    use crate::share::view::by_tenant::SharesByTenant;
    use crate::time::TimestampMs;

    /// Twelve of acme and some of zenith: open, lapsed and recorded or not, accepted, over after that, declined, cancelled.
    fn shares() -> Arc<PublishedShares> {
        let mut world = World::partners();
        for number in 0..12 {
            let permission = ["view", "edit"][number % 2];
            let lapses = ["", r#","offer_expires":"2026-03-01T00:00:00Z""#][number / 6];
            let data = format!(
                r#"{{"share":"s{number:02}","asset":"NW-{}","invitee":"ann{number}@example.com","streams":["telemetry"],"profile":"all","permission":"{permission}"{lapses}}}"#,
                number % 5
            );
            world.ok("acme", "share.offered", &data);
        }
        for (tenant, kind, share) in [
            ("zenith", "share.accepted", "s00"),
            ("zenith", "share.accepted", "s01"),
            ("acme", "share.revoked", "s01"),
            ("acme", "share.cancelled", "s02"),
            ("acme", "share.cancelled", "s09"),
            ("zenith", "share.accepted", "s10"),
        ] {
            let place = if kind == "share.accepted" { format!(r#","target_asset":"T-{share}""#) } else { String::new() };
            world.ok(tenant, kind, &format!(r#"{{"share":"{share}"{place}}}"#));
        }
        let other = r#"{"share":"z","asset":"Z-1","invitee":"bo@example.com","streams":["telemetry"],"profile":"all"}"#;
        world.ok("zenith", "share.offered", other);
        let by_tenant = SharesByTenant::of(&world.table);
        Arc::new(PublishedShares { table: world.table, by_tenant })
    }

    fn view(shares: &Arc<PublishedShares>, tenant: Option<&str>) -> CallerView {
        let who = tenant.map_or(Party::Operator, |tenant| Party::Tenant(TenantId::parse(tenant).unwrap()));
        CallerView::new(Arc::clone(shares), &Caller { who, role: Role::Admin, name: None })
    }

    /// Cards and lists, with every filter, are what a look at each invitation gives; before an offer lapses and after.
    #[test]
    fn cards_and_lists_are_those_of_a_look_at_all() {
        let shares = shares();
        let text = |text: &str| Some(text.to_owned());
        let mut seen = Vec::new();
        for now in ["2026-02-28T23:59:59.999Z", "2026-03-01T00:00:00Z"].map(|at| TimestampNs::parse_rfc3339(at).unwrap()) {
            for tenant in [Some("acme"), Some("zenith"), Some("nobody"), None] {
                let view = view(&shares, tenant);
                let filters = [
                    InvitationFilter::default(),
                    InvitationFilter { permission: Some(Permission::Edit), ..InvitationFilter::default() },
                    InvitationFilter { owner: text("acme"), ..InvitationFilter::default() },
                    InvitationFilter { search: text("ann1"), ..InvitationFilter::default() },
                    InvitationFilter { asset: text("NW-1"), owner: text("acme"), ..InvitationFilter::default() },
                ];
                for filter in &filters {
                    let query = view.invitation_query(filter);
                    let outcome =
                        |share: &SeenShare<'_>| InvitationOutcome::of(share.state(), share.was_accepted(), share.offer_expires(), now);
                    let all: Vec<_> = view.all_of(&query).filter_map(|share| Some((share.id(), outcome(&share)?))).collect();
                    for asked in InvitationOutcome::ALL.into_iter().map(Some).chain([None]) {
                        let (mut listed, mut after) = (Vec::new(), String::new());
                        loop {
                            let found = view.invitations(filter, asked, &after, now, 2);
                            for (count, outcome) in found.counts.into_iter().zip(InvitationOutcome::ALL) {
                                assert_eq!(count, all.iter().filter(|one| one.1 == outcome).count(), "{tenant:?} {filter:?} {outcome:?}");
                            }
                            listed.extend(found.invitations.iter().map(|(share, outcome)| (share.id(), *outcome)));
                            let Some((last, _)) = found.invitations.last().filter(|_| found.has_more) else { break };
                            after = last.id().to_owned();
                        }
                        let wanted: Vec<_> = all.iter().copied().filter(|one| asked.is_none_or(|asked| asked == one.1)).collect();
                        assert_eq!(listed, wanted, "{tenant:?} {filter:?} {asked:?}");
                    }
                }
                seen.push(view.invitations(&filters[0], None, "", now, 1).counts);
            }
        }
        let nothing = [0; 5];
        let before = [[7, 3, 0, 0, 2], [1, 0, 0, 0, 0], nothing, [8, 3, 0, 0, 2]];
        let after = [[3, 3, 0, 4, 2], [1, 0, 0, 0, 0], nothing, [4, 3, 0, 4, 2]];
        assert_eq!(seen, [before, after].concat());
        let hidden = view(&shares, Some("zenith"));
        let first = |after| hidden.invitations(&InvitationFilter::default(), None, after, TimestampMs(0).moment(), 5).invitations.len();
        assert_eq!((first("s05"), first("none"), first("z")), (1, 1, 0), "a share of another's is no place in a list");
    }
}
