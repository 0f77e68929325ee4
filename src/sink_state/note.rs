//! What is stored beside an upsert input's committed offset: up to which epoch and time what ended has been taken back
//! (docs/rules/upserts.md#what-is-stored).

use std::collections::BTreeSet;

use crate::id::{Epoch, TenantId};
use crate::json::document::parse;
use crate::json::writer::object;
use crate::sink_state::entry::number;
use crate::time::TimestampMs;

/// Kafka takes 4096 bytes.
const MAX_BYTES: usize = 3_500;

/// By the graph of `epoch`, at `time`, no document is stored any more that must not be, but for targets that are owed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reconciled {
    /// The graph's epoch. What had ended by then is taken back from every target that is not in `owed`.
    pub epoch: Epoch,
    /// The decision's time. Whoever takes the partition over goes on at neither an older graph nor an earlier time.
    pub time: TimestampMs,
    /// Targets whose topics do not take anything at the moment: for these the note promises nothing.
    pub owed: BTreeSet<TenantId>,
}

impl Reconciled {
    /// Nothing is known.
    pub const NOTHING: Self = Self { epoch: Epoch::NONE, time: TimestampMs(i64::MIN), owed: BTreeSet::new() };

    /// `{"epoch":7,"time":1767225600000,"owed":["acme"]}`; none if it is too long to be noted.
    pub fn write(&self) -> Option<String> {
        let note = object(|out| {
            out.number("epoch", self.epoch.0);
            out.number("time", self.time.0);
            if !self.owed.is_empty() {
                out.texts("owed", self.owed.iter().map(TenantId::as_str));
            }
        });
        if note.len() > MAX_BYTES { None } else { String::from_utf8(note).ok() }
    }

    /// Reads a note; none of what is missing or another program's.
    pub fn read(note: &[u8]) -> Option<Self> {
        let node = parse(note).ok()?;
        let owed = match node.get("owed") {
            Some(owed) => owed.as_list()?.iter().map(|id| TenantId::parse(id.as_str()?).ok()).collect::<Option<_>>()?,
            None => BTreeSet::new(),
        };
        Some(Self { epoch: Epoch(number(node.get("epoch")?)?), time: TimestampMs(number(node.get("time")?)?), owed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_back_as_it_was_written() {
        let tenant = |id: &str| TenantId::parse(id).unwrap();
        for owed in [BTreeSet::new(), BTreeSet::from([tenant("acme"), tenant("zenith")])] {
            let note = Reconciled { epoch: Epoch(7), time: TimestampMs(1_767_225_600_000), owed };
            assert_eq!(Reconciled::read(note.write().unwrap().as_bytes()), Some(note));
        }
        for foreign in [&b""[..], b"\xff", b"epoch 7", b"{}", br#"{"epoch":"7","time":0}"#] {
            assert_eq!(Reconciled::read(foreign), None);
        }
        let many = (0..200).map(|n| tenant(&format!("tenant-with-a-long-name-{n}"))).collect();
        assert_eq!(Reconciled { owed: many, ..Reconciled::NOTHING }.write(), None);
    }
}
