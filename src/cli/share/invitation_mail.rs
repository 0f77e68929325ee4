//! Mail for those who are invited: a one-time code whose hash goes into the event, and a record for the mailer once the offer stands.

use std::time::Duration;

use crate::cli::args::ActorArgs;
use crate::cli::control_fold::{ControlFold, NextRecord, StartFrom};
use crate::cli::exit::{Exit, Failure, client_failure, input_failure, tell};
use crate::cli::trial::Until;
use crate::config::Config;
use crate::document::{DocumentKind, Member, Node, TextPosition};
use crate::engine::topic::spec::TopicSpecs;
use crate::kafka::{Admin, EventWriter, KafkaSettings, TopicReader};
use crate::share::event::Envelope;
use crate::share::event::invitation_code;
use crate::share::event::invitation_code::CodeHash;
use crate::share::event::kind::EventType;
use crate::share::state::State;
use crate::share::status::Document;
use crate::share::table::query::ShareView;
use crate::share::table::{Outcome, ShareTable};
use crate::share::view::mail;
use crate::share::view::mail::Mail;

/// An invitation that an event makes, or sends again: its mail is owed once the event is folded.
pub(in crate::cli) struct InvitationMail {
    pub(super) share: String,
    pub(super) code: String,
}

impl InvitationMail {
    /// What this event invites to, with this code; none if it invites nobody.
    pub(in crate::cli) fn of(kind: EventType, data: &Node, table: &ShareTable, code: String) -> Option<Self> {
        let share = data.get("share")?.as_str()?.to_owned();
        let has = |name: &str| data.get(name).is_some_and(|node| !node.is_null());
        let invites = match kind {
            EventType::ShareOffered => has("invitee") && !has("target_tenant"),
            EventType::ShareResent => is_invitation(table, &share),
            _ => false,
        };
        invites.then_some(Self { share, code })
    }

    /// Puts a code's hash into the event.
    pub(in crate::cli) fn put_hash(data: &mut Node, code: &str) {
        put(data, "code_hash", CodeHash::of(code).to_string());
    }

    /// Makes sure that the mailer's topic is there: an offer whose mail has no place to go to should not be made.
    pub(in crate::cli) fn prepare(&self, config: &Config, until: Until) -> Result<(), Failure> {
        make_topic(config, until.left())
    }

    /// Whether this event brought the code.
    pub(in crate::cli) fn is_of(&self, data: &Node) -> bool {
        let hash = data.get("code_hash").and_then(Node::as_str).and_then(CodeHash::parse);
        hash == Some(CodeHash::of(&self.code))
    }

    /// Whether the share still waits for the code.
    pub(in crate::cli) fn is_open(&self, table: &ShareTable) -> bool {
        table.share(&self.share).is_some_and(|share| mail::is_open(share, CodeHash::of(&self.code)))
    }

    /// Reads what became of the event, which is in the log by now, and tells the mailer of it if the invitation stands; not again if
    /// it was told.
    pub(in crate::cli) fn deliver(&self, config: &Config, acting: &ActorArgs) -> Result<Exit, Failure> {
        self.try_deliver(config, acting.patience()?).map_err(|failure| {
            let advice = "if the offer stands it has no mail yet: `sharecast share resend` makes a new code and a new mail";
            Failure::new(failure.exit, format!("share {}: {failure}; {advice}", self.share))
        })
    }

    fn try_deliver(&self, config: &Config, patience: Duration) -> Result<Exit, Failure> {
        let mut fold = ControlFold::open(config, patience, StartFrom::Snapshot)?;
        let outcome = self.read_on(&mut fold)?;
        let hash = CodeHash::of(&self.code);
        let share = &self.share;
        let Some(found) = fold.table.share(share).filter(|found| mail::is_open(*found, hash)) else {
            let why = why_closed(outcome.as_ref(), fold.table.share(share).map(ShareView::document));
            tell!("share {share}: no mail is written: {why}");
            return Ok(Exit::Failed);
        };
        let address = found.document().invitee.unwrap_or_default().to_owned();
        let Some(value) = mail::write(found, &self.code) else { return Ok(Exit::Failed) };
        if self.is_told(config, patience)? {
            tell!("share {share}: the mail for {address} is in {} already", config.topics.invitations);
            return Ok(Exit::Ok);
        }
        let topic = &config.topics.invitations;
        let mut writer = EventWriter::open(&KafkaSettings::of(&config.kafka), topic, patience).map_err(client_failure)?;
        let headers: &[(&str, &[u8])] = &[("content-type", b"application/json")];
        writer
            .append_record(Some(share.as_bytes()), Some(&value), headers)
            .map_err(|error| Failure::new(Exit::Unavailable, format!("its mail could not be written to {topic}: {error}")))?;
        tell!("share {share}: the mail for {address} is in {topic}");
        self.take_back_if_closed(&mut fold, &mut writer, topic)
    }

    /// Whether the newest record of the share in the mailer's topic has this code.
    fn is_told(&self, config: &Config, patience: Duration) -> Result<bool, Failure> {
        let kafka = KafkaSettings::of(&config.kafka);
        let mut reader = TopicReader::open_within(&kafka, &config.topics.invitations, [0], patience).map_err(input_failure)?;
        let mut is_told = false;
        let each = |record: crate::kafka::ReadRecord<'_>| {
            if record.key() == Some(self.share.as_bytes()) {
                let mail = record.value().and_then(Mail::read);
                is_told = mail.is_some_and(|mail| mail.text("code") == Some(&self.code));
            }
        };
        reader.read_to_end(patience, each).map_err(input_failure)?;
        Ok(is_told)
    }

    /// An invitation may have been closed before its mail was written: then nobody else takes the mail back.
    fn take_back_if_closed(&self, fold: &mut ControlFold, writer: &mut EventWriter, topic: &str) -> Result<Exit, Failure> {
        let share = &self.share;
        fold.look_again()?;
        self.read_on(fold)?;
        let is_pending = fold.table.share(share).is_none_or(|found| found.document().state == State::Pending);
        if !is_pending && let Err(error) = writer.append_record(Some(share.as_bytes()), None, &[]) {
            tell!("share {share}: it is closed already, but its mail could not be taken back from {topic}: {error}");
        }
        Ok(Exit::Ok)
    }

    /// Folds on, and tells what became of the event that brought this code, if it was among what was folded.
    fn read_on(&self, fold: &mut ControlFold) -> Result<Option<Outcome>, Failure> {
        let hash = CodeHash::of(&self.code);
        let mut outcome = None;
        fold.read_to_end(|table, coming: NextRecord<'_>| {
            let of_code = |record: &Result<Envelope, _>| {
                let found = record.as_ref().ok().and_then(|event| CodeHash::parse(event.data.get("code_hash")?.as_str()?));
                found == Some(hash)
            };
            let (is_own, folded) = coming.fold_noting(table, of_code);
            // A repeat of it says nothing of what became of it.
            if is_own && folded.outcome != Outcome::Repeated {
                outcome = Some(folded.outcome);
            }
            Ok::<(), Failure>(())
        })?;
        Ok(outcome)
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

fn is_invitation(table: &ShareTable, share: &str) -> bool {
    table.share(share).map(|share| share.document()).is_some_and(|document| document.state == State::Pending && document.invitee.is_some())
}

fn put(data: &mut Node, name: &str, text: String) {
    if let DocumentKind::Map(members) = &mut data.kind {
        let value = Node { kind: DocumentKind::String(text), place: TextPosition::default() };
        members.push(Member { name: name.to_owned(), place: TextPosition::default(), value });
    }
}

fn make_topic(config: &Config, wait: Duration) -> Result<(), Failure> {
    let admin = Admin::open(&KafkaSettings::of(&config.kafka), wait).map_err(client_failure)?;
    let topic = &config.topics.invitations;
    if admin.topic(topic).map_err(client_failure)?.is_some() {
        return Ok(());
    }
    let specs = TopicSpecs::of(config);
    if !specs.are_made_by_engine() {
        let what = format!("the topic {topic} is missing and output.provision is manual: `sharecast provision` makes it");
        return Err(Failure::new(Exit::Configuration, what));
    }
    admin.create(&[specs.invitations()]).map(drop).map_err(crate::cli::exit::admin_failure)
}

/// The share that waits for this code.
pub(in crate::cli) fn share_of_code(config: &Config, acting: &ActorArgs, typed: &str) -> Result<String, Failure> {
    let table = ControlFold::open(config, acting.patience()?, StartFrom::Snapshot)?.fold_to_end()?;
    let mut found: Vec<String> = Vec::new();
    for reading in invitation_code::readings(typed) {
        found.extend(mail::of_code(&table, CodeHash::of(&reading)).iter().map(|share| share.id().to_string()));
    }
    match found.as_slice() {
        [share] => Ok(share.clone()),
        [] => {
            let what = "no open invitation has this code: it was accepted, taken back, has lapsed, or a newer mail came";
            Err(Failure::new(Exit::Failed, format!("{what}; nothing was written")))
        }
        _ => Err(Failure::new(Exit::Failed, "several invitations have this code: name the share too; nothing was written")),
    }
}

/// Takes the code of an acceptance as its share knows it, however it was typed.
pub(in crate::cli) fn settle_code(data: &mut Node, table: &ShareTable) {
    let text = |name: &str| data.get(name).and_then(Node::as_str).map(str::to_owned);
    let (Some(share), Some(typed)) = (text("share"), text("code")) else { return };
    let Some(hash) = table.share(&share).and_then(ShareView::code_hash) else { return };
    if let Some(reading) = invitation_code::readings(&typed).into_iter().find(|reading| CodeHash::of(reading) == hash) {
        set_code(data, reading);
    }
}

/// Takes the code of an acceptance as an earlier one has it, if that is what was typed.
pub(in crate::cli) fn type_code_as(data: &mut Node, earlier: &Node) {
    let code = |data: &Node| data.get("code").and_then(Node::as_str).map(str::to_owned);
    if let (Some(typed), Some(earlier)) = (code(data), code(earlier))
        && invitation_code::readings(&typed).contains(&earlier)
    {
        set_code(data, earlier);
    }
}

fn set_code(data: &mut Node, code: String) {
    if let DocumentKind::Map(members) = &mut data.kind {
        members.retain(|member| member.name != "code");
    }
    put(data, "code", code);
}
