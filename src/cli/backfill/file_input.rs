//! Files of one record a line as the input of a job by the live log: partitions 0, 1, … in the order given.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::lines::LineFile;
use crate::backfill::options::InputFile;
use crate::cli::exit::Failure;
use crate::engine::backfill::input::{InputError, JobInput};
use crate::id::Offset;
use crate::record::mapping::Stream;
use crate::replay::input::InputReader;
use crate::transport::{Batch, SourcePartition};

/// One worker's reader.
pub(super) struct FileInput<'s> {
    stream: &'s Stream,
    files: &'s [InputFile],
    /// Bytes of the files, as they lie there, that all workers have read.
    taken: Arc<AtomicU64>,
    reading: Option<Reading<'s>>,
    /// What came of standard input is gone: it is read once.
    has_read_standard_input: bool,
}

struct Reading<'s> {
    file: LineFile,
    reader: InputReader<'s>,
    partition: i32,
    /// Of the next line.
    offset: Offset,
    counted: u64,
}

impl<'s> FileInput<'s> {
    /// Reads nothing yet.
    pub(super) fn new(stream: &'s Stream, files: &'s [InputFile], taken: &Arc<AtomicU64>) -> Self {
        Self { stream, files, taken: Arc::clone(taken), reading: None, has_read_standard_input: false }
    }

    /// Whether there was a line; `into` gets it.
    fn next(&mut self, into: Option<&mut Batch>) -> Result<bool, InputError> {
        let Some(reading) = &mut self.reading else { return Err(InputError::Refused("nothing is being read".to_owned())) };
        let Reading { file, reader, partition, offset, counted } = reading;
        let bad = |failure: Failure| InputError::BadLine(failure.message);
        let line = match file.next_line().map_err(bad)? {
            None => return Ok(false),
            Some(line) => reader.line(line),
        };
        let line = match line {
            Ok(line) => line,
            Err(what) => return Err(bad(file.bad_line(what))),
        };
        if let Some(into) = into {
            let source = SourcePartition { stream: self.stream.index, partition: *partition };
            let key = line.key.as_deref().map(str::as_bytes);
            let headers = line.headers.iter().map(|(name, value)| (name.as_bytes(), value.as_deref().map(str::as_bytes)));
            into.push(source, *offset, line.timestamp, key, line.value.as_deref(), headers);
        }
        offset.0 += 1;
        let taken = file.taken();
        self.taken.fetch_add(taken - std::mem::replace(counted, taken), Ordering::Relaxed);
        Ok(true)
    }
}

impl JobInput for FileInput<'_> {
    fn turn_to(&mut self, partition: i32, from: Offset) -> Result<Offset, InputError> {
        let file = &self.files[partition as usize];
        if *file == InputFile::StandardInput && std::mem::replace(&mut self.has_read_standard_input, true) {
            return Err(InputError::Refused(
                "standard input cannot be read again; what was written stays, so run the job from a file".to_owned(),
            ));
        }
        let file = LineFile::open(file).map_err(|failure| InputError::Refused(failure.message))?;
        let reader = InputReader::new(self.stream);
        self.reading = Some(Reading { file, reader, partition, offset: Offset(0), counted: 0 });
        // A line without a time has that of the one before it, so what is passed over is read too.
        let mut at = Offset(0);
        while at < from && self.next(None)? {
            at.0 += 1;
        }
        Ok(from)
    }

    fn read(&mut self, _: Duration, room: usize, into: &mut Batch) -> Result<Option<Offset>, InputError> {
        let full = into.len() + room;
        while into.len() < full && into.bytes() < Batch::MAX_BYTES {
            if !self.next(Some(into))? {
                return Ok(None);
            }
        }
        Ok(self.reading.as_ref().map(|reading| reading.offset))
    }
}
