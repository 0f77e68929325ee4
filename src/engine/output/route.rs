//! The output topics a worker writes to, each with its breaker (docs/rules/outputs.md#failed-routes).
//!
//! Pure: what the cluster says and the time are arguments. A route is used once the worker's own producer has seen a
//! leader for it; one that fails is opened, tried again with back-off, and closes by itself.

use std::time::Duration;

use rustc_hash::FxHashMap;

use crate::clock::BootTime;
use crate::id::{StreamIndex, TenantId};

/// The first pause before a failed route is tried again; it doubles with each failure in a row.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The longest such pause.
const LAST_RETRY: Duration = Duration::from_secs(60);
/// A route that does not answer is waited for this long, as a broker's restart takes, before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(60);
/// So long a topic's limit is held against its records before the topic is asked again, by writing to it.
const LIMIT_HOLDS_FOR: Duration = Duration::from_secs(60);
/// One whose silence was noticed last this long ago is waited for again. A record's time-out and the pause after it are shorter.
const LAPSED_AFTER: Duration = Duration::from_secs(30);
/// A route that has worked this long after its last failure begins with the first pause again.
const FORGIVEN_AFTER: Duration = Duration::from_secs(300);

/// A route's place in this worker's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteIndex(pub u32);

/// One output topic of one tenant, with its circuit breaker.
#[derive(Debug)]
pub struct Route {
    /// The topic.
    pub topic: String,
    /// The tenant it belongs to.
    pub tenant: TenantId,
    /// The stream it carries.
    pub stream: StreamIndex,
    state: RouteState,
    /// Failures in a row; the pause doubles with each.
    failures: u32,
    /// The most bytes it takes in one batch, and when that was learned.
    limit: Option<(usize, BootTime)>,
    /// Since when it has not answered, and when that was noticed last.
    unresponsive: Option<(BootTime, BootTime)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum RouteState {
    /// Not yet looked at by this worker's producer.
    New,
    /// Its leaders have been seen.
    Ready { since: BootTime },
    /// Failed; records for it go elsewhere until `retry_at`.
    Open { reason: String, retry_at: BootTime },
}

/// What to do with a route before a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Its leaders have been seen by this producer: write to it.
    Write,
    /// Look it up first, outside a transaction, and say `ready` or `failed`.
    LookUp,
    /// It has failed: its records take the way of `on_route_failure`.
    Divert,
}

/// All routes a worker has met.
#[derive(Debug, Default)]
pub struct Routes {
    routes: Vec<Route>,
    /// By stream.
    by_tenant: Vec<FxHashMap<TenantId, RouteIndex>>,
}

impl Routes {
    /// The route of a tenant and stream; `topic` names it when it is met for the first time.
    pub fn find(&mut self, tenant: &TenantId, stream: StreamIndex, topic: impl FnOnce() -> String) -> RouteIndex {
        let of_stream = usize::from(stream.0);
        if let Some(&index) = self.by_tenant.get(of_stream).and_then(|routes| routes.get(tenant)) {
            return index;
        }
        let index = RouteIndex(self.routes.len() as u32);
        self.routes.push(Route {
            topic: topic(),
            tenant: tenant.clone(),
            stream,
            state: RouteState::New,
            failures: 0,
            limit: None,
            unresponsive: None,
        });
        if self.by_tenant.len() <= of_stream {
            self.by_tenant.resize_with(of_stream + 1, FxHashMap::default);
        }
        self.by_tenant[of_stream].insert(tenant.clone(), index);
        index
    }

    /// A route by its index.
    pub fn get(&self, index: RouteIndex) -> &Route {
        &self.routes[index.0 as usize]
    }

    /// The route of this topic, if it is one of this worker's.
    pub fn of_topic(&self, topic: &str) -> Option<RouteIndex> {
        self.routes.iter().position(|route| route.topic == topic).map(|index| RouteIndex(index as u32))
    }

    /// What to do with the route now.
    pub fn use_at(&self, index: RouteIndex, now: BootTime) -> Use {
        match &self.get(index).state {
            RouteState::New => Use::LookUp,
            RouteState::Ready { .. } => Use::Write,
            RouteState::Open { retry_at, .. } if now >= *retry_at => Use::LookUp,
            RouteState::Open { .. } => Use::Divert,
        }
    }

    /// Whether this producer has not looked at the route yet.
    pub fn is_new(&self, index: RouteIndex) -> bool {
        self.get(index).state == RouteState::New
    }

    /// Why the route failed, in the client's words.
    pub fn open_reason(&self, index: RouteIndex) -> Option<&str> {
        match &self.get(index).state {
            RouteState::Open { reason, .. } => Some(reason),
            _ => None,
        }
    }

    /// The producer has seen a leader for it.
    pub fn ready(&mut self, index: RouteIndex, now: BootTime) {
        self.routes[index.0 as usize].state = RouteState::Ready { since: now };
    }

    /// It failed; returns how long it rests before it is tried again.
    pub fn failed(&mut self, index: RouteIndex, reason: String, now: BootTime) -> Duration {
        let route = &mut self.routes[index.0 as usize];
        if matches!(route.state, RouteState::Ready { since } if now.since(since) > FORGIVEN_AFTER) {
            route.failures = 0;
        }
        let pause = FIRST_RETRY.saturating_mul(1 << route.failures.min(6)).min(LAST_RETRY);
        route.failures += 1;
        route.state = RouteState::Open { reason, retry_at: now.after(pause) };
        pause
    }

    /// It did not answer; returns whether it has been waited for long enough. One that has failed is not waited for again.
    pub fn unresponsive(&mut self, index: RouteIndex, now: BootTime) -> bool {
        let route = &mut self.routes[index.0 as usize];
        // A route may be written to rarely: an outage long ago says nothing about this one.
        let since = route.unresponsive.filter(|(_, last)| now.since(*last) < LAPSED_AFTER).map_or(now, |(since, _)| since);
        route.unresponsive = Some((since, now));
        matches!(route.state, RouteState::Open { .. }) || now.since(since) >= PATIENCE
    }

    /// It refused something, and this is the most bytes that it takes in one batch.
    pub fn learn_limit(&mut self, index: RouteIndex, bytes: usize, now: BootTime) {
        self.routes[index.0 as usize].limit = Some((bytes, now));
    }

    /// The most bytes it takes in one batch, if that was learned lately: it may have been changed since.
    pub fn limit_at(&self, index: RouteIndex, now: BootTime) -> Option<usize> {
        self.get(index).limit.filter(|(_, at)| now.since(*at) < LIMIT_HOLDS_FOR).map(|(bytes, _)| bytes)
    }

    /// A transaction that wrote to these routes was committed: they answer.
    pub fn answered(&mut self, routes: impl Iterator<Item = RouteIndex>) {
        if self.routes.iter().any(|route| route.unresponsive.is_some()) {
            for index in routes {
                self.routes[index.0 as usize].unresponsive = None;
            }
        }
    }

    /// The producer was made again: its client has seen nothing yet. Failed routes stay failed.
    pub fn forget_seen(&mut self) {
        for route in &mut self.routes {
            if matches!(route.state, RouteState::Ready { .. }) {
                route.state = RouteState::New;
            }
        }
    }
}

/// Which routes a transaction has met, without clearing a list for each.
#[derive(Debug, Default)]
pub struct RouteMarks {
    generation: u64,
    /// The generation in which each route was last met.
    met: Vec<u64>,
    count: usize,
}

impl RouteMarks {
    /// None is met.
    pub fn begin(&mut self) {
        self.generation += 1;
        self.count = 0;
    }

    /// This one is.
    pub fn meet(&mut self, RouteIndex(index): RouteIndex) {
        let index = index as usize;
        if self.met.len() <= index {
            self.met.resize(index + 1, 0);
        }
        if std::mem::replace(&mut self.met[index], self.generation) != self.generation {
            self.count += 1;
        }
    }

    /// How many are.
    pub fn count(&self) -> usize {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> BootTime {
        BootTime(Duration::from_secs(seconds))
    }

    fn one_route() -> (Routes, RouteIndex) {
        let mut routes = Routes::default();
        let tenant = TenantId::parse("acme").unwrap();
        let index = routes.find(&tenant, StreamIndex(0), || "share.acme.telemetry".into());
        assert_eq!(routes.find(&tenant, StreamIndex(0), || unreachable!()), index);
        (routes, index)
    }

    #[test]
    fn a_route_is_looked_up_before_its_first_use() {
        let (mut routes, index) = one_route();
        assert_eq!(routes.use_at(index, at(0)), Use::LookUp);
        routes.ready(index, at(0));
        assert_eq!(routes.use_at(index, at(0)), Use::Write);
        routes.forget_seen();
        assert_eq!(routes.use_at(index, at(0)), Use::LookUp);
    }

    #[test]
    fn an_open_route_diverts_until_its_retry_and_backs_off() {
        let (mut routes, index) = one_route();
        routes.ready(index, at(0));
        assert_eq!(routes.failed(index, "gone".into(), at(10)), Duration::from_secs(1));
        assert_eq!((routes.use_at(index, at(10)), routes.open_reason(index)), (Use::Divert, Some("gone")));
        assert_eq!(routes.use_at(index, at(11)), Use::LookUp);
        routes.ready(index, at(11));
        assert_eq!(routes.failed(index, "gone".into(), at(12)), Duration::from_secs(2), "a failure soon after is one in a row");
        for _ in 0..20 {
            assert!(routes.failed(index, "gone".into(), at(12)) <= LAST_RETRY);
        }
        routes.ready(index, at(100));
        assert_eq!(routes.failed(index, "gone".into(), at(500)), FIRST_RETRY, "forgiven after a long good time");
    }

    #[test]
    fn a_route_that_does_not_answer_is_waited_for_before_it_fails() {
        let (mut routes, index) = one_route();
        routes.ready(index, at(0));
        assert!(!routes.unresponsive(index, at(10)));
        routes.answered([index].into_iter());
        assert!(!routes.unresponsive(index, at(30)), "it has answered since");
        assert!(!routes.unresponsive(index, at(75)), "that was another outage");
        for seconds in [85, 100, 115, 134] {
            assert!(!routes.unresponsive(index, at(seconds)));
        }
        assert!(routes.unresponsive(index, at(135)));
        routes.failed(index, "no leader".into(), at(135));
        routes.answered([index].into_iter());
        assert!(routes.unresponsive(index, at(200)), "an open route is not waited for when it is tried again");
    }

    #[test]
    fn a_limit_is_learned_for_a_while() {
        let (mut routes, index) = one_route();
        assert_eq!(routes.limit_at(index, at(0)), None);
        routes.learn_limit(index, 10_000, at(0));
        assert_eq!((routes.limit_at(index, at(59)), routes.limit_at(index, at(60))), (Some(10_000), None));
    }

    #[test]
    fn a_new_producer_does_not_close_an_open_route() {
        let (mut routes, index) = one_route();
        routes.failed(index, "denied".into(), at(0));
        routes.forget_seen();
        assert_eq!(routes.use_at(index, at(0)), Use::Divert);
    }
}
