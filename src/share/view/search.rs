//! Looking through many shares: the filter of a list, resolved once against the table, so that a share is judged without its document.

use crate::share::lifecycle::record::{Share, ShareNumber, TenantNumber};
use crate::share::state::{Permission, State};
use crate::share::status::Audience;
use crate::share::table::ShareTable;
use crate::share::view::list::{Listed, ShareFilter, Viewer};

/// A filter for one viewer and one state of the table. It takes exactly what `list::look_at` takes; a test holds the two together.
pub struct ShareSearch<'t, 'f> {
    table: &'t ShareTable,
    viewer: &'f Viewer,
    /// The viewer's number; none of the operator.
    own: Option<TenantNumber>,
    filter: &'f ShareFilter,
    states: [bool; State::ALL.len()],
    permissions: [bool; Permission::ALL.len()],
    owners: Option<Vec<TenantNumber>>,
    targets: Option<Vec<TenantNumber>>,
    /// By slot: whether it is named.
    profiles: Option<Vec<bool>>,
    /// By list of streams: whether it has one that is named.
    streams: Option<Vec<bool>>,
    invitees: Vec<String>,
    text: Option<SearchText>,
}

/// What is looked for in texts.
struct SearchText {
    lower: String,
    /// By tenant: whether its id has it.
    in_tenant: Vec<bool>,
}

impl<'t, 'f> ShareSearch<'t, 'f> {
    /// Resolves the filter.
    pub fn new(table: &'t ShareTable, viewer: &'f Viewer, filter: &'f ShareFilter) -> Self {
        let own = match viewer {
            Viewer::Operator => None,
            // Nothing is known of the tenant: none of the table's numbers is its own.
            Viewer::Tenant(own) => Some(table.tenants.find(own.as_str()).unwrap_or(TenantNumber(u32::MAX))),
        };
        let numbers = |ids: &[String]| {
            let known = ids.iter().filter_map(|id| table.tenants.find(id)).collect();
            (!ids.is_empty()).then_some(known)
        };
        let names_profile = |name: &str| filter.profiles.iter().any(|wanted| wanted == name);
        let profiles = (0..table.profiles.len())
            .map(|slot| names_profile(table.profiles.get(crate::share::profile_slot::ProfileSlot(slot)).name.as_str()));
        let names_stream = |name: &str| filter.streams.iter().any(|wanted| wanted == name);
        let streams = table.streams.iter().map(|list| list.order.iter().any(|stream| names_stream(table.streams.name(*stream).as_str())));
        let text = filter.search.as_ref().map(|text| {
            let lower = text.to_lowercase();
            let in_tenant = table.tenants.iter().map(|(_, tenant)| has(tenant.id.as_str(), &lower)).collect();
            SearchText { lower, in_tenant }
        });
        Self {
            own,
            states: State::ALL.map(|state| filter.states.is_empty() || filter.states.contains(&state)),
            permissions: Permission::ALL.map(|permission| filter.permissions.is_empty() || filter.permissions.contains(&permission)),
            owners: numbers(&filter.owners),
            targets: numbers(&filter.targets),
            profiles: (!filter.profiles.is_empty()).then(|| profiles.collect()),
            streams: (!filter.streams.is_empty()).then(|| streams.collect()),
            invitees: filter.invitees.iter().map(|invitee| invitee.to_lowercase()).collect(),
            text,
            table,
            viewer,
            filter,
        }
    }

    /// The share of this number, if the viewer sees it and looks for it.
    pub(crate) fn look_at(&self, number: ShareNumber) -> Option<Listed<'t>> {
        let share = &self.table.graph.shares[number.0];
        if !self.states[share.state as usize] {
            return None;
        }
        if share.state == State::Failed && share.extra().is_some_and(|extra| extra.written.is_some()) {
            // Of a FAILED offer that names what cannot be, the document alone knows what it said.
            return super::list::look_at(self.table.view_of_share(share), self.viewer, self.filter);
        }
        let audience = self.audience(share)?;
        self.fits(share, audience).then(|| Listed { share: self.table.view_of_share(share), audience })
    }

    fn audience(&self, share: &Share) -> Option<Audience> {
        match self.own {
            None => Some(Audience::Owner),
            Some(own) if share.owner == own => Some(Audience::Owner),
            Some(own) if share.target() == Some(own) && share.state != State::Failed => Some(Audience::Target),
            Some(_) => None,
        }
    }

    fn fits(&self, share: &Share, audience: Audience) -> bool {
        let filter = self.filter;
        let target = share.target();
        self.permissions[share.permission() as usize]
            && self.owners.as_ref().is_none_or(|owners| owners.contains(&share.owner))
            && self.targets.as_ref().is_none_or(|targets| target.is_some_and(|target| targets.contains(&target)))
            && self.profiles.as_ref().is_none_or(|named| named.get(share.profile.0 as usize).copied().unwrap_or(false))
            && self.streams.as_ref().is_none_or(|named| named.get(share.streams as usize).copied().unwrap_or(false))
            && (filter.shares.is_empty() || filter.shares.iter().any(|id| id == share.id.as_str()))
            && (filter.labels.is_empty() || share.label().is_some_and(|label| filter.labels.iter().any(|wanted| wanted == label)))
            && (filter.assets.is_empty()
                || self.assets(share, audience).into_iter().flatten().any(|asset| filter.assets.iter().any(|wanted| wanted == asset)))
            && (filter.invitees.is_empty()
                || self.invitee(share, audience).is_some_and(|invitee| self.invitees.contains(&invitee.to_lowercase())))
            && self.text.as_ref().is_none_or(|text| self.has_text(share, audience, text))
    }

    /// The owner's id, if the audience sees it, and the target's.
    fn assets(&self, share: &'t Share, audience: Audience) -> [Option<&'t str>; 2] {
        let asset = self.table.graph.assets.get(share.asset).map(|asset| asset.id.as_str());
        let own = asset.filter(|_| audience == Audience::Owner);
        [own, share.target_asset.as_ref().map(|id| id.as_str()).or(asset)]
    }

    fn invitee(&self, share: &'t Share, audience: Audience) -> Option<&'t str> {
        share.invitee().filter(|_| audience == Audience::Owner && share.target().is_none())
    }

    fn has_text(&self, share: &'t Share, audience: Audience, text: &SearchText) -> bool {
        let is_target = share.target().is_some_and(|target| text.in_tenant.get(target.0 as usize).copied().unwrap_or(false));
        is_target
            || self.assets(share, audience).into_iter().flatten().any(|asset| has(asset, &text.lower))
            || share.label().is_some_and(|label| has(label, &text.lower))
            || self.invitee(share, audience).is_some_and(|invitee| has(invitee, &text.lower))
    }
}

/// Whether a text has this one, which is in lower case, in upper or lower case.
pub(crate) fn has(text: &str, lower: &str) -> bool {
    if !text.is_ascii() {
        return text.to_lowercase().contains(lower);
    }
    let (text, lower) = (text.as_bytes(), lower.as_bytes());
    let Some((first, rest)) = lower.split_first() else { return true };
    let Some(last) = text.len().checked_sub(lower.len()) else { return false };
    (0..=last).any(|at| text[at].to_ascii_lowercase() == *first && text[at + 1..at + lower.len()].eq_ignore_ascii_case(rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::id::TenantId;
    use crate::share::tests::fixture::World;
    use crate::share::view::list::look_at;

    proptest! {
        #[test]
        fn a_text_is_found_as_in_lower_case(text in "[a-zA-ZäÖß.]{0,12}", part in "[a-zäöß.]{0,3}") {
            prop_assert_eq!(has(&text, &part), text.to_lowercase().contains(&part));
        }
    }

    fn world() -> World {
        let mut world = World::partners();
        for (number, rest) in [
            r#""target_tenant":"zenith","target_asset":"Z-1","label":"Digger""#,
            r#""target_tenant":"zenith","permission":"edit","streams":["details"]"#,
            r#""invitee":"Some.One@Example.com""#,
            r#""target_tenant":"acme""#,
            r#""target_tenant":"zenith","asset":"a\u0000b""#,
            r#""target_tenant":"nobody","profile":"none""#,
        ]
        .iter()
        .enumerate()
        {
            let base = format!(r#"{{"share":"s{number}","asset":"NW-{number}","streams":["telemetry"],"profile":"all",{rest}}}"#);
            world.send("acme", "share.offered", &base);
        }
        world.ok("zenith", "share.accepted", r#"{"share":"s0"}"#);
        world.send(
            "zenith",
            "share.offered",
            r#"{"share":"t0","asset":"Z","target_tenant":"acme","streams":["telemetry"],"profile":"all"}"#,
        );
        world
    }

    #[test]
    fn it_takes_what_a_look_at_the_document_takes() {
        let world = world();
        let text = |text: &str| vec![text.to_owned()];
        let mut filters = vec![ShareFilter::default()];
        for word in ["nw-", "z-1", "DIG", "zenith", "some.one", "acme", "nothing", "a\u{0}"] {
            filters.push(ShareFilter { search: Some(word.to_owned()), ..ShareFilter::default() });
        }
        for state in State::ALL {
            filters.push(ShareFilter { states: vec![state], ..ShareFilter::default() });
        }
        for tenant in ["acme", "zenith", "nobody", "unheard"] {
            filters.push(ShareFilter { owners: text(tenant), ..ShareFilter::default() });
            filters.push(ShareFilter { targets: text(tenant), ..ShareFilter::default() });
        }
        for asset in ["NW-0", "Z-1", "NW-1", "Z"] {
            filters.push(ShareFilter { assets: text(asset), ..ShareFilter::default() });
        }
        filters.push(ShareFilter { labels: text("Digger"), ..ShareFilter::default() });
        filters.push(ShareFilter { invitees: text("SOME.ONE@example.com"), ..ShareFilter::default() });
        filters.push(ShareFilter { streams: text("details"), ..ShareFilter::default() });
        filters.push(ShareFilter { profiles: text("all"), ..ShareFilter::default() });
        filters.push(ShareFilter { profiles: text("none"), ..ShareFilter::default() });
        filters.push(ShareFilter { shares: text("s1"), ..ShareFilter::default() });
        filters.push(ShareFilter { permissions: vec![Permission::Edit], ..ShareFilter::default() });
        let tenants = ["acme", "zenith", "nobody", "unheard"].map(|id| Viewer::Tenant(TenantId::parse(id).unwrap()));
        let mut taken = 0;
        for viewer in tenants.iter().chain([&Viewer::Operator]) {
            for filter in &filters {
                let search = ShareSearch::new(&world.table, viewer, filter);
                for (number, share) in (0..).zip(world.table.shares()) {
                    let own = search.look_at(ShareNumber(number)).map(|found| found.audience);
                    assert_eq!(own, look_at(share, viewer, filter).map(|found| found.audience), "{viewer:?} {filter:?} {}", share.id());
                    taken += usize::from(own.is_some());
                }
            }
        }
        assert!(taken > 50, "{taken}");
    }
}
