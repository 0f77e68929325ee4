//! `sharecast explain`: why a record did or did not flow, or what would be (docs/operators.md#why-did-a-record-not-flow).

pub mod args;
pub mod project;
mod then;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use self::args::ExplainArgs;
use self::then::{PointInLog, fold_file, fold_log};
use crate::cli::args::Format;
use crate::cli::config::{self, name_of};
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::{PrintError, exit, print_values, shown};
use crate::cli::sample::whole;
use crate::cli::share::bulk;
use crate::cli::share::look;
use crate::cli::time_argument::{TimeArgument, TimeOption};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Secret};
use crate::explain::decision::WouldBeRecord;
use crate::explain::record::WholeRecord;
use crate::explain::{Explainer, Explanation, RecordPlace};
use crate::id::Offset;
use crate::inspect::record_search::read_at;
use crate::record::mapping::Stream;
use crate::replay::input::InputReader;
use crate::replay::line::lines;
use crate::time::{TimestampMs, TimestampNs};

/// Exit 0 if somebody gets it, 1 if nobody does, 65 if it cannot be read.
pub fn run(files: &[PathBuf], args: &ExplainArgs) -> Result<Exit, Failure> {
    let config = config::load(files)?;
    let asked = Question::of(&config, args, SystemClock.wall())?;
    let explanation = asked.answer(&config, args)?;
    let explanation = match &args.target {
        Some(target) => explanation.only_for(target.as_str()),
        None => explanation,
    };
    print(&explanation, args.output)?;
    Ok(match (&explanation.dead, explanation.releases()) {
        (Some(_), _) => Exit::BadData,
        (None, true) => Exit::Ok,
        (None, false) => Exit::Failed,
    })
}

fn print(explanation: &Explanation, format: Format) -> Result<Exit, Failure> {
    let mut out = io::stdout().lock();
    let printed = match format {
        Format::Table | Format::Id => explanation.to_lines().iter().try_for_each(|line| writeln!(out, "{}", shown(line))),
        // One record is one object, not a list of one.
        Format::Json | Format::Ndjson => print_values(Format::Ndjson, [explanation.to_json()], &mut out),
    };
    exit(printed.map_err(PrintError::from))
}

/// What is asked.
struct Question<'c> {
    stream: &'c Stream,
    subject: QuestionSubject,
    clock: TimestampMs,
    /// `--at`.
    at: Option<TimestampMs>,
}

enum QuestionSubject {
    /// A record of the stream's topic.
    Stored(RecordPlace),
    /// A record that was given, with `at` of its line, as it is written or by its default.
    Given { record: WholeRecord, written_at: Option<TimestampMs>, default_at: Option<TimestampMs> },
    /// None at all.
    WouldBe { owner: String, asset: String, time: Option<TimestampNs> },
}

impl<'c> Question<'c> {
    fn of(config: &'c Config, args: &ExplainArgs, clock: TimestampMs) -> Result<Self, Failure> {
        let usage = |what: String| Failure::new(Exit::Usage, what);
        let known = || config.streams.iter().map(|stream| stream.name.as_str()).collect::<Vec<_>>().join(", ");
        let stream = config
            .stream(&args.stream)
            .ok_or_else(|| usage(format!("--stream {}: no stream of this name is configured; there are {}", args.stream, known())))?;
        let time = |given: &Option<String>, option| {
            let read = given.as_deref().map(|text| TimeArgument::read(text, clock, option).map(|time| time.moment));
            read.transpose().map_err(|error| usage(error.to_string()))
        };
        let at = time(&args.at, TimeOption::At)?.map(TimestampNs::millis);
        let ids = args.owner.as_ref().map(|owner| owner.to_string()).zip(args.asset.clone());
        let subject = match (args.partition.zip(args.offset), &args.record, ids) {
            (Some((partition, offset)), None, _) => QuestionSubject::Stored(RecordPlace { partition, offset: Offset(offset) }),
            (None, Some(file), ids) => given(stream, file, args.line, ids, at.unwrap_or(clock))?,
            (None, None, Some((owner, asset))) => QuestionSubject::WouldBe { owner, asset, time: time(&args.time, TimeOption::Time)? },
            _ => {
                let what = "which record? Give --partition P --offset O, --record FILE, or what would be: --owner TENANT --asset ASSET";
                return Err(usage(what.to_owned()));
            }
        };
        Ok(Self { stream, subject, clock, at })
    }

    fn answer(&self, config: &Config, args: &ExplainArgs) -> Result<Explanation, Failure> {
        let (written_at, default_at) = match &self.subject {
            QuestionSubject::Given { written_at, default_at, .. } => (*written_at, *default_at),
            QuestionSubject::Stored(_) | QuestionSubject::WouldBe { .. } => (None, None),
        };
        let at = self.at.or(written_at).or(default_at.filter(|_| args.control.is_some()));
        let then = PointInLog { epoch: args.epoch.map(Offset), at };
        let (table, last) = match &args.control {
            Some(file) => fold_file(config, file, then)?,
            None => (fold_log(config, args.timeout, then)?, self.clock),
        };
        let clock = at.unwrap_or(last);
        let secret = config.mask_secret.as_ref().map(Secret::expose);
        let explainer = Explainer::new(config.release_rules(), secret);
        Ok(match &self.subject {
            QuestionSubject::Given { record, .. } => explainer.record(&table, self.stream, record, None, clock),
            QuestionSubject::Stored(place) => {
                let record = read_at(config, self.stream, place, args.timeout).map_err(look::failure)?;
                explainer.record(&table, self.stream, &record, Some(*place), clock)
            }
            QuestionSubject::WouldBe { owner, asset, time } => {
                let time = time.unwrap_or(clock.moment());
                explainer.would_be(&table, self.stream, WouldBeRecord { owner, asset, time }, clock)
            }
        })
    }
}

/// A record from a file: its value alone, or a line.
fn given(
    stream: &Stream,
    file: &Path,
    line: Option<u32>,
    ids: Option<(String, String)>,
    timestamp: TimestampMs,
) -> Result<QuestionSubject, Failure> {
    let bytes = bulk::read(file)?;
    let Some(number) = line else {
        let is_outside = stream.mapping.tenant.is_outside_value() || stream.mapping.asset.is_outside_value();
        let record = match ids {
            Some((owner, asset)) => WholeRecord::of_value(bytes, stream, &owner, &asset, timestamp),
            None if is_outside => {
                let what = format!(
                    "--record: {} takes tenant or asset from key or headers, which a value alone has not: say --owner TENANT --asset ASSET, \
                     or give a whole line with --line",
                    stream.name
                );
                return Err(Failure::new(Exit::Usage, what));
            }
            None => WholeRecord { key: None, headers: Vec::new(), timestamp, value: Some(bytes) },
        };
        return Ok(QuestionSubject::Given { record, written_at: None, default_at: None });
    };
    let place = |what: &str| Failure::new(Exit::BadData, format!("{}:{number}: {what}", name_of(file)));
    let count = lines(&bytes).count();
    let line = lines(&bytes)
        .nth(number as usize - 1)
        .ok_or_else(|| Failure::new(Exit::Usage, format!("--line={number}: {} has {count} lines; name one of them", name_of(file))))?;
    let read = InputReader::new(stream).line(line).map_err(place)?;
    let record = whole(&read);
    Ok(QuestionSubject::Given { record, written_at: read.written_at, default_at: Some(read.at) })
}
