//! What the status writer has to write, and its transactions: status documents, letters of control records set aside, and
//! the control offset to go on from (docs/rules/exactly-once.md#the-status-writer).

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tracing::{error, warn};

use crate::clock::Clock;
use crate::engine::feed::FoldedRecord;
use crate::engine::output::dead_letter;
use crate::engine::output::dead_letter::OwnedDeadLetter;
use crate::engine::output::lookup;
use crate::engine::output::lookup::{LookupError, TopicKind, TopicMaker, TopicQuery};
use crate::engine::output::route::{RouteIndex, Routes, Use};
use crate::engine::status::CONTROL_PARTITION;
use crate::engine::topic::names::TopicNames;
use crate::engine::topic::stored::changed_value;
use crate::id::{Offset, StreamIndex, TenantId};
use crate::record::dead_letter::DeadLetterReason;
use crate::share::status::{StatusDocument, StatusTopic};
use crate::time::TimestampMs;
use crate::transport::{InputOffset, Output, ProduceError, TransactionalProducer};

/// Tenants' status topics are routes like any other; no configured stream has this index.
const STATUS_STREAM: StreamIndex = StreamIndex(u8::MAX);
/// The mailer's topic is one too, so that it cannot hold up the documents.
const MAIL_STREAM: StreamIndex = StreamIndex(u8::MAX - 1);
/// After so many failures in a row that named no topic, the mailer's is left out.
const UNNAMED_AT_MOST: u32 = 3;

/// Why nothing was written. What is pending stays.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StatusUnwritten(pub String);

impl From<ProduceError> for StatusUnwritten {
    fn from(error: ProduceError) -> Self {
        Self(error.to_string())
    }
}

/// Folded records whose documents are to be written, in the order of the log.
pub struct StatusDocuments {
    /// Names of output topics.
    pub names: TopicNames,
    /// Creates missing topics.
    pub topic_maker: Arc<dyn TopicMaker>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Raised when the process ends.
    pub stop: Arc<AtomicBool>,
    /// The key in `sharecast.state` under which the last change is noted; none where nothing is noted.
    changed_key: Option<String>,
    /// Tenants' status topics.
    routes: Routes,
    pending: Vec<Arc<FoldedRecord>>,
    /// Nothing is missing in `pending` from this control offset on.
    next: Offset,
    /// Transactions that failed in a row without a word about which topic it was.
    unnamed: u32,
    /// Dead letters of the transaction under way.
    letters: Vec<DeadLetterReason>,
}

impl StatusDocuments {
    /// With nothing pending.
    pub fn new(
        names: TopicNames,
        changed_key: Option<String>,
        topic_maker: Arc<dyn TopicMaker>,
        clock: Arc<dyn Clock>,
        stop: Arc<AtomicBool>,
    ) -> Self {
        Self {
            names,
            topic_maker,
            clock,
            stop,
            changed_key,
            routes: Routes::default(),
            pending: Vec::new(),
            next: Offset(0),
            unnamed: 0,
            letters: Vec::new(),
        }
    }

    /// The next control offset whose documents are to be written.
    pub fn next(&self) -> Offset {
        self.next
    }

    /// Begins again at this offset.
    pub fn restart(&mut self, next: Offset) {
        self.pending.clear();
        self.next = next;
    }

    /// A new producer goes on at `committed`, and has seen no topic yet. Returns whether what is pending is of use to it, which
    /// `is_continued` must allow: whoever added it goes on after it. It is if nothing is missing in it from there on; the
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
        let is_noted = self.changed_key.is_some();
        self.pending.iter().any(|record| !record.documents.is_empty() || record.dead_letter.is_some() || is_noted && record.is_change)
    }

    /// Writes what is pending with the offset to go on from, in one transaction; a tenant topic that fails is opened
    /// and its documents go to the dead letters.
    pub fn write<P: TransactionalProducer>(&mut self, producer: &mut P, membership: Option<&P::Membership>) -> Result<(), StatusUnwritten> {
        let Some(last) = self.pending.last() else { return Ok(()) };
        let next = Offset(last.offset.0 + 1);
        loop {
            self.see_routes(producer)?;
            self.see_mail(producer)?;
            producer.begin()?;
            match self.try_write(producer, membership, next) {
                Ok(()) => break,
                Err(errors) => {
                    let is_fatal = errors.iter().any(|e| matches!(e, ProduceError::Fatal(_) | ProduceError::Fenced(_)));
                    // Noted first: where a topic is closed by an ACL the abort fails too, and the next producer must know why.
                    let judged = self.judge(errors, is_fatal);
                    if !is_fatal {
                        producer.abort()?;
                    }
                    judged?;
                }
            }
        }
        self.note_answers();
        self.letters.drain(..).for_each(|reason| dead_letter::count(reason, 1));
        self.unnamed = 0;
        self.restart(next);
        Ok(())
    }

    /// Opens the routes that failed; an error if anything else did too, and the turn must begin again.
    fn judge(&mut self, errors: Vec<ProduceError>, is_fatal: bool) -> Result<(), StatusUnwritten> {
        let mut is_routes_alone = !is_fatal;
        let mut unwritten = None;
        for error in errors {
            match error {
                ProduceError::Route { topic, reason } | ProduceError::Refused { topic, reason } => match self.routes.of_topic(&topic) {
                    Some(route) => {
                        error!(topic, reason, "status topic failed: its documents go to the dead letters until it answers again");
                        self.routes.failed(route, reason, self.clock.boot());
                    }
                    None => unwritten = Some(StatusUnwritten(format!("{topic}: {reason}"))),
                },
                ProduceError::Unreachable { topic, reason } => match self.routes.of_topic(&topic) {
                    Some(route) if self.routes.unresponsive(route, self.clock.boot()) => {
                        error!(topic, reason, "status topic does not answer: its documents go to the dead letters until it does");
                        self.routes.failed(route, reason, self.clock.boot());
                    }
                    _ => unwritten = Some(StatusUnwritten(format!("{topic}: {reason}"))),
                },
                other if is_routes_alone => {
                    is_routes_alone = false;
                    warn!(error = %other, "status transaction aborted");
                }
                _ => {}
            }
        }
        match unwritten {
            Some(unwritten) => Err(unwritten),
            None if is_routes_alone => Ok(()),
            None => {
                self.unnamed += 1;
                self.suspect_mail();
                Err(StatusUnwritten("status transaction aborted".into()))
            }
        }
    }

    /// A topic that an ACL closes fails a whole transaction without being named. What is taken back from the mailer must not hold the
    /// documents up, so it is left out after a few such failures.
    fn suspect_mail(&mut self) {
        if self.unnamed >= UNNAMED_AT_MOST && self.pending.iter().any(|record| !record.closed.is_empty()) {
            let reason = "transactions that write to it fail".to_owned();
            error!(
                topic = self.names.own.invitations,
                reason, "closed invitations cannot be taken back from it: they go to the dead letters"
            );
            let route = mail_route(&mut self.routes, &self.names);
            self.routes.failed(route, reason, self.clock.boot());
        }
    }

    fn note_answers(&mut self) {
        let (routes, names) = (&mut self.routes, &self.names);
        let tenants = self.pending.iter().flat_map(|record| &record.documents).filter_map(|document| match &document.topic {
            StatusTopic::Tenant(tenant) => Some(tenant),
            _ => None,
        });
        let answered: Vec<_> = tenants.map(|tenant| routes.find(tenant, STATUS_STREAM, || names.of_status(tenant))).collect();
        let mail = self.pending.iter().any(|record| !record.closed.is_empty()).then(|| mail_route(routes, names));
        routes.answered(answered.into_iter().chain(mail));
    }

    /// Looks at the mailer's topic if something in it is to be taken back. Where it is missing there is nothing: it stays unseen.
    fn see_mail<P: TransactionalProducer>(&mut self, producer: &mut P) -> Result<(), StatusUnwritten> {
        let route = mail_route(&mut self.routes, &self.names);
        let now = self.clock.boot();
        let is_needed = self.pending.iter().any(|record| !record.closed.is_empty());
        if !is_needed || self.routes.use_at(route, now) != Use::LookUp {
            return Ok(());
        }
        let reason = match producer.sees_leader(&self.names.own.invitations) {
            Ok(true) => {
                self.routes.ready(route, now);
                return Ok(());
            }
            Ok(false) => return Ok(()),
            Err(ProduceError::Unreachable { reason, .. }) if !self.routes.unresponsive(route, now) => return Err(StatusUnwritten(reason)),
            Err(ProduceError::Unreachable { reason, .. } | ProduceError::Route { reason, .. }) => reason,
            Err(other) => return Err(other.into()),
        };
        error!(
            topic = self.names.own.invitations,
            reason, "closed invitations cannot be taken back from it until it answers: they go to the dead letters"
        );
        self.routes.failed(route, reason, now);
        Ok(())
    }

    fn see_routes<P: TransactionalProducer>(&mut self, producer: &mut P) -> Result<(), StatusUnwritten> {
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
        let wanted = |route: &RouteIndex| TopicQuery {
            topic: self.routes.get(*route).topic.clone(),
            kind: TopicKind::Status,
            is_waited_for: self.routes.is_new(*route),
        };
        let wanted: Vec<TopicQuery> = unseen.iter().map(wanted).collect();
        let seen = lookup::see(producer, &*self.topic_maker, &*self.clock, &self.stop, &wanted)?;
        for (route, seen) in unseen.into_iter().zip(seen) {
            let seen = match seen {
                Ok(_) => Ok(()),
                Err(LookupError::Unreachable(reason)) if !self.routes.unresponsive(route, self.clock.boot()) => {
                    return Err(StatusUnwritten(reason));
                }
                Err(LookupError::Failed(reason) | LookupError::Unreachable(reason)) => Err(reason),
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
        self.letters.clear();
        let now = self.clock.boot();
        for record in &self.pending {
            for document in &record.documents {
                let StatusTopic::Tenant(tenant) = &document.topic else {
                    put_document(producer, &self.names.own.shares, document).map_err(one)?;
                    continue;
                };
                let route = self.routes.find(tenant, STATUS_STREAM, || self.names.of_status(tenant));
                match self.routes.open_reason(route) {
                    Some(reason) if self.routes.use_at(route, now) != Use::Write => {
                        let letter = diverted(&self.names, tenant, document, record.offset, reason);
                        letter.put(producer, &self.names.own.dead_letters).map_err(one)?;
                        self.letters.push(letter.reason);
                    }
                    _ => put_document(producer, &self.routes.get(route).topic, document).map_err(one)?,
                }
            }
            // Each closed with a document of that control time.
            let timestamp = record.documents.first().map_or(TimestampMs(0), |document| document.timestamp);
            for share in &record.closed {
                let route = mail_route(&mut self.routes, &self.names);
                let key = share.as_str().as_bytes();
                match (self.routes.use_at(route, now), self.routes.open_reason(route)) {
                    (Use::Write, _) => {
                        producer
                            .put(Output {
                                topic: &self.names.own.invitations,
                                partition: None,
                                key: Some(key),
                                timestamp,
                                value: None,
                                headers: &[],
                            })
                            .map_err(one)?;
                    }
                    (Use::Divert, Some(reason)) => {
                        let letter = untaken(&self.names, key, timestamp, record.offset, reason);
                        letter.put(producer, &self.names.own.dead_letters).map_err(one)?;
                        self.letters.push(letter.reason);
                    }
                    _ => {}
                }
            }
            if let Some(letter) = &record.dead_letter {
                letter.put(producer, &self.names.own.dead_letters).map_err(one)?;
                self.letters.push(letter.reason);
            }
        }
        self.note_change(producer).map_err(one)?;
        producer.drain()?;
        let membership = membership.ok_or_else(|| one(ProduceError::StaleMember("not a member".into())))?;
        producer.send_offsets(&[InputOffset::new(CONTROL_PARTITION, next)], membership).map_err(one)?;
        producer.commit().map_err(|error| {
            // The outcome is settled by the next turn's `init_transactions`, so nothing may be assumed here.
            one(ProduceError::Fatal(error.to_string()))
        })
    }
}

impl StatusDocuments {
    /// Notes the newest pending record that changed anything: whoever restores the log from a dump sees what the dump lacks
    /// (docs/rules/exactly-once.md#the-last-change).
    fn note_change<P: TransactionalProducer>(&self, producer: &mut P) -> Result<(), ProduceError> {
        let (Some(key), Some(last)) = (&self.changed_key, self.pending.iter().rev().find(|record| record.is_change)) else {
            return Ok(());
        };
        let value = changed_value(last.offset);
        producer.put(Output {
            topic: &self.names.own.state,
            partition: None,
            key: Some(key.as_bytes()),
            timestamp: self.clock.wall(),
            value: Some(value.as_bytes()),
            headers: &[],
        })
    }
}

fn mail_route(routes: &mut Routes, names: &TopicNames) -> RouteIndex {
    let nobody = TenantId::parse("sharecast").unwrap_or_else(|e| unreachable!("{e}"));
    routes.find(&nobody, MAIL_STREAM, || names.own.invitations.clone())
}

/// The dead letter of a tombstone that the mailer's topic did not take.
fn untaken(names: &TopicNames, key: &[u8], timestamp: TimestampMs, offset: Offset, reason: &str) -> OwnedDeadLetter {
    OwnedDeadLetter {
        topic: names.control.clone(),
        partition: 0,
        offset,
        reason: DeadLetterReason::RouteFailed,
        message: format!("route {} failed: {reason}", names.own.invitations),
        key: Some(key.to_vec()),
        value: None,
        timestamp,
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

fn diverted(names: &TopicNames, tenant: &TenantId, document: &StatusDocument, offset: Offset, reason: &str) -> OwnedDeadLetter {
    OwnedDeadLetter {
        topic: names.control.clone(),
        partition: 0,
        offset,
        reason: DeadLetterReason::RouteFailed,
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
    use crate::engine::output::lookup::NotMade;
    use crate::topic::OwnTopics;

    struct Nobody;

    impl TopicMaker for Nobody {
        fn make(&self, _: &str, _: TopicKind) -> Result<(), NotMade> {
            Err(NotMade::Refused("nobody makes topics here".into()))
        }

        fn largest_batch(&self, _: &str) -> Option<usize> {
            None
        }
    }

    fn documents(offsets: std::ops::Range<i64>) -> StatusDocuments {
        let names = TopicNames { control: "c".into(), template: OutputTemplate::standard(), own: OwnTopics::standard() };
        let mut documents = StatusDocuments::new(names, None, Arc::new(Nobody), Arc::new(SystemClock), Arc::default());
        documents.restart(Offset(offsets.start));
        for offset in offsets {
            let document = StatusDocument {
                topic: StatusTopic::Shares,
                key: "s".into(),
                timestamp: TimestampMs(0),
                value: offset.to_string().into_bytes(),
            };
            documents.push(Arc::new(FoldedRecord {
                offset: Offset(offset),
                documents: vec![document],
                closed: Vec::new(),
                dead_letter: None,
                is_change: true,
            }));
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

    /// A route is used once this producer's own client has seen a leader for it (docs/rules/outputs.md#before-a-route-is-used).
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
