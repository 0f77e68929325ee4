//! The control file: one record a line, with its offset and control time (docs/rules/replay.md#control-offsets,
//! docs/rules/replay.md#control-lines).

use std::borrow::Cow;

use super::BadLine;
use super::line::{Wrong, base64, lines, scan};
use super::scan::Scanner;
use crate::id::Offset;
use crate::share::event::{self, Envelope, OffsetAttribute, RawAttribute, Unreadable};
use crate::time::TimestampMs;

/// One control record.
#[derive(Debug)]
pub struct ReplayControlLine<'l> {
    /// Its offset.
    pub offset: Offset,
    /// Its control time.
    pub time: TimestampMs,
    /// What it is.
    pub record: Result<Envelope, Unreadable>,
    /// The value that a dead letter of it has: the line, or what a dump found in place of an event.
    pub value: Cow<'l, [u8]>,
}

/// Reads the lines of a control file, one after the other.
#[derive(Debug, Default)]
pub(crate) struct ControlReader {
    scanner: Scanner,
    last: Option<(Offset, TimestampMs)>,
}

impl ControlReader {
    /// The next line.
    pub(crate) fn line<'l>(&mut self, line: &'l [u8]) -> Result<ReplayControlLine<'l>, Wrong> {
        let read = read_line(line, self.last, &mut self.scanner)?;
        self.last = Some((read.offset, read.time));
        Ok(read)
    }
}

/// Reads the whole file.
pub(super) fn read<'l>(file: &'l str, bytes: &'l [u8]) -> Result<Vec<ReplayControlLine<'l>>, BadLine> {
    read_lines(file, bytes).collect()
}

/// Reads the file line by line. Nothing is to be asked for after an error.
pub fn read_lines<'l>(file: &'l str, bytes: &'l [u8]) -> impl Iterator<Item = Result<ReplayControlLine<'l>, BadLine>> + 'l {
    let mut reader = ControlReader::default();
    let bad = move |number, what| BadLine { file: file.to_owned(), line: number + 1, what };
    lines(bytes).enumerate().map(move |(number, line)| reader.line(line).map_err(|what| bad(number, what)))
}

fn read_line<'l>(line: &'l [u8], last: Option<(Offset, TimestampMs)>, scanner: &mut Scanner) -> Result<ReplayControlLine<'l>, Wrong> {
    scan(line, scanner, |_| {})?;
    let (last_offset, last_time) = last.unwrap_or((Offset(-1), TimestampMs(0)));
    let next = Offset(last_offset.0.checked_add(1).ok_or("there is no offset behind the last")?);
    let read = match event::read_line(line) {
        Ok(read) => read,
        // Neither `time` nor `offset` is read of a line that is no JSON that is read (docs/rules/replay.md#control-lines).
        Err(e) => {
            let record = Err(Unreadable(format!("no JSON that is read: {e}")));
            return Ok(ReplayControlLine { offset: next, time: last_time, record, value: Cow::Borrowed(line) });
        }
    };
    let offset = match read.offset {
        OffsetAttribute::Absent => next,
        OffsetAttribute::At(offset) if offset >= next => offset,
        OffsetAttribute::At(_) => return Err("\"offset\" must rise from line to line"),
        OffsetAttribute::WrongType => return Err("\"offset\" must be a whole number"),
    };
    if last.is_some() && read.time.is_some_and(|time| time < last_time) {
        return Err("\"time\" goes back: it must not lie before that of the line before");
    }
    let value = match &read.raw_base64 {
        RawAttribute::Base64(bytes) => Cow::Owned(base64(bytes)?),
        RawAttribute::WrongType => return Err("\"raw_base64\" must be a string"),
        RawAttribute::Absent => Cow::Borrowed(line),
    };
    Ok(ReplayControlLine { offset, time: read.time.unwrap_or(last_time), record: read.record, value })
}
