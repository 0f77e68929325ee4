//! Mail for those who are invited: a one-time code whose hash goes into the event, and a record for the mailer once the offer stands.

use std::time::Duration;

use super::acting::{Acting, Draft};
use super::exit::{Exit, Failure};
use super::reading::{Beginning, Coming, ControlFold};
use super::send::{client_failure, random_bytes};
use crate::config::Config;
use crate::document::{Kind, Member, Node, Place};
use crate::engine::topic_specs::TopicSpecs;
use crate::engine::topics::INVITATIONS;
use crate::kafka::{Admin, KafkaSettings, Writer};
use crate::share::code::{self, CodeHash};
use crate::share::event::Envelope;
use crate::share::mail;
use crate::share::state::State;
use crate::share::status::Document;
use crate::share::table::{Outcome, ShareTable};

/// How long one question to the cluster, or one write, may take.
const ASK: Duration = Duration::from_secs(20);

/// The mails that follow from events which are about to be written.
pub(super) struct Mailing {
    fold: ControlFold,
    mails: Vec<Mailed>,
    writer: Writer,
}

/// A mail, before and after it is written.
struct Mailed {
    share: String,
    code: String,
    /// What became of its event, once that was read.
    outcome: Option<Outcome>,
    is_written: bool,
}

impl Mailing {
    /// Gives each offer to an invitee, and each that is sent again, a code of its own, and makes sure that the mailer's topic is
    /// there. None if nobody is invited by these drafts.
    pub(super) fn prepare(config: &Config, acting: &Acting, drafts: &mut [Draft]) -> Result<Option<Self>, Failure> {
        if !drafts.iter().any(|draft| is_offer_to_invitee(draft) || draft.kind == "share.resent") {
            return Ok(None);
        }
        let mut fold = ControlFold::open(config, acting.patience()?, Beginning::Snapshot)?;
        fold.read_to_end(|table, coming| {
            coming.fold(table);
            Ok::<(), Failure>(())
        })?;
        let mut mails = Vec::new();
        for draft in drafts {
            let Some(share) = draft.share.clone() else { continue };
            if is_offer_to_invitee(draft) || draft.kind == "share.resent" && is_invitation(&fold.table, &share) {
                let code = code::write(&random_bytes()?);
                put(&mut draft.data, "code_hash", CodeHash::of(&code).to_string());
                mails.push(Mailed { share, code, outcome: None, is_written: false });
            }
        }
        if mails.is_empty() {
            return Ok(None);
        }
        let kafka = KafkaSettings::of(&config.kafka);
        make_topic(&kafka, config)?;
        let writer = Writer::open(&kafka, INVITATIONS, ASK).map_err(client_failure)?;
        Ok(Some(Self { fold, mails, writer }))
    }

    /// Reads what became of the events, which are written by now, and tells the mailer of each that stands.
    pub(super) fn deliver(mut self) -> Result<Exit, Failure> {
        self.try_deliver().map_err(|failure| {
            let unsent: Vec<&str> = self.mails.iter().filter(|mailed| !mailed.is_written).map(|mailed| mailed.share.as_str()).collect();
            let advice = "an offer that stands has no mail yet: `sharecast share resend SHARE` makes a new code and a new mail";
            Failure::new(failure.exit, format!("{failure}; {advice} ({})", unsent.join(", ")))
        })
    }

    fn try_deliver(&mut self) -> Result<Exit, Failure> {
        let (mut exit, mut first_failure) = (Exit::Ok, None);
        self.read_on()?;
        for at in 0..self.mails.len() {
            let Mailed { share, code, outcome, .. } = &self.mails[at];
            let hash = CodeHash::of(code);
            let Some(found) = self.fold.table.share(share).filter(|found| mail::is_open(*found, hash)) else {
                let why = why_closed(outcome.as_ref(), self.fold.table.share(share).map(|found| found.document()));
                eprintln!("share {share}: no mail is written: {why}");
                exit = Exit::Failed;
                continue;
            };
            let Some(value) = mail::write(found, code) else { continue };
            let headers: &[(&str, &[u8])] = &[("content-type", b"application/json")];
            if let Err(error) = self.writer.append_record(Some(share.as_bytes()), Some(&value), headers) {
                eprintln!("share {share}: the offer stands, but its mail could not be written to {INVITATIONS}: {error}");
                eprintln!("`sharecast share resend {share}` makes a new code and a new mail");
                first_failure.get_or_insert(Exit::Unavailable);
                continue;
            }
            eprintln!("share {share}: the mail for {} is in {INVITATIONS}", found.document().invitee.unwrap_or_default());
            self.mails[at].is_written = true;
        }
        self.take_back_closed()?;
        Ok(first_failure.unwrap_or(exit))
    }

    /// An invitation may have been closed before its mail was written: then nobody else takes the mail back.
    fn take_back_closed(&mut self) -> Result<(), Failure> {
        self.fold.look_again()?;
        self.read_on()?;
        for Mailed { share, .. } in self.mails.iter().filter(|mailed| mailed.is_written) {
            let is_pending = self.fold.table.share(share).is_none_or(|found| found.document().state == State::Pending);
            if !is_pending && let Err(error) = self.writer.append_record(Some(share.as_bytes()), None, &[]) {
                eprintln!("share {share}: it is closed already, but its mail could not be taken back from {INVITATIONS}: {error}");
            }
        }
        Ok(())
    }

    fn read_on(&mut self) -> Result<(), Failure> {
        self.fold.look_again()?;
        let mails = &mut self.mails;
        self.fold.read_to_end(|table, coming: Coming<'_>| {
            let of_mail = |record: &Result<Envelope, _>| {
                let hash = record.as_ref().ok().and_then(|event| CodeHash::parse(event.data.get("code_hash")?.as_str()?));
                hash.and_then(|hash| mails.iter().position(|mailed| CodeHash::of(&mailed.code) == hash))
            };
            let (mail, folded) = coming.fold_noting(table, of_mail);
            if let Some(at) = mail {
                mails[at].outcome = Some(folded.outcome);
            }
            Ok(())
        })
    }
}

/// Why there is nothing to accept by a code.
fn why_closed(outcome: Option<&Outcome>, share: Option<Document<'_>>) -> String {
    let failed = share.filter(|document| document.state == State::Failed).and_then(|document| document.reason);
    match (outcome, failed) {
        (None, _) => "its event is not in the control topic; if `share list` shows the offer later, `share resend` mails it".to_owned(),
        (Some(Outcome::Rejected(reason)), _) => format!("the event was rejected, {reason}"),
        (_, Some(reason)) => format!("the offer failed, {}", reason.code()),
        _ => "the invitation was closed, or has another code, since".to_owned(),
    }
}

fn is_offer_to_invitee(draft: &Draft) -> bool {
    let has = |name: &str| draft.data.get(name).is_some_and(|node| !node.is_null());
    draft.kind == "share.offered" && has("invitee") && !has("target_tenant")
}

fn is_invitation(table: &ShareTable, share: &str) -> bool {
    table.share(share).map(|share| share.document()).is_some_and(|document| document.state == State::Pending && document.invitee.is_some())
}

fn put(data: &mut Node, name: &str, text: String) {
    if let Kind::Map(members) = &mut data.kind {
        let value = Node { kind: Kind::String(text), place: Place::default() };
        members.push(Member { name: name.to_owned(), place: Place::default(), value });
    }
}

/// Before anything is written: an offer whose mail has no place to go to should not be made.
fn make_topic(kafka: &KafkaSettings, config: &Config) -> Result<(), Failure> {
    let admin = Admin::open(kafka, ASK).map_err(client_failure)?;
    if admin.topic(INVITATIONS).map_err(client_failure)?.is_some() {
        return Ok(());
    }
    let specs = TopicSpecs::of(config);
    if !specs.are_made_by_engine() {
        let what = format!("the topic {INVITATIONS} is missing and output.provision is manual: `sharecast provision` makes it");
        return Err(Failure::new(Exit::Configuration, what));
    }
    admin.create(&[specs.invitations()]).map(drop).map_err(super::provision::admin_failure)
}

/// The share that waits for this code.
pub(super) fn share_of_code(config: &Config, acting: &Acting, typed: &str) -> Result<String, Failure> {
    let table = ControlFold::open(config, acting.patience()?, Beginning::Snapshot)?.fold_to_end()?;
    match mail::of_code(&table, CodeHash::of(&code::normalise(typed))).as_slice() {
        [share] => Ok(share.id().to_string()),
        [] => Err(Failure::new(
            Exit::Failed,
            "no open invitation has this code: it was accepted, taken back, has lapsed, or a newer mail came",
        )),
        _ => Err(Failure::new(Exit::Failed, "several invitations have this code: name the share too")),
    }
}
