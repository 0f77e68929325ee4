//! Whatever comes from outside: records, operators, and what goes wrong.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use sharecast::engine::control::timers::TICK_EVERY;

use super::cluster::{ControlSlot, Faults, Topic};
use super::instance::{Instance, actors_of};
use super::model::{Grant, Input, LONGEST_LETTER, PROFILE, SAMPLED, topic_of};
use super::scheduler::{Simulation, World};
use super::standing::{HELD, amiss, details_of};
use super::{ASSETS, ONLY_AWAY, PARTITIONS, PATIENCE, RECORDS, TARGETS};

/// Whatever comes from outside: records, operators, and what goes wrong.
pub(super) struct Outside {
    pub(super) sim: Arc<Simulation>,
    pub(super) instances: Vec<Arc<Instance>>,
    pub(super) workers: usize,
    pub(super) shares: u64,
    pub(super) number: u64,
    pub(super) ticked_at: Duration,
    pub(super) streams: usize,
}

impl Outside {
    pub(super) fn act(mut self) {
        // A late first tick keeps the fence closed while partitions are begun and change hands.
        let mut world = self.sim.look();
        let late = if world.dice.hits(500) { world.dice.millis(0, 5_000) } else { Duration::ZERO };
        self.ticked_at = world.now + late - TICK_EVERY;
        let spec = format!(
            r#""profile":"seen","spec":{{"telemetry":{},"details":{PROFILE}}}"#,
            if world.cluster.model.samples.is_on { SAMPLED } else { PROFILE }
        );
        self.tell(&mut world, "/tenants/nw", "profile.published", &spec);
        drop(world);
        loop {
            let wait = self.sim.look().dice.millis(5, 100);
            let sim = Arc::clone(&self.sim);
            let mut world = sim.pass(wait);
            self.tick(&mut world);
            self.send(&mut world);
            self.share(&mut world);
            self.disturb(&mut world);
            if self.number >= RECORDS && world.dice.hits(50) {
                break;
            }
        }
        self.calm();
        let sim = Arc::clone(&self.sim);
        let until = sim.look().now + PATIENCE;
        loop {
            let mut world = sim.pass(Duration::from_millis(200));
            self.tick(&mut world);
            let cluster = &world.cluster;
            if (0..cluster.inputs.len()).all(|p| cluster.committed[p] == Some(cluster.end(p)))
                && cluster.model.owed.is_empty()
                && amiss(cluster).is_none()
            {
                break;
            }
            if world.now > until {
                let (committed, ends) = (cluster.committed.clone(), (0..cluster.inputs.len()).map(|p| cluster.end(p)).collect::<Vec<_>>());
                let (owed, amiss) = (cluster.model.owed.clone(), (amiss(cluster), cluster.beside.clone()));
                let group = &world.cluster.group;
                let what = format!(
                    "records wait for good: {committed:?} of {ends:?}, owed {owed:?}, {amiss:?}\n{group:?}\n{:?}\n{:?}",
                    world.cluster.producers, world.actors
                );
                world.fail(what);
            }
        }
        self.sim.look().cluster.is_over = true;
        for instance in &self.instances {
            instance.shared.stop.store(true, Ordering::Relaxed);
            instance.stops.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|stop| stop.store(true, Ordering::Relaxed));
        }
    }

    pub(super) fn tick(&mut self, world: &mut World) {
        if world.now >= self.ticked_at + TICK_EVERY {
            self.ticked_at = world.now;
            self.tell(world, "/sharecast", "control.tick", "");
        }
    }

    pub(super) fn tell(&self, world: &mut World, source: &str, kind: &str, data: &str) -> i64 {
        let id = world.cluster.control.len();
        let event = format!(
            r#"{{"specversion":"1.0","id":"e{id}","source":"{source}","type":"sharecast.{kind}.v1","time":"2026-01-01T00:00:00Z","data":{{{data}}}}}"#
        );
        let wall = world.wall();
        world.cluster.append(wall, event)
    }

    pub(super) fn send(&mut self, world: &mut World) {
        // At times more than a batch or two take.
        let most = if world.dice.hits(100) { 60 } else { 7 };
        for _ in 0..world.dice.below(most) {
            if self.number == RECORDS {
                return;
            }
            self.number += 1;
            let (number, asset) = (self.number, world.dice.below(ASSETS as u64) as usize);
            let poison = world.dice.hits(20).then(|| world.dice.below(TARGETS as u64) as usize);
            let is_unreadable = world.dice.hits(30);
            let fill = if is_unreadable && world.dice.hits(300) { "x".repeat(LONGEST_LETTER) } else { String::new() };
            let topic = poison.map(topic_of).unwrap_or_default();
            let value = format!(r#"{{"n":{number},"poison":"{topic}","fill":"{fill}"}}"#);
            if self.streams > 1 && world.dice.hits(400) {
                self.send_document(world, number, asset, poison);
                continue;
            }
            let partition = world.dice.below(PARTITIONS as u64) as usize;
            let key = if is_unreadable { "nobody".to_owned() } else { format!("nw/a{asset}") };
            let value = Some(value);
            world.cluster.inputs[partition].push(Input { number, asset, key, is_unreadable, poison, value, is_gone: false });
        }
    }

    /// A document, or that there is none any more; and the log is compacted up to some offset.
    pub(super) fn send_document(&self, world: &mut World, number: u64, asset: usize, poison: Option<usize>) {
        let place = PARTITIONS as usize + asset % HELD;
        let is_unreadable = world.dice.hits(50);
        let topic = poison.map(details_of).unwrap_or_default();
        let value = if is_unreadable { "{".to_owned() } else { format!(r#"{{"n":{number},"poison":"{topic}"}}"#) };
        let value = (is_unreadable || !world.dice.hits(150)).then_some(value);
        let key = format!("nw/a{asset}");
        let compacts = world.dice.hits(150);
        let input = &mut world.cluster.inputs[place];
        input.push(Input { number, asset, key, is_unreadable, poison, value, is_gone: false });
        let end = input.len();
        let until = if compacts { world.dice.below(end as u64 + 1) as usize } else { 0 };
        let input = &mut world.cluster.inputs[place];
        for at in 0..until {
            input[at].is_gone |= (at + 1..until).any(|newer| input[newer].asset == input[at].asset);
        }
    }

    /// Offers and accepts, or revokes; and transactions of others on the control topic.
    pub(super) fn share(&mut self, world: &mut World) {
        if world.dice.hits(60) {
            for slot in &mut world.cluster.control {
                if matches!(slot, ControlSlot::Undecided) {
                    *slot = ControlSlot::Passed;
                }
            }
        }
        if world.dice.hits(40) {
            let slot = if world.dice.hits(200) { ControlSlot::Undecided } else { ControlSlot::Passed };
            world.cluster.control.push(slot);
        }
        if !world.dice.hits(250) {
            return;
        }
        let (asset, target) = (world.dice.below(ASSETS as u64) as usize, world.dice.below(TARGETS as u64) as usize);
        // Few keys, so that they pass from one share to another.
        let key = if self.streams > 1 && world.dice.hits(700) { format!("k{}", world.dice.below(2)) } else { format!("a{asset}") };
        let standing = world.cluster.model.standing(asset, target).map(|grant| grant.share.clone());
        let holder = world.cluster.model.holder(target, &key).map(|grant| grant.share.clone());
        if let Some(share) = standing {
            if world.dice.hits(250) {
                let is_paused = world.cluster.model.standing(asset, target).is_some_and(|grant| !grant.is_active_at(i64::MAX));
                let kind = if is_paused { "share.resumed" } else { "share.paused" };
                let offset = self.tell(world, "/tenants/nw", kind, &format!(r#""share":"{share}""#));
                let now = world.now;
                world.cluster.model.paused(&share, offset, now);
            } else if holder.is_none() && world.dice.hits(300) {
                let data = format!(r#""share":"{share}","target_asset":"{key}""#);
                let offset = self.tell(world, &format!("/tenants/t{target}"), "share.updated", &data);
                let now = world.now;
                world.cluster.model.moved(&share, key, offset, now);
            } else {
                self.revoke(world, &share);
            }
            return;
        }
        if let Some(share) = holder {
            self.revoke(world, &share);
            if world.dice.hits(500) {
                return;
            }
        }
        self.shares += 1;
        let share = format!("s{:04}", self.shares);
        let (telemetry, details) = if self.streams == 1 {
            (true, false)
        } else {
            [(true, true), (true, true), (false, true), (true, false)][world.dice.below(4) as usize]
        };
        let names: Vec<&str> =
            [(telemetry, "\"telemetry\""), (details, "\"details\"")].iter().filter(|(is, _)| *is).map(|(_, name)| *name).collect();
        let offer = format!(
            r#""share":"{share}","asset":"a{asset}","target_tenant":"t{target}","target_asset":"{key}","streams":[{}],"profile":"seen","history":true"#,
            names.join(",")
        );
        self.tell(world, "/tenants/nw", "share.offered", &offer);
        let offset = self.tell(world, &format!("/tenants/t{target}"), "share.accepted", &format!(r#""share":"{share}""#));
        let now = world.now;
        world.cluster.model.accepted(Grant::new(share, (asset, target), key, (telemetry, details), offset), now);
    }

    pub(super) fn revoke(&self, world: &mut World, share: &str) {
        let offset = self.tell(world, "/tenants/nw", "share.revoked", &format!(r#""share":"{share}""#));
        let now = world.now;
        world.cluster.model.revoked(share, offset, now);
    }

    pub(super) fn disturb(&mut self, world: &mut World) {
        let Faults { rebalance, route, freeze, kill, stop, .. } = world.cluster.faults;
        if world.dice.hits(rebalance) {
            world.cluster.group.rebalance();
        }
        if world.dice.hits(route) {
            let target = world.dice.below(TARGETS as u64) as usize;
            let topic = if world.dice.hits(500) { topic_of(target) } else { details_of(target) };
            let (topic, until) = (topic, world.now + world.dice.millis(100, 8_000));
            if target == ONLY_AWAY || world.dice.hits(300) {
                world.cluster.topics.entry(topic).or_default().away_until = until;
            } else {
                world.cluster.model.troubled.insert(topic.clone());
                world.cluster.topics.entry(topic).or_default().broken_until = until;
            }
        }
        let (instance, number) = (world.dice.below(self.instances.len() as u64) as usize, world.dice.below(self.workers as u64) as usize);
        let first = 1 + instance * actors_of(self.workers);
        if world.dice.hits(freeze) {
            // The whole process, or a thread of it that gets no time.
            let span = if world.dice.hits(300) { world.dice.millis(10_000, 90_000) } else { world.dice.millis(200, 3_000) };
            let all = if world.dice.hits(500) { first..first + actors_of(self.workers) } else { first + 3 + number..first + 4 + number };
            let now = world.now;
            all.for_each(|actor| world.actors[actor].frozen = Some((now, now + span)));
        }
        if world.dice.hits(kill) {
            world.actors[first + 3 + number].is_killed = true;
        }
        if world.dice.hits(stop) {
            self.instances[instance].stops.lock().unwrap_or_else(PoisonError::into_inner)[number].store(true, Ordering::Relaxed);
        }
    }

    /// Nothing goes wrong any more.
    pub(super) fn calm(&self) {
        let mut world = self.sim.look();
        let now = world.now;
        world.cluster.faults = Faults::default();
        for target in 0..TARGETS {
            for topic in [topic_of(target), details_of(target)] {
                world.cluster.topics.insert(topic, Topic { since: Some(now), ..Topic::default() });
            }
        }
        for slot in &mut world.cluster.control {
            if matches!(slot, ControlSlot::Undecided) {
                *slot = ControlSlot::Passed;
            }
        }
    }
}
