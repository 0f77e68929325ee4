//! One command for many shares: read, tried, shown, confirmed, and only then written, all of it at once.

use std::io::{self, BufWriter, IsTerminal, Read, Write};
use std::path::Path;

use crate::cli::args::{ActorArgs, EventData, Format, GivenTime};
use crate::cli::argument::hint;
use crate::cli::exit::{Exit, Failure, tell};
use crate::cli::outcome::{Delivered, How, Quiescence, Sent, already_so, times_in_words};
use crate::cli::output::{PrintError, exit, print_table, print_values, shown};
use crate::cli::random::random;
use crate::cli::share::args::Lines;
use crate::cli::share::confirm::confirm;
use crate::cli::share::critical;
use crate::cli::share::past_hint;
use crate::cli::share::revoke_wait;
use crate::cli::trial;
use crate::cli::trial::Until;
use crate::cli::writing::{Events, WrittenEvents};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::id::{AssetId, Offset, ShareId};
use crate::share::bulk::ids::Run;
use crate::share::bulk::input;
use crate::share::bulk::input::{InputRef, ListOf, Named};
use crate::share::bulk::{BulkPlan, Intent, LineRefusal, Planned, Row};
use crate::share::event::kind::EventType;
use crate::share::event::write_token::WriteToken;
use crate::share::state::Reason;
use crate::share::table::ShareTable;

/// So many lines that are refused are shown one by one.
const REFUSALS_SHOWN: usize = 10;
/// So many rows of a review are shown from its beginning, and as many from its end.
const ROWS_SHOWN: usize = 3;
/// So many kinds of change are shown one by one.
const CHANGES_SHOWN: usize = 10;

/// Runs the command.
pub(in crate::cli) fn run(config: &Config, acting: &ActorArgs, lines: Lines) -> Result<Exit, Failure> {
    if acting.event_id.is_some() {
        return Err(Failure::new(Exit::Usage, "--event-id is for one event; a run over many is named by --batch"));
    }
    if acting.repeat.is_some() {
        let what = "--repeat is for one event: a command over many is repeated as it is, what was done is then left alone";
        return Err(Failure::new(Exit::Usage, what));
    }
    let (kind, batch, is_confirmed, of) = (lines.kind, lines.many.batch.clone(), lines.many.yes, lines.of);
    let times = lines.data.times().to_vec();
    let is_answerable = io::stdin().is_terminal() && lines.list.as_deref() != Some(Path::new("-"));
    let intents = intents(lines)?;
    let source = acting.source();
    let run = Run { source: &source, kind, batch: batch.as_deref() };
    let until = Until::after(acting.patience()?);
    trial::reach_cluster(config, until)?;
    let is_written_untried = intents.first().is_some_and(|intent| kind.is_written_untried(&intent.data));
    let mut critical = Vec::new();
    let (plan, how, is_first) = match trial::fold(config, until, is_written_untried, None) {
        Ok(trial) => {
            let is_first = trial.table.has_only_ticks();
            critical = critical::of_events(config, kind, &source, &intents, &trial.table);
            (try_all(trial.table, &run, intents, of)?, How::Tried, is_first)
        }
        Err(failure) if is_written_untried && let Some(warning) = trial::written_untried(&failure) => {
            tell!("{warning}");
            (untried(&run, intents)?, How::Untried, false)
        }
        Err(failure) => return Err(trial::unwritten(failure)),
    };
    let written = plan.to_write().count();
    if written > 0 {
        if how == How::Tried {
            review(&plan, &run, &times).map_err(|error| Failure::new(Exit::Failed, format!("stderr: {error}")))?;
        }
        critical.iter().for_each(|line| tell!("critical: {line}"));
        confirm(&format!("Write {written} events?"), is_confirmed, is_answerable)?;
    }
    write(config, acting, &BulkDone { run: &run, plan: &plan, how, times: &times }, is_first, until)
}

/// What the lines come to; one that is refused stops all of them.
fn try_all(table: ShareTable, run: &Run<'_>, intents: Vec<Intent>, of: ListOf) -> Result<BulkPlan, Failure> {
    if run.kind == EventType::ShareResent
        && let Some(intent) = intents.iter().find(|intent| is_invitation(&table, &intent.named.id))
    {
        let what = format!(
            "{}: share {} is an invitation: resend it by itself, so that a new code is made and mailed; nothing was written",
            intent.named.place, intent.named.id
        );
        return Err(Failure::new(Exit::Usage, what));
    }
    let count = intents.len();
    let now = SystemClock.wall().max(table.control_time());
    let plan = BulkPlan::make(table, now, run, intents);
    if plan.refusals.is_empty() { Ok(plan) } else { Err(refused(&plan.refusals, count, of)) }
}

/// Every line, as it is. Without a name of the run the ids are random: what they are derived from is not known, and one that was used
/// before would change nothing.
fn untried(run: &Run<'_>, intents: Vec<Intent>) -> Result<BulkPlan, Failure> {
    let mut ids = Vec::with_capacity(intents.len());
    for intent in &intents {
        ids.push(if run.batch.is_some() { run.event_id(&intent.data, 0, 0) } else { WriteToken::new(random()?).event_id() });
    }
    Ok(BulkPlan::untried(intents, ids))
}

fn is_invitation(table: &ShareTable, share: &str) -> bool {
    table.share(share).is_some_and(|share| share.document().invitee.is_some())
}

/// What each line means.
fn intents(lines: Lines) -> Result<Vec<Intent>, Failure> {
    let Lines { of, arguments, list, kind, data, takes_target_asset, .. } = lines;
    let argument = |id: String| Named { place: InputRef::Argument, id, target_asset: None };
    let mut named: Vec<Named> = arguments.into_iter().map(argument).collect();
    if let Some(list) = &list {
        let bytes = read(list)?;
        let name = if list == Path::new("-") { "standard input".to_owned() } else { list.display().to_string() };
        named.extend(input::read(&name, &bytes).map_err(|bad| Failure::new(Exit::BadData, bad))?);
    }
    if of == ListOf::Assets {
        warn_of_csv(&named);
    }
    if named.is_empty() {
        return Err(Failure::new(Exit::BadData, format!("no {} is named: the list is empty", of.word())));
    }
    named.into_iter().map(|named| intent(named, of, kind, &data, takes_target_asset)).collect()
}

/// The ids are valid all the same, and are taken.
pub(in crate::cli) fn warn_of_csv(assets: &[Named]) {
    let Some((first, count)) = input::looks_like_csv(assets) else { return };
    let more = if count > 1 { format!(" and {} more", count - 1) } else { String::new() };
    let instead = match first.place {
        InputRef::Line(..) => "A list is no CSV: it has one id a line, and behind a tab its id at the target",
        InputRef::Argument => "Several assets are named one by one, each by an --asset of its own",
    };
    let (place, id) = (&first.place, shown(&first.id));
    tell!("warning: {place}{more}: asset {id} has a comma, a semicolon or a quote, and is taken letter by letter. {instead}");
}

fn intent(named: Named, of: ListOf, kind: EventType, data: &EventData, takes_target_asset: bool) -> Result<Intent, Failure> {
    let bad = |what: String| {
        let exit = if named.place == InputRef::Argument { Exit::Usage } else { Exit::BadData };
        Failure::new(exit, format!("{}: {} {}: {what}", named.place, of.word(), shown(&named.id)))
    };
    match of {
        ListOf::Assets => AssetId::parse(&named.id).map(drop).map_err(|error| bad(error.to_string()))?,
        ListOf::Shares => ShareId::parse(&named.id).map(drop).map_err(|error| bad(format!("{error}{}", hint(&named.id))))?,
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
    let data = EventData::default().text(name, &named.id).text_if("target_asset", named.target_asset.as_ref()).and(data.clone());
    Ok(Intent { named, data: data.into_node() })
}

/// A list's bytes; `-` is standard input.
pub(in crate::cli) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().read_to_end(&mut bytes).map(drop)
    } else {
        std::fs::read(path).map(|found| bytes = found)
    };
    read.map_err(|error| Failure::new(Exit::Usage, format!("{}: {error}", path.display())))?;
    Ok(bytes)
}

fn refused(refusals: &[LineRefusal], count: usize, of: ListOf) -> Failure {
    let line = |refusal: &LineRefusal| {
        let Named { place, id, .. } = &refusal.named;
        format!("{place}: {} {}: {}", of.word(), shown(id), shown(&refusal.in_words()))
    };
    let mut said: Vec<String> = refusals.iter().take(REFUSALS_SHOWN).map(line).collect();
    if refusals.len() > REFUSALS_SHOWN {
        said.push(format!("… and {} more", refusals.len() - REFUSALS_SHOWN));
    }
    said.push(format!("{} of {count} refused; nothing was written", refusals.len()));
    Failure::new(Exit::Failed, said.join("\n"))
}

/// What is going to happen, on stderr: results alone go to stdout.
fn review(plan: &BulkPlan, run: &Run<'_>, times: &[GivenTime]) -> io::Result<()> {
    let mut out = BufWriter::new(io::stderr().lock());
    let to_write: Vec<&Row> = plan.to_write().map(|(row, _)| row).collect();
    let already = plan.rows.len() - to_write.len();
    write!(out, "{} as {}: {} to write", run.kind.name(), run.source.trim_start_matches("/tenants/"), to_write.len())?;
    writeln!(out, "{}", {
        let already = if already > 0 { format!(", {already} done already") } else { String::new() };
        format!("{already}{}", times_in_words(times))
    })?;
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

/// What is done.
struct BulkDone<'d> {
    run: &'d Run<'d>,
    plan: &'d BulkPlan,
    how: How,
    times: &'d [GivenTime],
}

fn write(config: &Config, acting: &ActorArgs, done: &BulkDone<'_>, is_first: bool, until: Until) -> Result<Exit, Failure> {
    let BulkDone { run, plan, .. } = *done;
    let again = "what was written stays, and the same command writes the others".to_owned();
    let all = plan.to_write().map(|(row, id)| (id, &row.data)).collect();
    // A person may have thought about it for a while.
    let until = Until::after(acting.patience()?.max(until.left()));
    let events = Events { source: run.source, kind: run.kind, all, again, is_first };
    let WrittenEvents { offsets, outcomes, acknowledged } = events.write(config, acting, until)?;
    let outcomes = outcomes?;
    // Also of what was cut by an earlier run, whose wait may have been interrupted.
    let cut_before = plan.rows.iter().filter(|row| row.step == Planned::AlreadySo).map(|row| Offset(row.changed_at.0));
    let newest_cut = offsets.iter().copied().chain(cut_before).max().filter(|_| acting.wait && run.kind == EventType::ShareRevoked);
    let certain = newest_cut.map(|offset| revoke_wait::wait(config, offset, acknowledged, acting.timeout)).transpose()?;
    let is_refused = outcomes.iter().any(Delivered::is_refused);
    let results = Results { done, outcomes, offsets, certain };
    exit(results.print(acting.output).map_err(PrintError::from))?;
    if !is_refused {
        past_hint::tell_how(config, SystemClock.wall(), &plan.rows);
    }
    Ok(if is_refused { Exit::Failed } else { Exit::Ok })
}

/// What a run came to.
struct Results<'r> {
    done: &'r BulkDone<'r>,
    /// Of the events written, in their order.
    outcomes: Vec<Delivered>,
    offsets: Vec<Offset>,
    certain: Option<Quiescence>,
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
        let BulkDone { run, plan, how, times } = *self.done;
        let mut counts: Vec<(&str, usize)> = Vec::new();
        let failed = |outcome: &Delivered| matches!(outcome, Delivered::Applied(_)) && outcome.is_refused();
        let word = |outcome: &Delivered| match (failed(outcome), how, outcome) {
            (true, ..) => "failed",
            (_, How::Untried, Delivered::Written) => "written untried",
            _ => outcome.word(true),
        };
        let words = self.outcomes.iter().map(word);
        let others = plan.rows.iter().filter_map(|row| match row.step {
            Planned::Write { .. } => None,
            Planned::AlreadySo => Some("already so"),
            Planned::WrittenBefore => Some("written before"),
        });
        for word in words.chain(others) {
            match counts.iter_mut().find(|(known, _)| *known == word) {
                Some((_, count)) => *count += 1,
                None => counts.push((word, 1)),
            }
        }
        let counts: Vec<String> = counts.iter().map(|(word, count)| format!("{count} {word}")).collect();
        let certain = self.certain.map(|certain| format!("  certain: {}", certain.word())).unwrap_or_default();
        writeln!(out, "{}: {}{}{certain}", run.kind.name(), counts.join(", "), times_in_words(times))?;
        for ((row, id), outcome) in plan.to_write().zip(&self.outcomes).filter(|(_, outcome)| outcome.is_refused()) {
            let why = match outcome {
                Delivered::Rejected(code) => format!("{code}: {}", Reason::of_code(code).map(Reason::in_words).unwrap_or_default()),
                _ => outcome.state().unwrap_or_default(),
            };
            writeln!(out, "{}: {}: {}  share {}  event {id}", row.named.place, shown(&row.named.id), shown(&why), row.share)?;
        }
        Ok(())
    }

    /// A line of JSON for each line of the list, in its order.
    fn values(&self) -> impl Iterator<Item = Vec<u8>> {
        let BulkDone { run, plan, how, times } = *self.done;
        let mut written = self.outcomes.iter().zip(&self.offsets);
        plan.rows.iter().filter_map(move |row| {
            let kind = run.kind.name();
            let asset = (run.kind == EventType::ShareOffered).then_some(row.named.id.as_str());
            let word = match &row.step {
                Planned::Write { event } => {
                    let (outcome, offset) = written.next()?;
                    let sent = Sent { id: event, kind, share: Some(&row.share), asset, offset: *offset, times, how };
                    return Some(sent.to_json(outcome, self.certain));
                }
                Planned::AlreadySo => "already_so",
                Planned::WrittenBefore => "written_before",
            };
            Some(already_so(kind, &row.share, asset, word, self.certain))
        })
    }
}
