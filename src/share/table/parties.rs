//! Tenants and partnerships as people look at them.

use crate::json::document;
use crate::json::writer::object;
use crate::profile::spec::ProfileSpec;
use crate::share::lifecycle::record::TenantNumber;
use crate::share::table::ShareTable;
use crate::share::table::tenant::Partnership;

/// A tenant of which anything is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantView<'t> {
    /// Its id.
    pub id: &'t str,
    /// Its parent in the tree.
    pub parent: Option<&'t str>,
    /// Whether all its shares are paused.
    pub is_suspended: bool,
}

/// What lies between two tenants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bonded<'t> {
    /// One has offered a partnership, the other has not accepted.
    OfferedBy(&'t str),
    /// They are partners.
    Active {
        /// Offers of shares are accepted by themselves.
        auto_accept: bool,
    },
}

/// A partnership, offered or active.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartnershipView<'t> {
    /// The two, by id.
    pub tenants: [&'t str; 2],
    /// How it stands.
    pub bond: Bonded<'t>,
}

impl ShareTable {
    /// Every tenant that any event named as one, by id.
    pub fn tenants(&self) -> Vec<TenantView<'_>> {
        let mut all: Vec<_> = self.tenants.iter().map(|(number, _)| self.tenant_view(number)).collect();
        all.sort_unstable_by(|a, b| a.id.cmp(b.id));
        all
    }

    /// One tenant.
    pub fn known_tenant(&self, id: &str) -> Option<TenantView<'_>> {
        self.tenants.find(id).map(|number| self.tenant_view(number))
    }

    fn tenant_view(&self, number: TenantNumber) -> TenantView<'_> {
        let tenant = self.tenants.get(number);
        let parent = tenant.parent.map(|parent| self.tenants.get(parent).id.as_str());
        TenantView { id: tenant.id.as_str(), parent, is_suspended: tenant.is_suspended() }
    }

    /// Every partnership, by its tenants.
    pub fn partnerships(&self) -> Vec<PartnershipView<'_>> {
        let id = |number| self.tenants.get(number).id.as_str();
        let view = |pair: &crate::share::table::tenant::Pair| {
            let bond = match pair.partnership {
                Partnership::None => return None,
                Partnership::OfferedBy(by) => Bonded::OfferedBy(id(by)),
                Partnership::Active { auto_accept } => Bonded::Active { auto_accept },
            };
            let mut tenants = pair.tenants.map(id);
            tenants.sort_unstable();
            Some(PartnershipView { tenants, bond })
        };
        let mut all: Vec<_> = self.pairs.iter().filter_map(view).collect();
        all.sort_unstable_by(|a, b| a.tenants.cmp(&b.tenants));
        all
    }
}

impl ShareTable {
    /// What the profiles that shares use say and hardly mean, in words for the operator.
    pub fn profile_doubts(&self, has_mask_secret: bool) -> Vec<String> {
        let mut all = Vec::new();
        for (_, profile) in self.profiles.iter().filter(|(_, profile)| !profile.is_retired && !profile.users.is_empty()) {
            let spec = document::parse(&profile.spec).ok().and_then(|node| ProfileSpec::read(&node).ok());
            let owner = profile.owner.map_or("", |owner| self.tenants.get(owner).id.as_str());
            let doubts = spec.map(|spec| spec.doubts(&self.rules.streams, has_mask_secret)).unwrap_or_default();
            all.extend(doubts.into_iter().map(|doubt| format!("profile {} of {owner}, {}", profile.name, doubt.what)));
        }
        all
    }
}

impl TenantView<'_> {
    /// `{"tenant","parent"?,"suspended"}`.
    pub fn to_json(&self) -> Vec<u8> {
        object(|out| {
            out.text("tenant", self.id);
            out.text_if("parent", self.parent);
            out.flag("suspended", self.is_suspended);
        })
    }
}

impl PartnershipView<'_> {
    /// `OFFERED` or `ACTIVE`.
    pub fn state(&self) -> &'static str {
        match self.bond {
            Bonded::OfferedBy(_) => "OFFERED",
            Bonded::Active { .. } => "ACTIVE",
        }
    }

    /// `{"tenants","state","offered_by"?,"auto_accept"?}`: an offer says by whom, a partnership whether it accepts by itself.
    pub fn to_json(&self) -> Vec<u8> {
        object(|out| {
            out.texts("tenants", self.tenants);
            out.text("state", self.state());
            match self.bond {
                Bonded::OfferedBy(by) => out.text("offered_by", by),
                Bonded::Active { auto_accept } => out.flag("auto_accept", auto_accept),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::share::tests::fixture::World;

    fn text(json: Vec<u8>) -> String {
        String::from_utf8(json).unwrap()
    }

    #[test]
    fn tenants_and_partnerships_are_as_the_events_left_them() {
        let mut world = World::partners();
        world.ok("operator", "tenant.updated", r#"{"tenant":"branch","parent":"zenith","suspended":true}"#);
        world.ok("zenith", "partnership.offered", r#"{"partner":"branch"}"#);
        world.ok("operator", "partnership.established", r#"{"tenants":["zenith","top"],"auto_accept":true}"#);
        world.ok("acme", "partnership.offered", r#"{"partner":"top"}"#);
        world.ok("top", "partnership.declined", r#"{"partner":"acme"}"#);
        let tenants: Vec<_> = world.table.tenants().iter().map(|tenant| text(tenant.to_json())).collect();
        assert_eq!(
            tenants,
            [
                r#"{"tenant":"acme","suspended":false}"#,
                r#"{"tenant":"branch","parent":"zenith","suspended":true}"#,
                r#"{"tenant":"top","suspended":false}"#,
                r#"{"tenant":"zenith","suspended":false}"#,
            ]
        );
        let partnerships: Vec<_> = world.table.partnerships().iter().map(|pair| text(pair.to_json())).collect();
        assert_eq!(
            partnerships,
            [
                r#"{"tenants":["acme","zenith"],"state":"ACTIVE","auto_accept":false}"#,
                r#"{"tenants":["branch","zenith"],"state":"OFFERED","offered_by":"zenith"}"#,
                r#"{"tenants":["top","zenith"],"state":"ACTIVE","auto_accept":true}"#,
            ]
        );
    }
}
