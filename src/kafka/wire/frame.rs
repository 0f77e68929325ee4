//! The parts that Kafka's requests and answers are made of, in their flexible form and in the one before it.
//!
//! What is read comes from outside: nothing is taken on trust, and no memory is reserved for more than the frame holds.

/// An answer that is not as it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the answer cannot be read: {0}")]
pub(super) struct MalformedAnswer(pub(super) &'static str);

/// Writes a request.
#[derive(Debug, Default)]
pub(super) struct FrameWriter {
    pub(super) bytes: Vec<u8>,
}

impl FrameWriter {
    pub(super) fn i8(&mut self, value: i8) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    pub(super) fn i16(&mut self, value: i16) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    pub(super) fn i32(&mut self, value: i32) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    pub(super) fn i64(&mut self, value: i64) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    pub(super) fn bool(&mut self, value: bool) -> &mut Self {
        self.raw(&[u8::from(value)])
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    pub(super) fn uvarint(&mut self, mut value: u32) -> &mut Self {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
        self
    }

    /// The number of an array's elements, which follow.
    pub(super) fn array(&mut self, count: usize) -> &mut Self {
        self.uvarint(count as u32 + 1)
    }

    pub(super) fn string(&mut self, text: &str) -> &mut Self {
        self.compact_bytes(text.as_bytes())
    }

    pub(super) fn nullable_string(&mut self, text: Option<&str>) -> &mut Self {
        match text {
            Some(text) => self.string(text),
            None => self.uvarint(0),
        }
    }

    pub(super) fn compact_bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.uvarint(bytes.len() as u32 + 1).raw(bytes)
    }

    /// As it was before the flexible form: in the header, and in the one request that has no other.
    pub(super) fn old_string(&mut self, text: &str) -> &mut Self {
        self.i16(text.len() as i16).raw(text.as_bytes())
    }

    /// No tagged fields.
    pub(super) fn no_tags(&mut self) -> &mut Self {
        self.uvarint(0)
    }
}

/// Reads an answer from front to back.
#[derive(Debug, Clone, Copy)]
pub(super) struct FrameReader<'f> {
    rest: &'f [u8],
}

impl<'f> FrameReader<'f> {
    pub(super) fn new(frame: &'f [u8]) -> Self {
        Self { rest: frame }
    }

    /// How many bytes follow.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn raw(&mut self, count: usize) -> Result<&'f [u8], MalformedAnswer> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(MalformedAnswer("it ends too early"))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn fixed<const N: usize>(&mut self) -> Result<[u8; N], MalformedAnswer> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(MalformedAnswer("it ends too early"))?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn i16(&mut self) -> Result<i16, MalformedAnswer> {
        self.fixed().map(i16::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Result<i32, MalformedAnswer> {
        self.fixed().map(i32::from_be_bytes)
    }

    pub(super) fn i64(&mut self) -> Result<i64, MalformedAnswer> {
        self.fixed().map(i64::from_be_bytes)
    }

    pub(super) fn bool(&mut self) -> Result<bool, MalformedAnswer> {
        self.fixed::<1>().map(|[byte]| byte != 0)
    }

    pub(super) fn uvarint(&mut self) -> Result<u32, MalformedAnswer> {
        let mut value = 0_u64;
        for shift in (0..35).step_by(7) {
            let [byte] = self.fixed()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(value).map_err(|_| MalformedAnswer("a length is too large"));
            }
        }
        Err(MalformedAnswer("a length does not end"))
    }

    /// A length that is written as one more; none for null.
    fn length(&mut self) -> Result<Option<usize>, MalformedAnswer> {
        Ok(self.uvarint()?.checked_sub(1).map(|length| length as usize))
    }

    /// Bytes; none for null.
    pub(super) fn nullable_bytes(&mut self) -> Result<Option<&'f [u8]>, MalformedAnswer> {
        self.length()?.map(|length| self.raw(length)).transpose()
    }

    pub(super) fn compact_bytes(&mut self) -> Result<&'f [u8], MalformedAnswer> {
        self.nullable_bytes()?.ok_or(MalformedAnswer("bytes are null"))
    }

    pub(super) fn nullable_string(&mut self) -> Result<Option<&'f str>, MalformedAnswer> {
        self.nullable_bytes()?.map(text).transpose()
    }

    pub(super) fn string(&mut self) -> Result<&'f str, MalformedAnswer> {
        self.compact_bytes().and_then(text)
    }

    pub(super) fn old_string(&mut self) -> Result<&'f str, MalformedAnswer> {
        let length = usize::try_from(self.i16()?).map_err(|_| MalformedAnswer("a text is null"))?;
        self.raw(length).and_then(text)
    }

    /// An array; one that is null is empty. Each element takes `least` bytes or more.
    pub(super) fn array<T>(
        &mut self,
        least: usize,
        each: impl FnMut(&mut Self) -> Result<T, MalformedAnswer>,
    ) -> Result<Vec<T>, MalformedAnswer> {
        let count = self.length()?.unwrap_or(0);
        self.elements(count, least, each)
    }

    /// The same in the form before the flexible one.
    pub(super) fn old_array<T>(
        &mut self,
        least: usize,
        each: impl FnMut(&mut Self) -> Result<T, MalformedAnswer>,
    ) -> Result<Vec<T>, MalformedAnswer> {
        let count = usize::try_from(self.i32()?).unwrap_or(0);
        self.elements(count, least, each)
    }

    fn elements<T>(
        &mut self,
        count: usize,
        least: usize,
        mut each: impl FnMut(&mut Self) -> Result<T, MalformedAnswer>,
    ) -> Result<Vec<T>, MalformedAnswer> {
        if count > self.rest.len() / least.max(1) {
            return Err(MalformedAnswer("it has fewer elements than it says"));
        }
        (0..count).map(|_| each(self)).collect()
    }

    /// Tagged fields: each with its tag and its own bytes. Those that are not known are passed over.
    pub(super) fn tags(&mut self, mut each: impl FnMut(u32, &mut Self) -> Result<(), MalformedAnswer>) -> Result<(), MalformedAnswer> {
        for _ in 0..self.uvarint()? {
            let tag = self.uvarint()?;
            let length = self.uvarint()? as usize;
            each(tag, &mut Self::new(self.raw(length)?))?;
        }
        Ok(())
    }

    /// Tagged fields of which none is of interest.
    pub(super) fn skip_tags(&mut self) -> Result<(), MalformedAnswer> {
        self.tags(|_, _| Ok(()))
    }

    /// It must be read to its end.
    pub(super) fn end(&self) -> Result<(), MalformedAnswer> {
        if self.rest.is_empty() { Ok(()) } else { Err(MalformedAnswer("something follows its end")) }
    }
}

fn text(bytes: &[u8]) -> Result<&str, MalformedAnswer> {
    std::str::from_utf8(bytes).map_err(|_| MalformedAnswer("a text is no UTF-8"))
}
