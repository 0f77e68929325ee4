//! A profile, by the keys of a section, the keys of a transform and the actions.

use super::{PATH, STREAM, any_of, closed, flag, list, list_of, map, number, of_type, pattern, text, texts, word};
use crate::document::Node;
use crate::profile::spec::{ActionName, PATH_KEYS, SECTION_KEYS};

pub(super) fn schema() -> Node {
    let sections = SECTION_KEYS.map(|key| (key, part(key)));
    map([("type", text("object")), ("propertyNames", map([("pattern", text(STREAM))])), ("additionalProperties", closed(sections, &[]))])
}

fn paths() -> Node {
    list_of(pattern(PATH))
}

fn part(key: &str) -> Node {
    match key {
        "include" | "exclude" => paths(),
        "transform" => list_of(transform()),
        "when" => map([("type", text("string")), ("minLength", number(1)), ("maxLength", number(4096))]),
        "sample" => closed([("every", period())], &["every"]),
        other => unreachable!("the section key {other} has no schema"),
    }
}

/// A length of time above zero.
fn period() -> Node {
    pattern("^0*[1-9][0-9]*(ms|s|m|h|d)$")
}

/// One of the paths and one action, as alternatives, so that an editor names both.
fn transform() -> Node {
    let below_root = || map([("type", text("string")), ("pattern", text(PATH)), ("not", map([("const", text("$"))]))]);
    let path = |key: &str| if key == "paths" { list_of(below_root()) } else { below_root() };
    let actions = ActionName::ALL.map(|action| (action.word(), argument(action)));
    let properties = PATH_KEYS.map(|key| (key, path(key))).into_iter().chain(actions);
    let one_of = |keys: Vec<&'static str>| map([("oneOf", list(keys.into_iter().map(|key| map([("required", texts([key]))]))))]);
    let exactly_one = [one_of(PATH_KEYS.to_vec()), one_of(ActionName::ALL.map(ActionName::word).to_vec())];
    map([("type", text("object")), ("properties", map(properties)), ("additionalProperties", flag(false)), ("allOf", list(exactly_one))])
}

fn argument(action: ActionName) -> Node {
    let whole = |most: Option<i64>| {
        let most = most.map(|most| ("maximum", number(most)));
        map([("type", text("integer")), ("minimum", number(0))].into_iter().chain(most))
    };
    match action {
        ActionName::Round => whole(Some(99)),
        ActionName::Truncate => period(),
        ActionName::Mask => any_of([
            word(["hash", "redact", "null"]),
            of_type("null"),
            closed([("keep_last", whole(None))], &["keep_last"]),
            closed([("keep_first", whole(None))], &["keep_first"]),
        ]),
        ActionName::Rename => of_type("string"),
        ActionName::Bucket => map([("type", text("number")), ("exclusiveMinimum", number(0))]),
        ActionName::Const => map([("description", text("any value"))]),
    }
}
