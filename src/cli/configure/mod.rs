//! `sharecast control configure`: names the configuration to the log, after a review of who loses what by it.

mod members;

use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::PathBuf;

use crate::cli::args::{ActorArgs, EventDraft, Format};
use crate::cli::config;
use crate::cli::configure::members::{OldMember, old_members};
use crate::cli::exit::{Exit, Failure, tell};
use crate::cli::output::{PrintError, exit};
use crate::cli::share::confirm::confirm;
use crate::cli::trial;
use crate::cli::trial::Until;
use crate::config::Config;
use crate::json::writer::object;
use crate::share::configuration::{FIRST_ID, FoldConfiguration};
use crate::share::event::kind::EventType;
use crate::share::table::ShareTable;
use crate::share::table::configuration::data_of;
use crate::share::view::review::ConfigurationReview;

/// So many members that are too old are named.
const MEMBERS_SHOWN: usize = 10;

/// Options of `control configure`.
#[derive(Debug, clap::Args)]
pub struct ConfigureArgs {
    /// Do it without asking, also where somebody loses something or an engine of the group is too old to read it
    #[arg(long)]
    yes: bool,
}

/// What the command comes to once it was reviewed and confirmed.
pub enum Reviewed {
    /// The log says all of it already, which is told.
    AlreadySo(Exit),
    /// This is to be written.
    Write(Box<ConfigureOrder>),
}

/// The event to be written.
pub struct ConfigureOrder {
    /// By this configuration.
    pub config: Config,
    /// As it was asked for, or under the id of the first event of all.
    pub acting: ActorArgs,
    /// From whom.
    pub source: String,
    /// The event.
    pub draft: EventDraft,
}

/// Folds the log, shows who loses what, and asks.
pub fn review(files: &[PathBuf], acting: &ActorArgs, args: &ConfigureArgs) -> Result<Reviewed, Failure> {
    if acting.actor.is_some() {
        return Err(Failure::new(Exit::Usage, "the control topic is the operator's: leave --as out"));
    }
    let config = config::load(files)?;
    let until = Until::after(acting.patience()?);
    trial::reach_cluster(&config, until)?;
    let table = trial::fold(&config, until, false, None).map_err(trial::unwritten)?.table;
    let wanted = config.fold_rules().configuration();
    // Nobody has written anything yet: this is what whoever writes first writes.
    let is_first = table.has_only_ticks();
    if !is_first && !ask(&config, &table, &wanted, args, until)? {
        return already_so(acting.output).map(Reviewed::AlreadySo);
    }
    let data = data_of(&wanted);
    let draft = EventDraft { kind: EventType::ControlConfigured.name(), data, share: None, times: Vec::new(), is_confirmed: false };
    let (acting, source) = if is_first {
        (ActorArgs { event_id: Some(FIRST_ID.to_owned()), repeat: None, ..acting.clone() }, "/sharecast".to_owned())
    } else {
        (acting.clone(), acting.source())
    };
    Ok(Reviewed::Write(Box::new(ConfigureOrder { config, acting, source, draft })))
}

/// Shows the review and asks where there is something to confirm. False where the log says all of it already.
fn ask(config: &Config, table: &ShareTable, wanted: &FoldConfiguration, args: &ConfigureArgs, until: Until) -> Result<bool, Failure> {
    let review = ConfigurationReview::of(table, wanted);
    if review.is_of_nothing() {
        return Ok(false);
    }
    let old = old_members(config, until.left())?;
    show(&review, &old, config).map_err(|error| Failure::new(Exit::Failed, format!("stderr: {error}")))?;
    if !old.is_empty() && !args.yes {
        let what = "nothing was written: engines of the group cannot read it, and would stop at it. Upgrade them first, or say --yes";
        return Err(Failure::new(Exit::Usage, what));
    }
    if !review.losses.is_empty() {
        confirm("Name this configuration to the log?", args.yes, io::stdin().is_terminal())?;
    }
    Ok(true)
}

/// On stderr: results alone go to stdout.
fn show(review: &ConfigurationReview, old: &[OldMember], config: &Config) -> io::Result<()> {
    let mut out = BufWriter::new(io::stderr().lock());
    writeln!(out, "control.configured for {}: all that follows is judged by it, no share that is there is touched", config.control.topic)?;
    for line in review.changes.iter().chain(&review.losses) {
        writeln!(out, "  {line}")?;
    }
    if !old.is_empty() {
        writeln!(out, "  members of the group {} that cannot read it, or of which that is not known:", config.kafka.group)?;
        old.iter().take(MEMBERS_SHOWN).try_for_each(|member| writeln!(out, "    {member}"))?;
        if old.len() > MEMBERS_SHOWN {
            writeln!(out, "    and {} more", old.len() - MEMBERS_SHOWN)?;
        }
    }
    out.flush()
}

fn already_so(format: Format) -> Result<Exit, Failure> {
    let mut line = match format {
        Format::Table | Format::Id => b"control.configured already so".to_vec(),
        Format::Json | Format::Ndjson => object(|out| {
            out.text("type", EventType::ControlConfigured.name());
            out.text("outcome", "already_so");
        }),
    };
    tell!("the log names this configuration already; nothing was written");
    line.push(b'\n');
    exit(io::stdout().lock().write_all(&line).map_err(PrintError::from))
}
