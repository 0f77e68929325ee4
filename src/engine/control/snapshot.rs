//! Writing the folded table to a local file now and then, and starting from it (docs/rules/events.md#snapshots).

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use tracing::{info, warn};

use crate::clock::BootTime;
use crate::id::{Epoch, Offset};
use crate::share::snapshot;
use crate::share::snapshot::{SnapshotError, SnapshotOrigin};
use crate::share::table::{FoldRules, ShareTable};

/// Writes snapshots. The table is turned into bytes on the caller's thread and written to disk on another, piece by piece,
/// so that memory holds what the disk is behind, not all of it.
pub struct SnapshotWriter {
    path: PathBuf,
    every: Duration,
    origin: SnapshotOrigin,
    last_at: BootTime,
    last_epoch: Epoch,
    writing: Option<JoinHandle<()>>,
}

impl SnapshotWriter {
    /// Writes to `path` when `every` has passed since the last one; `origin` says whose table it is.
    pub fn new(path: PathBuf, every: Duration, origin: SnapshotOrigin, now: BootTime, epoch: Epoch) -> Self {
        Self { path, every, origin, last_at: now, last_epoch: epoch, writing: None }
    }

    /// Writes one if it is time and anything was folded since.
    pub fn write_if_due(&mut self, table: &ShareTable, now: BootTime) {
        if now.since(self.last_at) >= self.every && table.epoch() != self.last_epoch {
            self.last_at = now;
            self.write_now(table);
        }
    }

    /// Writes one now, unless an unreadable offset waits: a snapshot must not carry what nobody has understood.
    pub fn write_now(&mut self, table: &ShareTable) {
        if !table.unreadable_offsets().is_empty() || table.epoch() == self.last_epoch {
            return;
        }
        if let Some(writing) = self.writing.take() {
            let _ = writing.join();
        }
        let epoch = table.epoch();
        let to_disk = self.path.clone();
        let (made, writing) = write(table, &self.origin, &self.path, move |written| match written {
            Ok(bytes) => info!(path = %to_disk.display(), epoch = epoch.0, bytes, "snapshot written"),
            Err(error) => warn!(path = %to_disk.display(), %error, "snapshot could not be written"),
        });
        self.writing = Some(writing);
        match made {
            Ok(()) => self.last_epoch = epoch,
            Err(error) => warn!(%error, "snapshot could not be made"),
        }
    }

    /// Waits until the last one is on disk.
    pub fn finish(&mut self) {
        if let Some(writing) = self.writing.take() {
            let _ = writing.join();
        }
    }
}

/// Writes one snapshot and waits until it is on disk. An engine that uses the same file is not disturbed: it sees the old file or
/// the new one. Returns the bytes written.
pub fn write_whole(table: &ShareTable, origin: &SnapshotOrigin, path: &Path) -> Result<usize, SnapshotError> {
    let (made, writing) = write(table, origin, path, |written| written);
    let written = writing.join().unwrap_or_else(|_| Err(io::Error::other("its writer panicked")));
    match (made, written) {
        (Ok(()), written) => Ok(written?),
        // What the disk says of itself is the cause: the table only found that it took no more.
        (Err(_), Err(disk)) if disk.kind() != io::ErrorKind::Other => Err(disk.into()),
        (Err(error), _) => Err(error),
    }
}

/// A snapshot takes the place of a file alone: the rename would move a directory or a device away.
fn check_kind(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory")),
        Ok(found) if !found.is_file() => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file, but a device, pipe or socket")),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Where a snapshot is written before it takes the place of the one that is there.
fn beside(path: &Path) -> PathBuf {
    // Two instances of one folder must not write into one another's file.
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.new", std::process::id()));
    PathBuf::from(beside)
}

/// Turns the table into bytes here and writes them on another thread, which tells `done` how that went.
fn write<D: Send + 'static>(
    table: &ShareTable,
    origin: &SnapshotOrigin,
    path: &Path,
    done: impl FnOnce(io::Result<usize>) -> D + Send + 'static,
) -> (Result<(), SnapshotError>, JoinHandle<D>) {
    let (pieces, received) = channel();
    let path = path.to_owned();
    let writing = std::thread::spawn(move || done(replace(&path, received)));
    let made = snapshot::write(table, origin, PieceWriter(&pieces));
    if made.is_ok() {
        let _ = pieces.send(SnapshotPiece::End);
    }
    (made, writing)
}

/// On its way from the table to the disk.
enum SnapshotPiece {
    Bytes(Vec<u8>),
    /// That was all; without it the snapshot is not whole.
    End,
}

/// Hands on what is written.
struct PieceWriter<'a>(&'a Sender<SnapshotPiece>);

impl Write for PieceWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(SnapshotPiece::Bytes(bytes.to_vec())).map_err(|_| io::Error::other("the disk took no more of it"))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Replaces the file as a whole: a reader sees the old one or the new one. Returns the bytes written.
fn replace(path: &Path, pieces: Receiver<SnapshotPiece>) -> io::Result<usize> {
    check_kind(path)?;
    let beside = beside(path);
    let length = fill(&beside, pieces).inspect_err(|_| {
        // Half a snapshot is of no use, and the disk may be full.
        let _ = fs::remove_file(&beside);
    })?;
    // The one before is kept: the status writer may have to go on from after the newest.
    match fs::rename(path, previous(path)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::rename(&beside, path)?;
    // A rename is on disk when its directory is.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()?;
    Ok(length)
}

/// Writes the pieces to disk. Returns the bytes written.
fn fill(path: &Path, pieces: Receiver<SnapshotPiece>) -> io::Result<usize> {
    let mut file = File::create(path)?;
    let mut length = 0;
    loop {
        match pieces.recv() {
            Ok(SnapshotPiece::Bytes(bytes)) => {
                file.write_all(&bytes)?;
                length += bytes.len();
            }
            Ok(SnapshotPiece::End) => break,
            Err(_) => return Err(io::Error::other("it could not be made")),
        }
    }
    file.sync_all()?;
    Ok(length)
}

/// Why no snapshot could be written to `path`, if none could: a file beside it is made and removed again.
pub fn cannot_write(path: &Path) -> Option<io::Error> {
    if let Err(error) = check_kind(path) {
        return Some(error);
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.check", std::process::id()));
    let beside = PathBuf::from(beside);
    File::create(&beside).and_then(|_| fs::remove_file(&beside)).err()
}

/// Where the snapshot before the newest is kept.
fn previous(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".previous");
    name.into()
}

/// The newest table that was folded to before `needed`: a snapshot's, read into `empty`, or that alone.
pub fn load_before(path: &Path, needed: Offset, origin: &SnapshotOrigin, empty: ShareTable) -> ShareTable {
    match at_or_below(path, needed, origin, empty.rules()) {
        Some(path) => load(&path, origin, empty),
        None => empty,
    }
}

/// The table to start from: read into `empty` from the newest snapshot at or below `written`, the control offset from which on
/// status documents are still to be written, or else from the newest. Without a snapshot it is `empty`, with the reason in the log.
pub fn load_for_start(path: &Path, written: Option<Offset>, origin: &SnapshotOrigin, empty: ShareTable) -> ShareTable {
    let below = written.and_then(|written| at_or_below(path, written, origin, empty.rules()));
    load(below.as_deref().unwrap_or(path), origin, empty)
}

fn at_or_below(path: &Path, needed: Offset, origin: &SnapshotOrigin, rules: &FoldRules) -> Option<PathBuf> {
    [path.to_owned(), previous(path)].into_iter().find(|path| {
        let epoch = fs::read(path).ok().and_then(|bytes| snapshot::epoch_of(&bytes, origin, rules).ok());
        epoch.is_some_and(|epoch| epoch.0 < needed.0)
    })
}

fn load(path: &Path, origin: &SnapshotOrigin, empty: ShareTable) -> ShareTable {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return empty,
        Err(error) => {
            warn!(path = %path.display(), %error, "snapshot cannot be read; the control topic is replayed");
            return empty;
        }
    };
    let anew = empty.emptied();
    match snapshot::read(&bytes, origin, empty) {
        Ok(table) => {
            info!(path = %path.display(), epoch = table.epoch().0, "read from the snapshot");
            table
        }
        Err(error) => {
            warn!(path = %path.display(), %error, "snapshot refused; the control topic is replayed");
            anew
        }
    }
}
