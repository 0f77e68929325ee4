//! `sharecast control restore`: a dump becomes a new control topic that leads to the same table (docs/rules/cli.md#restoring).
//!
//! Everything is decided before anything is made, and the last step is what makes the topic one that an engine takes.

mod amend;
mod closing;
mod evidence;
mod loss;
mod new_log;

use std::fs;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cli::args::{ActorArgs, Format};
use crate::cli::config;
use crate::cli::config::name_of;
use crate::cli::exit::{Exit, Failure, client_failure, tell};
use crate::cli::output::{PrintError, exit, print_table};
use crate::cli::random::random;
use crate::cli::restore::closing::Closing;
use crate::cli::restore::evidence::{Evidence, status_group};
use crate::cli::restore::loss::Loss;
use crate::cli::restore::new_log::NewLog;
use crate::cli::trial::Until;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::id::Offset;
use crate::json::writer::object;
use crate::kafka::{CommittedOffsets, GroupMembers, KafkaSettings};
use crate::replay::control::read_lines;
use crate::replay::dump_records::records;
use crate::share::event::write_token::WriteToken;
use crate::share::snapshot;
use crate::share::state::State;
use crate::share::table::ShareTable;
use crate::topic;

/// Options of `control restore`.
#[derive(Debug, clap::Args)]
pub struct RestoreArgs {
    /// What `control dump` has printed, a line a record; `-` for stdin
    file: PathBuf,
    /// The new control topic: one that is not there, or is empty
    #[arg(long, value_name = "NEW", value_parser = new_topic)]
    topic: String,
    /// Restore although something changed after the dump, or may have: every share is paused and every offer cancelled
    #[arg(long)]
    accept_loss: bool,
}

fn new_topic(text: &str) -> Result<String, String> {
    if topic::is_valid(text) { Ok(text.to_owned()) } else { Err(topic::RULE.to_owned()) }
}

/// The dump, and what it leads to.
struct Dump {
    name: String,
    bytes: Vec<u8>,
    records: u64,
    /// Its last offset.
    last: Offset,
    /// How long its longest line is.
    longest: usize,
    table: ShareTable,
}

/// Shares by state.
type StateCounts = Vec<(State, u64)>;

/// What was made.
struct Restored {
    topic: String,
    /// The dump's.
    last: Offset,
    /// How many ticks stand for what the dump lacks.
    ticks: u64,
    /// Where the new log ends.
    end: Offset,
    closing: Option<Closing>,
    amended: u64,
    before: StateCounts,
    after: StateCounts,
}

/// Runs the command.
pub fn run(files: &[PathBuf], acting: &ActorArgs, args: &RestoreArgs) -> Result<Exit, Failure> {
    refuse_options(acting)?;
    let patience = acting.patience()?;
    let config = config::load(files)?;
    if args.topic == config.control.topic {
        let what = format!(
            "--topic {} is control.topic itself: a snapshot of what was lost would be taken for its own; name a new one",
            args.topic
        );
        return Err(Failure::new(Exit::Usage, what));
    }
    let dump = Dump::read(&args.file, &config)?;
    tell!("{}: {} records up to offset {}", dump.name, dump.records, dump.last);
    let log = NewLog::look(&config, &args.topic, patience)?;
    refuse_members(&config, patience)?;
    let evidence = Evidence::gather(&config, dump.last, patience)?;
    let loss = Loss::of(&evidence, dump.last, &dump.table);
    if let Some(loss) = &loss {
        tell_loss(loss, &dump);
        if !args.accept_loss {
            let printed = print(|out| loss.print(acting.output, out));
            tell!("nothing was made. With --accept-loss every share is paused and every offer cancelled, and the rest is restored");
            return printed.map(|_| Exit::Failed);
        }
    }
    let restored = restore(&config, dump, &log, &evidence, loss.is_some(), &args.topic, patience)?;
    tell_what_is_next(&restored);
    print(|out| restored.print(acting.output, out))
}

fn refuse_options(acting: &ActorArgs) -> Result<(), Failure> {
    if acting.actor.is_some() {
        return Err(Failure::new(Exit::Usage, "the control topic is the operator's: leave --as out"));
    }
    if acting.wait || acting.event_id.is_some() || acting.repeat.is_some() {
        return Err(Failure::new(Exit::Usage, "a restore is about no single event: leave --wait, --event-id and --repeat out"));
    }
    Ok(())
}

/// So long one who is about to leave a group is waited for.
const LEAVES_WITHIN: Duration = Duration::from_secs(5);
/// Between two looks at a group.
const LOOK: Duration = Duration::from_millis(100);

/// An engine that runs would write to the old log, and what the cluster knows of it would change.
fn refuse_members(config: &Config, patience: Duration) -> Result<(), Failure> {
    let groups = GroupMembers::open(&KafkaSettings::of(&config.kafka)).map_err(client_failure)?;
    let until = Until::after(LEAVES_WITHIN.min(patience));
    for group in [config.kafka.group.clone(), status_group(&config.kafka.group)] {
        let mut members = groups.present(&group, patience).map_err(client_failure)?;
        while !members.is_empty() && !until.left().is_zero() {
            std::thread::sleep(LOOK);
            members = groups.present(&group, patience).map_err(client_failure)?;
        }
        if !members.is_empty() {
            let seconds = KafkaSettings::of(&config.kafka).session_timeout_ms().div_ceil(1000);
            let what = format!(
                "the group {group} has members ({}): stop every engine first; one that was killed is a member for {seconds} s more. \
                 Nothing was made",
                members.join(", ")
            );
            return Err(Failure::new(Exit::Failed, what));
        }
    }
    Ok(())
}

impl Dump {
    fn read(file: &Path, config: &Config) -> Result<Self, Failure> {
        let name = name_of(file);
        let unread = |error: io::Error| Failure::new(Exit::Usage, format!("{name}: {error}"));
        let bytes = if file == Path::new("-") {
            let mut bytes = Vec::new();
            io::stdin().lock().read_to_end(&mut bytes).map_err(unread)?;
            bytes
        } else {
            fs::read(file).map_err(unread)?
        };
        let mut table = ShareTable::for_documents(config.fold_rules());
        let (mut records, mut longest) = (0, 0);
        for line in read_lines(&name, &bytes) {
            let line = line.map_err(|bad| Failure::new(Exit::BadData, bad))?;
            (records, longest) = (records + 1, longest.max(line.value.len()));
            table.fold(line.offset, line.time, line.record);
        }
        if records == 0 {
            return Err(Failure::new(Exit::BadData, format!("{name} holds no record: `sharecast control dump` prints a line each")));
        }
        let last = Offset(table.epoch().0);
        Ok(Self { name, bytes, records, last, longest, table })
    }
}

/// Makes the new log. Until its last step it is one that no engine takes.
fn restore(
    config: &Config,
    dump: Dump,
    log: &NewLog,
    evidence: &Evidence,
    is_lossy: bool,
    topic: &str,
    patience: Duration,
) -> Result<Restored, Failure> {
    let Dump { name, bytes, records: dumped, last, longest, mut table } = dump;
    let before: StateCounts = table.states().collect();
    let filled = last.max(evidence.highest.unwrap_or(last));
    let first = Offset(filled.0 + 1);
    let mut digests = vec![(filled, snapshot::digest(&table))];
    let now = SystemClock.wall().max(table.control_time());
    let closing = is_lossy.then(|| close_all(&mut table, first, now, last)).transpose()?;
    let events = closing.as_ref().map_or(&[][..], |closing| &closing.events);
    if !events.is_empty() {
        digests.push((Offset(filled.0 + events.len() as i64), snapshot::digest(&table)));
    }
    let made = || -> Result<(Offset, u64), Failure> {
        log.make(longest)?;
        let ticks = format!("restored-{}", WriteToken::new(random()?).event_id());
        log.write(records(read_lines(&name, &bytes), filled, &ticks))?;
        let end = log.append(events, first, now)?;
        commit_status(config, evidence, topic, patience)?;
        log.check(config, &digests)?;
        let amendments = amend::amendments(&evidence.newer, &table, first, &config.topics);
        let amended = if is_lossy { amend::write(config, amendments, now, patience)? } else { 0 };
        log.finish()?;
        Ok((end, amended))
    };
    let (end, amended) = made().map_err(|failure| {
        let what = format!(
            "{failure}. {topic} is not whole, and no engine takes it as it is: delete it (kafka-topics.sh --delete --topic {topic}), and \
             run this again"
        );
        Failure::new(failure.exit, what)
    })?;
    let after = table.states().collect();
    let ticks = (filled.0 + 1) as u64 - dumped;
    Ok(Restored { topic: topic.to_owned(), last, ticks, end, closing, amended, before, after })
}

fn close_all(table: &mut ShareTable, first: Offset, now: crate::time::TimestampMs, last: Offset) -> Result<Closing, Failure> {
    let note = format!("restored from a dump that ends at offset {last}: look before it is resumed");
    closing::close(table, first, now, &note, || Ok(WriteToken::new(random()?).event_id()))
}

impl From<String> for Failure {
    /// What the program itself did not expect.
    fn from(what: String) -> Self {
        Self::new(Exit::Failed, what)
    }
}

/// The status writer goes on in the new log where it stood in the old one: what it has written it does not write again. Where Kafka has
/// forgotten that with the old topic, everything up to the newest document and note is written, for they are in one transaction.
fn commit_status(config: &Config, evidence: &Evidence, topic: &str, patience: Duration) -> Result<(), Failure> {
    let written = evidence.written.or_else(|| evidence.documented.max(evidence.changed).map(|last| Offset(last.0 + 1)));
    let Some(next) = written else { return Ok(()) };
    let kafka = KafkaSettings::of(&config.kafka);
    let group = CommittedOffsets::of(&kafka, &status_group(&config.kafka.group)).map_err(client_failure)?;
    group.commit(topic, 0, next, patience).map_err(client_failure)?;
    let found = group.ask(&[(topic, 0)], patience).map_err(client_failure)?.into_iter().next().flatten();
    match found {
        Some(found) if found.offset == next => Ok(()),
        _ => Err(Failure::new(
            Exit::Failed,
            format!("the offset {next} of {} is committed and not found", status_group(&config.kafka.group)),
        )),
    }
}

fn tell_loss(loss: &Loss<'_>, dump: &Dump) {
    tell!("{} ends at offset {}, and what came after it may have taken something away:", dump.name, dump.last);
    loss.reasons.iter().for_each(|reason| tell!("  {reason}"));
    tell!("  profiles, partnerships and tenants that changed since are in no document and cannot be listed");
}

fn tell_what_is_next(restored: &Restored) {
    let topic = &restored.topic;
    tell!("{topic} leads to what the dump leads to. Before anything is started:");
    tell!("  1. write `control: {{ topic: {topic} }}` into the configuration of every engine and every command");
    tell!("  2. remove the snapshot files (snapshot.path and its .previous): those of the old topic are refused, and of no use");
    if restored.closing.is_some() {
        tell!("  3. start; then let owners look at their profiles, partnerships and shares, offer again what was cancelled, and lift");
        tell!("     the pauses with `sharecast share resume SHARE`: as the operator it lifts an owner's and a target's own pause too");
    } else {
        tell!("  3. start");
    }
}

fn print(what: impl FnOnce(&mut BufWriter<io::StdoutLock<'_>>) -> io::Result<()>) -> Result<Exit, Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    exit(what(&mut out).and_then(|()| out.flush()).map_err(PrintError::from))
}

impl Restored {
    fn print(&self, format: Format, out: &mut impl Write) -> io::Result<()> {
        if format != Format::Table {
            out.write_all(&self.to_json())?;
            return out.write_all(b"\n");
        }
        let row = |((state, before), (_, after)): (&(State, u64), &(State, u64))| {
            (before + after > 0).then(|| vec![state.word().to_owned(), before.to_string(), after.to_string()])
        };
        let rows: Vec<Vec<String>> = self.before.iter().zip(&self.after).filter_map(row).collect();
        print_table(&["STATE", "IN THE DUMP", "RESTORED"], &rows, out)
    }

    fn to_json(&self) -> Vec<u8> {
        object(|out| {
            out.text("topic", &self.topic);
            out.number("dump_end", self.last.0);
            out.number("ticks", self.ticks);
            out.number("end", self.end.0);
            for (name, counts) in [("before", &self.before), ("after", &self.after)] {
                out.object(name, |out| counts.iter().for_each(|(state, count)| out.number(state.word(), *count)));
            }
            if let Some(closing) = &self.closing {
                out.number("paused", closing.paused);
                out.number("cancelled", closing.cancelled);
                out.number("revoked", closing.revoked);
                out.number("amended", self.amended);
                out.texts("were_active", closing.were_active.iter().map(String::as_str));
            }
        })
    }
}
