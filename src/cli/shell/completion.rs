//! Completion in a shell, of commands and of ids; and the manual.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Command, CommandFactory, ValueEnum};
use clap_complete::CompleteEnv;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::env::Shells;

use crate::cli::exit::{Exit, Failure};
use crate::cli::output::{PrintError, exit};
use crate::cli::{Cli, argument, config};
use crate::share::snapshot::{self, SnapshotError, SnapshotOrigin};
use crate::share::table::ShareTable;

/// A shell asks for completions by setting this, as the script of `completions` has it do.
const VARIABLE: &str = "SHARECAST_COMPLETE";

/// A larger snapshot is not read: somebody is waiting for a key stroke.
const MAX_SNAPSHOT_BYTES: u64 = 64 << 20;

/// Options of `completions`.
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// The shell that is to read it
    #[arg(value_enum)]
    shell: ShellName,
}

/// Shells that can be told how to complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ShellName {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

impl ShellName {
    fn name(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Elvish => "elvish",
            Self::Fish => "fish",
            Self::Powershell => "powershell",
            Self::Zsh => "zsh",
        }
    }
}

/// Options of `man`.
#[derive(Debug, clap::Args)]
pub struct ManArgs {
    /// Write a page for each command into this folder, which must be there; without it the first page goes to stdout
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Where a shell asks for completions, they are printed and the process ends.
pub fn complete_if_asked() {
    CompleteEnv::with_factory(command_with_ids).var(VARIABLE).complete();
}

/// Prints the script that teaches a shell.
pub fn completions(args: &CompletionsArgs) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    Shells::builtins()
        .completer(args.shell.name())
        .ok_or_else(|| Failure::new(Exit::Usage, format!("no completions are known for {}", args.shell.name())))?
        .write_registration(VARIABLE, "sharecast", "sharecast", "sharecast", &mut script)
        .map_err(|error| Failure::new(Exit::Failed, error))?;
    exit(io::stdout().write_all(&script).map_err(PrintError::from))
}

/// Prints the manual, or writes all its pages.
pub fn man(args: &ManArgs) -> Result<Exit, Failure> {
    let command = Cli::command();
    let Some(folder) = &args.dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page).map_err(|error| Failure::new(Exit::Failed, error))?;
        return exit(io::stdout().write_all(&page).map_err(PrintError::from));
    };
    clap_mangen::generate_to(command, folder)
        .map_err(|error| Failure::new(Exit::Failed, format!("{}: the manual cannot be written: {error}", folder.display())))?;
    Ok(Exit::Ok)
}

/// What ids an option takes, by the name of its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ids {
    Tenants,
    Assets,
    Shares,
    Profiles,
    Streams,
}

impl Ids {
    fn of(value_name: &str) -> Option<Self> {
        match value_name {
            "TENANT" | "TENANTS" | "OWNER" | "TARGET" | "PARTNER" => Some(Self::Tenants),
            "ASSET" => Some(Self::Assets),
            "SHARE" => Some(Self::Shares),
            "PROFILE" => Some(Self::Profiles),
            "STREAM" | "STREAMS" => Some(Self::Streams),
            _ => None,
        }
    }
}

fn command_with_ids() -> Command {
    with_ids(Cli::command())
}

fn with_ids(mut command: Command) -> Command {
    let ids_of = |argument: &clap::Arg| argument.get_value_names().and_then(|names| Ids::of(names.first()?));
    let arguments: Vec<(String, Option<Ids>)> =
        command.get_arguments().map(|argument| (argument.get_id().to_string(), ids_of(argument))).collect();
    // clap puts an argument that is changed after all others, so each is: what stands where is what it was.
    for (id, ids) in arguments {
        command = command.mut_arg(id, |argument| match ids {
            Some(ids) => argument.add(ArgValueCompleter::new(move |typed: &OsStr| candidates(ids, typed))),
            None => argument,
        });
    }
    let names: Vec<String> = command.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    names.into_iter().fold(command, |command, name| command.mut_subcommand(name, with_ids))
}

fn candidates(ids: Ids, typed: &OsStr) -> Vec<CompletionCandidate> {
    let Some(typed) = typed.to_str() else { return Vec::new() };
    known(ids).into_iter().filter(|id| id.starts_with(typed)).map(CompletionCandidate::new).collect()
}

/// What the local snapshot knows; nothing where there is none, or it cannot be used. Nobody can be told why: a shell shows what is
/// printed as a candidate.
fn known(ids: Ids) -> BTreeSet<String> {
    // The line that is typed follows a `--`.
    let args: Vec<OsString> = std::env::args_os().skip_while(|arg| arg != "--").skip(1).collect();
    let files: Vec<PathBuf> = argument::all_of(&args, &["--config", "-c"]).into_iter().map(PathBuf::from).collect();
    let Ok(config::ReadConfig { config, .. }) = config::read(&files) else { return BTreeSet::new() };
    if ids == Ids::Streams {
        return config.streams.iter().map(|stream| stream.name.to_string()).collect();
    }
    let path = &config.snapshot.path;
    if fs::metadata(path).map_or(true, |metadata| metadata.len() > MAX_SNAPSHOT_BYTES) {
        return BTreeSet::new();
    }
    let Ok(bytes) = fs::read(path) else { return BTreeSet::new() };
    let empty = || ShareTable::for_documents(config.fold_rules());
    table(&bytes, &config.control.topic, empty).map(|table| of_table(&table, ids)).unwrap_or_default()
}

/// The table of whatever cluster it is from: only ids to type are taken from it.
fn table(bytes: &[u8], topic: &str, empty: impl Fn() -> ShareTable) -> Option<ShareTable> {
    let origin = |cluster: &str| SnapshotOrigin { cluster: cluster.to_owned(), topic: topic.to_owned() };
    match snapshot::read(bytes, &origin(""), empty()) {
        Err(SnapshotError::Foreign { cluster, topic: of }) if of == topic => snapshot::read(bytes, &origin(&cluster), empty()).ok(),
        read => read.ok(),
    }
}

fn of_table(table: &ShareTable, ids: Ids) -> BTreeSet<String> {
    match ids {
        Ids::Tenants => table.tenants().into_iter().map(|tenant| tenant.id.to_string()).collect(),
        Ids::Assets => table.shares().filter_map(|share| share.document().asset.map(str::to_owned)).collect(),
        Ids::Shares => table.shares().map(|share| share.id().to_string()).collect(),
        Ids::Profiles => table.profiles().map(|profile| profile.name.to_string()).collect(),
        Ids::Streams => BTreeSet::new(),
    }
}
