//! `sharecast replay`: the same pure code without Kafka, from files to files (SPEC section 12).

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::configuration::{self, name_of};
use super::exit::{Exit, Failure};
use super::time_argument::TimeArgument;
use crate::config::Config;
use crate::replay::{Control, Input, ReplayError, Settings, replay};
use crate::time::Moment;

/// What to replay, and where to.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The control events, one structured CloudEvent a line
    #[arg(long, value_name = "FILE")]
    control: PathBuf,
    /// The records of a stream, one a line; at equal times in the order of these options
    #[arg(long = "input", value_name = "STREAM=FILE", value_parser = read_input)]
    inputs: Vec<(String, PathBuf)>,
    /// The directory that gets a file for each topic
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The last moment that is in, as RFC 3339; the clock runs on to it
    #[arg(long, value_name = "TIME", value_parser = TimeArgument::read_rfc3339)]
    until: Option<Moment>,
}

fn read_input(text: &str) -> Result<(String, PathBuf), String> {
    let (stream, file) = text.split_once('=').ok_or("write STREAM=FILE")?;
    Ok((stream.to_owned(), PathBuf::from(file)))
}

/// Replays. The configuration is looked at first (exit 78), then what files there are (exit 64), then their lines (exit 65).
pub fn run(files: &[PathBuf], args: &Args) -> Result<Exit, Failure> {
    let config = configuration::load(files)?;
    let settings = Settings::from(&config);
    let control_bytes = read(&args.control)?;
    let mut read_inputs = Vec::with_capacity(args.inputs.len());
    for (name, file) in &args.inputs {
        let stream = config
            .stream(name)
            .ok_or_else(|| Failure::new(Exit::Usage, format!("--input {name}: no stream of this name is configured")))?;
        read_inputs.push((stream.index, name_of(file), read(file)?));
    }
    let control_name = name_of(&args.control);
    let control = Control { file: &control_name, bytes: &control_bytes };
    let inputs: Vec<_> = read_inputs.iter().map(|(stream, file, bytes)| Input { stream: *stream, file, bytes }).collect();
    let mut folder = Folder { path: &args.out, begun: HashSet::new() };
    let ended = replay(&settings, control, &inputs, args.until, &mut |topic, lines| folder.append(topic, lines)).map_err(|e| match e {
        ReplayError::BadLine(bad) => Failure::new(Exit::BadData, bad),
        ReplayError::Output(e) => Failure::new(Exit::Usage, format!("{}: {e}", args.out.display())),
    })?;
    fs::create_dir_all(&args.out).map_err(|e| Failure::new(Exit::Usage, format!("{}: {e}", args.out.display())))?;
    if let Some(offset) = ended.waits_for {
        eprintln!(
            "warning: control offset {offset} could not be understood and was never skipped: {} records were never decided",
            ended.waiting
        );
    }
    Ok(Exit::Ok)
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(file).map_err(|e| Failure::new(Exit::Usage, format!("{}: {e}", file.display())))
}

impl From<&Config> for Settings {
    fn from(config: &Config) -> Self {
        let topics = config.output.topics.clone();
        Self {
            fold: config.fold_rules(),
            release: config.release_rules(),
            mask_secret: config.mask_secret.as_ref().map(|secret| secret.expose().to_vec()),
            topics: Box::new(move |tenant, stream| topics.topic(tenant.as_str(), stream.as_str())),
        }
    }
}

/// The directory of a replay's output. A file of an earlier run is begun anew when the first line comes for it.
struct Folder<'a> {
    path: &'a Path,
    begun: HashSet<String>,
}

impl Folder<'_> {
    fn append(&mut self, topic: &str, lines: &[u8]) -> io::Result<()> {
        if self.begun.is_empty() {
            fs::create_dir_all(self.path)?;
        }
        let path = self.path.join(format!("{topic}.ndjson"));
        let mut file =
            if self.begun.insert(topic.to_owned()) { File::create(path)? } else { OpenOptions::new().append(true).open(path)? };
        file.write_all(lines)
    }
}
