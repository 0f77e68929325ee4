//! A job's records on their way to files, one a topic, lines as `replay` writes them; the checkpoint stands beside them
//! (docs/backfill.md#exactly-once).
//!
//! Data reaches the disk before the checkpoint that covers it, and a file is named in a checkpoint before it is made. So whoever goes on
//! cuts each file to the length that the checkpoint has, and touches nothing else.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::document::{DocumentKind, Node};
use crate::engine::backfill::checkpoint::{JobEntry, PartitionEntry};
use crate::engine::backfill::job::{Job, JobEnd};
use crate::engine::backfill::output::{Part, PartWriter};
use crate::engine::output::lookup::LookupError;
use crate::engine::output::route::{RouteIndex, Routes};
use crate::engine::worker::error::{TxError, TxStage};
use crate::json::document::parse;
use crate::json::writer::object;
use crate::replay::output::write_record;
use crate::transport::ProduceError;

/// The checkpoint's file. It is no `*.ndjson`: those are data.
pub const CHECKPOINT: &str = ".sharecast-backfill.json";
/// Where it is written before it takes the other's place.
const CHECKPOINT_NEW: &str = ".sharecast-backfill.json.new";
/// Locked by the process that writes here.
const LOCK: &str = ".sharecast-backfill.lock";

/// Why a folder cannot be used, or not be written on.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The file system says no.
    #[error("{}: {error}", path.display())]
    Io {
        /// Of which file.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
    /// It is not what is needed.
    #[error("{0}")]
    Wrong(String),
}

/// A job's folder, shared by its workers.
#[derive(Debug)]
pub struct JobFolder {
    path: PathBuf,
    /// Held for as long as the process writes here.
    _lock: File,
    state: Mutex<FolderState>,
}

/// What the checkpoint says.
#[derive(Debug, Clone, Default)]
struct FolderState {
    job: String,
    entry: Option<JobEntry>,
    partitions: BTreeMap<i32, PartitionEntry>,
    /// By name, how many bytes of each file count.
    files: BTreeMap<String, u64>,
    /// A part could not be written: nothing more is, for files may be longer than they should.
    is_broken: bool,
}

fn failed(path: &Path) -> impl Fn(io::Error) -> FolderError + '_ {
    |error| FolderError::Io { path: path.to_owned(), error }
}

impl JobFolder {
    /// Takes a folder that is new or has been emptied, for this job.
    pub fn begin(path: &Path, job: &str, entry: &JobEntry) -> Result<Self, FolderError> {
        fs::create_dir_all(path).map_err(failed(path))?;
        let lock = lock(path)?;
        let state = FolderState { job: job.to_owned(), entry: Some(entry.clone()), ..FolderState::default() };
        write_checkpoint(path, &state)?;
        Ok(Self { path: path.to_owned(), _lock: lock, state: Mutex::new(state) })
    }

    /// Takes what a job keeps besides its data out of a folder, unless a process writes there.
    pub fn forget(path: &Path) -> Result<(), FolderError> {
        if !path.join(CHECKPOINT).exists() && !path.join(LOCK).exists() {
            return Ok(());
        }
        let _lock = lock(path)?;
        for name in [CHECKPOINT, CHECKPOINT_NEW, LOCK] {
            let file = path.join(name);
            match fs::remove_file(&file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(FolderError::Io { path: file, error }),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Takes the folder of a job that is to go on, and cuts off what its checkpoint does not cover.
    pub fn resume(path: &Path, job: &str) -> Result<(Self, JobEntry), FolderError> {
        let file = path.join(CHECKPOINT);
        fs::metadata(&file).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                FolderError::Wrong(format!("{}: no backfill has written here; name the folder of job {job}", path.display()))
            }
            _ => FolderError::Io { path: file.clone(), error },
        })?;
        let lock = lock(path)?;
        // Whoever held it may have written since.
        let text = fs::read(&file).map_err(failed(&file))?;
        let state = read_state(&text).ok_or_else(|| FolderError::Wrong(format!("{}: no checkpoint", file.display())))?;
        if state.job != job {
            let what = format!("{}: this is the folder of job {}, not of {job}", path.display(), state.job);
            return Err(FolderError::Wrong(what));
        }
        let entry = state.entry.clone().ok_or_else(|| FolderError::Wrong(format!("{}: no checkpoint", file.display())))?;
        for (name, length) in &state.files {
            cut(&path.join(name), *length)?;
        }
        sync_folder(path)?;
        Ok((Self { path: path.to_owned(), _lock: lock, state: Mutex::new(state) }, entry))
    }

    /// Notes the job's entry.
    pub fn write_entry(&self, entry: &JobEntry) -> Result<(), FolderError> {
        let mut state = self.state();
        let changed = FolderState { entry: Some(entry.clone()), ..state.clone() };
        write_checkpoint(&self.path, &changed)?;
        *state = changed;
        Ok(())
    }

    /// How far each partition has come.
    pub fn partitions(&self) -> BTreeMap<i32, PartitionEntry> {
        self.state().partitions.clone()
    }

    fn write(&self, part: &Part<'_>, mut state: MutexGuard<'_, FolderState>) -> Result<(), FolderError> {
        if state.is_broken {
            return Err(FolderError::Wrong("an earlier part could not be written".to_owned()));
        }
        let lines = lines_of(part);
        let mut changed = state.clone();
        let is_new = |name: &&String| !changed.files.contains_key(*name);
        let new: Vec<String> = lines.keys().filter(is_new).cloned().collect();
        state.is_broken = true;
        if !new.is_empty() {
            changed.files.extend(new.into_iter().map(|name| (name, 0)));
            write_checkpoint(&self.path, &changed)?;
        }
        for (name, lines) in &lines {
            let path = self.path.join(name);
            append(&path, lines).map_err(failed(&path))?;
            *changed.files.entry(name.clone()).or_default() += lines.len() as u64;
        }
        sync_folder(&self.path)?;
        changed.partitions.insert(part.partition, part.checkpoint.clone());
        if let Some(entry) = part.entry {
            changed.entry = JobEntry::read(entry);
        }
        write_checkpoint(&self.path, &changed)?;
        *state = changed;
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, FolderState> {
        self.state.lock().expect("the state is replaced as a whole")
    }
}

/// The lines of a part by file name, in the order of its outputs.
fn lines_of(part: &Part<'_>) -> BTreeMap<String, Vec<u8>> {
    let mut lines: BTreeMap<RouteIndex, Vec<u8>> = BTreeMap::new();
    for output in part.outbox.iter() {
        let out = lines.entry(output.route).or_default();
        // The target's id of its asset, which is a text.
        write_record(&String::from_utf8_lossy(output.key), output.timestamp, Some(output.value), out);
        out.push(b'\n');
    }
    let mut files: BTreeMap<String, Vec<u8>> =
        lines.into_iter().map(|(route, lines)| (file_of(&part.routes.get(route).topic), lines)).collect();
    for letter in &part.outbox.letters {
        let out = files.entry(file_of(part.dead_letters)).or_default();
        letter.borrowed().write_line(out);
        out.push(b'\n');
    }
    files
}

/// The name of a topic's file.
pub fn file_of(topic: &str) -> String {
    format!("{topic}.ndjson")
}

fn append(path: &Path, lines: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(lines)?;
    file.sync_data()
}

fn cut(path: &Path, length: u64) -> Result<(), FolderError> {
    let file = match OpenOptions::new().write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound && length == 0 => return Ok(()),
        Err(error) => return Err(FolderError::Io { path: path.to_owned(), error }),
    };
    let found = file.metadata().map_err(failed(path))?.len();
    if found < length {
        let what = format!("{}: it has {found} bytes and the job wrote {length}: something was taken out of it", path.display());
        return Err(FolderError::Wrong(what));
    }
    file.set_len(length).and_then(|()| file.sync_all()).map_err(failed(path))
}

fn lock(folder: &Path) -> Result<File, FolderError> {
    let path = folder.join(LOCK);
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(failed(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(FolderError::Wrong(format!("{}: another process writes here", folder.display()))),
        Err(TryLockError::Error(error)) => Err(FolderError::Io { path, error }),
    }
}

fn sync_folder(path: &Path) -> Result<(), FolderError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(failed(path))
}

fn write_checkpoint(folder: &Path, state: &FolderState) -> Result<(), FolderError> {
    let (new, path) = (folder.join(CHECKPOINT_NEW), folder.join(CHECKPOINT));
    let text = object(|out| {
        out.text("job", &state.job);
        if let Some(entry) = &state.entry {
            entry.write(out);
        }
        out.object("partitions", |out| {
            for (partition, entry) in &state.partitions {
                out.object(&partition.to_string(), |out| entry.write(out));
            }
        });
        out.object("files", |out| state.files.iter().for_each(|(name, length)| out.number(name, *length)));
    });
    let written = File::create(&new).and_then(|mut file| file.write_all(&text).and_then(|()| file.sync_all()));
    written.and_then(|()| fs::rename(&new, &path)).map_err(failed(&path))?;
    sync_folder(folder)
}

fn read_state(text: &[u8]) -> Option<FolderState> {
    let node = parse(text).ok()?;
    let members = |name: &str| node.get(name).map(Node::members).unwrap_or_default();
    let partitions = members("partitions").iter().map(|member| Some((member.name.parse().ok()?, PartitionEntry::of(&member.value)?)));
    let files = members("files").iter().map(|member| match &member.value.kind {
        DocumentKind::Number(length) => Some((member.name.clone(), length.parse().ok()?)),
        _ => None,
    });
    Some(FolderState {
        job: node.get("job")?.as_str()?.to_owned(),
        entry: JobEntry::of(&node),
        partitions: partitions.collect::<Option<_>>()?,
        files: files.collect::<Option<_>>()?,
        is_broken: false,
    })
}

/// One worker's side to a folder.
pub struct FolderPartWriter<'j> {
    job: &'j Job,
    folder: Arc<JobFolder>,
}

impl<'j> FolderPartWriter<'j> {
    /// Of this folder.
    pub fn new(job: &'j Job, folder: &Arc<JobFolder>) -> Self {
        Self { job, folder: Arc::clone(folder) }
    }
}

impl PartWriter for FolderPartWriter<'_> {
    fn open(&mut self, partition: i32) -> Result<PartitionEntry, JobEnd> {
        let noted = self.folder.state().partitions.get(&partition).cloned();
        Ok(noted.unwrap_or_else(|| PartitionEntry::beginning(self.job.entry.ranges[partition as usize])))
    }

    fn look_up(&mut self, _: &Routes, unseen: &[RouteIndex]) -> Result<Vec<Result<(), LookupError>>, ProduceError> {
        Ok(unseen.iter().map(|_| Ok(())).collect())
    }

    fn largest_batch(&self, _: &str) -> Option<usize> {
        None
    }

    fn write(&mut self, part: &Part<'_>) -> Result<(), TxError> {
        // Others may write for long before it is this part's turn.
        let state = self.folder.state();
        (part.is_fresh)().map_err(TxError::Aged)?;
        // What the disk does not take ends the job; the next run cuts off what is left of the part.
        let broken = |error: FolderError| {
            let route = ProduceError::Route { topic: self.folder.path.display().to_string(), reason: error.to_string() };
            TxError::Failed(route, TxStage::Write)
        };
        self.folder.write(part, state).map_err(broken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::backfill::checkpoint::{JobIdentity, PartitionCounts};
    use crate::engine::backfill::input::window::InputRange;
    use crate::engine::output::outbox::{Outbox, RecordOrigin};
    use crate::id::{Epoch, Offset, StreamIndex, TenantId};
    use crate::time::TimestampMs;
    use crate::transport::SourcePartition;

    fn entry() -> JobEntry {
        JobEntry {
            options: JobIdentity::default(),
            ranges: vec![InputRange { start: Offset(0), end: Offset(9) }],
            epoch: Epoch(1),
            now: TimestampMs(5),
            started: TimestampMs(5),
            stopped: Vec::new(),
            is_done: false,
        }
    }

    fn write(folder: &JobFolder, offset: i64) -> Result<(), FolderError> {
        let mut routes = Routes::default();
        let route = routes.find(&TenantId::parse("acme").unwrap(), StreamIndex(0), || "share.acme.t".to_owned());
        let mut outbox = Outbox::default();
        let origin = RecordOrigin { source: SourcePartition { stream: StreamIndex(0), partition: 0 }, offset: Offset(offset) };
        outbox.push(route, origin, b"key", format!("{{\"n\":{offset}}}").as_bytes(), TimestampMs(offset));
        let checkpoint = PartitionEntry { offset: Offset(offset + 1), counts: PartitionCounts::default(), is_done: false };
        let part = Part {
            partition: 0,
            outbox: &outbox,
            routes: &routes,
            checkpoint: &checkpoint,
            entry: None,
            dead_letters: "sharecast.dead-letters",
            is_fresh: &|| Ok(()),
        };
        folder.write(&part, folder.state())
    }

    #[test]
    fn a_torn_tail_is_cut_and_the_rest_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let folder = JobFolder::begin(&path, "j", &entry()).unwrap();
        write(&folder, 0).unwrap();
        write(&folder, 1).unwrap();
        assert!(matches!(JobFolder::resume(&path, "j"), Err(FolderError::Wrong(what)) if what.contains("another process")));
        drop(folder);
        let file = path.join("share.acme.t.ndjson");
        let whole = fs::read(&file).unwrap();
        assert_eq!(
            String::from_utf8(whole.clone()).unwrap(),
            "{\"key\":\"key\",\"timestamp\":\"1970-01-01T00:00:00Z\",\"value\":{\"n\":0}}\n\
             {\"key\":\"key\",\"timestamp\":\"1970-01-01T00:00:00.001Z\",\"value\":{\"n\":1}}\n"
        );
        append(&file, b"{\"key\":\"ke").unwrap();
        let (folder, noted) = JobFolder::resume(&path, "j").unwrap();
        assert_eq!((noted, fs::read(&file).unwrap(), folder.partitions()[&0].offset), (entry(), whole, Offset(2)));
        drop(folder);
        assert!(matches!(JobFolder::resume(&path, "other"), Err(FolderError::Wrong(what)) if what.contains("folder of job j")));
        fs::write(&file, b"{").unwrap();
        assert!(matches!(JobFolder::resume(&path, "j"), Err(FolderError::Wrong(what)) if what.contains("taken out")));
        assert!(matches!(JobFolder::resume(dir.path(), "j"), Err(FolderError::Wrong(what)) if what.contains("no backfill")));
    }

    #[test]
    fn a_file_that_no_checkpoint_covers_is_emptied_if_it_is_the_jobs_and_left_alone_if_not() {
        let dir = tempfile::tempdir().unwrap();
        let folder = JobFolder::begin(dir.path(), "j", &entry()).unwrap();
        let mut state = folder.state().clone();
        state.files.insert("share.acme.t.ndjson".to_owned(), 0);
        write_checkpoint(dir.path(), &state).unwrap();
        drop(folder);
        for name in ["share.acme.t.ndjson", "mine.ndjson"] {
            fs::write(dir.path().join(name), b"{}\n").unwrap();
        }
        JobFolder::resume(dir.path(), "j").unwrap();
        assert_eq!(fs::read(dir.path().join("share.acme.t.ndjson")).unwrap(), b"");
        assert_eq!(fs::read(dir.path().join("mine.ndjson")).unwrap(), b"{}\n");
    }
}
