//! The configuration, by its table of keys.

use super::{PATH, STREAM, any_of, flag, list_of, map, number, of_type, pattern, text, word};
use crate::config::keys::{Form, KEYS};
use crate::document::Node;

/// A value may be put in from elsewhere: `${env:NAME}`, `${file:PATH}`.
const PUT_IN: &str = "\\$\\{(env|file):";
/// A name that Kafka takes.
const TOPIC: &str = "^[A-Za-z0-9._-]{1,249}$";
/// An address with a port.
const LISTEN: &str = "^(\\[[^\\]]+\\]|[^:\\[\\]]+):[0-9]{1,5}$";
/// Any text but none.
const TEXT: &str = "^[^]";

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
    let closed = [("type", text("object")), ("properties", map(properties)), ("additionalProperties", flag(false))];
    map(closed.into_iter().chain((prefix == "streams.*").then(of_upserts).into_iter().flatten()))
}

/// An upsert stream's identity is never in the value, and it has no event time.
fn of_upserts() -> [(&'static str, Node); 2] {
    let is_upsert = map([("mode", map([("const", text("upsert"))]))]);
    let outside = || map([("not", pattern("^\\$([^{]|$)"))]);
    let then = map([("tenant", outside()), ("asset", outside()), ("time", of_type("null"))]);
    [("if", map([("properties", is_upsert), ("required", super::texts(["mode"]))])), ("then", map([("properties", then)]))]
}

/// What a text looks like. What one says about another, and what librdkafka makes of it, is not looked at.
fn texts_of(key: &str) -> &'static [&'static str] {
    match key {
        "streams.*.topic" | "control.topic" | "kafka.instance" => &[TOPIC],
        "streams.*.tenant" | "streams.*.asset" => &["^(key|key\\.tenant|key\\.asset|header:.+)$", PATH],
        "streams.*.time" | "streams.*.rewrite.tenant" | "streams.*.rewrite.asset" | "streams.*.critical" => &[PATH],
        "api.directory.name" | "api.directory.reference" => &[PATH],
        "topics.prefix" => &["^[A-Za-z0-9_-]([A-Za-z0-9._-]{0,198}[A-Za-z0-9_-])?$"],
        "topics.status" => &["^[A-Za-z0-9._-]*\\.\\{tenant\\}(\\.[A-Za-z0-9._-]*)?$"],
        "output.topic" => &["^(?=.*\\{tenant\\})[A-Za-z0-9._-]*\\.(\\{(tenant|stream)\\}(\\.[A-Za-z0-9._-]*)?)+$"],
        "http.listen" | "api.listen" => &[LISTEN],
        "api.public_url" => &["^https?://"],
        "api.auth.jwt.algorithms" => &["^([RP]S(256|384|512)|ES(256|384)|EdDSA)$"],
        "invitations.link" => &["^https?://.*\\{code\\}"],
        "mail.from" => &["^[^\\r\\n]*[^\\s@]@[^\\s@][^\\r\\n]*$"],
        "metrics.tenants" => &["^(all|off|top:0*[1-9][0-9]{0,5})$"],
        _ => &[TEXT],
    }
}

fn value(key: &str, form: Form) -> Node {
    let span = |digits: &str| pattern(&format!("^{digits}(ms|s|m|h|d)$"));
    let texts = || match texts_of(key) {
        [only] if *only == TEXT => map([("type", text("string")), ("minLength", number(1))]),
        several => any_of(several.iter().copied().chain([PUT_IN]).map(pattern)),
    };
    match form {
        Form::Map => or_nothing([section(key)]),
        Form::Free => or_nothing([map([
            ("type", text("object")),
            ("additionalProperties", map([("type", super::texts(["string", "number", "boolean", "null"]))])),
        ])]),
        Form::Text => or_nothing([texts()]),
        Form::Texts => or_nothing([list_of(texts())]),
        Form::Whole(least, most) => {
            let bounds = [("type", text("integer")), ("minimum", number(least)), ("maximum", number(most))];
            // -1 says that the brokers choose.
            let not_zero = (key == "output.replication").then(|| ("not", map([("const", number(0))])));
            let whole = map(bounds.into_iter().chain(not_zero));
            or_nothing([whole, pattern(PUT_IN)])
        }
        Form::Flag => or_nothing([of_type("boolean"), pattern(PUT_IN)]),
        Form::Span => or_nothing([span("[0-9]+"), map([("enum", super::list([number(0), text("0")]))]), pattern(PUT_IN)]),
        Form::LongerSpan => or_nothing([span("0*[1-9][0-9]*"), pattern(PUT_IN)]),
        Form::Word(words) => or_nothing([word(words.iter().copied()), pattern(PUT_IN)]),
    }
}
