//! One input file, its lines with their defaults (docs/rules/replay.md#defaults) and in order (docs/rules/replay.md#files).

use std::borrow::Cow;

use super::kcat;
use super::line::{LineHeaders, WrittenLine, Wrong, lines, read_input};
use super::scan::Scanner;
use super::{BadLine, Input};
use crate::json::tape::{NodeIndex, NodeKind, Tape};
use crate::record::decode;
use crate::record::mapping::Stream;
use crate::time::TimestampMs;

/// One input record.
#[derive(Debug)]
pub(crate) struct InputLine<'l> {
    /// When the engine sees it.
    pub(crate) at: TimestampMs,
    /// The same, if the line says it.
    #[cfg_attr(not(feature = "io"), allow(dead_code, reason = "who explains asks, and needs Kafka's crates"))]
    pub(crate) written_at: Option<TimestampMs>,
    /// Its Kafka timestamp.
    pub(crate) timestamp: TimestampMs,
    /// Its key.
    pub(crate) key: Option<Cow<'l, str>>,
    /// Its headers, repeats included.
    pub(crate) headers: LineHeaders<'l>,
    /// Its value; `None` is a null value.
    pub(crate) value: Option<Cow<'l, [u8]>>,
}

/// Reads the lines of one file, one after the other.
#[derive(Debug)]
pub(crate) struct InputReader<'s> {
    stream: &'s Stream,
    scanner: Scanner,
    tape: Tape,
    /// `at` of the line before.
    before: Option<TimestampMs>,
}

impl<'s> InputReader<'s> {
    pub(crate) fn new(stream: &'s Stream) -> Self {
        Self { stream, scanner: Scanner::default(), tape: Tape::default(), before: None }
    }

    /// The next line, its defaults applied, whether or not its `at` goes back.
    pub(crate) fn line<'l>(&mut self, line: &'l [u8]) -> Result<InputLine<'l>, Wrong> {
        let written = read_input(line, &mut self.scanner)?;
        kcat::check_topic(written.topic.as_ref(), &self.stream.topic)?;
        let at = if written.topic.is_some() { self.at_of_kcat(&written) } else { at(&written, self.stream, &mut self.tape) };
        let at = at.or(self.before).unwrap_or_default();
        self.before = Some(at);
        let WrittenLine { topic: _, at: written_at, timestamp, key, headers, value } = written;
        Ok(InputLine { at, written_at, timestamp: timestamp.unwrap_or(at), key, headers, value })
    }

    /// A record of kcat was seen when it was written. The lines of several partitions, and timestamps of producers, go back: then it was
    /// seen with the line before.
    fn at_of_kcat(&mut self, line: &WrittenLine<'_>) -> Option<TimestampMs> {
        let at = line.timestamp.or_else(|| at(line, self.stream, &mut self.tape))?;
        Some(self.before.map_or(at, |before| at.max(before)))
    }
}

/// Reads a whole file, in which `at` never goes back.
pub(super) fn read<'l>(input: &Input<'l>, stream: &Stream) -> Result<Vec<InputLine<'l>>, BadLine> {
    let mut reader = InputReader::new(stream);
    let mut read: Vec<InputLine<'l>> = Vec::new();
    for (number, line) in lines(input.bytes).enumerate() {
        let bad = |what| BadLine { file: input.file.to_owned(), line: number + 1, what };
        let line = reader.line(line).map_err(bad)?;
        if read.last().is_some_and(|before| line.at < before.at) {
            return Err(bad("\"at\" goes back: it must not lie before that of the line before"));
        }
        read.push(line);
    }
    Ok(read)
}

/// `at` as written, else the event time if it can be read, else `timestamp`.
fn at(line: &WrittenLine<'_>, stream: &Stream, tape: &mut Tape) -> Option<TimestampMs> {
    line.at.or_else(|| mapped_time(line.value.as_deref()?, stream, tape)).or(line.timestamp)
}

/// The event time of a JSON object, whatever its size and whoever shares it.
fn mapped_time(value: &[u8], stream: &Stream, tape: &mut Tape) -> Option<TimestampMs> {
    let path = stream.mapping.time.as_ref()?;
    tape.parse(value).ok()?;
    if tape.kind(NodeIndex::ROOT) != NodeKind::Object {
        return None;
    }
    Some(decode::mapped_time(path, value, tape, &mut String::new()).ok()?.millis())
}
