//! Writing one control event, and waiting for what becomes of it.

use std::path::PathBuf;
use std::time::Duration;

use super::acting::{Acting, Draft, Format};
use super::certain::{self, Certain};
use super::check::{load_profile, profile_doubts};
use super::configuration;
use super::exit::{Exit, Failure};
use super::mailing::{self, Mailing};
use super::outcome::{Outcome, Sent, follow};
use super::parties::{self, ControlCommand, PartnershipCommand, ProfileCommand, TenantCommand};
use super::share::{Order, ShareCommand, random_event_id};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::engine::topics::SHARES;
use crate::id::EventId;
use crate::kafka::{ClientError, KafkaSettings, TopicReader, WriteError, Writer};
use crate::share::data;
use crate::share::event::{self, Sender};
use crate::share::kind::EventType;
use crate::transport::ConsumeError;

/// How long a write waits for its acknowledgement.
pub(super) const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(20);

/// `sharecast share …`.
pub fn share(files: &[PathBuf], acting: &Acting, command: ShareCommand) -> Result<Exit, Failure> {
    let bits = random()?;
    let config = configuration::load(files)?;
    let mut command = command;
    if let ShareCommand::Accept(accept) = &mut command
        && let Some(code) = accept.code_to_find()
    {
        accept.set_share(mailing::share_of_code(&config, acting, code)?);
    }
    match command.order(|| bits)? {
        Order::One(draft) => send_with_mail(&config, acting, draft),
        Order::Preview(offer) => super::preview::run(&config, acting, &offer),
        Order::Many(lines) => super::bulk::run(&config, acting, lines),
    }
}

/// An offer to somebody without a tenant, or one that is sent again, has a mail that follows it.
fn send_with_mail(config: &Config, acting: &Acting, draft: Draft) -> Result<Exit, Failure> {
    let mut drafts = [draft];
    let mailing = Mailing::prepare(config, acting, &mut drafts)?;
    let [draft] = drafts;
    match (send(config, acting, draft), mailing) {
        (sent, None) => sent,
        (Err(misused), _) if misused.exit == Exit::Usage => Err(misused),
        // Whether it is known what became of the event or not, it may stand: then its mail is owed.
        (sent, Some(mailing)) => {
            let delivered = mailing.deliver();
            Ok(if sent? == Exit::Ok { delivered? } else { Exit::Failed })
        }
    }
}

/// `sharecast partnership …`.
pub fn partnership(files: &[PathBuf], acting: &Acting, command: PartnershipCommand) -> Result<Exit, Failure> {
    let draft = command.draft(acting).map_err(|misused| Failure::new(Exit::Usage, misused))?;
    send(&configuration::load(files)?, acting, draft)
}

/// `sharecast tenant …`.
pub fn tenant(files: &[PathBuf], acting: &Acting, command: TenantCommand) -> Result<Exit, Failure> {
    send(&configuration::load(files)?, acting, command.draft())
}

/// `sharecast profile …`.
pub fn profile(files: &[PathBuf], acting: &Acting, command: ProfileCommand) -> Result<Exit, Failure> {
    let config = configuration::load(files)?;
    let draft = match command {
        ProfileCommand::Publish { name, file, owner } => {
            let (spec, _) = load_profile(&file).map_err(|what| Failure::new(Exit::Failed, what))?;
            profile_doubts(&file, &config).iter().for_each(|doubt| eprintln!("warning: {doubt}"));
            parties::publish(name, owner.as_ref(), spec)
        }
        ProfileCommand::Retire { name, owner } => parties::retire(name, owner.as_ref()),
    };
    send(&config, acting, draft)
}

/// `sharecast control …`.
pub fn control(files: &[PathBuf], acting: &Acting, command: ControlCommand) -> Result<Exit, Failure> {
    send(&configuration::load(files)?, acting, command.draft())
}

/// Checks, writes and, with `--wait`, follows one event.
fn send(config: &Config, acting: &Acting, draft: Draft) -> Result<Exit, Failure> {
    let clock = SystemClock;
    let id = match &acting.event_id {
        Some(id) => id.clone(),
        None => random_event_id(random()?),
    };
    let kind = format!("sharecast.{}.v1", draft.kind);
    let event = event::write_structured(&id, &acting.source(), &kind, clock.wall(), &draft.data);
    check(&id, &event)?;
    let timeout = acting.patience()?;

    let kafka = KafkaSettings::of(&config.kafka);
    // Opened before the write, so that the answer cannot be missed.
    let reader = if acting.wait { Some(TopicReader::open_at_end(&kafka, SHARES, [0]).map_err(input_failure)?) } else { None };
    let mut writer = Writer::open(&kafka, &config.control.topic, ACKNOWLEDGED_WITHIN).map_err(client_failure)?;
    let offset = writer.append(&event).map_err(write_failure)?;
    let acknowledged = clock.boot();
    let outcome = match reader {
        None => Outcome::Written,
        Some(reader) => follow(config, &kafka, reader, &[(offset, &id)], timeout)?.remove(0),
    };
    let is_cut = acting.wait && draft.kind == "share.revoked" && matches!(outcome, Outcome::Applied(_));
    let certain = is_cut.then(|| certain::wait(config, offset, acknowledged));
    let sent = Sent { id: &id, kind: draft.kind, share: draft.share.as_deref(), asset: None, offset };
    print(acting.output, &sent, &outcome, certain);
    Ok(if matches!(outcome, Outcome::Rejected(_)) { Exit::Failed } else { Exit::Ok })
}

/// Everything that the fold would refuse whatever the table holds.
fn check(id: &str, event: &[u8]) -> Result<(), Failure> {
    EventId::parse(id).map_err(|error| Failure::new(Exit::Usage, format!("--event-id: {error}")))?;
    let envelope =
        event::read_structured(event).map_err(|why| Failure::new(Exit::Usage, format!("the event would not be understood: {}", why.0)))?;
    let (Some(kind), Some(sender)) = (EventType::parse(&envelope.kind), Sender::parse(&envelope.source)) else {
        return Err(Failure::new(Exit::Usage, "the event's type or source is not known"));
    };
    match data::read(kind, sender, &envelope.data) {
        Ok(_) => Ok(()),
        Err(malformed) => Err(Failure::new(Exit::Usage, format!("the event would be refused: {}", malformed.in_words(&envelope.data)))),
    }
}

fn print(format: Format, sent: &Sent<'_>, outcome: &Outcome, certain: Option<Certain>) {
    if format != Format::Table {
        println!("{}", String::from_utf8_lossy(&sent.to_json(outcome, certain)));
        return;
    }
    let share = sent.share.map(|share| format!("  share {share}")).unwrap_or_default();
    let reason = if let Outcome::Rejected(reason) = outcome { format!(" ({reason})") } else { String::new() };
    let certain = certain.map(|certain| format!("  certain: {}", certain.word())).unwrap_or_default();
    let state = outcome.state().map(|state| format!("  {state}")).unwrap_or_default();
    let (kind, word) = (sent.kind, outcome.word(sent.share.is_some()));
    println!("{kind} {word}{reason}{share}{state}  event {}  offset {}{certain}", sent.id, sent.offset);
}

/// Bits from the system's own source.
pub fn random() -> Result<[u8; 16], Failure> {
    random_bytes()
}

/// As many of them as are asked for.
pub(super) fn random_bytes<const LENGTH: usize>() -> Result<[u8; LENGTH], Failure> {
    use std::io::Read;
    let mut bits = [0; LENGTH];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bits))
        .map_err(|error| Failure::new(Exit::Failed, format!("no random bits: {error}")))?;
    Ok(bits)
}

pub(super) fn client_failure(error: ClientError) -> Failure {
    let exit = if matches!(error, ClientError::Unavailable(_)) { Exit::Unavailable } else { Exit::Configuration };
    Failure::new(exit, error)
}

pub(super) fn input_failure(error: ConsumeError) -> Failure {
    let exit = match error {
        ConsumeError::Unavailable(_) => Exit::Unavailable,
        ConsumeError::Refused(_) => Exit::Configuration,
        ConsumeError::Fatal(_) => Exit::Failed,
    };
    Failure::new(exit, error)
}

pub(super) fn write_failure(error: WriteError) -> Failure {
    let exit = if matches!(error, WriteError::Refused(_)) { Exit::Configuration } else { Exit::Unavailable };
    let advice = "; writing it again with the same --event-id is safe";
    Failure::new(exit, if exit == Exit::Unavailable { format!("{error}{advice}") } else { error.to_string() })
}
