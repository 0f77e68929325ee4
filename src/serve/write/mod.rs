//! Writing: what a caller wants is tried on the shares as they are, written once, and answered when it is folded.

pub mod order;
pub(crate) mod trial;
pub mod receipt;
pub(crate) mod mails;
mod first;

use std::collections::HashMap;
use std::sync::Arc;

use tracing::{debug, warn};

use crate::access::{Caller, Party};
use crate::clock::BootTime;
use crate::id::{Epoch, Offset};
use crate::serve::Serve;
use crate::serve::append::AppendError;
use crate::serve::problem::Problem;
use crate::serve::write::first::FirstOutcomes;
use crate::serve::write::order::{WriteKey, WriteOrder};
use crate::serve::write::receipt::{ReceiptRow, Review, RowOutcome, WriteReceipt};
use crate::serve::write::trial::{OrderTrial, PreparedRow, PreparedStep, WriteTrial};
use crate::share::event::kind::EventType;
use crate::share::state::{Reason, State};
use crate::share::status::Audience;
use crate::share::table::Outcome;
use crate::share::table::dedup::EventRepeat;
use crate::writing::certainty;
use crate::writing::certainty::Quiescence;
use crate::writing::events::{EventBatch, EventRecords};
use crate::writing::random::random;

/// `source` of a caller's events.
pub fn source_of(caller: &Caller) -> String {
    match &caller.who {
        Party::Tenant(tenant) => format!("/tenants/{tenant}"),
        Party::Operator => "/operator".to_owned(),
    }
}

impl Serve {
    /// What an order would come to, without writing anything.
    ///
    /// # Errors
    /// It cannot be tried.
    pub async fn review(self: &Arc<Self>, caller: &Caller, order: WriteOrder, key: Option<&str>) -> Result<Review, Problem> {
        let count = order.items.len();
        let (trial, _) = self.try_order(caller, order, key).await?;
        Ok(Review::of(trial, count))
    }

    /// Writes an order, once however often it is repeated under the same key, and returns what became of it when it is folded. What the
    /// trial refuses is not written, and of many items none.
    ///
    /// # Errors
    /// A rule is broken, a person has yet to confirm what leaves, or it is not known to be folded: then it may be repeated under its key.
    pub async fn write(self: &Arc<Self>, caller: &Caller, order: WriteOrder, key: Option<&str>) -> Result<WriteReceipt, Problem> {
        let (kind, is_confirmed, count) = (order.kind, order.is_confirmed, order.items.len());
        let (trial, key) = self.try_order(caller, order, key).await?;
        if !trial.refusals.is_empty() {
            return Err(Problem::of_items(trial.refusals, count));
        }
        if !trial.critical.is_empty() && !is_confirmed && trial.has_news() {
            let detail = "members that are marked as critical would leave: look at them, and repeat this with \"confirm_critical\": true";
            return Err(Problem { critical: trial.critical, ..Problem::new(422, detail) });
        }
        if trial.rows.iter().any(|row| row.invitation.is_some()) {
            self.make_mail_topic().await?;
        }
        let source = source_of(caller);
        let batch = EventBatch {
            source: &source,
            kind,
            actor: caller.name.as_deref(),
            all: trial.to_write().map(|row| (row.event.as_str(), &row.data)).collect(),
            first: trial.is_first.then(|| self.config.fold_rules().configuration()),
        };
        let unknown = |detail: String| Problem { repeat_key: Some(key.text().into()), ..Problem::unavailable(detail) };
        let mut acknowledged = self.clock.boot();
        let mut folded = self.epoch();
        let mut written = HashMap::new();
        if !batch.all.is_empty() {
            let EventRecords { values, prepended } = batch.records(self.clock.wall());
            let offsets = self.appender.append(values).await.map_err(|error| match error {
                AppendError::Unavailable(why) => {
                    unknown(format!("it is not known whether this was written: {why}; repeat it with the Idempotency-Key {}", key.text()))
                }
                AppendError::Refused(why) => Problem::unavailable(format!("nothing was written: {why}")),
            })?;
            acknowledged = self.clock.boot();
            let last = offsets.last().copied().unwrap_or(Offset(-1));
            let own = offsets.into_iter().skip(prepended);
            written.extend(batch.all.iter().zip(own).map(|((event, _), offset)| ((*event).to_owned(), offset)));
            folded = Epoch(last.0);
            self.wait_for(folded).await.map_err(|late| {
                unknown(format!("it is written, but {late}; what became of it is answered under the Idempotency-Key {}", key.text()))
            })?;
        }
        let first = self.first_outcomes(&source, &trial).await?;
        let receipt = self.receipt(caller, &WrittenOrder { source: &source, kind, trial: &trial, first, written }, folded, acknowledged);
        self.tell_mailer(&trial, &receipt).await.map_err(|error| {
            warn!(%error, "an invitation's mail could not be handed on");
            unknown(format!("it is written, but its mail is not: {error}; repeat it with the Idempotency-Key {}", key.text()))
        })?;
        Ok(receipt)
    }

    async fn try_order(self: &Arc<Self>, caller: &Caller, order: WriteOrder, key: Option<&str>) -> Result<(OrderTrial, WriteKey), Problem> {
        if !caller.may_write() {
            return Err(Problem::viewer());
        }
        if !self.freshness.has_begun() {
            return Err(Problem::unavailable(self.check_fresh().err().unwrap_or_default()));
        }
        let key = match key {
            Some(key) => WriteKey::given(key)?,
            None => WriteKey::random(random().map_err(|error| Problem::new(500, format!("no random bits: {error}")))?),
        };
        let (serve, caller, own_key) = (Arc::clone(self), caller.clone(), key.clone());
        let tried = tokio::task::spawn_blocking(move || {
            let now = serve.clock.wall();
            let secret = serve.secret();
            WriteTrial { config: &serve.config, view: &serve.view(&caller), source: &source_of(&caller), key: &own_key, secret, now }
                .run(order)
        });
        let trial = tried.await.map_err(|error| Problem::new(500, format!("the trial broke: {error}")))??;
        Ok((trial, key))
    }

    /// Tries an order of which nothing is to be written.
    pub(super) fn try_here(&self, caller: &Caller, order: WriteOrder) -> Result<OrderTrial, Problem> {
        let key = WriteKey::random(random().map_err(|error| Problem::new(500, format!("no random bits: {error}")))?);
        let secret = self.secret();
        let (view, source, now) = (self.view(caller), source_of(caller), self.clock.wall());
        WriteTrial { config: &self.config, view: &view, source: &source, key: &key, secret, now }.run(order)
    }

    /// What became of each row.
    fn receipt(&self, caller: &Caller, order: &WrittenOrder<'_>, folded: Epoch, acknowledged: BootTime) -> WriteReceipt {
        let WrittenOrder { source, kind, trial, first, written } = order;
        let view = self.view(caller);
        let recent = self.recent.lock().expect("it is only added to");
        let mut newest = Epoch::NONE;
        let rows = trial.rows.iter().map(|row| {
            let known = recent.find(source, &row.event).or_else(|| first.get(&row.event));
            let share = row.share.as_deref().and_then(|share| view.share(share));
            let changed_at = known.map(|known| Epoch(known.offset.0)).or(share.map(|share| share.changed_at()));
            newest = newest.max(changed_at.unwrap_or(Epoch::NONE));
            let then =
                known.and_then(|known| known.documents.as_ref()).filter(|documents| Some(documents.share.as_str()) == row.share.as_deref());
            let then = share.zip(then).and_then(|(share, then)| match share.audience() {
                Audience::Owner => Some(then.owner.clone()),
                Audience::Target => then.target.clone(),
            });
            let refused = match known.map(|known| &known.outcome) {
                Some(Outcome::Rejected(code)) => Some(Reason::of_code(code).unwrap_or(Reason::InvalidEvent)),
                Some(Outcome::Unreadable(_) | Outcome::SetAside(_)) => Some(Reason::InvalidEvent),
                Some(Outcome::Applied | Outcome::Repeated | Outcome::Tick) | None => share
                    .map(|share| share.document())
                    .filter(|document| document.state == State::Failed)
                    .and_then(|document| document.reason),
            };
            // Another event of its name came first, perhaps under the same key at the same time: what it said counts.
            let is_first = written.get(&row.event).is_none_or(|own| known.is_some_and(|known| known.offset == *own));
            let now = self.clock.wall().max(view.control_time());
            let says_other = !is_first && view.state().table.repeats(source, &row.event, *kind, &row.data, now) == EventRepeat::Other;
            let refused = refused.filter(|_| !says_other).or(says_other.then_some(Reason::IdReused));
            let outcome = match (refused, &row.step) {
                (Some(reason), _) => RowOutcome::Refused(reason),
                (None, PreparedStep::Write) => RowOutcome::Applied,
                (None, PreparedStep::AlreadySo) => RowOutcome::AlreadySo,
                (None, PreparedStep::Before) => RowOutcome::Repeated,
            };
            ReceiptRow {
                name: row.name.clone(),
                share: row.share.clone(),
                event: (row.step != PreparedStep::AlreadySo).then(|| row.event.clone()),
                outcome,
                document: then.or_else(|| share.map(|share| share.to_json())),
            }
        });
        let rows = rows.collect();
        WriteReceipt { epoch: folded.max(view.epoch()), newest, acknowledged, rows }
    }
}

impl Serve {
    /// The share that waits for this code; of an acceptance that is repeated under its key, the share that it accepted.
    ///
    /// # Errors
    /// Why no share does, in a sentence.
    pub fn share_of_code(&self, caller: &Caller, code: &str, key: Option<&str>) -> Result<String, &'static str> {
        let state = self.published.load();
        state.share_of_code(code).map(|share| share.id().to_string()).or_else(|why| {
            let source = source_of(caller);
            let key = key.and_then(|key| WriteKey::given(key).ok()).ok_or(why)?;
            let event = key.token(self.secret(), &source, 0).event_id();
            let recent = self.recent.lock().expect("it is only added to");
            let known = recent.find(&source, &event).and_then(|known| known.documents.as_ref());
            known.map(|documents| documents.share.to_string()).ok_or(why)
        })
    }

    /// Waits until no record can come any more that the revoke at this epoch forbids; how that is known.
    ///
    /// # Errors
    /// It is not certain within the hard bound, or where there is none in time.
    pub async fn certain(self: &Arc<Self>, revoke: Epoch, acknowledged: BootTime) -> Result<&'static str, Problem> {
        let serve = Arc::clone(self);
        let waited = tokio::task::spawn_blocking(move || {
            certainty::wait(&serve.config, Offset(revoke.0), acknowledged, None, &|line| debug!(epoch = revoke.0, "{line}"))
        });
        let waited = waited.await.map_err(|error| Problem::new(500, format!("waiting broke: {error}")))?;
        waited.map(Quiescence::word).map_err(|uncertain| Problem::unavailable(uncertain.0))
    }
}

/// An order that was written, and what is known of it.
struct WrittenOrder<'o> {
    source: &'o str,
    kind: EventType,
    trial: &'o OrderTrial,
    first: FirstOutcomes,
    /// Where each event is that was written now.
    written: HashMap<String, Offset>,
}

impl PreparedRow {
    /// Whether there is an event of it in the log.
    pub(super) fn has_event(&self) -> bool {
        match self.step {
            PreparedStep::Write | PreparedStep::Before => true,
            PreparedStep::AlreadySo => false,
        }
    }

    /// Whether it is written now.
    pub(super) fn is_news(&self) -> bool {
        self.step == PreparedStep::Write
    }
}
