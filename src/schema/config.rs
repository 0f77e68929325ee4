//! The configuration, by its table of keys.

use super::{STREAM, any_of, flag, list_of, map, number, of_type, pattern, text, word};
use crate::config::keys::{Form, KEYS};
use crate::document::Node;

/// A value may be put in from elsewhere: `${env:NAME}`, `${file:PATH}`.
const PUT_IN: &str = "\\$\\{(env|file):";
/// No value is the default.
fn or_nothing(schemas: impl IntoIterator<Item = Node>) -> Node {
    any_of(schemas.into_iter().chain([of_type("null")]))
}

pub(super) fn schema() -> Node {
    section("")
}

/// The keys inside a map.
fn section(prefix: &str) -> Node {
    let inside = |key: &&(&str, Form)| {
        let parent = key.0.rsplit_once('.').map_or("", |(parent, _)| parent);
        parent == prefix
    };
    let mut properties = Vec::new();
    for (key, form) in KEYS.iter().filter(inside) {
        let name = key.rsplit('.').next().unwrap_or(key);
        let schema = value(key, *form);
        if name == "*" {
            return map([
                ("type", text("object")),
                ("propertyNames", map([("pattern", text(STREAM)), ("not", map([("const", text("shares"))]))])),
                ("minProperties", number(1)),
                ("additionalProperties", schema),
            ]);
        }
        properties.push((name, schema));
    }
    map([("type", text("object")), ("properties", map(properties)), ("additionalProperties", flag(false))])
}

fn value(key: &str, form: Form) -> Node {
    let span = |digits: &str| pattern(&format!("^{digits}(ms|s|m|h|d)$"));
    let non_empty = || map([("type", text("string")), ("minLength", number(1))]);
    match form {
        Form::Map => or_nothing([section(key)]),
        Form::Free => or_nothing([map([
            ("type", text("object")),
            ("additionalProperties", map([("type", super::texts(["string", "number", "boolean", "null"]))])),
        ])]),
        Form::Text => or_nothing([non_empty()]),
        Form::Texts => or_nothing([list_of(non_empty())]),
        Form::Whole(least, most) => {
            let whole = map([("type", text("integer")), ("minimum", number(least)), ("maximum", number(most))]);
            or_nothing([whole, pattern(PUT_IN)])
        }
        Form::Flag => or_nothing([of_type("boolean"), pattern(PUT_IN)]),
        Form::Span => or_nothing([span("[0-9]+"), map([("enum", super::list([number(0), text("0")]))]), pattern(PUT_IN)]),
        Form::LongerSpan => or_nothing([span("0*[1-9][0-9]*"), pattern(PUT_IN)]),
        Form::Word(words) => or_nothing([word(words.iter().copied()), pattern(PUT_IN)]),
    }
}
