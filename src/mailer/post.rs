//! The loop: waits until the group gives it the topic, reads what is to be sent, and sends it, one mail after the other.
//!
//! Of the members of a group one has the topic's partition; the others wait for it to go. A member reads the topic by itself: the group
//! only says whose turn it is. Before each mail it reads to the end, so that an invitation that was closed until then gets none.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use metrics::{counter, gauge};
use tracing::{error, info, warn};

use crate::clock::{BootTime, Clock};
use crate::config::Config;
use crate::engine::server::http::{Check, Health};
use crate::id::{Offset, StreamIndex};
use crate::kafka::{ClientError, InputTopic, KafkaConsumer, KafkaSettings, TopicReader};
use crate::share::event::invitation_code::CodeHash;
use crate::time::TimestampNs;
use crate::transport::{AssignmentChange, Batch, ConsumeError, GroupConsumer};

use super::letter::compose;
use super::live_templates::LiveTemplates;
use super::pending::{DueMail, PendingMails, TryOutcome, backoff};
use super::smtp::{MailSender, SendError};
use super::topics::{MailTopics, NoteWriter, RestoreError, take};

/// So long one look at the group or at the topic may wait.
const LOOK: Duration = Duration::from_millis(200);
/// The longest wait for the end of the invitations before a mail.
const CATCH_UP: Duration = Duration::from_secs(10);

/// Why the loop ended.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// A topic must not be read.
    #[error(transparent)]
    Input(#[from] ConsumeError),
    /// No client can be made.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// What `/readyz` says of the mailer.
#[derive(Debug)]
pub struct PostHealth {
    /// Whether the group has answered.
    joined: AtomicBool,
    /// Why the server takes no mail.
    unreachable: Mutex<Option<String>>,
    /// Raised when the process ends.
    stop: Arc<AtomicBool>,
}

impl PostHealth {
    /// Before anything has begun.
    pub fn new(stop: Arc<AtomicBool>) -> Self {
        Self { joined: AtomicBool::new(false), unreachable: Mutex::new(None), stop }
    }
}

impl Health for PostHealth {
    fn checks(&self) -> Vec<Check> {
        let joined = self.joined.load(Ordering::Relaxed);
        let unreachable = self.unreachable.lock().expect("it is only replaced").clone();
        let draining = self.stop.load(Ordering::Relaxed);
        vec![
            Check { name: "assigned", state: if joined { Ok(()) } else { Err("the group has not answered yet".to_owned()) } },
            Check { name: "mail_server", state: unreachable.map_or(Ok(()), Err) },
            Check { name: "draining", state: if draining { Err("the process is ending".to_owned()) } else { Ok(()) } },
        ]
    }
}

/// What a mail is made of besides its invitation.
pub struct LetterForm {
    /// Its texts.
    pub templates: Arc<LiveTemplates>,
    /// Where the invited accept.
    pub link: Option<String>,
    /// The sender's domain.
    pub domain: String,
}

/// The mailer.
pub struct Post<S> {
    /// Where the topics are.
    pub topics: MailTopics,
    /// Takes mails.
    pub sender: S,
    /// How mails look.
    pub form: LetterForm,
    /// Whether what was written before the group's first start is sent too.
    pub sends_all: bool,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Told how it goes.
    pub health: Arc<PostHealth>,
}

/// What a member has while the topic is its own.
struct MailTurn {
    mails: PendingMails,
    reader: TopicReader,
    notes: NoteWriter,
    /// Mails that were sent and are not noted yet.
    unnoted: Vec<(String, CodeHash, TimestampNs)>,
}

/// How often in a row something failed, and when to try it again.
#[derive(Debug, Default)]
struct Backoff {
    failures: u32,
    not_before: BootTime,
}

impl Backoff {
    fn failed(&mut self, boot: BootTime) {
        self.failures += 1;
        self.not_before = boot.after(backoff(self.failures));
    }
}

impl<S: MailSender> Post<S> {
    /// Sends mails until the process ends.
    ///
    /// # Errors
    /// What does not pass by itself.
    pub fn run(mut self, config: &Config) -> Result<(), PostError> {
        let kafka = KafkaSettings::of(&config.kafka);
        // Before the group answers: what is written from now on is sent by a first start.
        let Some(first) = self.first()? else { return Ok(()) };
        let source = InputTopic { stream: StreamIndex(0), topic: self.topics.invitations().to_owned() };
        let mut group = KafkaConsumer::join(&kafka, &format!("{}-mailer", config.topics.prefix()), &[source])?;
        let (mut turn, mut is_mine): (Option<MailTurn>, bool) = (None, false);
        let (mut restoring, mut sending) = (Backoff::default(), Backoff::default());
        let (mut batch, mut changes) = (Batch::default(), Vec::new());
        while !self.health.stop.load(Ordering::Relaxed) {
            let wait = if turn.is_some() { Duration::ZERO } else { LOOK };
            match group.poll(wait, 1, &mut batch, &mut changes) {
                Ok(()) => {}
                Err(ConsumeError::Unavailable(words)) => warn!(%words, "the group does not answer"),
                Err(error) => return Err(error.into()),
            }
            for change in changes.drain(..) {
                match change {
                    AssignmentChange::Assigned(partitions) => {
                        self.health.joined.store(true, Ordering::Relaxed);
                        is_mine |= !partitions.is_empty();
                    }
                    AssignmentChange::Revoked(partitions) => {
                        if !partitions.is_empty() {
                            (is_mine, turn) = (false, None);
                            show(0, 0);
                        }
                    }
                    // Nothing is read through the group.
                    AssignmentChange::OutOfRange(_) => {}
                }
            }
            let boot = self.clock.boot();
            match &mut turn {
                Some(turn) => self.step(turn, &mut sending)?,
                None if is_mine && restoring.not_before <= boot => match self.restore(first) {
                    Ok(restored) => (turn, restoring) = (Some(restored), Backoff::default()),
                    Err(PostError::Input(error @ (ConsumeError::Refused(_) | ConsumeError::Fatal(_)))) => return Err(error.into()),
                    Err(error) => {
                        warn!(%error, "the invitations cannot be read yet");
                        restoring.failed(boot);
                    }
                },
                None => {}
            }
        }
        Ok(())
    }

    /// The end of the invitations when the process began; none if it ends before that is known.
    fn first(&self) -> Result<Option<Offset>, PostError> {
        let mut asking = Backoff::default();
        while !self.health.stop.load(Ordering::Relaxed) {
            match self.topics.end() {
                Ok(end) => return Ok(Some(end)),
                Err(ConsumeError::Unavailable(words)) => {
                    warn!(%words, "waiting for Kafka");
                    asking.failed(self.clock.boot());
                }
                Err(error) => return Err(error.into()),
            }
            while self.clock.boot() < asking.not_before && !self.health.stop.load(Ordering::Relaxed) {
                self.clock.sleep(LOOK);
            }
        }
        Ok(None)
    }

    fn restore(&self, first: Offset) -> Result<MailTurn, PostError> {
        let mut notes = self.topics.notes()?;
        let restored = self.topics.restore(first, self.sends_all, &mut notes).map_err(|error| match error {
            RestoreError::Input(error) => error,
            RestoreError::Note(error) => ConsumeError::Unavailable(error.to_string()),
        });
        let (mut mails, reader) = restored?;
        for (share, code) in mails.outdated_notes() {
            if let Err(error) = notes.forget(&share, code) {
                warn!(%error, share, "the note of a mail whose invitation is closed could not be taken back");
                break;
            }
        }
        let (waiting, _) = mails.counts();
        info!(waiting, "this process sends the mails of the group");
        Ok(MailTurn { mails, reader, notes, unnoted: Vec::new() })
    }

    /// Reads what there is, and sends at most one mail.
    fn step(&mut self, turn: &mut MailTurn, sending: &mut Backoff) -> Result<(), PostError> {
        let MailTurn { mails, reader, .. } = turn;
        match reader.follow(LOOK, |record| take(mails, record)) {
            Ok(()) => {}
            Err(ConsumeError::Unavailable(words)) => warn!(%words, "the invitations cannot be read"),
            Err(error) => return Err(error.into()),
        }
        self.note(turn);
        let (now, boot) = (self.clock.wall(), self.clock.boot());
        if sending.not_before <= boot
            && let Some(due) = turn.mails.due(now, boot)
        {
            let MailTurn { mails, reader, .. } = turn;
            match reader.catch_up(CATCH_UP, |record| take(mails, record)) {
                Ok(()) if turn.mails.is_due(&due) => self.send(turn, &due, sending),
                Ok(()) => {}
                Err(ConsumeError::Unavailable(words)) => {
                    warn!(%words, "no mail is sent before the invitations can be read to their end");
                    sending.failed(boot);
                }
                Err(error) => return Err(error.into()),
            }
        }
        let (waiting, refused) = turn.mails.counts();
        show(waiting, refused);
        Ok(())
    }

    fn send(&mut self, turn: &mut MailTurn, due: &DueMail, sending: &mut Backoff) {
        let form = &self.form;
        let Some(letter) = compose(&due.mail, &form.templates.newest(), form.link.as_deref(), &form.domain) else { return };
        let share = due.share.as_str();
        let sent = self.sender.send(&letter);
        let boot = self.clock.boot();
        let unreachable = match &sent {
            Err(error @ SendError::Unreachable(_)) => Some(error.to_string()),
            Ok(()) | Err(SendError::Refused(_) | SendError::Deferred(_)) => None,
        };
        let is_unreachable = unreachable.is_some();
        *self.health.unreachable.lock().expect("it is only replaced") = unreachable;
        match sent {
            Ok(()) => {
                counter!("sharecast_mails_sent_total").increment(1);
                info!(share, message_id = letter.message_id, "the mail was sent");
                turn.mails.tried(due, TryOutcome::Sent, boot);
                turn.unnoted.push((due.share.clone(), due.hash, self.clock.wall().moment()));
                self.note(turn);
            }
            Err(error @ SendError::Refused(_)) => {
                counter!("sharecast_mail_failures_total", "outcome" => "refused").increment(1);
                error!(share, %error, "nobody gets this mail: it is not tried again before the next start or `share resend`");
                turn.mails.tried(due, TryOutcome::Refused, boot);
            }
            Err(error @ SendError::Deferred(_)) => {
                counter!("sharecast_mail_failures_total", "outcome" => "deferred").increment(1);
                warn!(share, %error, "the mail is tried again");
                turn.mails.tried(due, TryOutcome::Deferred, boot);
            }
            Err(error @ SendError::Unreachable(_)) => {
                counter!("sharecast_mail_failures_total", "outcome" => "unreachable").increment(1);
                sending.failed(boot);
                warn!(share, %error, again_in_s = backoff(sending.failures).as_secs(), "all mails wait");
            }
        }
        if !is_unreachable {
            *sending = Backoff::default();
        }
    }

    /// Notes what was sent; what cannot be noted is noted later.
    fn note(&self, turn: &mut MailTurn) {
        let mut failed = None;
        turn.unnoted.retain(|(share, code, at)| {
            failed.is_some() || turn.notes.sent(share, *code, *at).map_err(|error| failed = Some(error)).is_err()
        });
        let Some(error) = failed else { return };
        warn!(%error, left = turn.unnoted.len(), "a mail that was sent could not be noted: after a restart now it would be sent again");
        match self.topics.notes() {
            Ok(notes) => turn.notes = notes,
            Err(error) => warn!(%error, "the notes cannot be opened"),
        }
    }
}

/// Shows what this process has to send; one that only stands by has nothing.
fn show(waiting: usize, refused: usize) {
    gauge!("sharecast_mails_waiting").set(waiting as f64);
    gauge!("sharecast_mails_refused").set(refused as f64);
}
