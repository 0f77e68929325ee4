//! Tenants, their tree, and what lies between two of them (docs/rules/partnerships.md#the-tenant-tree).

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::id::{Epoch, ProfileName, TenantId};
use crate::share::chunked_vec::ChunkedVec;
use crate::share::graph::TenantFacts;
use crate::share::lifecycle::record::{NOTHING, TenantNumber};
use crate::share::paged_vec::PagedVec;
use crate::share::profile_slot::ProfileSlot;

/// Everybody of whom anything is known.
#[derive(Debug, Default, Clone)]
pub(crate) struct Tenants {
    all: ChunkedVec<Tenant>,
    /// What graphs know of the same tenants.
    facts: PagedVec<TenantFacts, 16>,
    /// Shared with clones until one of them gets a new tenant.
    numbers: Arc<FxHashMap<TenantId, TenantNumber>>,
}

/// One tenant.
#[derive(Debug, Clone)]
pub(crate) struct Tenant {
    pub(crate) id: TenantId,
    pub(crate) parent: Option<TenantNumber>,
    is_suspended: bool,
    /// The pairs it is of.
    pub(crate) pairs: Vec<u32>,
    /// Every profile it ever published.
    pub(crate) profiles: BTreeMap<ProfileName, ProfileSlot>,
}

impl Tenant {
    pub(crate) fn is_suspended(&self) -> bool {
        self.is_suspended
    }
}

impl Tenants {
    pub(crate) fn find(&self, id: &str) -> Option<TenantNumber> {
        self.numbers.get(id).copied()
    }

    /// The number of a tenant, a new one if nothing is known of it yet.
    pub(crate) fn number(&mut self, id: &TenantId) -> TenantNumber {
        if let Some(number) = self.numbers.get(id) {
            return *number;
        }
        let tenant = Tenant { id: id.clone(), parent: None, is_suspended: false, pairs: Vec::new(), profiles: BTreeMap::new() };
        self.facts.push(TenantFacts { id: Some(id.clone()), is_suspended: false });
        let number = TenantNumber(self.all.push(tenant));
        Arc::make_mut(&mut self.numbers).insert(id.clone(), number);
        number
    }

    pub(crate) fn get(&self, number: TenantNumber) -> &Tenant {
        &self.all[number.0]
    }

    pub(crate) fn get_mut(&mut self, number: TenantNumber) -> &mut Tenant {
        &mut self.all[number.0]
    }

    /// Suspends a tenant or takes that back.
    pub(crate) fn set_suspended(&mut self, number: TenantNumber, is_suspended: bool) {
        self.all[number.0].is_suspended = is_suspended;
        self.facts[number.0].is_suspended = is_suspended;
    }

    /// What graphs know of all of them.
    pub(crate) fn facts(&self) -> PagedVec<TenantFacts, 16> {
        self.facts.clone()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (TenantNumber, &Tenant)> {
        self.all.iter().map(|(number, tenant)| (TenantNumber(number), tenant))
    }

    pub(crate) fn len(&self) -> u32 {
        self.all.len()
    }

    /// Whether the first is the second or above it in the tree.
    pub(crate) fn is_at_or_above(&self, upper: TenantNumber, lower: TenantNumber) -> bool {
        std::iter::successors(Some(lower), |number| self.get(*number).parent).any(|number| number == upper)
    }
}

/// What lies between two tenants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Partnership {
    /// Nothing.
    None,
    /// One has offered.
    OfferedBy(TenantNumber),
    /// They are partners.
    Active {
        /// Offers are accepted in the same event.
        auto_accept: bool,
    },
}

/// Two tenants that have to do with each other.
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    /// Both, the smaller number first.
    pub(crate) tenants: [TenantNumber; 2],
    pub(crate) partnership: Partnership,
    /// The offset of the event that ended their last partnership.
    pub(crate) ended_at: Option<Epoch>,
    /// The first of the shares between the two, in either direction, that an end of the partnership would touch.
    pub(crate) first: u32,
}

/// All pairs, by number and by their tenants.
#[derive(Debug, Default, Clone)]
pub(crate) struct Pairs {
    all: ChunkedVec<Pair>,
    /// Shared with clones until one of them gets a new pair.
    numbers: Arc<FxHashMap<[TenantNumber; 2], u32>>,
}

impl Pairs {
    pub(crate) fn find(&self, a: TenantNumber, b: TenantNumber) -> Option<&Pair> {
        self.number_of(a, b).map(|number| &self.all[number])
    }

    /// The number of a pair, if anything is or was between the two.
    pub(crate) fn number_of(&self, a: TenantNumber, b: TenantNumber) -> Option<u32> {
        self.numbers.get(&ordered(a, b)).copied()
    }

    /// The number of a pair, a new one if nothing is between the two yet.
    pub(crate) fn number(&mut self, a: TenantNumber, b: TenantNumber, tenants: &mut Tenants) -> u32 {
        let key = ordered(a, b);
        if let Some(number) = self.numbers.get(&key) {
            return *number;
        }
        let number = self.all.push(Pair { tenants: key, partnership: Partnership::None, ended_at: None, first: NOTHING });
        Arc::make_mut(&mut self.numbers).insert(key, number);
        for tenant in key {
            tenants.get_mut(tenant).pairs.push(number);
        }
        number
    }

    pub(crate) fn get(&self, number: u32) -> &Pair {
        &self.all[number]
    }

    pub(crate) fn get_mut(&mut self, number: u32) -> &mut Pair {
        &mut self.all[number]
    }

    pub(crate) fn len(&self) -> u32 {
        self.all.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Pair> {
        self.all.iter().map(|(_, pair)| pair)
    }
}

fn ordered(a: TenantNumber, b: TenantNumber) -> [TenantNumber; 2] {
    if a <= b { [a, b] } else { [b, a] }
}
