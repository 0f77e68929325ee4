//! `sharecast contract`: what may arrive in a tenant's topics, for the one who builds what reads it.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;

use crate::cli::args::tenant;
use crate::cli::argument;
use crate::cli::config;
use crate::cli::config::name_of;
use crate::cli::control_fold::{ControlFold, StartFrom};
use crate::cli::exit::{Exit, Failure, shown};
use crate::cli::output::{PrintError, exit, print_table};
use crate::config::{Config, ProvenanceForm};
use crate::contract::shares::{StreamContract, of_target};
use crate::contract::{EARLIER, RecordEnvelope, asyncapi, how_it_ends, json_schema, share_documents, timestamp};
use crate::id::TenantId;
use crate::replay::control::read_lines;
use crate::share::table::ShareTable;
use crate::share::view::list::Viewer;

/// How long the cluster may be silent.
const PATIENCE: Duration = Duration::from_secs(30);

/// Of whom, and how it is printed.
#[derive(Debug, clap::Args)]
pub struct ContractArgs {
    /// The tenant that reads
    #[arg(long = "as", value_name = "TENANT", value_parser = tenant)]
    reader: TenantId,
    /// One share alone, also one that is over
    #[arg(long, value_name = "SHARE", value_parser = argument::share)]
    share: Option<String>,
    /// A dump of the control topic to go by, instead of the live one
    #[arg(long, value_name = "FILE")]
    control: Option<PathBuf>,
    /// How long each wait for the cluster lasts at most. Default: 30s
    #[arg(long, value_name = "DURATION", value_parser = argument::duration, allow_hyphen_values = true)]
    timeout: Option<Duration>,
    /// How the result is printed
    #[arg(short, long, value_enum, default_value_t = ContractFormat::Table)]
    output: ContractFormat,
}

/// How a contract is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ContractFormat {
    /// For people.
    Table,
    /// An AsyncAPI 3.0 document.
    Asyncapi,
    /// A JSON Schema of the values, with one definition for each topic.
    Jsonschema,
}

/// Prints the contracts; exit 1 if there is no share to tell of.
pub fn run(files: &[PathBuf], args: &ContractArgs) -> Result<Exit, Failure> {
    let config = config::load(files)?;
    let table = match &args.control {
        Some(file) => offline(&config, file)?,
        None => ControlFold::open(&config, args.timeout.unwrap_or(PATIENCE), StartFrom::Snapshot)?.fold_to_end()?,
    };
    let contracts = of_target(&table, &config, &Viewer::Tenant(args.reader.clone()), args.share.as_deref());
    if contracts.is_empty() {
        let what = match &args.share {
            Some(share) => format!("{} sees no share {share} of which it is the target", args.reader),
            None => format!("{} has no share that is offered to it or in force: nothing may arrive", args.reader),
        };
        return Err(Failure::new(Exit::Failed, what));
    }
    let envelope = RecordEnvelope::of(&config);
    let status_topic = share_documents::topic(&config, &args.reader);
    let text = match args.output {
        ContractFormat::Table => return print(&status_topic, &contracts, &envelope),
        ContractFormat::Asyncapi => asyncapi::of_contracts(args.reader.as_str(), &status_topic, &contracts, &envelope),
        ContractFormat::Jsonschema => json_schema::of_contracts(&status_topic, &contracts, &envelope),
    };
    exit(io::stdout().lock().write_all(text.as_bytes()).map_err(PrintError::from))
}

/// The table that a dump leads to.
fn offline(config: &Config, file: &Path) -> Result<ShareTable, Failure> {
    let bytes = std::fs::read(file).map_err(|error| Failure::new(Exit::Usage, format!("{}: {error}", file.display())))?;
    let mut table = ShareTable::for_documents(config.fold_rules());
    for line in read_lines(&name_of(file), &bytes) {
        let line = line.map_err(|bad| Failure::new(Exit::BadData, bad))?;
        table.fold(line.offset, line.time, line.record);
    }
    Ok(table)
}

fn print(status_topic: &str, contracts: &[StreamContract], envelope: &RecordEnvelope) -> Result<Exit, Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    let printed = contracts.iter().try_for_each(|contract| print_one(contract, envelope, &mut out));
    let printed = printed.and_then(|()| print_status(status_topic, &mut out)).and_then(|()| out.flush());
    exit(printed.map_err(PrintError::from))
}

/// What says that a share has ended, and how.
fn print_status(topic: &str, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{topic}: {}", share_documents::TITLE)?;
    writeln!(out, "  {}", share_documents::ENVELOPE)?;
    let row = |member: &share_documents::DocumentMember| {
        let always = if member.is_always { ", always there" } else { "" };
        vec![format!("  $.{}", member.name), format!("{}{always}", member.what)]
    };
    let rows: Vec<Vec<String>> = share_documents::MEMBERS.iter().map(row).collect();
    print_table(&["  MEMBER", "WHAT IT IS"], &rows, out)?;
    writeln!(out, "  no other member arrives\n\n{EARLIER}")
}

fn print_one(contract: &StreamContract, envelope: &RecordEnvelope, out: &mut impl Write) -> io::Result<()> {
    let StreamContract { share, owner, key, label, state, stream, mode, topic, members, starts: _, ends: _ } = contract;
    let label = label.as_ref().map(|label| format!(" ({})", shown(label))).unwrap_or_default();
    writeln!(out, "{topic}: {stream} of {}{label}, share {share} of {owner}, {}", shown(key), state.word())?;
    writeln!(out, "  {}", contract.when())?;
    writeln!(out, "  key        {}", shown(key))?;
    writeln!(out, "  timestamp  {}", timestamp(*mode))?;
    let headers = envelope.all_headers();
    for (name, what) in &headers {
        writeln!(out, "  header     {}: {what}", shown(name))?;
    }
    if headers.is_empty() {
        writeln!(out, "  headers    none")?;
    }
    writeln!(out, "  the end    {}", how_it_ends(*mode))?;
    let mut rows: Vec<Vec<String>> =
        members.iter().flatten().map(|member| vec![format!("  {}", member.path()), member.in_words()]).collect();
    if members.is_some() && envelope.provenance == ProvenanceForm::Payload {
        let permission = if envelope.shows_permission { ", permission (view, edit or manage)" } else { "" };
        let what = format!(
            "always, last: id (the share), rev (its revision), epoch (that decided){permission}, and backfill (the job) of an old record that was sent later"
        );
        rows.push(vec!["  $._share".to_owned(), what]);
    }
    print_table(&["  MEMBER", "WHAT IT IS"], &rows, out)?;
    writeln!(out, "  no other member arrives\n")
}
