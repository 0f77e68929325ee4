//! Tenants and partnerships: the tree, suspensions, and what ends with a partnership (docs/rules/partnerships.md#suspension,
//! docs/rules/partnerships.md#the-end-of-a-partnership).

use crate::id::TenantId;
use crate::share::event::kind::EventType;
use crate::share::event::payload::TenantUpdate;
use crate::share::lifecycle::record::{ShareNumber, TenantNumber};
use crate::share::state::{Holders, Reason, State};
use crate::share::table::tenant::Partnership;
use crate::share::table::{Folded, ShareTable};

impl ShareTable {
    /// `tenant.updated`: its place in the tree, and whether it is suspended.
    pub(crate) fn update_tenant(&mut self, update: &TenantUpdate<'_>, folded: &mut Folded) -> Result<(), Reason> {
        let id = TenantId::parse(update.tenant).map_err(|_| Reason::InvalidId)?;
        let parent_id = update.parent.flatten().map(TenantId::parse).transpose().map_err(|_| Reason::InvalidId)?;
        let known = self.tenants.find(id.as_str());
        let parent = parent_id.as_ref().and_then(|id| self.tenants.find(id.as_str()));
        let is_ring = known.zip(parent).is_some_and(|(tenant, parent)| self.tenants.is_at_or_above(tenant, parent));
        if is_ring || parent_id.as_ref() == Some(&id) {
            return Err(Reason::TenantCycle);
        }
        let number = self.tenants.number(&id);
        let parent = parent_id.map(|id| self.tenants.number(&id));
        if update.parent.is_some() {
            self.tenants.get_mut(number).parent = parent;
        }
        let is_suspended = update.suspended.unwrap_or_else(|| self.tenants.get(number).is_suspended());
        if is_suspended != self.tenants.get(number).is_suspended() {
            self.suspend(number, is_suspended, folded);
        }
        Ok(())
    }

    /// Suspends a tenant or takes that back, with all its shares.
    fn suspend(&mut self, tenant: TenantNumber, is_suspended: bool, folded: &mut Folded) {
        self.tenants.set_suspended(tenant, is_suspended);
        let now = self.now();
        for number in self.shares_of_pairs(&self.tenants.get(tenant).pairs) {
            let share = &self.graph.shares[number.0];
            let other = [Some(share.owner), share.target()].into_iter().flatten().find(|party| *party != tenant);
            if other.is_some_and(|other| self.tenants.get(other).is_suspended()) {
                continue;
            }
            match share.state {
                State::Active | State::Paused if is_suspended => self.change(number, folded, |share| share.hold(Holders::SUSPENSION, now)),
                State::Active | State::Paused => self.change(number, folded, |share| share.release(Holders::SUSPENSION, now)),
                _ => self.refresh(number, folded),
            }
        }
    }

    /// `partnership.established`: overwrites whatever was between the two.
    pub(crate) fn establish(&mut self, tenants: [&str; 2], auto_accept: bool) -> Result<(), Reason> {
        let pair = self.pair(tenants)?.2;
        self.pairs.get_mut(pair).partnership = Partnership::Active { auto_accept };
        Ok(())
    }

    /// Who is invited and accepts becomes a partner (docs/rules/partnerships.md#partnerships-by-invitation).
    pub(crate) fn make_partners(&mut self, owner: TenantNumber, target: TenantNumber) {
        let pair = self.pairs.number(owner, target, &mut self.tenants);
        self.pairs.get_mut(pair).partnership = Partnership::Active { auto_accept: false };
    }

    /// The other partnership events; the first of `sides` acts.
    pub(crate) fn change_partnership(
        &mut self,
        kind: EventType,
        sides: [&str; 2],
        auto_accept: bool,
        folded: &mut Folded,
    ) -> Result<(), Reason> {
        let [acting_id, partner_id] = parse(sides)?;
        let is = match (self.tenants.find(acting_id.as_str()), self.tenants.find(partner_id.as_str())) {
            (Some(acting), Some(partner)) => self.pairs.find(acting, partner).map_or(Partnership::None, |pair| pair.partnership),
            _ => Partnership::None,
        };
        let is_offering = matches!(is, Partnership::OfferedBy(by) if self.tenants.get(by).id == acting_id);
        let becomes = match (kind, is) {
            (EventType::PartnershipOffered, Partnership::None) => None,
            (EventType::PartnershipOffered, _) => return Err(Reason::WrongState),
            (_, Partnership::None) => return Err(Reason::NoPartnership),
            (EventType::PartnershipEnded, _) => Some(Partnership::None),
            (_, Partnership::Active { .. }) => return Err(Reason::WrongState),
            (_, Partnership::OfferedBy(_)) if is_offering => return Err(Reason::NotTarget),
            (EventType::PartnershipAccepted, _) => Some(Partnership::Active { auto_accept }),
            _ => Some(Partnership::None),
        };
        let (acting, _, pair) = self.pair(sides)?;
        self.pairs.get_mut(pair).partnership = becomes.unwrap_or(Partnership::OfferedBy(acting));
        if kind == EventType::PartnershipEnded && matches!(is, Partnership::Active { .. }) {
            self.pairs.get_mut(pair).ended_at = Some(self.graph.epoch);
            for number in self.shares_of_pairs(&[pair]) {
                self.cut(number, folded);
            }
        }
        Ok(())
    }

    /// Ends a share because its partnership ended; of an EXPIRED one only the `late_grace` ends (docs/rules/shares.md#late-cuts).
    fn cut(&mut self, number: ShareNumber, folded: &mut Folded) {
        let now = self.now();
        self.change(number, folded, |share| match share.state {
            State::Active | State::Paused => share.end(State::Revoked, Reason::PartnershipEnded, now),
            State::Pending => share.end(State::Cancelled, Reason::PartnershipEnded, now),
            _ => {
                share.set_lingers(false);
                share.forget_pauses();
            }
        });
    }

    /// Both tenants and their pair, made if they are new.
    fn pair(&mut self, tenants: [&str; 2]) -> Result<(TenantNumber, TenantNumber, u32), Reason> {
        let [a, b] = parse(tenants)?;
        let (a, b) = (self.tenants.number(&a), self.tenants.number(&b));
        Ok((a, b, self.pairs.number(a, b, &mut self.tenants)))
    }
}

fn parse([a, b]: [&str; 2]) -> Result<[TenantId; 2], Reason> {
    let invalid = |_| Reason::InvalidId;
    let both = [TenantId::parse(a).map_err(invalid)?, TenantId::parse(b).map_err(invalid)?];
    if a == b { Err(Reason::SelfShare) } else { Ok(both) }
}
