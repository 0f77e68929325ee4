//! The native producer: `transport::TransactionalProducer` by Kafka's own protocol, for clusters whose transactions are of version 2.
//!
//! Each end of a transaction raises the producer's epoch, so sequences begin at 0 in every transaction, what comes late is refused by its
//! epoch, and an end whose answer was lost is asked for again: the coordinator knows a repetition by the epoch before.

mod start;
mod topics;

use std::time::Duration;

pub(in crate::kafka) use self::start::StartError;
pub(super) use self::start::take_name;
use super::cluster::{CallError, CoordinatorCall};
use super::error_code::ErrorCode;
use super::frame::FrameWriter;
use super::messages::Api;
use super::messages::commit::{self, MemberIdentity, OffsetAnswer, ProducerIdentity, TxnOffset};
use super::messages::metadata::CoordinatorKind;
use super::outgoing::QueuePlace;
use super::record_batch::BatchRecord;
use super::sender::BatchSender;
use super::verdict::{CallFailure, CoordinatorVerdict, of_end, of_offsets};
use crate::kafka::client::Deadline;
use crate::kafka::membership::{InputTopic, KafkaMembership};
use crate::kafka::native::GroupIdentity;
use crate::transport::{InputOffset, Output, ProduceError, TransactionalProducer};

/// From this part of its time-out on a transaction may have been aborted by the coordinator, whose clock is not ours.
const EXPIRES_AT: f32 = 0.9;
/// A record that is not acknowledged by this part of it is given up, so that there is time left to abort in order.
const ACKNOWLEDGED_BY: f32 = 0.75;
/// Offsets that are not taken by this part of it are given up.
const OFFSETS_BY: f32 = 0.5;

/// Where a producer is in its transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TxState {
    Ready,
    Open,
    /// Nothing is left but an abort.
    Failed,
    /// Another one must be made.
    Dead,
}

/// A transactional producer without librdkafka.
pub struct NativeProducer {
    sender: BatchSender,
    transactional_id: String,
    sources: Vec<InputTopic>,
    state: TxState,
    /// From then on a fencing is the transaction's age.
    expires: Deadline,
    /// The group's coordinator may know of the transaction.
    has_sent_offsets: bool,
    /// Of the topic looked at last.
    partitions_seen: Option<usize>,
    /// Of the topic put to last, where the key has chosen.
    partitions_put: Option<u32>,
    look_at: Deadline,
}

impl NativeProducer {
    fn limit(&self) -> Duration {
        self.sender.cluster.settings.transaction_timeout
    }

    /// What an error leaves of the transaction.
    fn turn(&mut self, error: ProduceError) -> ProduceError {
        // A transaction older than its time-out is aborted by the coordinator, which fences its producer as another one of the same name
        // would: that is no sign of another one.
        let error = match error {
            ProduceError::Fenced(words) if self.expires.has_passed() => {
                ProduceError::Fatal(format!("the transaction was open for longer than its time-out: {words}"))
            }
            error => error,
        };
        let is_dead = matches!(error, ProduceError::Fatal(_) | ProduceError::Fenced(_));
        self.state = if is_dead { TxState::Dead } else { TxState::Failed };
        error
    }

    fn needs(&self, state: TxState, call: &str) -> Result<(), ProduceError> {
        match self.state {
            now if now == state => Ok(()),
            TxState::Failed => Err(ProduceError::Abort(format!("{call} after a failure"))),
            now => Err(ProduceError::Fatal(format!("{call} of a producer that is {now:?}"))),
        }
    }

    fn put_record(&mut self, output: &Output<'_>) -> Result<(), ProduceError> {
        let own = output.key.map_or(0, <[u8]>::len)
            + output.value.map_or(0, <[u8]>::len)
            + output.headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        let largest = self.sender.cluster.settings.record_bytes;
        if own > largest {
            let reason = format!("{own} bytes are more than message.max.bytes, {largest}");
            return Err(ProduceError::Refused { topic: output.topic.to_owned(), reason });
        }
        let topic = self.place(output.topic)?;
        let partition = self.choose(topic, output)?;
        // As with librdkafka, which takes 0 for "now": the first millisecond of 1970 is written as the second.
        let timestamp_ms = if output.timestamp.0 == 0 { 1 } else { output.timestamp.0 };
        let record = BatchRecord { key: output.key, value: output.value, timestamp_ms, headers: output.headers };
        let BatchSender { outgoing, compressor, identity, cluster, .. } = &mut self.sender;
        outgoing.put(QueuePlace { topic, partition }, &record, cluster.settings.batch_bytes, *identity, compressor);
        Ok(())
    }

    /// The end of the time that acknowledgements have.
    fn acknowledged_by(&self) -> Deadline {
        Deadline::after(self.limit().mul_f32(ACKNOWLEDGED_BY)).min(self.expires)
    }

    /// Adds offsets to the transaction as this member of its group.
    fn send_offsets_of(&mut self, offsets: &[InputOffset], member: &GroupIdentity) -> Result<(), ProduceError> {
        if offsets.is_empty() {
            return Ok(());
        }
        let mut list = Vec::with_capacity(offsets.len());
        for InputOffset { partition, next, note } in offsets {
            let source = self.sources.iter().find(|source| source.stream == partition.stream);
            let Some(source) = source else {
                return Err(ProduceError::Fatal(format!("offsets of a stream without topic: {partition:?}")));
            };
            list.push(TxnOffset { topic: &source.topic, partition: partition.partition, offset: next.0, note });
        }
        list.sort_unstable_by_key(|offset| (offset.topic, offset.partition));
        let (id, identity) = (&self.transactional_id, self.sender.identity);
        let by = MemberIdentity {
            group: &member.group,
            generation: member.generation,
            member: &member.member,
            instance: member.instance.as_deref(),
        };
        // Whatever becomes of it, the cluster may know of the transaction from here on.
        self.has_sent_offsets = true;
        let call = CoordinatorCall { kind: CoordinatorKind::Group, name: &member.group, api: Api::TxnOffsetCommit };
        let ask = |request: &mut FrameWriter| commit::ask_offsets(request, id, identity, by, &list);
        let deadline = Deadline::after(self.sender.cluster.settings.transaction_timeout.mul_f32(OFFSETS_BY));
        let judge = |answers: &Vec<OffsetAnswer>| judge_offsets(answers, &list);
        let answer = self.sender.cluster.call(call, deadline, ask, commit::read_offsets, judge);
        answer.map(drop).map_err(|error| self.turn(failed_call("sending offsets", error)))
    }

    /// Ends the transaction, as far as the cluster may know of one.
    fn end(&mut self, commits: bool) -> Result<(), ProduceError> {
        if self.sender.has_sent || self.has_sent_offsets {
            let (id, identity) = (self.transactional_id.clone(), self.sender.identity);
            let call = CoordinatorCall { kind: CoordinatorKind::Transaction, name: &id, api: Api::EndTxn };
            let ask = |request: &mut FrameWriter| commit::ask_end(request, &id, identity, commits);
            let judge = |(error, _): &(ErrorCode, ProducerIdentity)| (of_end(*error, commits), *error);
            let answer = self.sender.cluster.call(call, Deadline::after(self.limit()), ask, commit::read_identity, judge);
            let what = if commits { "commit" } else { "abort" };
            let (_, next) = answer.map_err(|error| self.turn(failed_call(what, error)))?;
            // Under the same epoch the sequences of the next transaction would be taken for repetitions of this one's, and be lost.
            if next.id == identity.id && next.epoch <= identity.epoch {
                return Err(self.turn(ProduceError::Fatal(format!("{what}: the producer's epoch was not raised"))));
            }
            self.sender.identity = next;
        }
        self.sender.clear();
        if self.state == TxState::Failed {
            // Perhaps it failed because the cluster speaks otherwise by now.
            self.look_at = Deadline::after(Duration::ZERO);
        }
        self.has_sent_offsets = false;
        self.state = TxState::Ready;
        Ok(())
    }
}

impl TransactionalProducer for NativeProducer {
    type Membership = KafkaMembership;

    fn sees_leader(&mut self, topic: &str) -> Result<bool, ProduceError> {
        self.sees(topic)
    }

    fn partitions_seen(&self) -> Option<usize> {
        self.partitions_seen
    }

    fn begin(&mut self) -> Result<(), ProduceError> {
        self.needs(TxState::Ready, "begin")?;
        if self.look_at.has_passed() {
            self.look_around()?;
        }
        self.expires = Deadline::after(self.limit().mul_f32(EXPIRES_AT));
        self.state = TxState::Open;
        Ok(())
    }

    fn put(&mut self, output: Output<'_>) -> Result<(), ProduceError> {
        self.needs(TxState::Open, "put")?;
        self.put_record(&output).map_err(|error| self.turn(error))
    }

    fn partitions_put(&self) -> Option<u32> {
        self.partitions_put
    }

    fn send_ahead(&mut self) {
        if self.state == TxState::Open {
            self.sender.launch(self.acknowledged_by());
        }
    }

    fn drain(&mut self) -> Result<(), Vec<ProduceError>> {
        self.needs(TxState::Open, "drain").map_err(|error| vec![error])?;
        let until = self.acknowledged_by();
        self.sender.settle(until).map_err(|errors| errors.into_iter().map(|error| self.turn(error)).collect())
    }

    fn send_offsets(&mut self, offsets: &[InputOffset], membership: &KafkaMembership) -> Result<(), ProduceError> {
        self.needs(TxState::Open, "sending offsets")?;
        let member = membership.identity.as_ref().ok_or_else(|| ProduceError::StaleMember("it has not joined".to_owned()))?;
        self.send_offsets_of(offsets, member)
    }

    fn commit(&mut self) -> Result<(), ProduceError> {
        if self.sender.has_waiting() {
            self.drain().map_err(|mut failures| failures.swap_remove(0))?;
        }
        self.needs(TxState::Open, "commit")?;
        self.end(true)
    }

    fn abort(&mut self) -> Result<(), ProduceError> {
        if !matches!(self.state, TxState::Open | TxState::Failed) {
            self.needs(TxState::Open, "abort")?;
        }
        self.end(false)
    }
}

/// The gravest of what is said of the partitions. One that is not named was not committed.
fn judge_offsets(answers: &[OffsetAnswer], asked: &[TxnOffset<'_>]) -> (CoordinatorVerdict, ErrorCode) {
    let weight = |verdict: &CoordinatorVerdict| match verdict {
        CoordinatorVerdict::Done => 0,
        CoordinatorVerdict::AgainLater => 1,
        CoordinatorVerdict::AgainElsewhere => 2,
        CoordinatorVerdict::Failed(CallFailure::Abort) => 3,
        CoordinatorVerdict::Failed(CallFailure::StaleMember) => 4,
        CoordinatorVerdict::Failed(CallFailure::Fatal) => 5,
        CoordinatorVerdict::Failed(CallFailure::Fenced) => 6,
    };
    let is_of = |offset: &TxnOffset<'_>, answer: &OffsetAnswer| (&*answer.0, answer.1) == (offset.topic, offset.partition);
    // As a rule they are named in the order in which they were asked.
    let is_named = |(at, offset): (usize, &TxnOffset<'_>)| {
        answers.get(at).is_some_and(|answer| is_of(offset, answer)) || answers.iter().any(|answer| is_of(offset, answer))
    };
    let is_whole = asked.iter().enumerate().all(is_named);
    let missing = (!is_whole).then_some((CoordinatorVerdict::AgainLater, ErrorCode::UNKNOWN_SERVER_ERROR));
    let verdicts = answers.iter().map(|(_, _, error)| (of_offsets(*error), *error)).chain(missing);
    verdicts.max_by_key(|(verdict, _)| weight(verdict)).unwrap_or((CoordinatorVerdict::Done, ErrorCode::NONE))
}

/// Whatever got no answer may have been done: only a new producer of the name tells.
fn failed_call(what: &str, error: CallError) -> ProduceError {
    match error {
        CallError::Unanswered(words) => ProduceError::Fatal(format!("{what} was not answered in time: {words}")),
        CallError::LoginRefused(words) => ProduceError::Fatal(format!("{what}: the cluster refused the login: {words}")),
        CallError::NotNative(why) => ProduceError::Fatal(format!("{what}: {why}")),
        CallError::Refused(failure, code) => failure.error(format!("{what}: {code}")),
    }
}

#[cfg(test)]
mod tests;
