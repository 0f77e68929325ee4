//! `sharecast replay`: the same pure code without Kafka, from files to files (docs/rules/replay.md).

use std::collections::HashSet;
use std::fmt::Display;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::exit::{Exit, Failure, tell};
use super::time_argument::TimeArgument;
use crate::cli::config;
use crate::cli::config::name_of;
use crate::config::Config;
use crate::replay::{Control, Input, ReplayError, Settings, replay};
use crate::time::TimestampNs;

/// What to replay, and where to.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The control events, one structured CloudEvent a line
    #[arg(long, value_name = "FILE")]
    control: PathBuf,
    /// The records of a stream, one a line; at equal times in the order of these options
    #[arg(long = "input", value_name = "STREAM=FILE", value_parser = read_input)]
    inputs: Vec<(String, PathBuf)>,
    /// The directory that gets a file for each topic; it must be new or empty
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Remove every *.ndjson from the directory first
    #[arg(long)]
    force: bool,
    /// The last moment that is in, as RFC 3339; the clock runs on to it
    #[arg(long, value_name = "TIME", value_parser = TimeArgument::read_rfc3339)]
    until: Option<TimestampNs>,
}

pub(in crate::cli) fn read_input(text: &str) -> Result<(String, PathBuf), String> {
    let (stream, file) = text.split_once('=').ok_or("write STREAM=FILE")?;
    Ok((stream.to_owned(), PathBuf::from(file)))
}

/// Replays. The configuration is looked at first (exit 78), then what files there are (exit 64), then their lines (exit 65).
pub fn run(files: &[PathBuf], args: &Args) -> Result<Exit, Failure> {
    let config = config::load(files)?;
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
    let inputs_and_control: Vec<&Path> = args.inputs.iter().map(|(_, file)| &**file).chain([&*args.control]).collect();
    make_room(&args.out, args.force, &inputs_and_control)?;
    let mut folder = Folder::new(&args.out);
    let ended = replay(&settings, control, &inputs, args.until, &mut |topic, lines| folder.append(topic, lines)).map_err(|e| match e {
        ReplayError::BadLine(bad) => Failure::new(Exit::BadData, bad),
        ReplayError::Output(e) => Failure::new(Exit::Usage, format!("{}: {e}", args.out.display())),
    })?;
    folder.make().map_err(|e| Failure::new(Exit::Usage, format!("{}: {e}", args.out.display())))?;
    if let Some(offset) = ended.waits_for {
        tell!(
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
            own: config.topics.clone(),
            topics: Box::new(move |tenant, stream| topics.topic(tenant.as_str(), stream.as_str())),
        }
    }
}

/// Refuses a directory that holds anything, or takes the topics of an earlier run out of it: none of them may be taken for this
/// run's. What is read is never removed.
pub(in crate::cli) fn make_room(out: &Path, is_forced: bool, read: &[&Path]) -> Result<(), Failure> {
    let wrong = |path: &Path, what: &dyn Display| Failure::new(Exit::Usage, format!("{}: {what}", path.display()));
    let entries = match fs::read_dir(out) {
        Ok(entries) => entries.collect::<io::Result<Vec<_>>>().map_err(|e| wrong(out, &e))?,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(wrong(out, &e)),
    };
    if !is_forced {
        return match entries.is_empty() {
            true => Ok(()),
            false => Err(wrong(out, &"the directory is not empty; name a new or an empty one, or remove its *.ndjson first by --force")),
        };
    }
    let read: Vec<PathBuf> = read.iter().filter_map(|file| fs::canonicalize(file).ok()).collect();
    let old: Vec<PathBuf> = entries.iter().map(fs::DirEntry::path).filter(|path| path.extension().is_some_and(|e| e == "ndjson")).collect();
    if let Some(file) = old.iter().find(|path| fs::canonicalize(path).is_ok_and(|path| read.contains(&path))) {
        return Err(wrong(file, &"--force would remove this file, which is read; name another directory"));
    }
    old.iter().try_for_each(|path| fs::remove_file(path).map_err(|e| wrong(path, &e)))
}

/// The directory of a run's output.
pub(in crate::cli) struct Folder<'a> {
    path: &'a Path,
    begun: HashSet<String>,
    /// Whether this run made it.
    #[cfg_attr(not(feature = "io"), allow(dead_code, reason = "a replay never takes back what it wrote"))]
    is_made: bool,
}

impl<'a> Folder<'a> {
    /// Of a directory that there is room in (`make_room`).
    pub(in crate::cli) fn new(path: &'a Path) -> Self {
        Self { path, begun: HashSet::new(), is_made: false }
    }

    /// Makes the directory if it is not there.
    pub(in crate::cli) fn make(&mut self) -> io::Result<()> {
        self.is_made |= !self.path.exists();
        fs::create_dir_all(self.path)
    }

    /// Takes away what this run has written, the directory too if it made it.
    #[cfg(feature = "io")]
    pub(in crate::cli) fn discard(self) -> io::Result<()> {
        for topic in &self.begun {
            fs::remove_file(self.path.join(format!("{topic}.ndjson")))?;
        }
        if self.is_made { fs::remove_dir(self.path) } else { Ok(()) }
    }

    /// Appends whole lines to a topic's file.
    pub(in crate::cli) fn append(&mut self, topic: &str, lines: &[u8]) -> io::Result<()> {
        if self.begun.is_empty() {
            self.make()?;
        }
        let path = self.path.join(format!("{topic}.ndjson"));
        let mut file =
            if self.begun.insert(topic.to_owned()) { File::create_new(path)? } else { OpenOptions::new().append(true).open(path)? };
        file.write_all(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str =
        r#"{"specversion":"1.0","id":"e","source":"/operator","type":"sharecast.control.tick.v1","time":"2026-01-01T00:00:00Z"}"#;
    const REFUSED: &str = r#"{"specversion":"1.0","id":"e","source":"/operator","type":"sharecast.share.revoked.v1","time":"2026-01-01T00:00:00Z","data":{"share":"s"}}"#;

    /// Replays this control file into `out`, whose files are answered by name.
    fn replayed(control: &str, out: &Path, force: bool) -> (Result<Exit, Failure>, Vec<String>) {
        let files = tempfile::tempdir().unwrap();
        let file = files.path().join("control.ndjson");
        fs::write(&file, control).unwrap();
        let args = Args { control: file, inputs: Vec::new(), out: out.to_owned(), force, until: None };
        let done = run(&[], &args);
        let mut names: Vec<String> =
            fs::read_dir(out).into_iter().flatten().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        (done, names)
    }

    #[test]
    fn a_new_or_empty_directory_is_taken_and_any_other_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let new = folder.path().join("a/b");
        assert_eq!(replayed(REFUSED, &new, false), (Ok(Exit::Ok), vec!["sharecast.shares.ndjson".to_owned()]));
        let (again, names) = replayed(LINE, &new, false);
        let refused = again.unwrap_err();
        assert!(refused.exit == Exit::Usage && refused.message.starts_with(&new.display().to_string()), "{refused}");
        assert_eq!(names, ["sharecast.shares.ndjson"]);
        let file = new.join("sharecast.shares.ndjson");
        assert_eq!(replayed(LINE, &file, false).0.unwrap_err().exit, Exit::Usage);
        fs::create_dir(folder.path().join("empty")).unwrap();
        assert_eq!(replayed(LINE, &folder.path().join("empty"), false).0, Ok(Exit::Ok));
    }

    #[test]
    fn force_removes_the_topics_of_an_earlier_run_and_nothing_else() {
        let out = tempfile::tempdir().unwrap();
        for name in ["share.acme.telemetry.ndjson", "sharecast.shares.ndjson", "notes.txt"] {
            fs::write(out.path().join(name), "old").unwrap();
        }
        let (done, names) = replayed(REFUSED, out.path(), true);
        assert_eq!((done, names), (Ok(Exit::Ok), vec!["notes.txt".to_owned(), "sharecast.shares.ndjson".to_owned()]));
        assert!(!fs::read_to_string(out.path().join("sharecast.shares.ndjson")).unwrap().contains("old"));
        // A run that ends early leaves nothing that could be taken for its output.
        let (done, names) = replayed("{\n", out.path(), true);
        assert_eq!((done.unwrap_err().exit, names), (Exit::BadData, vec!["notes.txt".to_owned()]));
    }

    #[test]
    fn force_never_removes_what_is_read() {
        let out = tempfile::tempdir().unwrap();
        let file = out.path().join("control.ndjson");
        fs::write(&file, LINE).unwrap();
        let args = Args { control: file.clone(), inputs: Vec::new(), out: out.path().to_owned(), force: true, until: None };
        assert_eq!(run(&[], &args).unwrap_err().exit, Exit::Usage);
        assert_eq!(fs::read_to_string(&file).unwrap(), LINE);
    }

    #[test]
    fn a_bad_line_leaves_no_directory() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("new");
        assert_eq!(replayed("{\n", &out, false).0.unwrap_err().exit, Exit::BadData);
        assert!(!out.exists());
    }
}
