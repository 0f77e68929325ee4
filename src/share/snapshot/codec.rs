//! Numbers and texts as bytes, with a checksum over all of them: what a snapshot is written in.

use std::io::{self, Write};

use crate::share::snapshot::SnapshotError;

const FLUSHED_AT: usize = 1 << 16;

/// Writes through a buffer and sums up what it wrote.
pub(crate) struct Encoder<W> {
    out: W,
    buffer: Vec<u8>,
    sum: Checksum,
}

impl<W: Write> Encoder<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out, buffer: Vec::with_capacity(FLUSHED_AT + 1024), sum: Checksum::default() }
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= FLUSHED_AT { self.flush() } else { Ok(()) }
    }

    /// A number in groups of seven bits, the lowest first.
    pub(crate) fn number(&mut self, mut number: u64) -> io::Result<()> {
        while number >= 0x80 {
            self.buffer.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.raw(&[number as u8])
    }

    /// A number with its sign in the lowest bit.
    pub(crate) fn signed(&mut self, number: i64) -> io::Result<()> {
        self.number((number << 1) as u64 ^ (number >> 63) as u64)
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.number(bytes.len() as u64)?;
        self.raw(bytes)
    }

    pub(crate) fn text(&mut self, text: &str) -> io::Result<()> {
        self.bytes(text.as_bytes())
    }

    /// Writes the checksum and what is still in the buffer.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        self.out.write_all(&self.sum.value().to_le_bytes())?;
        self.out.flush()
    }

    /// What was written to, with all that was written and no checksum.
    pub(crate) fn into_inner(mut self) -> io::Result<W> {
        self.flush()?;
        Ok(self.out)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sum.add(&self.buffer);
        self.out.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

/// Reads what an `Encoder` wrote; never panics, whatever the bytes.
pub(crate) struct Decoder<'a>(&'a [u8]);

impl<'a> Decoder<'a> {
    /// Checks the sum at the end.
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self, SnapshotError> {
        let (body, sum) = bytes.split_last_chunk::<8>().ok_or(SnapshotError::Damaged("it is too short"))?;
        let mut checksum = Checksum::default();
        checksum.add(body);
        if checksum.value() == u64::from_le_bytes(*sum) { Ok(Self(body)) } else { Err(SnapshotError::Damaged("its checksum does not fit")) }
    }

    pub(crate) fn raw(&mut self, length: usize) -> Result<&'a [u8], SnapshotError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(SnapshotError::Damaged("it ends early"))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn number(&mut self) -> Result<u64, SnapshotError> {
        let mut number = 0;
        for (at, byte) in self.0.iter().take(10).enumerate() {
            number |= u64::from(byte & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                self.0 = &self.0[at + 1..];
                return Ok(number);
            }
        }
        Err(SnapshotError::Damaged("a number does not end"))
    }

    pub(crate) fn byte(&mut self) -> Result<u8, SnapshotError> {
        self.raw(1).map(|byte| byte[0])
    }

    pub(crate) fn small(&mut self) -> Result<u32, SnapshotError> {
        u32::try_from(self.number()?).map_err(|_| SnapshotError::Damaged("a number is too large"))
    }

    pub(crate) fn signed(&mut self) -> Result<i64, SnapshotError> {
        let number = self.number()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], SnapshotError> {
        let length = self.number()?;
        self.raw(usize::try_from(length).unwrap_or(usize::MAX))
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, SnapshotError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| SnapshotError::Damaged("a text is no UTF-8"))
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }
}

/// A sum that any changed, lost or moved word changes: it finds damage, not malice.
#[derive(Debug, Default)]
struct Checksum {
    sum: u64,
    /// Bytes that do not fill a word yet, and how many of them.
    rest: [u8; 8],
    waiting: usize,
    length: u64,
}

impl Checksum {
    fn add(&mut self, mut bytes: &[u8]) {
        self.length += bytes.len() as u64;
        if self.waiting > 0 {
            let taken = bytes.len().min(8 - self.waiting);
            self.rest[self.waiting..self.waiting + taken].copy_from_slice(&bytes[..taken]);
            self.waiting += taken;
            bytes = &bytes[taken..];
            if self.waiting < 8 {
                return;
            }
            self.mix(u64::from_le_bytes(self.rest));
            self.waiting = 0;
        }
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        self.rest[..rest.len()].copy_from_slice(rest);
        self.waiting = rest.len();
    }

    /// Each step can be undone, so that one different word always leaves a different sum.
    fn mix(&mut self, word: u64) {
        self.sum = (self.sum ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }

    fn value(&mut self) -> u64 {
        self.rest[self.waiting..].fill(0);
        let rest = u64::from_le_bytes(self.rest);
        self.mix(rest);
        self.mix(self.length);
        self.sum ^ self.sum >> 32
    }
}
