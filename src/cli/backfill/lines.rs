//! Lines of files that may be compressed, one after the other: no file is ever held whole.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use flate2::read::MultiGzDecoder;

use crate::backfill::options::InputFile;
use crate::cli::config::name_of;
use crate::cli::exit::{Exit, Failure};
use crate::replay::line::without_line_end;

const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const GZIP: [u8; 2] = [0x1f, 0x8b];
const BUFFER_BYTES: usize = 256 << 10;

/// A file that is read line by line.
pub(super) struct LineFile {
    name: String,
    source: Source,
    line: Vec<u8>,
    /// Of the line that was read last, from 1.
    number: usize,
    /// Bytes of the file, as they lie there, that were read.
    taken: Rc<Cell<u64>>,
    size: Option<u64>,
}

/// Whether what a file is packed in is known yet.
enum Source {
    Unopened(Box<dyn Read>),
    Open(Box<dyn BufRead>),
    Ended,
}

/// Counts what passes.
struct Counted<R> {
    from: R,
    taken: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.taken.set(self.taken.get() + read as u64);
        Ok(read)
    }
}

impl LineFile {
    /// Opens the file; one that is not there is exit 64. Nothing is read yet.
    pub(super) fn open(file: &InputFile) -> Result<Self, Failure> {
        let taken = Rc::new(Cell::new(0));
        let (name, source, size): (String, Box<dyn Read>, Option<u64>) = match file {
            InputFile::StandardInput => ("standard input".to_owned(), Box::new(io::stdin()), None),
            InputFile::Path(path) => {
                let file = open(path).map_err(|e| Failure::new(Exit::Usage, format!("{}: {e}", path.display())))?;
                let size = file.metadata().ok().filter(|metadata| metadata.is_file()).map(|metadata| metadata.len());
                (name_of(path), Box::new(file), size)
            }
        };
        let counted = Counted { from: source, taken: Rc::clone(&taken) };
        Ok(Self { name, source: Source::Unopened(Box::new(counted)), line: Vec::new(), number: 0, taken, size })
    }

    /// Its size as it lies there, if that is known.
    pub(super) fn size(&self) -> Option<u64> {
        self.size
    }

    /// How much of that was read.
    pub(super) fn taken(&self) -> u64 {
        self.taken.get()
    }

    /// The next line without its line end; none at the end. What cannot be unpacked is exit 65.
    pub(super) fn next_line(&mut self) -> Result<Option<&[u8]>, Failure> {
        if let Source::Unopened(_) = self.source {
            self.unpack().map_err(|error| self.unreadable(&error))?;
        }
        let Source::Open(reader) = &mut self.source else { return Ok(None) };
        self.line.clear();
        match reader.read_until(b'\n', &mut self.line) {
            Ok(0) => {
                self.source = Source::Ended;
                Ok(None)
            }
            Ok(_) => {
                self.number += 1;
                Ok(Some(without_line_end(&self.line)))
            }
            Err(error) => {
                self.number += 1;
                Err(self.unreadable(&error))
            }
        }
    }

    /// Of the line that was read last: what is wrong with it.
    pub(super) fn bad_line(&self, what: &str) -> Failure {
        Failure::new(Exit::BadData, format!("{}:{}: {what}", self.name, self.number))
    }

    fn unreadable(&self, error: &io::Error) -> Failure {
        Failure::new(Exit::BadData, format!("{}:{}: the file cannot be read on: {error}", self.name, self.number.max(1)))
    }

    /// Sees by the first bytes what the file is packed in.
    fn unpack(&mut self) -> io::Result<()> {
        let Source::Unopened(mut from) = std::mem::replace(&mut self.source, Source::Ended) else { return Ok(()) };
        let mut first = Vec::new();
        from.by_ref().take(ZSTD.len() as u64).read_to_end(&mut first)?;
        let packed = packing(&first, &self.name)?;
        let whole = io::Cursor::new(first).chain(from);
        let plain: Box<dyn BufRead> = match packed {
            Packing::None => Box::new(BufReader::with_capacity(BUFFER_BYTES, whole)),
            Packing::Zstd => Box::new(BufReader::with_capacity(BUFFER_BYTES, zstd::stream::read::Decoder::new(whole)?)),
            Packing::Gzip => {
                Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(BufReader::with_capacity(BUFFER_BYTES, whole))))
            }
        };
        self.source = Source::Open(plain);
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    None,
    Zstd,
    Gzip,
}

/// What the first bytes say. A name that promises something else is an error: the file is damaged, or no such file.
fn packing(first: &[u8], name: &str) -> io::Result<Packing> {
    let found = if first.starts_with(&ZSTD) {
        Packing::Zstd
    } else if first.starts_with(&GZIP) {
        Packing::Gzip
    } else {
        Packing::None
    };
    let promised = match Path::new(name).extension().and_then(|extension| extension.to_str()) {
        Some("zst") => Packing::Zstd,
        Some("gz") => Packing::Gzip,
        _ => found,
    };
    if promised != found && found == Packing::None && !first.is_empty() {
        let what = if promised == Packing::Zstd { "zstd" } else { "gzip" };
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("its name says {what}, and it does not begin as such a file")));
    }
    Ok(found)
}

fn open(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() { Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory")) } else { Ok(file) }
}
