//! Profiles published and retired (docs/rules/profiles.md#publishing).

use std::sync::Arc;

use crate::document::Node;
use crate::id::{ProfileName, StreamName, TenantId};
use crate::json::document::write;
use crate::profile::compile::Profile;
use crate::profile::spec::ProfileSpec;
use crate::share::event::Sender;
use crate::share::profile_slot::ProfileSlot;
use crate::share::sorted_set::SortedSet;
use crate::share::state::Reason;
use crate::share::table::profiles::Published;
use crate::share::table::{Folded, ShareTable};

impl ShareTable {
    /// `profile.published`: everything that uses it is decided by it from now on.
    pub(crate) fn publish(
        &mut self,
        sender: Sender<'_>,
        owner: Option<&str>,
        name: &str,
        spec: &Node,
        source: Option<&str>,
        folded: &mut Folded,
    ) -> Result<(), Reason> {
        let owner = owner_of(sender, owner)?;
        let name = ProfileName::parse(name).map_err(|_| Reason::InvalidId)?;
        if name.as_str() == "all" {
            return Err(Reason::InvalidProfile);
        }
        let read = ProfileSpec::read(spec).map_err(|_| Reason::InvalidProfile)?;
        // A section need not be of a configured stream, but of one that could be.
        if !read.sections().iter().all(|section| StreamName::is_valid(&section.stream)) {
            return Err(Reason::InvalidProfile);
        }
        let mode = |stream: &str| self.configuration().streams.get(stream).copied();
        read.check_modes(mode).map_err(|_| Reason::InvalidProfile)?;
        let mut text = Vec::new();
        write(spec, &mut text);
        let owner = self.tenants.number(&owner);
        let slot = match self.tenants.get(owner).profiles.get(&name) {
            Some(slot) => *slot,
            None => {
                let (spec, users) = (Box::default(), SortedSet::default());
                let new = Published {
                    owner: Some(owner),
                    name: name.clone(),
                    sections: Box::default(),
                    is_retired: true,
                    revision: 0,
                    spec,
                    source: None,
                    users,
                };
                let slot = self.profiles.add(new);
                self.tenants.get_mut(owner).profiles.insert(name, slot);
                slot
            }
        };
        let profile = self.profiles.get_mut(slot);
        profile.source = source.map(Into::into);
        if profile.is_retired || *profile.spec != *text {
            profile.is_retired = false;
            profile.revision += 1;
            profile.spec = text.into();
            self.show_profile(slot, &read);
            folded.profile = Some(slot);
        }
        Ok(())
    }

    /// `profile.retired`: its grants release nothing until it is published again.
    pub(crate) fn retire(&mut self, sender: Sender<'_>, owner: Option<&str>, name: &str, folded: &mut Folded) -> Result<(), Reason> {
        let owner = owner_of(sender, owner)?;
        if !ProfileName::is_valid(name) {
            return Err(Reason::InvalidId);
        }
        let slot = self.tenants.find(owner.as_str()).and_then(|owner| self.tenants.get(owner).profiles.get(name).copied());
        let slot = slot.ok_or(Reason::UnknownProfile)?;
        let profile = self.profiles.get_mut(slot);
        if profile.is_retired {
            return Err(Reason::WrongState);
        }
        profile.is_retired = true;
        self.graph.set_profile(slot, None);
        folded.profile = Some(slot);
        Ok(())
    }

    /// Compiles a profile into the graph.
    pub(crate) fn show_profile(&mut self, slot: ProfileSlot, spec: &ProfileSpec) {
        let sections = spec.sections().iter().filter_map(|section| StreamName::parse(&section.stream).ok());
        self.profiles.get_mut(slot).sections = sections.collect();
        let compiled = Profile::compile(spec, &self.rules.streams);
        let Published { owner, name, revision, .. } = self.profiles.get(slot);
        let compiled = match owner {
            Some(owner) => compiled.published_as(self.tenants.get(*owner).id.clone(), name.clone()),
            None => compiled,
        };
        let compiled = compiled.at_revision(*revision);
        self.graph.set_profile(slot, Some(Arc::new(compiled)));
    }
}

/// Whose profile it is: `owner` is for the operator, a tenant may only name itself (docs/rules/events.md#senders).
fn owner_of(sender: Sender<'_>, owner: Option<&str>) -> Result<TenantId, Reason> {
    let id = match sender {
        Sender::Tenant(own) if owner.is_none_or(|named| named == own) => own,
        Sender::Tenant(_) | Sender::Engine => return Err(Reason::NotOwner),
        Sender::Operator => owner.ok_or(Reason::InvalidEvent)?,
    };
    TenantId::parse(id).map_err(|_| Reason::InvalidId)
}
