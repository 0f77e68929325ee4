//! What the status writer has to write, and its transactions: status documents, letters of control records set aside, and
//! the control offset to go on from (SPEC section 10).

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tracing::{error, warn};

use super::control::FoldedRecord;
use super::letters::Letter;
use super::routes::{RouteIndex, Routes, Use};
use super::seeing::{self, TopicKind, TopicMaker, Unseen, Wanted};
use super::status::CONTROL_PARTITION;
use super::topics::{DEAD_LETTERS, SHARES, TopicNames};
use crate::clock::Clock;
use crate::id::{Offset, StreamIndex, TenantId};
use crate::record::dead_letter::Reason;
use crate::share::status::{StatusDocument, StatusTopic};
use crate::transport::{InputOffset, Output, ProduceError, TransactionalProducer};

/// Tenants' status topics are routes like any other; no configured stream has this index.
const STATUS_STREAM: StreamIndex = StreamIndex(u8::MAX);

/// Why nothing was written. What is pending stays.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unwritten(pub String);

impl From<ProduceError> for Unwritten {
    fn from(error: ProduceError) -> Self {
        Self(error.to_string())
    }
}

/// Folded records whose documents are to be written, in the order of the log.
pub struct Documents {
    /// Names of output topics.
    pub names: TopicNames,
    /// Creates missing topics.
    pub topic_maker: Arc<dyn TopicMaker>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Raised when the process ends.
    pub stop: Arc<AtomicBool>,
    /// Tenants' status topics.
    routes: Routes,
    pending: Vec<Arc<FoldedRecord>>,
    /// Nothing is missing in `pending` from this control offset on.
    next: Offset,
}

impl Documents {
    /// With nothing pending.
    pub fn new(names: TopicNames, topic_maker: Arc<dyn TopicMaker>, clock: Arc<dyn Clock>, stop: Arc<AtomicBool>) -> Self {
        Self { names, topic_maker, clock, stop, routes: Routes::default(), pending: Vec::new(), next: Offset(0) }
    }

    /// The next control offset whose documents are to be written.
    pub fn next(&self) -> Offset {
        self.next
    }

    /// Begins anew at this offset.
    pub fn restart(&mut self, next: Offset) {
        self.pending.clear();
        self.next = next;
    }

    /// A new producer goes on at `committed`, and has seen no topic yet. Answers whether what is pending is of use to it, which
    /// `is_continued` must allow: whoever added it goes on behind it. It is if nothing is missing in it from there on; the
    /// outcome of the last transaction may have been unknown.
    pub fn take_over(&mut self, committed: Offset, is_continued: bool) -> bool {
        self.routes.forget_seen();
        if !is_continued || committed < self.next {
            self.restart(committed);
            return false;
        }
        self.pending.retain(|record| record.offset >= committed);
        self.next = committed;
        true
    }

    /// One more, unless its documents are written already.
    pub fn push(&mut self, record: Arc<FoldedRecord>) {
        if record.offset >= self.next {
            self.pending.push(record);
        }
    }

    /// How many records are pending.
    pub fn records(&self) -> usize {
        self.pending.len()
    }

    /// How many documents are pending.
    pub fn count(&self) -> usize {
        self.pending.iter().map(|record| record.documents.len()).sum()
    }

    /// Whether anything is pending besides the position.
    pub fn has_output(&self) -> bool {
        self.pending.iter().any(|record| !record.documents.is_empty() || record.dead_letter.is_some())
    }

    /// Writes what is pending with the offset to go on from, in one transaction; a tenant topic that fails is opened
    /// and its documents go to the dead letters.
    pub fn write<P: TransactionalProducer>(&mut self, producer: &mut P, membership: Option<&P::Membership>) -> Result<(), Unwritten> {
        let Some(last) = self.pending.last() else { return Ok(()) };
        let next = Offset(last.offset.0 + 1);
        loop {
            self.see_routes(producer)?;
            producer.begin()?;
            match self.try_write(producer, membership, next) {
                Ok(()) => break,
                Err(errors) => {
                    let is_fatal = errors.iter().any(|e| matches!(e, ProduceError::Fatal(_) | ProduceError::Fenced(_)));
                    if !is_fatal {
                        producer.abort()?;
                    }
                    let mut is_routes_alone = !is_fatal;
                    for error in errors {
                        match error {
                            ProduceError::Route { topic, reason } | ProduceError::Refused { topic, reason } => {
                                match self.routes.of_topic(&topic) {
                                    Some(route) => {
                                        error!(
                                            topic,
                                            reason, "status topic failed: its documents go to the dead letters until it answers again"
                                        );
                                        self.routes.failed(route, reason, self.clock.boot());
                                    }
                                    None => return Err(Unwritten(format!("{topic}: {reason}"))),
                                }
                            }
                            ProduceError::Unreachable { topic, reason } => match self.routes.of_topic(&topic) {
                                Some(route) if self.routes.doubted(route, self.clock.boot()) => {
                                    error!(
                                        topic,
                                        reason, "status topic does not answer: its documents go to the dead letters until it does"
                                    );
                                    self.routes.failed(route, reason, self.clock.boot());
                                }
                                _ => return Err(Unwritten(format!("{topic}: {reason}"))),
                            },
                            other if is_routes_alone => {
                                is_routes_alone = false;
                                warn!(error = %other, "status transaction aborted");
                            }
                            _ => {}
                        }
                    }
                    if !is_routes_alone {
                        return Err(Unwritten("status transaction aborted".into()));
                    }
                }
            }
        }
        self.note_answers();
        self.restart(next);
        Ok(())
    }

    fn note_answers(&mut self) {
        let (routes, names) = (&mut self.routes, &self.names);
        let tenants = self.pending.iter().flat_map(|record| &record.documents).filter_map(|document| match &document.topic {
            StatusTopic::Tenant(tenant) => Some(tenant),
            _ => None,
        });
        let answered: Vec<_> = tenants.map(|tenant| routes.find(tenant, STATUS_STREAM, || names.of_status(tenant))).collect();
        routes.answered(answered.into_iter());
    }

    fn see_routes<P: TransactionalProducer>(&mut self, producer: &mut P) -> Result<(), Unwritten> {
        let mut unseen = Vec::new();
        for document in self.pending.iter().flat_map(|record| &record.documents) {
            let StatusTopic::Tenant(tenant) = &document.topic else { continue };
            let route = self.routes.find(tenant, STATUS_STREAM, || self.names.of_status(tenant));
            if self.routes.use_at(route, self.clock.boot()) == Use::LookUp {
                unseen.push(route);
            }
        }
        unseen.sort_unstable();
        unseen.dedup();
        let wanted = |route: &RouteIndex| Wanted {
            topic: self.routes.get(*route).topic.clone(),
            kind: TopicKind::Status,
            is_waited_for: self.routes.is_new(*route),
        };
        let wanted: Vec<Wanted> = unseen.iter().map(wanted).collect();
        let seen = seeing::see(producer, &*self.topic_maker, &*self.clock, &self.stop, &wanted)?;
        for (route, seen) in unseen.into_iter().zip(seen) {
            let seen = match seen {
                Ok(_) => Ok(()),
                Err(Unseen::Unreachable(reason)) if !self.routes.doubted(route, self.clock.boot()) => return Err(Unwritten(reason)),
                Err(Unseen::Failed(reason) | Unseen::Unreachable(reason)) => Err(reason),
            };
            match seen {
                Ok(()) => self.routes.ready(route, self.clock.boot()),
                Err(reason) => {
                    let topic = &self.routes.get(route).topic;
                    error!(topic, reason, "status topic cannot be used: its documents go to the dead letters until it can");
                    self.routes.failed(route, reason, self.clock.boot());
                }
            }
        }
        Ok(())
    }

    fn try_write<P: TransactionalProducer>(
        &mut self,
        producer: &mut P,
        membership: Option<&P::Membership>,
        next: Offset,
    ) -> Result<(), Vec<ProduceError>> {
        let one = |error: ProduceError| vec![error];
        let now = self.clock.boot();
        for record in &self.pending {
            for document in &record.documents {
                let StatusTopic::Tenant(tenant) = &document.topic else {
                    put_document(producer, SHARES, document).map_err(one)?;
                    continue;
                };
                let route = self.routes.find(tenant, STATUS_STREAM, || self.names.of_status(tenant));
                match self.routes.open_reason(route) {
                    Some(reason) if self.routes.use_at(route, now) != Use::Write => {
                        let letter = diverted(&self.names, tenant, document, record.offset, reason);
                        letter.put(producer, DEAD_LETTERS).map_err(one)?;
                    }
                    _ => put_document(producer, &self.routes.get(route).topic, document).map_err(one)?,
                }
            }
            if let Some(letter) = &record.dead_letter {
                letter.put(producer, DEAD_LETTERS).map_err(one)?;
            }
        }
        producer.drain()?;
        let membership = membership.ok_or_else(|| one(ProduceError::StaleMember("not a member".into())))?;
        producer.send_offsets(&[InputOffset::new(CONTROL_PARTITION, next)], membership).map_err(one)?;
        producer.commit().map_err(|error| {
            // The outcome is settled by the next turn's `init_transactions`, so nothing may be assumed here.
            one(ProduceError::Fatal(error.to_string()))
        })
    }
}

fn put_document<P: TransactionalProducer>(producer: &mut P, topic: &str, document: &StatusDocument) -> Result<(), ProduceError> {
    producer.put(Output {
        topic,
        partition: None,
        key: Some(document.key.as_bytes()),
        timestamp: document.timestamp,
        value: Some(&document.value),
        headers: &[],
    })
}

fn diverted(names: &TopicNames, tenant: &TenantId, document: &StatusDocument, offset: Offset, reason: &str) -> Letter {
    Letter {
        topic: names.control.clone(),
        partition: 0,
        offset,
        reason: Reason::RouteFailed,
        message: format!("route {} failed: {reason}", names.of_status(tenant)),
        key: Some(document.key.clone().into_bytes()),
        value: Some(document.value.clone()),
        timestamp: document.timestamp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::config::OutputTemplate;
    use crate::engine::seeing::NotMade;
    use crate::time::Millis;

    struct Nobody;

    impl TopicMaker for Nobody {
        fn make(&self, _: &str, _: TopicKind) -> Result<(), NotMade> {
            Err(NotMade::Refused("nobody makes topics here".into()))
        }

        fn largest_batch(&self, _: &str) -> Option<usize> {
            None
        }
    }

    fn documents(offsets: std::ops::Range<i64>) -> Documents {
        let names = TopicNames { control: "c".into(), template: OutputTemplate::standard() };
        let mut documents = Documents::new(names, Arc::new(Nobody), Arc::new(SystemClock), Arc::default());
        documents.restart(Offset(offsets.start));
        for offset in offsets {
            let document = StatusDocument {
                topic: StatusTopic::Shares,
                key: "s".into(),
                timestamp: Millis(0),
                value: offset.to_string().into_bytes(),
            };
            documents.push(Arc::new(FoldedRecord { offset: Offset(offset), documents: vec![document], dead_letter: None }));
        }
        documents
    }

    #[test]
    fn what_is_pending_outlives_a_producer_only_without_a_gap() {
        let mut kept = documents(10..20);
        assert!(kept.take_over(Offset(10), true) && kept.count() == 10);
        assert!(kept.take_over(Offset(15), true) && kept.count() == 5, "the last transaction was committed after all");
        assert_eq!(kept.next(), Offset(15));
        assert!(!kept.take_over(Offset(14), true) && kept.count() == 0 && kept.next() == Offset(14), "others have gone back");
        let mut left = documents(10..20);
        assert!(!left.take_over(Offset(10), false) && left.count() == 0, "nobody goes on behind it");
    }

    /// Section 9: a route is used once this producer's own client has seen a leader for it.
    #[test]
    fn a_new_producer_looks_at_every_topic_anew() {
        for is_continued in [true, false] {
            let mut documents = documents(0..1);
            let tenant = TenantId::parse("acme").unwrap();
            let now = documents.clock.boot();
            let route = documents.routes.find(&tenant, STATUS_STREAM, || "share.acme.shares".into());
            documents.routes.ready(route, now);
            documents.take_over(Offset(0), is_continued);
            assert_eq!(documents.routes.use_at(route, now), Use::LookUp);
        }
    }
}
