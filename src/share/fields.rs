//! Reading the members of an event's data by name and type (docs/rules/events.md#event-data).

use rustc_hash::FxHashSet;

use super::code::CodeHash;
use super::state::Permission;
use crate::document::{Kind, Node};
use crate::id::Offset;
use crate::time::Moment;

/// A field is missing that must be there, or is of a wrong type, or says an unknown word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("data: {0} is missing or malformed")]
pub struct Malformed(pub &'static str);

/// The members of an event's data; null is the same as absent.
pub(crate) struct Fields<'a>(pub(crate) &'a Node);

impl<'a> Fields<'a> {
    fn get(&self, name: &str) -> Option<&'a Node> {
        self.0.get(name).filter(|node| !node.is_null())
    }

    pub(crate) fn need<T>(&self, name: &'static str, value: Option<T>) -> Result<T, Malformed> {
        value.ok_or(Malformed(name))
    }

    fn typed<T>(&self, name: &'static str, read: impl FnOnce(&'a Node) -> Option<T>) -> Result<Option<T>, Malformed> {
        self.get(name).map(|node| read(node).ok_or(Malformed(name))).transpose()
    }

    /// A field of which null says something else than absence does: `Some(None)`.
    pub(crate) fn clearable<T>(
        &self,
        name: &'static str,
        read: impl Fn(&Self, &'static str) -> Result<Option<T>, Malformed>,
    ) -> Result<Option<Option<T>>, Malformed> {
        match self.0.get(name) {
            None => Ok(None),
            Some(_) => read(self, name).map(Some),
        }
    }

    pub(crate) fn text(&self, name: &'static str) -> Result<Option<&'a str>, Malformed> {
        self.typed(name, Node::as_str)
    }

    pub(crate) fn truth(&self, name: &'static str) -> Result<Option<bool>, Malformed> {
        self.typed(name, Node::as_bool)
    }

    pub(crate) fn map(&self, name: &'static str) -> Result<Option<&'a Node>, Malformed> {
        self.typed(name, |node| matches!(node.kind, Kind::Map(_)).then_some(node))
    }

    pub(crate) fn moment(&self, name: &'static str) -> Result<Option<Moment>, Malformed> {
        self.typed(name, |node| node.as_str().and_then(Moment::parse_rfc3339))
    }

    pub(crate) fn permission(&self) -> Result<Option<Permission>, Malformed> {
        self.typed("permission", |node| node.as_str().and_then(Permission::parse))
    }

    pub(crate) fn code_hash(&self) -> Result<Option<CodeHash>, Malformed> {
        self.typed("code_hash", |node| node.as_str().and_then(CodeHash::parse))
    }

    pub(crate) fn offset(&self, name: &'static str) -> Result<Option<Offset>, Malformed> {
        self.typed(name, |node| match &node.kind {
            Kind::Number(text) => text.parse().ok().filter(|n| *n >= 0).map(Offset),
            _ => None,
        })
    }

    /// A list of strings, repeats left out.
    pub(crate) fn texts(&self, name: &'static str) -> Result<Option<Vec<&'a str>>, Malformed> {
        self.typed(name, |node| {
            let mut seen = FxHashSet::default();
            let mut texts = Vec::new();
            for item in node.as_list()? {
                let text = item.as_str()?;
                if seen.insert(text) {
                    texts.push(text);
                }
            }
            Some(texts)
        })
    }

    pub(crate) fn tenants(&self) -> Result<Option<[&'a str; 2]>, Malformed> {
        self.typed("tenants", |node| match node.as_list()? {
            [a, b] => Some([a.as_str()?, b.as_str()?]),
            _ => None,
        })
    }

    pub(crate) fn owner(&self, is_needed: bool) -> Result<Option<&'a str>, Malformed> {
        let owner = self.text("owner")?;
        if is_needed && owner.is_none() { Err(Malformed("owner")) } else { Ok(owner) }
    }
}
