//! What is to be written, and under which name.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::document::{DocumentKind, Member, Node, TextPosition};
use crate::serve::problem::Problem;
use crate::share::event::kind::EventType;
use crate::share::event::write_token::WriteToken;

/// The longest batch.
pub const MOST_ITEMS: usize = 10_000;
/// The longest `Idempotency-Key`, in bytes.
const LONGEST_KEY: usize = 255;

/// Events of one type that a caller wants written.
#[derive(Debug, Clone)]
pub struct WriteOrder {
    /// The type.
    pub kind: EventType,
    /// One or many; of many all are written or none.
    pub items: Vec<WriteItem>,
    /// A person has seen the members that leave and are marked as critical.
    pub is_confirmed: bool,
}

/// One event.
#[derive(Debug, Clone)]
pub struct WriteItem {
    /// What it names, for answers: an asset, a share, a tenant.
    pub name: String,
    /// Its `data`; of an offer without the share's id, which is the server's.
    pub data: Node,
}

impl WriteOrder {
    /// One event.
    pub fn one(kind: EventType, name: impl Into<String>, data: Node) -> Self {
        Self { kind, items: vec![WriteItem { name: name.into(), data }], is_confirmed: false }
    }

    /// The same, and a person has seen what leaves, or not.
    #[must_use]
    pub fn confirmed(self, is_confirmed: bool) -> Self {
        Self { is_confirmed, ..self }
    }
}

/// An event's `data`, member by member; what is not given is left out.
#[derive(Debug, Clone, Default)]
pub struct DataBuilder(Vec<Member>);

impl DataBuilder {
    /// A text.
    #[must_use]
    pub fn text(self, name: &str, text: &str) -> Self {
        self.member(name, DocumentKind::String(text.to_owned()))
    }

    /// A text, if there is one.
    #[must_use]
    pub fn text_if(self, name: &str, text: Option<&str>) -> Self {
        match text {
            Some(text) => self.text(name, text),
            None => self,
        }
    }

    /// A text, or null that clears it, or nothing at all.
    #[must_use]
    pub fn clearable(self, name: &str, text: Option<Option<&str>>) -> Self {
        match text {
            Some(Some(text)) => self.text(name, text),
            Some(None) => self.member(name, DocumentKind::Null),
            None => self,
        }
    }

    /// A list of texts, if there is one.
    #[must_use]
    pub fn texts_if(self, name: &str, texts: Option<&[String]>) -> Self {
        let node = |text: &String| Node { kind: DocumentKind::String(text.clone()), place: TextPosition::default() };
        match texts {
            Some(texts) => self.member(name, DocumentKind::List(texts.iter().map(node).collect())),
            None => self,
        }
    }

    /// Truth, if there is one.
    #[must_use]
    pub fn flag_if(self, name: &str, is: Option<bool>) -> Self {
        match is {
            Some(is) => self.member(name, DocumentKind::Bool(is)),
            None => self,
        }
    }

    /// Any value.
    #[must_use]
    pub fn member(mut self, name: &str, kind: DocumentKind) -> Self {
        self.0.push(Member { name: name.to_owned(), place: TextPosition::default(), value: Node { kind, place: TextPosition::default() } });
        self
    }

    /// All of it.
    pub fn build(self) -> Node {
        Node { kind: DocumentKind::Map(self.0), place: TextPosition::default() }
    }
}

/// The name of a write: what is repeated under it is written once.
#[derive(Clone, PartialEq, Eq)]
pub struct WriteKey(String);

impl WriteKey {
    /// The caller's own.
    pub(super) fn given(text: &str) -> Result<Self, Problem> {
        let is_key = !text.is_empty() && text.len() <= LONGEST_KEY && text.bytes().all(|byte| (0x21..=0x7e).contains(&byte));
        if is_key {
            Ok(Self(text.to_owned()))
        } else {
            Err(Problem::of_member("Idempotency-Key", format!("it has 1 to {LONGEST_KEY} visible ASCII characters")))
        }
    }

    /// One that nobody has used.
    pub(super) fn random(bits: [u8; 16]) -> Self {
        Self(WriteToken::new(bits).to_string())
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// What the item at this place begins with: ids and codes follow from it, so that nobody without the secret can know them.
    pub(super) fn token(&self, secret: &[u8], source: &str, index: usize) -> WriteToken {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap_or_else(|_| unreachable!("a key of any length is one"));
        for part in [source.as_bytes(), &[0], self.0.as_bytes(), &[0], index.to_string().as_bytes()] {
            mac.update(part);
        }
        let digest = mac.finalize().into_bytes();
        let mut bits = [0; 16];
        bits.copy_from_slice(&digest[..16]);
        WriteToken::new(bits)
    }
}

impl std::fmt::Debug for WriteKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WriteKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_gives_the_same_ids_to_the_same_source_and_place_alone() {
        let key = WriteKey::given("k1").unwrap();
        let id = |secret: &str, source: &str, key: &WriteKey, index| key.token(secret.as_bytes(), source, index).event_id();
        let own = id("secret", "/tenants/a", &key, 0);
        assert_eq!(own, id("secret", "/tenants/a", &key, 0));
        let other = WriteKey::given("k2").unwrap();
        for others in [
            id("other", "/tenants/a", &key, 0),
            id("secret", "/tenants/b", &key, 0),
            id("secret", "/tenants/a", &other, 0),
            id("secret", "/tenants/a", &key, 1),
        ] {
            assert_ne!(own, others);
        }
        for wrong in ["", " ", "a b", "ü", &"k".repeat(256)] {
            assert_eq!(WriteKey::given(wrong).unwrap_err().status, 400, "{wrong}");
        }
    }
}
