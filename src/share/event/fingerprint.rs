//! What an event is known by, and what it says, in few bytes (docs/rules/events.md#repeats).

use sha2::{Digest, Sha256};

use crate::document::{DocumentKind, Node};

/// An event by what it is known by, and what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    /// Of `source` and `id`.
    pub(crate) name: [u64; 2],
    /// Of `type` and `data`.
    pub(crate) content: u64,
}

impl Fingerprint {
    /// The member order of `data` does not matter, of repeated members the last counts, numbers are as written.
    pub(crate) fn of(source: &str, id: &str, kind: &str, data: &Node) -> Self {
        let mut hasher = Sha256::new();
        text(&mut hasher, kind);
        value(&mut hasher, data);
        Self { name: Self::name_of(source, id), content: words(hasher)[0] }
    }

    pub(crate) fn name_of(source: &str, id: &str) -> [u64; 2] {
        let mut hasher = Sha256::new();
        text(&mut hasher, source);
        text(&mut hasher, id);
        words(hasher)
    }
}

/// A value's kind, then what it says; lengths first, so that no two values run together.
fn value(hasher: &mut Sha256, node: &Node) {
    match &node.kind {
        DocumentKind::Null => hasher.update(b"z"),
        DocumentKind::Bool(truth) => hasher.update(if *truth { b"t" } else { b"f" }),
        DocumentKind::Number(written) => {
            hasher.update(b"n");
            text(hasher, written);
        }
        DocumentKind::String(string) => {
            hasher.update(b"s");
            text(hasher, string);
        }
        DocumentKind::List(items) => {
            hasher.update(b"l");
            hasher.update((items.len() as u64).to_le_bytes());
            items.iter().for_each(|item| value(hasher, item));
        }
        DocumentKind::Map(members) => {
            // A stable sort keeps repeats in order, so the last of each name is the one that counts.
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by(|a, b| a.name.cmp(&b.name));
            hasher.update(b"m");
            for (at, member) in sorted.iter().enumerate() {
                if sorted.get(at + 1).is_none_or(|next| next.name != member.name) {
                    hasher.update(b"k");
                    text(hasher, &member.name);
                    value(hasher, &member.value);
                }
            }
            hasher.update(b"e");
        }
    }
}

fn text(hasher: &mut Sha256, text: &str) {
    hasher.update((text.len() as u64).to_le_bytes());
    hasher.update(text.as_bytes());
}

fn words(hasher: Sha256) -> [u64; 2] {
    let digest = hasher.finalize();
    let word = |at: usize| digest[at..at + 8].iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
    [word(0), word(8)]
}
