//! One command for many shares: read, tried, shown, confirmed, and only then written, all of it at once.

use std::io::{self, BufWriter, IsTerminal, Read, Write};
use std::path::Path;

use super::acting::{Acting, Data, Format};
use super::certain::{self, Certain};
use super::exit::{Exit, Failure};
use super::outcome::{Outcome, Sent, follow};
use super::printing::{Ended, exit, print_table, print_values, shown};
use super::reading::{Beginning, ControlFold};
use super::send::{ACKNOWLEDGED_WITHIN, client_failure, input_failure, write_failure};
use super::share::Lines;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::engine::topics::SHARES;
use crate::id::{AssetId, Offset, ShareId};
use crate::json::text::write_string;
use crate::kafka::{BulkWriter, KafkaSettings, TopicReader};
use crate::share::bulk::{Intent, Plan, Refusal, Row, Step, Why};
use crate::share::bulk_names::Run;
use crate::share::event;
use crate::share::kind::EventType;
use crate::share::lines::{self, ListOf, Named, Place};
use crate::share::table::ShareTable;

/// So many lines that are refused are shown one by one.
const REFUSALS_SHOWN: usize = 10;
/// So many rows of a review are shown from its beginning, and as many from its end.
const ROWS_SHOWN: usize = 3;
/// So many kinds of change are shown one by one.
const CHANGES_SHOWN: usize = 10;

/// Runs the command.
pub(super) fn run(config: &Config, acting: &Acting, lines: Lines) -> Result<Exit, Failure> {
    if acting.event_id.is_some() {
        return Err(Failure::new(Exit::Usage, "--event-id is for one event; a run over many is named by --batch"));
    }
    let (kind, batch, is_confirmed, of) = (lines.kind, lines.many.batch.clone(), lines.many.yes, lines.of);
    let is_answerable = io::stdin().is_terminal() && lines.list.as_deref() != Some(Path::new("-"));
    let intents = intents(lines)?;
    let patience = acting.patience()?;
    let source = acting.source();
    let run = Run { source: &source, kind, batch: batch.as_deref() };

    let table = ControlFold::open(config, patience, Beginning::Snapshot)?.fold_to_end()?;
    if kind == EventType::ShareResent
        && let Some(intent) = intents.iter().find(|intent| is_invitation(&table, &intent.named.id))
    {
        let what = format!(
            "{}: share {} is an invitation: resend it by itself, so that a new code is made and mailed",
            intent.named.place, intent.named.id
        );
        return Err(Failure::new(Exit::Usage, what));
    }
    let count = intents.len();
    let now = SystemClock.wall().max(table.control_time());
    let plan = Plan::make(table, now, &run, intents);
    if !plan.refusals.is_empty() {
        return Err(refused(&plan.refusals, count, of));
    }
    let written = plan.to_write().count();
    if written > 0 {
        review(&plan, &run).map_err(|error| Failure::new(Exit::Failed, format!("stderr: {error}")))?;
        confirm(written, is_confirmed, is_answerable)?;
    }
    write(config, acting, &run, &plan)
}

fn is_invitation(table: &ShareTable, share: &str) -> bool {
    table.share(share).is_some_and(|share| share.document().invitee.is_some())
}

/// What each line means.
fn intents(lines: Lines) -> Result<Vec<Intent>, Failure> {
    let Lines { of, arguments, list, kind, data, takes_target_asset, .. } = lines;
    let argument = |id: String| Named { place: Place::Argument, id, target_asset: None };
    let mut named: Vec<Named> = arguments.into_iter().map(argument).collect();
    if let Some(list) = &list {
        let bytes = read(list)?;
        let name = if list == Path::new("-") { "standard input".to_owned() } else { list.display().to_string() };
        named.extend(lines::read(&name, &bytes).map_err(|bad| Failure::new(Exit::BadData, bad))?);
    }
    if named.is_empty() {
        return Err(Failure::new(Exit::BadData, format!("no {} is named: the list is empty", of.word())));
    }
    named.into_iter().map(|named| intent(named, of, kind, &data, takes_target_asset)).collect()
}

fn intent(named: Named, of: ListOf, kind: EventType, data: &Data, takes_target_asset: bool) -> Result<Intent, Failure> {
    let bad = |what: String| {
        let exit = if named.place == Place::Argument { Exit::Usage } else { Exit::BadData };
        Failure::new(exit, format!("{}: {} {}: {what}", named.place, of.word(), shown(&named.id)))
    };
    match of {
        ListOf::Assets => AssetId::parse(&named.id).map(drop).map_err(|error| bad(error.to_string()))?,
        ListOf::Shares => ShareId::parse(&named.id).map(drop).map_err(|error| bad(error.to_string()))?,
    }
    if let Some(target_asset) = &named.target_asset {
        AssetId::parse(target_asset).map_err(|error| bad(format!("the id at the target: {error}")))?;
        if !takes_target_asset {
            return Err(bad(format!("{} takes no id at the target", kind.name())));
        }
    }
    let name = match of {
        ListOf::Assets => "asset",
        ListOf::Shares => "share",
    };
    let data = Data::default().text(name, &named.id).text_if("target_asset", named.target_asset.as_ref()).and(data.clone());
    Ok(Intent { named, data: data.into_node() })
}

/// A list's bytes; `-` is standard input.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().read_to_end(&mut bytes).map(drop)
    } else {
        std::fs::read(path).map(|found| bytes = found)
    };
    read.map_err(|error| Failure::new(Exit::Usage, format!("{}: {error}", path.display())))?;
    Ok(bytes)
}

fn refused(refusals: &[Refusal], count: usize, of: ListOf) -> Failure {
    let line = |Refusal { named, why }: &Refusal| {
        let why = match why {
            Why::Rule(reason) => format!("{}: {}", reason.code(), reason.in_words()),
            Why::Twice(Place::Argument) => "it is named twice".to_owned(),
            Why::Twice(first) => format!("it is named twice, first in {first}"),
            Why::Malformed(what) => format!("the event would not be understood: {what}"),
        };
        format!("{}: {} {}: {why}", named.place, of.word(), shown(&named.id))
    };
    let mut said: Vec<String> = refusals.iter().take(REFUSALS_SHOWN).map(line).collect();
    if refusals.len() > REFUSALS_SHOWN {
        said.push(format!("… and {} more", refusals.len() - REFUSALS_SHOWN));
    }
    said.push(format!("{} of {count} refused; nothing was written", refusals.len()));
    Failure::new(Exit::Failed, said.join("\n"))
}

/// What is going to happen, on stderr: results alone go to stdout.
fn review(plan: &Plan, run: &Run<'_>) -> io::Result<()> {
    let mut out = BufWriter::new(io::stderr().lock());
    let to_write: Vec<&Row> = plan.to_write().map(|(row, _)| row).collect();
    let already = plan.rows.len() - to_write.len();
    write!(out, "{} as {}: {} to write", run.kind.name(), run.source.trim_start_matches("/tenants/"), to_write.len())?;
    writeln!(out, "{}", if already > 0 { format!(", {already} done already") } else { String::new() })?;
    let changes = plan.changes();
    let rows: Vec<Vec<String>> = changes
        .iter()
        .take(CHANGES_SHOWN)
        .map(|change| {
            let before = change.before.map_or("(new)", |state| state.word());
            let states = format!("{before} -> {}", change.after.word());
            vec![change.count.to_string(), change.owner.to_owned(), change.target.to_owned(), states]
        })
        .collect();
    writeln!(out)?;
    print_table(&["COUNT", "OWNER", "TARGET", "STATE"], &rows, &mut out)?;
    if changes.len() > CHANGES_SHOWN {
        writeln!(out, "… and {} more", changes.len() - CHANGES_SHOWN)?;
    }
    writeln!(out)?;
    let row = |row: &&Row| {
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        vec![row.named.place.to_string(), or_dash(&row.asset), or_dash(&row.target_asset), or_dash(&row.label), row.share.clone()]
    };
    let mut rows: Vec<Vec<String>> = to_write.iter().take(ROWS_SHOWN).map(row).collect();
    if to_write.len() > 2 * ROWS_SHOWN {
        rows.push(vec![format!("… {} more", to_write.len() - 2 * ROWS_SHOWN)]);
    }
    rows.extend(to_write.iter().skip(ROWS_SHOWN.max(to_write.len().saturating_sub(ROWS_SHOWN))).map(row));
    print_table(&["WHERE", "ASSET", "AT THE TARGET", "LABEL", "SHARE"], &rows, &mut out)?;
    if plan.also_shared > 0 {
        writeln!(
            out,
            "\nnote: {} of these assets are shared with, or offered to, the same target already, by other shares",
            plan.also_shared
        )?;
    }
    writeln!(out)?;
    out.flush()
}

/// Asks a person, or takes `--yes` for the answer.
fn confirm(count: usize, is_confirmed: bool, is_answerable: bool) -> Result<(), Failure> {
    if is_confirmed {
        return Ok(());
    }
    if !is_answerable {
        let what = "nothing was written: standard input is no terminal to ask for confirmation on; --yes writes without asking";
        return Err(Failure::new(Exit::Usage, what));
    }
    eprint!("Write {count} events? [y/N] ");
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(|error| Failure::new(Exit::Failed, format!("stdin: {error}")))?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Failure::new(Exit::Failed, "nothing was written")),
    }
}

fn write(config: &Config, acting: &Acting, run: &Run<'_>, plan: &Plan) -> Result<Exit, Failure> {
    let (clock, kafka) = (SystemClock, KafkaSettings::of(&config.kafka));
    let now = clock.wall();
    let full_name = run.kind.full_name();
    let to_write: Vec<(&Row, &str)> = plan.to_write().collect();
    let events: Vec<Vec<u8>> =
        to_write.iter().map(|(row, id)| event::write_structured(id, run.source, &full_name, now, &row.data)).collect();
    let (mut outcomes, mut offsets, mut acknowledged) = (Vec::new(), Vec::new(), clock.boot());
    if !events.is_empty() {
        // Opened before the write, so that no answer can be missed.
        let reader = if acting.wait { Some(TopicReader::open_at_end(&kafka, SHARES, [0]).map_err(input_failure)?) } else { None };
        let mut writer = BulkWriter::open(&kafka, &config.control.topic, ACKNOWLEDGED_WITHIN).map_err(client_failure)?;
        offsets = writer.append_all(&events).map_err(|unwritten| {
            let what = format!("{unwritten}; what was written stays, and the same command writes the others");
            Failure::new(write_failure(unwritten.error).exit, what)
        })?;
        acknowledged = clock.boot();
        outcomes = match reader {
            None => vec![Outcome::Written; offsets.len()],
            Some(reader) => {
                let written: Vec<(Offset, &str)> = offsets.iter().zip(&to_write).map(|(offset, (_, id))| (*offset, *id)).collect();
                follow(config, &kafka, reader, &written, acting.patience()?)?
            }
        };
    }
    // Also of what was cut by an earlier run, whose wait may have been interrupted.
    let cut_before = plan.rows.iter().filter(|row| row.step == Step::AlreadySo).map(|row| Offset(row.changed_at.0));
    let newest_cut = offsets.iter().copied().chain(cut_before).max().filter(|_| acting.wait && run.kind == EventType::ShareRevoked);
    let certain = newest_cut.map(|offset| certain::wait(config, offset, acknowledged));
    let is_refused = outcomes.iter().any(is_refused);
    let results = Results { run, plan, outcomes, offsets, certain };
    exit(results.print(acting.output).map_err(Ended::from))?;
    Ok(if is_refused { Exit::Failed } else { Exit::Ok })
}

/// Something happened between the trial and the write: a rejection, or an offer that failed.
fn is_refused(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Rejected(_)) || outcome.state().is_some_and(|state| state.starts_with("FAILED"))
}

/// What a run came to.
struct Results<'r> {
    run: &'r Run<'r>,
    plan: &'r Plan,
    /// Of the events written, in their order.
    outcomes: Vec<Outcome>,
    offsets: Vec<Offset>,
    certain: Option<Certain>,
}

impl Results<'_> {
    fn print(&self, format: Format) -> io::Result<()> {
        let mut out = BufWriter::new(io::stdout().lock());
        if format == Format::Table {
            self.print_counts(&mut out)?;
        } else {
            print_values(format, self.values(), &mut out)?;
        }
        out.flush()
    }

    fn print_counts(&self, out: &mut impl Write) -> io::Result<()> {
        let mut counts: Vec<(&str, usize)> = Vec::new();
        let failed = |outcome: &Outcome| matches!(outcome, Outcome::Applied(_)) && is_refused(outcome);
        let words = self.outcomes.iter().map(|outcome| if failed(outcome) { "failed" } else { outcome.word(true) });
        let others = self.plan.rows.iter().filter_map(|row| match row.step {
            Step::Write { .. } => None,
            Step::AlreadySo => Some("already so"),
            Step::WrittenBefore => Some("written before"),
        });
        for word in words.chain(others) {
            match counts.iter_mut().find(|(known, _)| *known == word) {
                Some((_, count)) => *count += 1,
                None => counts.push((word, 1)),
            }
        }
        let counts: Vec<String> = counts.iter().map(|(word, count)| format!("{count} {word}")).collect();
        let certain = self.certain.map(|certain| format!("  certain: {}", certain.word())).unwrap_or_default();
        writeln!(out, "{}: {}{certain}", self.run.kind.name(), counts.join(", "))?;
        for ((row, id), outcome) in self.plan.to_write().zip(&self.outcomes).filter(|(_, outcome)| is_refused(outcome)) {
            let why = if let Outcome::Rejected(reason) = outcome { reason } else { "the offer failed, see `share show`" };
            writeln!(out, "{}: {}: {}  share {}  event {id}", row.named.place, shown(&row.named.id), shown(why), row.share)?;
        }
        Ok(())
    }

    /// A line of JSON for each line of the list, in its order.
    fn values(&self) -> impl Iterator<Item = Vec<u8>> {
        let mut written = self.outcomes.iter().zip(&self.offsets);
        self.plan.rows.iter().filter_map(move |row| {
            let kind = self.run.kind.name();
            let asset = (self.run.kind == EventType::ShareOffered).then_some(row.named.id.as_str());
            let word = match &row.step {
                Step::Write { event } => {
                    let (outcome, offset) = written.next()?;
                    let sent = Sent { id: event, kind, share: Some(&row.share), asset, offset: *offset };
                    return Some(sent.to_json(outcome, self.certain));
                }
                Step::AlreadySo => "already_so",
                Step::WrittenBefore => "written_before",
            };
            let mut line = format!(r#"{{"type":"{kind}","outcome":"{word}","share":"#).into_bytes();
            write_string(&row.share, &mut line);
            if let Some(asset) = asset {
                line.extend_from_slice(b",\"asset\":");
                write_string(asset, &mut line);
            }
            if let Some(certain) = self.certain {
                line.extend_from_slice(format!(",\"certain\":\"{}\"", certain.word()).as_bytes());
            }
            line.push(b'}');
            Some(line)
        })
    }
}
