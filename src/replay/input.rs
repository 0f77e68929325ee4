//! One input file, its lines with their defaults (docs/rules/replay.md#defaults) and in order (docs/rules/replay.md#files).

use std::borrow::Cow;

use super::line::{LineHeaders, WrittenLine, lines, read_input};
use super::scan::Scanner;
use super::{BadLine, Input};
use crate::json::tape::{NodeIndex, NodeKind, Tape};
use crate::record::decode;
use crate::record::mapping::Stream;
use crate::time::TimestampMs;

/// One input record.
#[derive(Debug)]
pub(super) struct InputLine<'l> {
    /// When the engine sees it.
    pub(super) at: TimestampMs,
    /// Its Kafka timestamp.
    pub(super) timestamp: TimestampMs,
    /// Its key.
    pub(super) key: Option<Cow<'l, str>>,
    /// Its headers, repeats included.
    pub(super) headers: LineHeaders<'l>,
    /// Its value; `None` is a null value.
    pub(super) value: Option<Cow<'l, [u8]>>,
}

/// Reads a whole file.
pub(super) fn read<'l>(input: &Input<'l>, stream: &Stream) -> Result<Vec<InputLine<'l>>, BadLine> {
    let (mut scanner, mut tape) = (Scanner::default(), Tape::default());
    let mut read = Vec::new();
    let mut before = None;
    for (number, line) in lines(input.bytes).enumerate() {
        let bad = |what| BadLine { file: input.file.to_owned(), line: number + 1, what };
        let written = read_input(line, &mut scanner).map_err(bad)?;
        let at = at(&written, stream, &mut tape).or(before).unwrap_or_default();
        if before.is_some_and(|before| at < before) {
            return Err(bad("\"at\" goes back: it must not lie before that of the line before"));
        }
        before = Some(at);
        let WrittenLine { timestamp, key, headers, value, .. } = written;
        read.push(InputLine { at, timestamp: timestamp.unwrap_or(at), key, headers, value });
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
