//! Writing one control event, and waiting for what becomes of it.

use std::path::PathBuf;
use std::time::Duration;

use tracing::debug;

use super::acting::{Acting, Draft, Format};
use super::check::load_profile;
use super::configuration;
use super::exit::{Exit, Failure};
use super::parties::{self, ControlCommand, PartnershipCommand, ProfileCommand, TenantCommand};
use super::share::{ShareCommand, random_event_id};
use crate::clock::{BootTime, Clock, SystemClock};
use crate::config::Config;
use crate::document::Node;
use crate::engine::topics::SHARES;
use crate::id::{EventId, Offset};
use crate::json::document;
use crate::kafka::{ClientError, CommittedOffsets, KafkaSettings, TopicReader, WriteError, Writer};
use crate::share::data;
use crate::share::event::{self, Sender};
use crate::share::kind::EventType;
use crate::transport::ConsumeError;

/// How long a write waits for its acknowledgement.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(20);
/// What the hard bound of SPEC 11 adds to the time-outs.
const HARD_BOUND_EXTRA: Duration = Duration::from_secs(10);

/// What became of a written event.
#[derive(Debug)]
enum Outcome {
    /// It is in the log; nobody was asked what became of it.
    Written,
    /// It changed the share; its status document.
    Applied(Vec<u8>),
    /// A rule was broken.
    Rejected(String),
    /// It changed no share: the same event again, or one that no status document speaks of.
    Unchanged,
}

/// `sharecast share …`.
pub fn share(files: &[PathBuf], acting: &Acting, command: ShareCommand) -> Result<Exit, Failure> {
    let bits = random()?;
    send(&configuration::load(files)?, acting, command.draft(|| bits))
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
    let draft = match command {
        ProfileCommand::Publish { name, file, owner } => {
            let (spec, _) = load_profile(&file).map_err(|what| Failure::new(Exit::Failed, what))?;
            parties::publish(name, owner.as_ref(), spec)
        }
        ProfileCommand::Retire { name, owner } => parties::retire(name, owner.as_ref()),
    };
    send(&configuration::load(files)?, acting, draft)
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
        Some(reader) => wait(config, &kafka, reader, offset, &id, acknowledged.after(timeout))?,
    };
    if acting.wait && draft.kind == "share.revoked" && matches!(outcome, Outcome::Applied(_)) {
        wait_until_certain(config, acknowledged);
    }
    print(acting.output, &id, &draft, offset, &outcome);
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
        Err(malformed) => Err(Failure::new(Exit::Usage, format!("the event would be refused: {}", malformed.0))),
    }
}

/// Follows the status topic until a document of this epoch comes, or the status writer has passed the offset without one.
fn wait(
    config: &Config,
    kafka: &KafkaSettings,
    mut reader: TopicReader,
    offset: Offset,
    id: &str,
    until: BootTime,
) -> Result<Outcome, Failure> {
    let clock = SystemClock;
    let committed = CommittedOffsets::of(kafka, &format!("{}-status", kafka.group)).map_err(client_failure)?;
    let rejected_key = format!("rejected:{id}");
    let mut outcome = None;
    loop {
        // Asked before the read: what was committed then is in what is read now.
        let passed = match committed.ask(&[(&config.control.topic, 0)], Duration::from_secs(1)) {
            Ok(offsets) => offsets.into_iter().flatten().any(|next| next.offset > offset),
            Err(ClientError::Unavailable(reason)) => {
                debug!(reason, "status writer's offset");
                false
            }
            Err(other) => return Err(client_failure(other)),
        };
        reader
            .follow(Duration::from_millis(200), |record| {
                let Some(found) = record.value().and_then(|value| document::parse(value).ok().map(|node| (node, value.to_vec()))) else {
                    return;
                };
                let (node, bytes) = found;
                if epoch_of(&node) != Some(offset.0) {
                    return;
                }
                outcome = Some(match node.get("rejected") {
                    Some(rejected) if record.key() == Some(rejected_key.as_bytes()) => Outcome::Rejected(reason_of(rejected)),
                    _ => Outcome::Applied(bytes),
                });
            })
            .map_err(input_failure)?;
        match outcome.take() {
            Some(outcome) => return Ok(outcome),
            None if passed => return Ok(Outcome::Unchanged),
            None if clock.boot() >= until => {
                let what = "the event is written, but no status came in time: is an engine of this group running? See --timeout";
                return Err(Failure::new(Exit::Unavailable, format!("{what} (control offset {offset})")));
            }
            None => {}
        }
    }
}

/// The hard bound of SPEC 11: after it no record that the revoke forbids can become visible any more.
fn wait_until_certain(config: &Config, acknowledged: BootTime) {
    let bound = Duration::from_millis(config.fence.max_view_age.millis() + config.kafka.transaction_timeout.millis()) + HARD_BOUND_EXTRA;
    let left = acknowledged.after(bound).since(SystemClock.boot());
    eprintln!("revoked; certain for every instance, a frozen one too, in {} s", left.as_secs());
    std::thread::sleep(left);
}

fn epoch_of(node: &Node) -> Option<i64> {
    match &node.get("epoch")?.kind {
        crate::document::Kind::Number(text) => text.parse().ok(),
        _ => None,
    }
}

fn reason_of(rejected: &Node) -> String {
    rejected.get("reason").and_then(Node::as_str).unwrap_or("unknown").to_owned()
}

fn print(format: Format, id: &str, draft: &Draft, offset: Offset, outcome: &Outcome) {
    let word = match outcome {
        Outcome::Written => "written",
        // Only shares have status documents: of other events one knows that they were folded and not rejected.
        Outcome::Unchanged if draft.share.is_none() => "folded",
        Outcome::Applied(_) => "applied",
        Outcome::Rejected(_) => "rejected",
        Outcome::Unchanged => "unchanged",
    };
    if format == Format::Table {
        let share = draft.share.as_deref().map(|share| format!("  share {share}")).unwrap_or_default();
        let reason = if let Outcome::Rejected(reason) = outcome { format!(" ({reason})") } else { String::new() };
        println!("{} {word}{reason}{share}  event {id}  offset {offset}", draft.kind);
        return;
    }
    let mut line = format!(r#"{{"event":{:?},"type":{:?},"offset":{offset},"outcome":{word:?}"#, id, draft.kind).into_bytes();
    if let Some(share) = &draft.share {
        line.extend_from_slice(b",\"share\":");
        crate::json::text::write_string(share, &mut line);
    }
    match outcome {
        Outcome::Rejected(reason) => line.extend_from_slice(format!(",\"reason\":{reason:?}").as_bytes()),
        Outcome::Applied(document) => {
            line.extend_from_slice(b",\"status\":");
            line.extend_from_slice(document);
        }
        Outcome::Written | Outcome::Unchanged => {}
    }
    line.push(b'}');
    println!("{}", String::from_utf8_lossy(&line));
}

/// Bits from the system's own source.
pub fn random() -> Result<[u8; 16], Failure> {
    use std::io::Read;
    let mut bits = [0; 16];
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

fn write_failure(error: WriteError) -> Failure {
    let exit = if matches!(error, WriteError::Refused(_)) { Exit::Configuration } else { Exit::Unavailable };
    let advice = "; writing it again with the same --event-id is safe";
    Failure::new(exit, if exit == Exit::Unavailable { format!("{error}{advice}") } else { error.to_string() })
}
