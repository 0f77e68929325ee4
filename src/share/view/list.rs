//! Shares as people look for them: who may see which, filters, their order, how many of each kind.

use crate::id::TenantId;
use crate::share::state::{Permission, State};
use crate::share::status::{Audience, Document, StatusTopic};
use crate::share::table::ShareTable;
use crate::share::table::query::ShareView;

/// Who looks at shares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Viewer {
    /// The operator: everything.
    Operator,
    /// A tenant: what its own status topic holds (docs/rules/status.md#who-sees-what).
    Tenant(TenantId),
}

impl Viewer {
    /// As whom the viewer sees a share; none where it is hidden from it. A target does not see FAILED shares.
    pub fn audience(&self, document: &Document<'_>) -> Option<Audience> {
        match self {
            Self::Operator => Some(Audience::Owner),
            Self::Tenant(own) if own.as_str() == document.owner => Some(Audience::Owner),
            Self::Tenant(own) if document.target_tenant == Some(own.as_str()) && document.state != State::Failed => Some(Audience::Target),
            Self::Tenant(_) => None,
        }
    }

    /// The status topic with what the viewer sees.
    pub fn topic(&self) -> StatusTopic {
        match self {
            Self::Operator => StatusTopic::Shares,
            Self::Tenant(own) => StatusTopic::Tenant(own.clone()),
        }
    }
}

/// Which shares are looked for. Of each kind any value may fit, none given is no condition; every kind must fit. Only what
/// the audience sees is looked at, so that nobody can ask for what is hidden.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShareFilter {
    /// A part of the asset's id (the owner's or the target's), the label, the target or the invitee, in upper or lower case.
    pub search: Option<String>,
    /// Share ids.
    pub shares: Vec<String>,
    /// The asset's id, the owner's or the target's.
    pub assets: Vec<String>,
    /// `label`.
    pub labels: Vec<String>,
    /// `invitee`, in upper or lower case.
    pub invitees: Vec<String>,
    /// `owner`.
    pub owners: Vec<String>,
    /// `target_tenant`.
    pub targets: Vec<String>,
    /// Streams, of which the share has one.
    pub streams: Vec<String>,
    /// `profile`.
    pub profiles: Vec<String>,
    /// `state`.
    pub states: Vec<State>,
    /// `permission`.
    pub permissions: Vec<Permission>,
}

impl ShareFilter {
    /// Whether a share's document, as this audience sees it, is looked for.
    pub fn fits(&self, document: &Document<'_>, audience: Audience) -> bool {
        let asset = document.asset_for(audience);
        (self.states.is_empty() || self.states.contains(&document.state))
            && (self.permissions.is_empty() || self.permissions.contains(&document.permission))
            && is_any(&self.shares, [document.share])
            && is_any(&self.owners, [document.owner])
            && is_any(&self.targets, document.target_tenant)
            && is_any(&self.assets, asset.into_iter().chain(document.target_asset))
            && is_any(&self.labels, document.label)
            && is_any_case(&self.invitees, document.invitee_for(audience))
            && is_any(&self.streams, document.streams.iter().copied())
            && is_any(&self.profiles, document.profile)
            && self.search.as_ref().is_none_or(|text| {
                let text = text.to_lowercase();
                let places = [asset, document.target_asset, document.label, document.target_tenant, document.invitee_for(audience)];
                places.into_iter().flatten().any(|place| place.to_lowercase().contains(&text))
            })
    }
}

fn is_any<'d>(wanted: &[String], found: impl IntoIterator<Item = &'d str>) -> bool {
    wanted.is_empty() || found.into_iter().any(|found| wanted.iter().any(|wanted| wanted == found))
}

fn is_any_case(wanted: &[String], found: Option<&str>) -> bool {
    let is_same = |found: &str| wanted.iter().any(|wanted| wanted.to_lowercase() == found.to_lowercase());
    wanted.is_empty() || found.is_some_and(is_same)
}

/// A share that was looked for.
#[derive(Debug, Clone, Copy)]
pub struct Listed<'t> {
    /// The share.
    pub share: ShareView<'t>,
    /// As whom the viewer sees it.
    pub audience: Audience,
}

/// The shares that the viewer sees and looks for, by share id.
pub fn list<'t>(table: &'t ShareTable, viewer: &Viewer, filter: &ShareFilter) -> Vec<Listed<'t>> {
    let mut found: Vec<Listed<'t>> = table.shares().filter_map(|share| look_at(share, viewer, filter)).collect();
    found.sort_unstable_by(|a, b| a.share.id().cmp(b.share.id()));
    found
}

/// One share, if the viewer sees it and looks for it.
pub fn look_at<'t>(share: ShareView<'t>, viewer: &Viewer, filter: &ShareFilter) -> Option<Listed<'t>> {
    let document = share.document();
    let audience = viewer.audience(&document)?;
    filter.fits(&document, audience).then_some(Listed { share, audience })
}

/// How many shares there are of each kind; the kinds make up the total.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// All of them.
    pub total: u64,
    /// PENDING.
    pub pending: u64,
    /// ACTIVE or PAUSED.
    pub accepted: u64,
    /// DECLINED.
    pub declined: u64,
    /// EXPIRED, the offer or the access.
    pub expired: u64,
    /// CANCELLED.
    pub cancelled: u64,
    /// REVOKED.
    pub revoked: u64,
    /// LEFT.
    pub left: u64,
    /// FAILED.
    pub failed: u64,
}

impl Stats {
    /// Counts the shares that the viewer sees and looks for, each by its state.
    pub fn of(table: &ShareTable, viewer: &Viewer, filter: &ShareFilter) -> Self {
        let mut stats = Self::default();
        table.shares().filter_map(|share| look_at(share, viewer, filter)).for_each(|found| stats.count(found.share.document().state));
        stats
    }

    pub(crate) fn count(&mut self, state: State) {
        self.add(state, 1);
    }

    pub(crate) fn add(&mut self, state: State, count: u64) {
        self.total += count;
        *match state {
            State::Pending => &mut self.pending,
            State::Active | State::Paused => &mut self.accepted,
            State::Declined => &mut self.declined,
            State::Expired => &mut self.expired,
            State::Cancelled => &mut self.cancelled,
            State::Revoked => &mut self.revoked,
            State::Left => &mut self.left,
            State::Failed => &mut self.failed,
        } += count;
    }

    /// Each count with its name, the total first.
    pub fn named(&self) -> [(&'static str, u64); 9] {
        [
            ("total", self.total),
            ("pending", self.pending),
            ("accepted", self.accepted),
            ("declined", self.declined),
            ("expired", self.expired),
            ("cancelled", self.cancelled),
            ("revoked", self.revoked),
            ("left", self.left),
            ("failed", self.failed),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::share::tests::fixture::World;

    fn tenant(id: &str) -> Viewer {
        Viewer::Tenant(TenantId::parse(id).unwrap())
    }

    fn ids(world: &World, viewer: &Viewer, filter: &ShareFilter) -> Vec<String> {
        list(&world.table, viewer, filter).iter().map(|found| found.share.id().to_string()).collect()
    }

    fn search(text: &str) -> ShareFilter {
        ShareFilter { search: Some(text.to_owned()), ..ShareFilter::default() }
    }

    /// `s2` for zenith under its own name, `s1` for an invitee, `s3` FAILED, offered in another order than that of their ids.
    fn world() -> World {
        let mut world = World::partners();
        world.offer("s2", r#""target_asset":"EX-1","label":"Große Baggerin""#);
        world.offer("s1", r#""asset":"NW-8","target_tenant":null,"invitee":"Ann@example.com","permission":"manage""#);
        world.offer("s3", r#""profile":"none","label":"lost","streams":["telemetry","faults"]"#);
        world
    }

    #[test]
    fn d22_a_target_sees_what_it_was_offered_and_cannot_ask_for_the_rest() {
        let world = world();
        let all = ShareFilter::default();
        assert_eq!(ids(&world, &Viewer::Operator, &all), ["s1", "s2", "s3"]);
        assert_eq!(ids(&world, &tenant("acme"), &all), ["s1", "s2", "s3"]);
        assert_eq!(ids(&world, &tenant("zenith"), &all), ["s2"]);
        assert_eq!(ids(&world, &tenant("other"), &all), [""; 0]);
        assert_eq!(ids(&world, &tenant("acme"), &search("nw-7")), ["s2", "s3"]);
        assert_eq!(ids(&world, &tenant("zenith"), &search("nw-7")), [""; 0], "the owner's asset is hidden");
        assert_eq!(ids(&world, &tenant("zenith"), &ShareFilter { assets: vec!["NW-7".into()], ..ShareFilter::default() }), [""; 0]);
        assert_eq!(ids(&world, &tenant("zenith"), &ShareFilter { assets: vec!["EX-1".into()], ..ShareFilter::default() }), ["s2"]);
        let found = list(&world.table, &tenant("zenith"), &all);
        assert!(!String::from_utf8(found[0].share.to_json(found[0].audience)).unwrap().contains("NW-7"));
    }

    #[test]
    fn search_is_in_asset_label_target_and_invitee_only() {
        let world = world();
        for (text, expected) in [
            ("GROSSE", vec![]),
            ("große b", vec!["s2"]),
            ("ann@EX", vec!["s1"]),
            ("zeni", vec!["s2", "s3"]),
            ("hire", vec![]),
            ("ex-", vec!["s2"]),
        ] {
            assert_eq!(ids(&world, &Viewer::Operator, &search(text)), expected, "{text}");
        }
    }

    /// A FAILED offer is found by what it named, in rule or not.
    #[test]
    fn filters_fit_by_any_value_of_a_kind_and_by_every_kind() {
        let world = world();
        let texts = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
        for (filter, expected) in [
            (ShareFilter { states: vec![State::Pending], ..ShareFilter::default() }, vec!["s1", "s2"]),
            (
                ShareFilter { states: vec![State::Failed, State::Pending], targets: texts(&["zenith"]), ..ShareFilter::default() },
                vec!["s2", "s3"],
            ),
            (ShareFilter { permissions: vec![Permission::Manage, Permission::Edit], ..ShareFilter::default() }, vec!["s1"]),
            (ShareFilter { profiles: texts(&["none"]), ..ShareFilter::default() }, vec!["s3"]),
            (ShareFilter { streams: texts(&["faults", "other"]), ..ShareFilter::default() }, vec!["s3"]),
            (ShareFilter { labels: texts(&["lost"]), owners: texts(&["acme"]), ..ShareFilter::default() }, vec!["s3"]),
            (ShareFilter { labels: texts(&["lost"]), owners: texts(&["zenith"]), ..ShareFilter::default() }, vec![]),
            (ShareFilter { invitees: texts(&["ann@EXAMPLE.com"]), ..ShareFilter::default() }, vec!["s1"]),
            (ShareFilter { shares: texts(&["s3", "s1"]), ..ShareFilter::default() }, vec!["s1", "s3"]),
        ] {
            assert_eq!(ids(&world, &Viewer::Operator, &filter), expected, "{filter:?}");
        }
    }

    #[test]
    fn accepted_is_active_or_paused() {
        let mut world = world();
        world.ok("zenith", "share.accepted", r#"{"share":"s2"}"#);
        world.ok("zenith", "share.paused", r#"{"share":"s2"}"#);
        let stats = Stats::of(&world.table, &Viewer::Operator, &ShareFilter::default());
        assert_eq!(stats, Stats { total: 3, pending: 1, accepted: 1, failed: 1, ..Stats::default() });
        assert_eq!(Stats::of(&world.table, &tenant("zenith"), &ShareFilter::default()).total, 1);
    }
}
