//! A consumer group as a coordinator sees it: generations, and the cooperative protocol with its rounds.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::scheduler::Dice;

/// `session.timeout.ms`.
const SESSION: Duration = Duration::from_secs(15);

/// What a member is told at a poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told {
    Revoked(Vec<i32>),
    Assigned(Vec<i32>, i64),
}

#[derive(Debug)]
struct Member {
    actor: usize,
    owned: BTreeSet<i32>,
    /// Not yet told.
    told: VecDeque<Told>,
    has_joined: bool,
    /// When its process died without leaving.
    died_at: Option<Duration>,
}

/// The group.
#[derive(Debug, Default)]
pub(super) struct Group {
    generation: i64,
    members: BTreeMap<u64, Member>,
    next_member: u64,
    is_rebalancing: bool,
    /// The next round takes a partition from this member, which need not give one.
    moves_from: Option<u64>,
    partitions: i32,
    /// Partitions that a member was given, for those who ask.
    pub(super) given: Vec<i32>,
}

impl Group {
    pub(super) fn new(partitions: i32) -> Self {
        Self { partitions, ..Self::default() }
    }

    pub(super) fn join(&mut self, actor: usize) -> u64 {
        self.next_member += 1;
        let member = Member { actor, owned: BTreeSet::new(), told: VecDeque::new(), has_joined: false, died_at: None };
        self.members.insert(self.next_member, member);
        self.is_rebalancing = true;
        self.next_member
    }

    pub(super) fn leave(&mut self, member: u64) {
        if self.members.remove(&member).is_some() {
            self.rebalance();
        }
    }

    pub(super) fn die(&mut self, member: u64, now: Duration) {
        if let Some(member) = self.members.get_mut(&member) {
            member.died_at = Some(now);
        }
    }

    pub(super) fn has(&self, member: u64) -> bool {
        self.members.contains_key(&member)
    }

    /// Whether offsets sent with this generation are taken.
    pub(super) fn takes(&self, member: u64, generation: i64) -> bool {
        self.has(member) && generation == self.generation
    }

    /// Begins a rebalance; a member rejoins in the background or at its next poll.
    pub(super) fn rebalance(&mut self) {
        self.is_rebalancing = !self.members.is_empty();
        self.members.values_mut().for_each(|member| member.has_joined = false);
    }

    /// All members have joined in the background, and this one is to give up a partition at its next poll: in the middle of whatever it does.
    pub(super) fn move_from(&mut self, id: u64, is_frozen: impl Fn(usize) -> bool) {
        let can_join = |member: &Member| member.told.is_empty() && member.died_at.is_none() && !is_frozen(member.actor);
        if self.members.values().all(can_join) {
            self.members.values_mut().for_each(|member| member.has_joined = true);
            (self.is_rebalancing, self.moves_from) = (true, Some(id));
            self.complete();
        }
    }

    /// Members that nobody has heard of for the session time-out are put out; others may rejoin by themselves.
    pub(super) fn expire(&mut self, now: Duration, frozen: impl Fn(usize) -> Option<(Duration, Duration)>, dice: &mut Dice) {
        let is_out = |member: &Member| {
            let silent_since = member.died_at.or(frozen(member.actor).map(|(since, _)| since));
            silent_since.is_some_and(|since| now - since >= SESSION)
        };
        let before = self.members.len();
        self.members.retain(|_, member| !is_out(member));
        if self.members.len() < before {
            self.rebalance();
        }
        if self.is_rebalancing {
            for member in self.members.values_mut() {
                let can_join = member.told.is_empty() && member.died_at.is_none() && frozen(member.actor).is_none();
                member.has_joined |= can_join && dice.hits(100);
            }
            self.complete();
        }
    }

    /// A poll: a member with nothing to be told joins, or is told the next thing.
    pub(super) fn poll(&mut self, id: u64) -> Option<Told> {
        let member = self.members.get_mut(&id)?;
        if member.told.is_empty() && self.is_rebalancing {
            member.has_joined = true;
            self.complete();
        }
        let member = self.members.get_mut(&id)?;
        let told = member.told.pop_front()?;
        match &told {
            Told::Revoked(partitions) => {
                member.owned.retain(|p| !partitions.contains(p));
                // It joins again, so that somebody else can have them.
                self.rebalance();
            }
            Told::Assigned(partitions, _) => member.owned.extend(partitions),
        }
        Some(told)
    }

    fn complete(&mut self) {
        if !self.is_rebalancing || self.members.is_empty() || !self.members.values().all(|member| member.has_joined) {
            return;
        }
        self.is_rebalancing = false;
        self.generation += 1;
        let quota = (self.partitions as usize).div_ceil(self.members.len());
        let owned: BTreeSet<i32> = self.members.values().flat_map(|member| member.owned.iter().copied()).collect();
        let mut free: Vec<i32> = (0..self.partitions).filter(|p| !owned.contains(p)).collect();
        let moves_from = self.moves_from.take();
        for (id, member) in &mut self.members {
            member.has_joined = false;
            let kept = if moves_from == Some(*id) { quota.min(member.owned.len().saturating_sub(1)) } else { quota };
            let revoked: Vec<i32> = member.owned.iter().copied().skip(kept).collect();
            let room = quota.saturating_sub(member.owned.len());
            let given = free.split_off(free.len() - room.min(free.len()));
            self.given.extend(&given);
            if !revoked.is_empty() {
                member.told.push_back(Told::Revoked(revoked));
            }
            member.told.push_back(Told::Assigned(given, self.generation));
        }
    }
}
