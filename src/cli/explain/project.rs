//! `sharecast project`: one profile, one record, no shares.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use crate::cli::args::{Format, no_list_format, tenant};
use crate::cli::argument;
use crate::cli::check::load_profile;
use crate::cli::config;
use crate::cli::control_fold::{ControlFold, StartFrom};
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::{PrintError, exit, shown};
use crate::cli::share::bulk;
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Secret};
use crate::explain::json::members_to_json;
use crate::explain::members::ProfileText;
use crate::explain::project::{RecordProjector, ShownRecord};
use crate::explain::record::WholeRecord;
use crate::explain::text::member_lines;
use crate::id::{ProfileName, TenantId};
use crate::json::document;
use crate::json::writer::object;
use crate::profile::compile::Profile;
use crate::profile::spec::ProfileSpec;
use crate::record::mapping::Stream;
use crate::release::Suppressed;

/// Which profile, and which record.
#[derive(Debug, Clone, clap::Args)]
pub struct ProjectArgs {
    /// The profile: a YAML or JSON file, or the name of a published one
    #[arg(long, value_name = "FILE|NAME")]
    profile: String,
    /// Whose published profile it is, where several tenants have one of this name
    #[arg(long, value_name = "TENANT", value_parser = tenant)]
    owner: Option<TenantId>,
    /// A file with the record's value; `-` is standard input
    #[arg(long, value_name = "FILE", default_value = "-")]
    record: PathBuf,
    /// The record's stream. Default: the only one that the profile has a section for
    #[arg(long, value_name = "STREAM", value_parser = argument::stream)]
    stream: Option<String>,
    /// Show what becomes of each member, and by which path
    #[arg(long)]
    trace: bool,
    /// How long each wait for the cluster lasts at most
    #[arg(long, value_name = "DURATION", value_parser = argument::duration, allow_hyphen_values = true, default_value = "30s")]
    timeout: Duration,
    /// How the result is printed
    #[arg(short, long, value_parser = no_list_format(), default_value = "table")]
    output: Format,
}

/// Exit 0 with what leaves, 1 if the profile's condition withholds the record, 65 if it cannot be read.
pub fn run(files: &[PathBuf], args: &ProjectArgs) -> Result<Exit, Failure> {
    let config = config::load(files)?;
    let profile = NamedProfile::of(&config, args)?;
    let stream = stream_of(&config, args, &profile)?;
    let Some(projection) = profile.compiled.section(stream.index) else {
        return Err(Failure::new(Exit::Failed, format!("profile {} has no section for {}", shown(&args.profile), stream.name)));
    };
    let secret = config.mask_secret.as_ref().map(Secret::expose);
    let mut projector = RecordProjector::new(stream, projection, &profile.text, config.release_rules().read, secret);
    let (key, headers, timestamp) = (None, Vec::new(), SystemClock.wall());
    let record = WholeRecord { key, headers, timestamp, value: Some(bulk::read(&args.record)?) };
    let projected = projector.show(&record).map_err(|refusal| {
        Failure::new(Exit::BadData, format!("this record would be a dead letter: {}: {refusal}", refusal.reason.as_str()))
    })?;
    print(&projected, args)?;
    match projected.filtered {
        None => Ok(Exit::Ok),
        Some(error) => {
            let why = error.map_or("is false".to_owned(), |error| format!("has no value: {error}"));
            let what = format!("it would not leave ({}): of this record the profile's `when` {why}", Suppressed::Filtered.as_str());
            Err(Failure::new(Exit::Failed, what))
        }
    }
}

fn print(projected: &ShownRecord, args: &ProjectArgs) -> Result<Exit, Failure> {
    let (ShownRecord { value, members, filtered }, mut out) = (projected, io::stdout().lock());
    let leaves = filtered.is_none();
    let printed = match args.output {
        Format::Table | Format::Id => (|| {
            if leaves {
                out.write_all(value)?;
                out.write_all(b"\n")?;
            }
            let lines = if args.trace { member_lines(members) } else { Vec::new() };
            lines.iter().try_for_each(|line| writeln!(out, "{}", shown(line)))
        })(),
        Format::Json | Format::Ndjson => {
            let json = object(|out| {
                out.json("value", if leaves { value } else { b"null" });
                if args.trace {
                    out.json("members", &members_to_json(members));
                }
            });
            out.write_all(&json).and_then(|()| out.write_all(b"\n"))
        }
    };
    exit(printed.map_err(PrintError::from))
}

/// A profile from a file or from the log.
struct NamedProfile {
    text: ProfileText,
    compiled: Profile,
    /// None of the built-in one, which has all.
    sections: Option<Vec<String>>,
}

impl NamedProfile {
    fn of(config: &Config, args: &ProjectArgs) -> Result<Self, Failure> {
        let path = PathBuf::from(&args.profile);
        if path.exists() && !path.is_dir() {
            let written = load_profile(&path, Some(config)).map_err(|what| Failure::new(Exit::Failed, what))?;
            return Ok(Self::new(config, &written.spec, ProfileText::of_file(written.spec.clone())));
        }
        if args.profile == "all" {
            let compiled = Profile::all(&config.streams);
            return Ok(Self { text: ProfileText::default(), compiled, sections: None });
        }
        let neither = || format!("--profile {}: no file of this name is here", shown(&args.profile));
        ProfileName::parse(&args.profile)
            .map_err(|error| Failure::new(Exit::Usage, format!("{}, and as a profile's name: {error}", neither())))?;
        let table = ControlFold::open(config, args.timeout, StartFrom::Snapshot)?.fold_to_end()?;
        let is_wanted = |owner: &str| args.owner.as_ref().is_none_or(|wanted| wanted.as_str() == owner);
        let found: Vec<_> =
            table.profiles().filter(|found| found.name == args.profile && !found.is_retired && is_wanted(found.owner)).collect();
        let [found] = found.as_slice() else {
            let what = match found.as_slice() {
                [] => format!("{}, and nobody has published such a profile, or it is retired", neither()),
                several => {
                    let owners = several.iter().map(|found| found.owner).collect::<Vec<_>>().join(", ");
                    return Err(Failure::new(
                        Exit::Usage,
                        format!("--profile {}: {owners} have one each: say --owner TENANT", args.profile),
                    ));
                }
            };
            return Err(Failure::new(Exit::Failed, what));
        };
        let spec = document::parse(found.spec).ok().and_then(|node| ProfileSpec::read(&node).ok());
        let spec = spec.ok_or_else(|| Failure::new(Exit::Failed, format!("profile {} cannot be read", shown(&args.profile))))?;
        Ok(Self::new(config, &spec, ProfileText::of(found)))
    }

    fn new(config: &Config, spec: &ProfileSpec, text: ProfileText) -> Self {
        let sections = spec.sections().iter().map(|section| section.stream.clone()).collect();
        Self { text, compiled: Profile::compile(spec, &config.streams), sections: Some(sections) }
    }
}

fn stream_of<'c>(config: &'c Config, args: &ProjectArgs, profile: &NamedProfile) -> Result<&'c Stream, Failure> {
    let usage = |what: String| Failure::new(Exit::Usage, what);
    if let Some(name) = &args.stream {
        return config.stream(name).ok_or_else(|| usage(format!("--stream {name}: no stream of this name is configured")));
    }
    let has =
        |stream: &&Stream| profile.sections.as_ref().is_none_or(|sections| sections.iter().any(|section| section == stream.name.as_str()));
    let streams: Vec<&Stream> = config.streams.iter().filter(has).collect();
    match streams.as_slice() {
        [stream] => Ok(stream),
        [] => Err(usage("the profile has no section for a stream that is configured".to_owned())),
        several => {
            let names = several.iter().map(|stream| stream.name.as_str()).collect::<Vec<_>>().join(" or ");
            Err(usage(format!("of which stream is the record? Say --stream {names}")))
        }
    }
}
