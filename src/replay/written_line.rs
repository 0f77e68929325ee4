//! What a line of an input file says, in whichever form it is written.

use std::borrow::Cow;

use super::scan::unescape;
use crate::time::TimestampMs;

/// One line of an input file as it is written, before its defaults.
#[derive(Debug, Default)]
pub(crate) struct WrittenLine<'l> {
    /// The topic that the record was in, of a line of kcat: such a record is seen at its timestamp.
    pub(crate) topic: Option<Cow<'l, str>>,
    pub(crate) at: Option<TimestampMs>,
    pub(crate) timestamp: Option<TimestampMs>,
    pub(crate) key: Option<Cow<'l, str>>,
    pub(crate) headers: LineHeaders<'l>,
    /// The value's bytes; `None` is a null value.
    pub(crate) value: Option<Cow<'l, [u8]>>,
}

/// Names and values, repeats included.
pub(crate) type LineHeaders<'l> = Vec<(Cow<'l, str>, Option<Cow<'l, str>>)>;

/// What is wrong with a line, in words.
pub(crate) type Wrong = &'static str;

/// The text of a string as it is in a scanned line.
pub(crate) fn string<'l>(value: &'l [u8], wrong: Wrong) -> Result<Cow<'l, str>, Wrong> {
    let raw = value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).ok_or(wrong)?;
    let raw = std::str::from_utf8(raw).map_err(|_| wrong)?;
    if raw.contains('\\') { unescape(raw).map(Cow::Owned).ok_or(wrong) } else { Ok(Cow::Borrowed(raw)) }
}

pub(super) fn into_bytes(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}
