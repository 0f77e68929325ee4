//! `sharecast share list|show|stats|watch`: shares as the control topic has them.

use std::collections::HashMap;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::args::{ActorArgs, Format};
use crate::cli::argument;
use crate::cli::config;
use crate::cli::control_fold::{ControlFold, NextRecord, StartFrom};
use crate::cli::exit::{Exit, Failure};
use crate::cli::listing::{Cell, ListArgs, Listing, Shown};
use crate::cli::output::{PrintError, exit, print_members, print_table, shown};
use crate::cli::share::invitations;
use crate::cli::share::invitations::ListedInvitations;
use crate::id::ShareId;
use crate::json::writer::object;
use crate::share::event::invitee;
use crate::share::state::{Permission, State};
use crate::share::status::{Document, StatusTopic};
use crate::share::table::{Folded, Outcome, ShareTable};
use crate::share::view::history::{History, HistoryEntry};
use crate::share::view::list::{Listed, ShareFilter, Stats, list, look_at};
use crate::time::{TimestampMs, TimestampNs};

/// The subcommands that look at shares. They read the control topic itself, so they are right whether or not an engine runs.
#[derive(Debug, Subcommand)]
pub enum ShareLook {
    /// List shares by their ids; with --as TENANT those that the tenant may see, as it may see them
    ///
    /// SINCE is when the state began: the offer, the acceptance, the end. UNTIL is when it ends by itself: an offer's --offer-expires,
    /// an access's --ends.
    List {
        /// Which shares.
        #[command(flatten)]
        filters: Box<Filters>,
        /// In which order, and how many.
        #[command(flatten)]
        list: ListArgs<ListedShares>,
    },
    /// Show one share: its whole document, and what became of each event on it
    Show {
        /// The share
        #[arg(value_parser = argument::share)]
        share: String,
        /// Only the document: quicker, as the control topic need not be read from its beginning
        #[arg(long)]
        no_history: bool,
    },
    /// List those who were invited by e-mail, and what became of it; with --outbox what the mailer is told, codes and all
    ///
    /// The outcome is `pending`, `accepted` (by the tenant under BY, whatever became of the share since), `declined`, `expired`
    /// (nobody accepted in time), `cancelled` or `failed`. Only the owner and the operator see invitations. This reads the
    /// control topic from its beginning.
    Invitations {
        /// Which shares.
        #[command(flatten)]
        filters: Filters,
        /// In which order, and how many.
        #[command(flatten)]
        list: ListArgs<ListedInvitations>,
        /// The records of sharecast.invitations whose code still opens a share
        #[arg(long, conflicts_with_all = ["sort", "limit"])]
        outbox: bool,
    },
    /// Count shares by what became of them
    ///
    /// Each share that fits the filters counts once in `total` and once in one of the others, by the state that the events
    /// gave it: `pending`: PENDING · `accepted`: ACTIVE or PAUSED · `declined`: DECLINED · `expired`: EXPIRED, an offer that
    /// lapsed or an access that ended by its time · `cancelled`: CANCELLED · `revoked`: REVOKED · `left`: LEFT · `failed`:
    /// FAILED, an offer that broke a rule. A share whose time has come, with no `expired` event yet, counts by its old state.
    Stats(Filters),
    /// Print each share's document as it changes, until Ctrl-C; a line each (with -o json too)
    Watch {
        /// Which shares.
        #[command(flatten)]
        filters: Filters,
        /// First print what is there
        #[arg(long)]
        from_start: bool,
    },
}

/// What no invitee can be is found nowhere.
fn address(text: &str) -> Result<String, String> {
    let part = "; to look for a part of an address use --search";
    invitee::check(text).map(|()| text.to_owned()).map_err(|error| format!("it {error}{part}"))
}

/// Which shares: of one option any value may fit, all options must.
#[derive(Debug, Clone, Default, Args)]
pub struct Filters {
    /// A part of the asset's id, the label, the target or the invitee, in upper or lower case
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// This share; may be repeated, as all of these
    #[arg(long, value_name = "ID", value_parser = argument::share)]
    share: Vec<String>,
    /// This asset, by the owner's id or the target's
    #[arg(long, value_name = "ASSET", value_parser = argument::asset)]
    asset: Vec<String>,
    /// Exactly this label
    #[arg(long, value_name = "TEXT")]
    label: Vec<String>,
    /// Exactly this invitee
    #[arg(long, value_name = "EMAIL", value_parser = address)]
    invitee: Vec<String>,
    /// Shared by this tenant
    #[arg(long, value_name = "TENANT", value_parser = argument::tenant_name)]
    owner: Vec<String>,
    /// Shared with this tenant
    #[arg(long, value_name = "TENANT", value_parser = argument::tenant_name)]
    target: Vec<String>,
    /// With this stream
    #[arg(long, value_name = "STREAM", value_parser = argument::stream)]
    stream: Vec<String>,
    /// By this profile
    #[arg(long, value_name = "PROFILE", value_parser = argument::profile)]
    profile: Vec<String>,
    /// In this state: pending, active, paused, declined, cancelled, expired, revoked, left, failed
    #[arg(long, value_name = "STATE", value_delimiter = ',', value_parser = state)]
    state: Vec<State>,
    /// With this permission: view, edit, manage
    #[arg(long, value_name = "PERMISSION", value_delimiter = ',', value_parser = permission)]
    permission: Vec<Permission>,
}

fn state(text: &str) -> Result<State, String> {
    let known = State::ALL.into_iter().find(|state| state.word().eq_ignore_ascii_case(text));
    known.ok_or_else(|| format!("one of {}", State::ALL.map(|state| state.word().to_lowercase()).join(", ")))
}

fn permission(text: &str) -> Result<Permission, String> {
    Permission::parse(text).ok_or_else(|| format!("one of {}", Permission::ALL.map(Permission::word).join(", ")))
}

impl From<Filters> for ShareFilter {
    fn from(given: Filters) -> Self {
        Self {
            search: given.search,
            shares: given.share,
            assets: given.asset,
            labels: given.label,
            invitees: given.invitee,
            owners: given.owner,
            targets: given.target,
            streams: given.stream,
            profiles: given.profile,
            states: given.state,
            permissions: given.permission,
        }
    }
}

/// Runs the command.
pub fn run(files: &[PathBuf], acting: &ActorArgs, command: ShareLook) -> Result<Exit, Failure> {
    let patience = acting.patience_of_reader()?;
    let config = config::load(files)?;
    let open = |beginning| ControlFold::open(&config, patience, beginning);
    exit(match command {
        ShareLook::List { filters, list } => {
            print_list(&open(StartFrom::Snapshot)?.fold_to_end()?, acting, &(*filters).into(), &list).map_err(PrintError::from)
        }
        ShareLook::Invitations { filters, list, outbox: false } => {
            invitations::print_invited(open(StartFrom::First)?, acting, &filters.into(), &list)
        }
        ShareLook::Invitations { filters, outbox: true, .. } => {
            invitations::print_outbox(&config, open(StartFrom::Snapshot)?, acting, &filters.into())
        }
        ShareLook::Stats(filters) => {
            let table = open(StartFrom::Snapshot)?.fold_to_end()?;
            print_stats(&Stats::of(&table, &acting.viewer(), &filters.into()), acting.output).map_err(PrintError::from)
        }
        ShareLook::Show { share, no_history } => {
            show(open(if no_history { StartFrom::Snapshot } else { StartFrom::First })?, acting, &share, !no_history)
        }
        ShareLook::Watch { filters, from_start } => {
            // When a share changed last is known to the log alone, and shown to people alone.
            let is_timed = from_start && acting.output == Format::Table;
            watch(open(if is_timed { StartFrom::First } else { StartFrom::Snapshot })?, acting, &filters.into(), from_start)
        }
    })
}

/// The list of shares.
#[derive(Debug, Clone)]
pub struct ListedShares;

impl Listing for ListedShares {
    const COLUMNS: &'static [&'static str] = &[
        "share",
        "state",
        "reason",
        "owner",
        "asset",
        "target",
        "target-asset",
        "streams",
        "profile",
        "permission",
        "since",
        "until",
        "label",
    ];
}

fn print_list(table: &ShareTable, acting: &ActorArgs, filter: &ShareFilter, listed: &ListArgs<ListedShares>) -> io::Result<()> {
    let shown = Shown {
        cells,
        id: |found: &Listed<'_>| found.share.id().to_string(),
        json: |found: &Listed<'_>| found.share.to_json(found.audience),
    };
    listed.print(acting.output, list(table, &acting.viewer(), filter), &shown)
}

fn cells(found: &Listed<'_>) -> Vec<Cell> {
    let document = found.share.document();
    vec![
        Cell::Text(document.share.to_owned()),
        Cell::Text(document.state.word().to_owned()),
        Cell::text_if(document.reason.map(|reason| reason.code())),
        Cell::Text(document.owner.to_owned()),
        Cell::text_if(document.asset_for(found.audience)),
        Cell::text_if(document.target_tenant.or(document.invitee_for(found.audience))),
        Cell::text_if(document.target_asset),
        Cell::Text(document.streams.join(",")),
        Cell::text_if(document.profile),
        Cell::Text(document.permission.word().to_owned()),
        Cell::Time(since(&document)),
        Cell::time_if(until(&document)),
        Cell::text_if(document.label),
    ]
}

/// When a share's state began. A pause is no new beginning: the document does not say when it was asked for.
fn since(document: &Document<'_>) -> TimestampNs {
    let accepted = document.accepted_at.filter(|_| document.state.is_live()).map(TimestampMs::moment);
    document.ended_at.or(accepted).unwrap_or_else(|| document.offered_at.moment())
}

/// When a share's state ends by itself.
fn until(document: &Document<'_>) -> Option<TimestampNs> {
    match document.state {
        State::Pending => document.offer_expires,
        State::Active | State::Paused => document.ends,
        State::Failed | State::Declined | State::Cancelled | State::Expired | State::Revoked | State::Left => None,
    }
}

fn print_stats(stats: &Stats, format: Format) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if format == Format::Table {
        return stats.named().iter().try_for_each(|(name, count)| writeln!(out, "{name:<9}  {count}"));
    }
    let mut line = object(|out| stats.named().iter().for_each(|(name, count)| out.number(name, *count)));
    line.push(b'\n');
    out.write_all(&line)
}

fn show(mut fold: ControlFold, acting: &ActorArgs, share: &str, has_history: bool) -> Result<(), PrintError> {
    // A share that is hidden is like one that is not there.
    let missing = || Failure::new(Exit::Failed, format!("there is no share {} here", shown(share)));
    let id = ShareId::parse(share).map_err(|error| Failure::new(Exit::Usage, error))?;
    let mut history = History::new(id, acting.viewer());
    fold.read_to_end(|table, coming| {
        if !has_history {
            coming.fold(table);
            return Ok::<(), Failure>(());
        }
        let (noted, folded) = coming.fold_noting(table, |record| history.note(record));
        if let Some(noted) = noted {
            history.add(coming.record.offset, noted, &folded, table);
        }
        Ok(())
    })?;
    let found = fold.table.share(share).and_then(|share| look_at(share, &acting.viewer(), &ShareFilter::default())).ok_or_else(missing)?;
    let document = found.share.to_json(found.audience);
    print_share(&document, has_history.then(|| history.into_entries()), acting.output).map_err(PrintError::from)
}

fn print_share(document: &[u8], history: Option<Vec<HistoryEntry>>, format: Format) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    if format != Format::Table {
        let mut line = object(|out| {
            out.json("status", document);
            if let Some(history) = history {
                out.array("history", |items| history.iter().for_each(|entry| items.json(&entry.to_json())));
            }
        });
        line.push(b'\n');
        out.write_all(&line)?;
        return out.flush();
    }
    print_members(document, &mut out)?;
    if let Some(history) = history {
        let row = |entry: &HistoryEntry| {
            let outcome = entry.reason.map_or(entry.outcome.to_owned(), |reason| format!("{}: {reason}", entry.outcome));
            let revision = entry.revision.map_or("-".to_owned(), |revision| revision.to_string());
            let kind = entry.kind.trim_start_matches("sharecast.").trim_end_matches(".v1").to_owned();
            vec![entry.offset.to_string(), entry.time.to_string(), entry.source.clone(), kind, outcome, revision]
        };
        writeln!(out)?;
        let headers = ["OFFSET", "TIME", "WHO", "EVENT", "OUTCOME", "REVISION"];
        print_table(&headers, &history.iter().map(row).collect::<Vec<_>>(), &mut out)?;
    }
    out.flush()
}

/// Follows the fold: a line for each document that the viewer's status topic gets.
fn watch(mut fold: ControlFold, acting: &ActorArgs, filter: &ShareFilter, from_start: bool) -> Result<(), PrintError> {
    let (viewer, format) = (acting.viewer(), acting.output);
    let mut out = BufWriter::new(io::stdout().lock());
    let mut changed_at: HashMap<String, TimestampMs> = HashMap::new();
    fold.read_to_end(|table, coming| {
        let folded = coming.fold(table);
        if from_start && format == Format::Table {
            changed_at.extend(changed(&folded).map(|share| (share.to_owned(), coming.time)));
        }
        Ok::<(), PrintError>(())
    })?;
    if from_start {
        for found in list(&fold.table, &viewer, filter) {
            print_change(&found, changed_at.get(found.share.id().as_str()).copied(), format, &mut out)?;
        }
        out.flush()?;
    }
    drop(changed_at);
    fold.follow(|table, coming: NextRecord<'_>| {
        let folded = coming.fold(table);
        for share in changed(&folded) {
            if let Some(found) = table.share(share).and_then(|share| look_at(share, &viewer, filter)) {
                print_change(&found, Some(coming.time), format, &mut out)?;
            }
        }
        Ok(out.flush()?)
    })
}

/// The shares whose documents a control record changed.
fn changed(folded: &Folded) -> impl Iterator<Item = &str> {
    let is_of_share = |topic: &StatusTopic| *topic == StatusTopic::Shares && folded.outcome == Outcome::Applied;
    folded.documents.iter().filter(move |document| is_of_share(&document.topic)).map(|document| document.key.as_str())
}

/// `time` is that of the change; none where the log does not reach back to it.
fn print_change(found: &Listed<'_>, time: Option<TimestampMs>, format: Format, out: &mut impl Write) -> io::Result<()> {
    if format != Format::Table {
        out.write_all(&found.share.to_json(found.audience))?;
        return out.write_all(b"\n");
    }
    let document = found.share.document();
    let target = document.target_tenant.or(document.invitee_for(found.audience)).unwrap_or("-");
    let asset = document.asset_for(found.audience).map(|asset| format!(" {asset}")).unwrap_or_default();
    let parties = format!("{}{asset} -> {target} {}", document.owner, document.target_asset.unwrap_or("-"));
    let (state, reason) = (document.state.word(), document.reason.map_or("", |reason| reason.code()));
    let time = time.map_or("-".to_owned(), |time| time.to_string());
    writeln!(out, "{time}  {}  {state} {reason}  revision {}  {}", document.share, document.revision, shown(&parties))
}
