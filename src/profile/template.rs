//! What a projection makes of one record, but for what differs from target to target.

use super::parties::{Parties, Provenance};
use super::recording::{ByteOrigin, JudgedFilter, MadeValue, WalkRecording};
use crate::id::Epoch;
use crate::json::text::{SHORT_PIECE, append_few, append_piece, write_compact, write_string};
use std::ops::Range;

/// A projected record without the target's ids, provenance and the last brace. Written once for each record and
/// projection, and out of it once for each target.
///
/// What is copied from the record is gathered as long as it is one piece of the record.
#[derive(Debug, Default)]
pub(super) struct Template {
    bytes: Vec<u8>,
    slots: Vec<IdSlot>,
    /// What of the record comes after `bytes`.
    pending: Range<usize>,
    /// It holds a hash, which is for one target alone.
    pub(super) is_of_one_target: bool,
    /// Where its bytes come from, while that is noted.
    recording: Option<Box<WalkRecording>>,
}

/// The epoch written last: it is the same in all records of a batch.
#[derive(Debug, Default)]
pub(super) struct WrittenEpoch {
    epoch: Option<Epoch>,
    digits: Vec<u8>,
}

impl WrittenEpoch {
    fn digits(&mut self, epoch: Epoch) -> &[u8] {
        if self.epoch != Some(epoch) {
            self.epoch = Some(epoch);
            self.digits.clear();
            write_integer(epoch.0, &mut self.digits);
        }
        &self.digits
    }
}

/// Where one of the target's ids goes.
#[derive(Debug, Clone, Copy)]
struct IdSlot {
    /// The byte of the template it goes before.
    at: usize,
    is_asset: bool,
}

/// How far a template was written.
#[derive(Debug, Clone)]
pub(super) struct Mark {
    bytes: usize,
    slots: usize,
    pending: Range<usize>,
}

impl Mark {
    pub(super) fn is_at(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

/// Writes a template without asking for room at each piece.
pub(super) struct TemplateWriter<'t> {
    /// Its bytes go beyond `at` while it is written.
    template: &'t mut Template,
    /// So many are written.
    at: usize,
}

impl TemplateWriter<'_> {
    /// Appends a piece of what is known to be whole. A short one is cheap where `source` has `SHORT_PIECE` bytes from its beginning on.
    #[inline(always)]
    pub(super) fn piece(&mut self, source: &[u8], from: usize, to: usize) {
        let length = to - from;
        let end = self.at + length;
        if end + SHORT_PIECE > self.template.bytes.len() {
            self.make_room(end);
        }
        let place = &mut self.template.bytes[self.at..];
        match (source.get(from..).and_then(|rest| rest.first_chunk::<SHORT_PIECE>()), place.first_chunk_mut()) {
            (Some(chunk), Some(place)) if length <= SHORT_PIECE => *place = *chunk,
            _ => copy_long(&source[from..to], place),
        }
        self.at = end;
    }

    /// One of the target's ids goes here.
    pub(super) fn slot(&mut self, is_asset: bool) {
        self.template.slots.push(IdSlot { at: self.at, is_asset });
    }

    /// Appends JSON without the whitespace between its tokens.
    pub(super) fn compacted(&mut self, json: &[u8]) {
        self.template.bytes.truncate(self.at);
        write_compact(json, &mut self.template.bytes);
        self.at = self.template.bytes.len();
    }

    /// It is whole.
    pub(super) fn finish(self) {
        self.template.bytes.truncate(self.at);
    }

    #[cold]
    fn make_room(&mut self, end: usize) {
        self.template.bytes.resize(2 * (end + SHORT_PIECE), 0);
    }
}

/// Apart, so that short pieces are copied without a call.
#[inline(never)]
fn copy_long(source: &[u8], place: &mut [u8]) {
    place[..source.len()].copy_from_slice(source);
}

impl Template {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.slots.clear();
        self.pending = 0..0;
        self.is_of_one_target = false;
        self.recording = None;
    }

    /// Notes from here on where each byte comes from; nothing is written yet.
    pub(super) fn record(&mut self) {
        self.recording = Some(Box::default());
    }

    /// What was noted since `record`.
    pub(super) fn take_recording(&mut self) -> Option<WalkRecording> {
        self.recording.take().map(|recording| *recording)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes that ids go before, ascending, each with whether it is the asset's.
    pub(super) fn slots(&self) -> impl Iterator<Item = (usize, bool)> {
        self.slots.iter().map(|slot| (slot.at, slot.is_asset))
    }

    /// Writes an empty template piece by piece, which will have about so many bytes.
    #[inline(always)]
    pub(super) fn writer(&mut self, expected_bytes: usize) -> TemplateWriter<'_> {
        self.bytes.resize(expected_bytes + SHORT_PIECE, 0);
        TemplateWriter { template: self, at: 0 }
    }

    pub(super) fn note_filter(&mut self, judged: JudgedFilter) {
        if let Some(recording) = &mut self.recording {
            recording.judged.push(judged);
        }
    }

    pub(super) fn note_made(&mut self, made: impl FnOnce() -> MadeValue) {
        if let Some(recording) = &mut self.recording {
            recording.made.push(made());
        }
    }

    /// Notes of all bytes that nothing is noted of yet that they come from the same.
    #[inline(always)]
    fn note_origin(&mut self, origin: impl FnOnce(&mut WalkRecording) -> ByteOrigin) {
        if let Some(recording) = &mut self.recording {
            let origin = origin(recording);
            recording.origins.resize(self.bytes.len(), origin);
        }
    }

    pub(super) fn mark(&self) -> Mark {
        Mark { bytes: self.bytes.len(), slots: self.slots.len(), pending: self.pending.clone() }
    }

    /// Takes back all that came after the mark.
    pub(super) fn restore(&mut self, mark: Mark) {
        self.bytes.truncate(mark.bytes);
        if let Some(recording) = &mut self.recording {
            recording.origins.truncate(mark.bytes);
        }
        self.slots.truncate(mark.slots);
        self.pending = mark.pending;
    }

    /// Appends a piece of the record as it is written.
    #[inline(always)]
    pub(super) fn copy(&mut self, text: &[u8], piece: Range<usize>) {
        if self.pending.end != piece.start {
            self.flush(text);
            self.pending.start = piece.start;
        }
        self.pending.end = piece.end;
    }

    /// Appends a piece of the record without the whitespace between its tokens.
    pub(super) fn copy_compact(&mut self, text: &[u8], piece: Range<usize>) {
        self.flush(text);
        write_compact(&text[piece.clone()], &mut self.bytes);
        self.note_origin(|recording| {
            recording.compacted.push(piece);
            ByteOrigin::Compacted(recording.compacted.len() as u32 - 1)
        });
    }

    /// Appends the comma before what stands at `next` in the record, or is written again.
    #[inline(always)]
    pub(super) fn separate(&mut self, text: &[u8], next: usize) {
        let end = self.pending.end;
        if end > self.pending.start && end + 1 == next && text[end] == b',' {
            self.pending.end = next;
        } else {
            self.push(text, b',');
        }
    }

    pub(super) fn push(&mut self, text: &[u8], byte: u8) {
        self.flush(text);
        self.bytes.push(byte);
        self.note_origin(|_| ByteOrigin::Fixed);
    }

    /// Appends a string that sharecast writes itself.
    pub(super) fn string(&mut self, text: &[u8], string: &str) {
        self.flush(text);
        write_string(string, &mut self.bytes);
        self.note_origin(|_| ByteOrigin::Fixed);
    }

    /// Appends JSON that the actions noted last made of the record.
    pub(super) fn json(&mut self, text: &[u8], json: &[u8]) {
        self.flush(text);
        self.bytes.extend_from_slice(json);
        self.note_origin(|recording| ByteOrigin::Made(recording.made.len() as u32 - 1));
    }

    pub(super) fn slot(&mut self, text: &[u8], is_asset: bool) {
        self.flush(text);
        self.slots.push(IdSlot { at: self.bytes.len(), is_asset });
    }

    pub(super) fn flush(&mut self, text: &[u8]) {
        if self.pending.start < self.pending.end {
            self.bytes.extend_from_slice(&text[self.pending.clone()]);
            if let Some(recording) = &mut self.recording {
                recording.origins.extend(self.pending.clone().map(|at| ByteOrigin::Record(at as u32)));
            }
        }
        self.pending = 0..0;
    }

    /// Moves all between two marks down to where the template is said to end. Both marks were taken flushed.
    pub(super) fn keep(&mut self, from: &Mark, to: &Mark, end: &mut Mark) {
        for index in from.slots..to.slots {
            let slot = self.slots[index];
            self.slots[end.slots] = IdSlot { at: slot.at - from.bytes + end.bytes, ..slot };
            end.slots += 1;
        }
        self.bytes.copy_within(from.bytes..to.bytes, end.bytes);
        if let Some(recording) = &mut self.recording {
            recording.origins.copy_within(from.bytes..to.bytes, end.bytes);
        }
        end.bytes += to.bytes - from.bytes;
    }

    /// Takes back a comma that nothing follows.
    pub(super) fn drop_comma(&mut self) {
        debug_assert_eq!(self.bytes.last(), Some(&b','));
        self.bytes.pop();
        if let Some(recording) = &mut self.recording {
            recording.origins.pop();
        }
    }

    /// Appends the record for one target.
    pub(super) fn write(&self, parties: &Parties<'_>, provenance: Option<&Provenance<'_>>, epochs: &mut WrittenEpoch, out: &mut Vec<u8>) {
        // Room for ids of their greatest lengths, most of them without escapes, and for provenance.
        out.reserve(self.bytes.len() + self.slots.len() * (parties.target_asset.len() + parties.target.len() + 4) + 256);
        let mut written = 0;
        for slot in &self.slots {
            append_piece(out, &self.bytes, written..slot.at);
            written = slot.at;
            write_string(if slot.is_asset { parties.target_asset } else { parties.target }, out);
        }
        out.extend_from_slice(&self.bytes[written..]);
        if let Some(Provenance { share, revision, epoch, permission, backfill }) = provenance {
            let is_empty = self.bytes.len() == 1;
            out.extend_from_slice(if is_empty { b"\"_share\":{\"id\":" } else { b",\"_share\":{\"id\":" });
            write_string(share, out);
            out.extend_from_slice(b",\"rev\":");
            write_integer(i64::from(*revision), out);
            out.extend_from_slice(b",\"epoch\":");
            append_few(out, epochs.digits(*epoch));
            if let Some(permission) = permission {
                out.extend_from_slice(b",\"permission\":\"");
                out.extend_from_slice(permission.as_bytes());
                out.push(b'"');
            }
            if let Some(job) = backfill {
                out.extend_from_slice(b",\"backfill\":\"");
                out.extend_from_slice(job.as_bytes());
                out.push(b'"');
            }
            out.push(b'}');
        }
        out.push(b'}');
    }
}

fn write_integer(value: i64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_written_in_full() {
        for value in [0, 7, -1, 1234567890, i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            write_integer(value, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
        }
    }
}
