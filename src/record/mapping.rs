//! How a stream's records name their tenant, asset and time (docs/rules/records.md#streams).

use crate::id::{StreamIndex, StreamName};
use crate::json::path::Path;

/// A configured stream, resolved.
#[derive(Debug, Clone)]
pub struct Stream {
    /// Its name.
    pub name: StreamName,
    /// Its index in the configuration.
    pub index: StreamIndex,
    /// Append or upsert.
    pub mode: Mode,
    /// Its input topic.
    pub topic: String,
    /// Where its records say whose they are.
    pub mapping: Mapping,
}

closed_set! {
    /// What a stream's records are.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Mode;
    /// The word that configuration and events have.
    fn word;

    /// Each record is an event.
    Append = "append",
    /// Each record is the asset's whole current document; a null value deletes it.
    Upsert = "upsert",
}

impl Mode {
    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.word() == word)
    }
}

/// Where a record says whose it is, of what asset, and from when.
#[derive(Debug, Clone)]
pub struct Mapping {
    /// The owner.
    pub tenant: FieldSource,
    /// The asset.
    pub asset: FieldSource,
    /// How the key is taken apart; there if a source is a `KeyField`.
    pub key_format: Option<KeyFormat>,
    /// The event time in the value; without it the Kafka timestamp is the event time.
    pub time: Option<Path>,
    /// Further members that get the target's tenant id (docs/rules/profiles.md#identity-members).
    pub rewrite_tenant: Vec<Path>,
    /// Further members that get the target's asset id.
    pub rewrite_asset: Vec<Path>,
}

/// Where one id comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldSource {
    /// A member of the value.
    Path(Path),
    /// The whole key.
    Key,
    /// `key.tenant` or `key.asset`: the field of the same role in `key_format`.
    KeyField,
    /// The header of exactly this name.
    Header(String),
}

impl FieldSource {
    /// Whether the id is known without looking at the value.
    pub fn is_outside_value(&self) -> bool {
        !matches!(self, Self::Path(_))
    }
}

impl Mapping {
    /// Whether tenant and asset are both known without looking at the value (docs/rules/records.md#unshared-values-are-not-read).
    pub fn is_outside_value(&self) -> bool {
        self.tenant.is_outside_value() && self.asset.is_outside_value()
    }

    /// Whether an id comes from the key, so that a record must have one (docs/rules/records.md#order-of-reasons).
    pub fn uses_key(&self) -> bool {
        [&self.tenant, &self.asset].iter().any(|source| matches!(source, FieldSource::Key | FieldSource::KeyField))
    }
}

/// A `key_format` such as `{tenant}/{asset}`: literal text and at most the two fields, in either order, with text between
/// (docs/rules/records.md#key-format).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFormat {
    /// The parts in order. No two literals and no two fields are neighbours, and no field stands twice.
    pub parts: Vec<KeyPart>,
}

/// A part of a key format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPart {
    /// Text that must stand there, never empty.
    Literal(String),
    /// `{tenant}`.
    Tenant,
    /// `{asset}`.
    Asset,
}

/// Why a text is no key format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyFormatError {
    /// A field that there is not.
    #[error("unknown field {{{0}}}; a key_format has {{tenant}} and {{asset}}")]
    UnknownField(String),
    /// A field stands twice.
    #[error("the field {0} stands twice")]
    RepeatedField(&'static str),
    /// Nothing says where the first of two fields ends.
    #[error("two fields need text between them")]
    FieldsTouch,
    /// A brace without its partner.
    #[error("a brace without its partner; fields are written {{tenant}} and {{asset}}")]
    LoneBrace,
}

/// The fields of one key, borrowed from it. They are not yet checked as ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeyFields<'k> {
    /// What stands at `{tenant}`.
    pub tenant: Option<&'k str>,
    /// What stands at `{asset}`.
    pub asset: Option<&'k str>,
}

impl KeyFormat {
    /// Reads the text of the configuration.
    pub fn parse(text: &str) -> Result<Self, KeyFormatError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (literal, field, behind) = next_part(rest)?;
            if !literal.is_empty() {
                parts.push(KeyPart::Literal(literal.to_owned()));
            }
            if let Some(field) = field {
                push_field(&mut parts, field)?;
            }
            rest = behind;
        }
        Ok(Self { parts })
    }

    /// Whether the format has `{tenant}`, so that `key.tenant` can be mapped.
    pub fn has_tenant(&self) -> bool {
        self.parts.contains(&KeyPart::Tenant)
    }

    /// Whether the format has `{asset}`, so that `key.asset` can be mapped.
    pub fn has_asset(&self) -> bool {
        self.parts.contains(&KeyPart::Asset)
    }

    /// Takes a key apart; none if it does not fit. A field ends at the first place where the text after it fits, without a
    /// second try; a field that stands last takes the rest.
    pub fn split<'k>(&self, key: &'k str) -> Option<KeyFields<'k>> {
        let mut fields = KeyFields::default();
        let mut rest = key;
        for (index, part) in self.parts.iter().enumerate() {
            let field = match part {
                KeyPart::Literal(literal) => {
                    rest = rest.strip_prefix(literal.as_str())?;
                    continue;
                }
                KeyPart::Tenant => &mut fields.tenant,
                KeyPart::Asset => &mut fields.asset,
            };
            let end = match self.parts.get(index + 1) {
                Some(KeyPart::Literal(literal)) => rest.find(literal.as_str())?,
                _ => rest.len(),
            };
            *field = Some(&rest[..end]);
            rest = &rest[end..];
        }
        rest.is_empty().then_some(fields)
    }
}

/// The literal text up to the next field, the field's name if there is one, and what follows it.
fn next_part(text: &str) -> Result<(&str, Option<&str>, &str), KeyFormatError> {
    let Some(brace) = text.find(['{', '}']) else { return Ok((text, None, "")) };
    let (literal, from_brace) = text.split_at(brace);
    let inner = from_brace.strip_prefix('{').ok_or(KeyFormatError::LoneBrace)?;
    let (name, behind) = inner.split_once('}').ok_or(KeyFormatError::LoneBrace)?;
    Ok((literal, Some(name), behind))
}

fn push_field(parts: &mut Vec<KeyPart>, name: &str) -> Result<(), KeyFormatError> {
    let (part, shown) = match name {
        "tenant" => (KeyPart::Tenant, "{tenant}"),
        "asset" => (KeyPart::Asset, "{asset}"),
        _ => return Err(KeyFormatError::UnknownField(name.to_owned())),
    };
    if parts.contains(&part) {
        return Err(KeyFormatError::RepeatedField(shown));
    }
    if matches!(parts.last(), Some(KeyPart::Tenant | KeyPart::Asset)) {
        return Err(KeyFormatError::FieldsTouch);
    }
    parts.push(part);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split<'k>(format: &str, key: &'k str) -> Option<(&'k str, &'k str)> {
        let fields = KeyFormat::parse(format).unwrap().split(key)?;
        Some((fields.tenant.unwrap_or("-"), fields.asset.unwrap_or("-")))
    }

    #[test]
    fn d28_a_field_ends_where_the_text_first_fits() {
        assert_eq!(split("{tenant}/{asset}", "acme/a/b"), Some(("acme", "a/b")));
        assert_eq!(split("{asset}@{tenant}", "a@b@acme"), Some(("b@acme", "a")));
        assert_eq!(split("{tenant}::{asset}", "acme:::x"), Some(("acme", ":x")));
        assert_eq!(split("{tenant}/{asset}", "/x"), Some(("", "x")));
        assert_eq!(split("{tenant}/{asset}", "acme/"), Some(("acme", "")));
        assert_eq!(split("k:{asset}", "k:k:1"), Some(("-", "k:1")));
    }

    #[test]
    fn d28_there_is_no_second_try_and_nothing_is_left_over() {
        assert_eq!(split("{tenant}/{asset}/v1", "acme/x/v1"), Some(("acme", "x")));
        assert_eq!(split("{tenant}/{asset}/v1", "acme/x/v1/v1"), None);
        assert_eq!(split("{tenant}/{asset}/v1", "acme/x/v2"), None);
        assert_eq!(split("t={tenant};a={asset}", "t=acme;b;a=x"), Some(("acme;b", "x")));
        assert_eq!(split("t={tenant};a={asset}", "acme;a=x"), None);
        assert_eq!(split("{tenant}/{asset}", "acme"), None);
        assert_eq!(split("fixed", "fixed"), Some(("-", "-")));
        assert_eq!(split("fixed", "fixed!"), None);
    }

    #[test]
    fn d28_formats_that_are_configuration_errors() {
        assert_eq!(KeyFormat::parse("{tenant}{asset}"), Err(KeyFormatError::FieldsTouch));
        assert_eq!(KeyFormat::parse("{tenant}/{tenant}"), Err(KeyFormatError::RepeatedField("{tenant}")));
        assert_eq!(KeyFormat::parse("{tenant}/{id}"), Err(KeyFormatError::UnknownField("id".to_owned())));
        assert_eq!(KeyFormat::parse("{tenant}/{asset"), Err(KeyFormatError::LoneBrace));
        assert_eq!(KeyFormat::parse("tenant}/{asset}"), Err(KeyFormatError::LoneBrace));
    }
}
