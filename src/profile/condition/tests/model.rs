//! Random conditions on random records, held against a second evaluator: over a tree of values, with wider numbers, and without the
//! first one's shortcuts.

use super::*;
use proptest::prelude::*;

/// A value of the model.
#[derive(Debug, Clone, PartialEq)]
enum ModelValue {
    Null,
    Bool(bool),
    Int(i128),
    Double(f64),
    Text(String),
    List(Vec<ModelValue>),
    /// By name, each once.
    Map(Vec<(String, ModelValue)>),
}

/// A source, built and evaluated apart from the tree that is tested.
#[derive(Debug, Clone)]
enum ModelNode {
    Literal(String, ModelValue),
    Record,
    Share,
    Element,
    Member(Box<ModelNode>, &'static str),
    Has(Box<ModelNode>, &'static str),
    Index(Box<ModelNode>, Box<ModelNode>),
    Unary(char, Box<ModelNode>),
    Binary(&'static str, Box<ModelNode>, Box<ModelNode>),
    If(Box<ModelNode>, Box<ModelNode>, Box<ModelNode>),
    Size(Box<ModelNode>),
    Method(&'static str, Box<ModelNode>, Box<ModelNode>),
    List(Vec<ModelNode>),
    Loop(&'static str, Box<ModelNode>, Box<ModelNode>),
}

impl ModelNode {
    fn source(&self) -> String {
        match self {
            Self::Literal(source, _) => source.clone(),
            Self::Record => "record".to_owned(),
            Self::Share => "share".to_owned(),
            Self::Element => "e".to_owned(),
            Self::Member(of, name) => format!("({}).{name}", of.source()),
            Self::Has(of, name) => format!("has(({}).{name})", of.source()),
            Self::Index(of, at) => format!("({})[{}]", of.source(), at.source()),
            Self::Unary(operator, of) => format!("{operator}({})", of.source()),
            Self::Binary(operator, left, right) => format!("({}) {operator} ({})", left.source(), right.source()),
            Self::If(condition, then, otherwise) => {
                format!("({}) ? ({}) : ({})", condition.source(), then.source(), otherwise.source())
            }
            Self::Size(of) => format!("size({})", of.source()),
            Self::Method(name, of, argument) => format!("({}).{name}({})", of.source(), argument.source()),
            Self::List(items) => format!("[{}]", items.iter().map(Self::source).collect::<Vec<_>>().join(", ")),
            Self::Loop(name, of, body) => format!("({}).{name}(e, {})", of.source(), body.source()),
        }
    }

    /// None is an error.
    fn value(&self, record: &ModelValue, element: Option<&ModelValue>) -> Option<ModelValue> {
        let of = |node: &Self| node.value(record, element);
        match self {
            Self::Literal(_, value) => Some(value.clone()),
            Self::Record => Some(record.clone()),
            Self::Share => Some(share()),
            Self::Element => element.cloned(),
            Self::Member(map, name) => member(&of(map)?, name)?,
            Self::Has(map, name) => member(&of(map)?, name).map(|found| ModelValue::Bool(found.is_some())),
            Self::Index(outer, at) => match (of(outer)?, of(at)?) {
                (ModelValue::List(items), at) => {
                    items.iter().zip(0i128..).find(|(_, place)| equal(&ModelValue::Int(*place), &at)).map(|(item, _)| item.clone())
                }
                (map @ ModelValue::Map(_), ModelValue::Text(name)) => member(&map, &name)?,
                _ => None,
            },
            Self::Unary('!', inner) => match of(inner)? {
                ModelValue::Bool(value) => Some(ModelValue::Bool(!value)),
                _ => None,
            },
            Self::Unary(_, inner) => match of(inner)? {
                ModelValue::Int(value) => int(-value),
                ModelValue::Double(value) => Some(ModelValue::Double(-value)),
                _ => None,
            },
            Self::Binary(operator @ ("&&" | "||"), left, right) => {
                let sides = [of(left), of(right)];
                let decider = ModelValue::Bool(*operator == "||");
                if sides.contains(&Some(decider.clone())) {
                    return Some(decider);
                }
                let other = ModelValue::Bool(*operator == "&&");
                sides.iter().all(|side| side.as_ref() == Some(&other)).then_some(other)
            }
            Self::Binary(operator, left, right) => binary(operator, of(left)?, of(right)?),
            Self::If(condition, then, otherwise) => match of(condition)? {
                ModelValue::Bool(true) => of(then),
                ModelValue::Bool(false) => of(otherwise),
                _ => None,
            },
            Self::Size(inner) => {
                let size = match of(inner)? {
                    ModelValue::Text(text) => text.chars().count(),
                    ModelValue::List(items) => items.len(),
                    ModelValue::Map(members) => members.len(),
                    _ => return None,
                };
                int(size as i128)
            }
            Self::Method(name, text, argument) => match (of(text)?, of(argument)?) {
                (ModelValue::Text(text), ModelValue::Text(wanted)) => Some(ModelValue::Bool(match *name {
                    "startsWith" => text.starts_with(&wanted),
                    "endsWith" => text.ends_with(&wanted),
                    _ => text.contains(&wanted),
                })),
                _ => None,
            },
            Self::List(items) => items.iter().map(of).collect::<Option<_>>().map(ModelValue::List),
            Self::Loop(name, outer, body) => {
                let items = match of(outer)? {
                    ModelValue::List(items) => items,
                    ModelValue::Map(members) => members.into_iter().map(|(name, _)| ModelValue::Text(name)).collect(),
                    _ => return None,
                };
                let found: Vec<_> = items.iter().map(|item| body.value(record, Some(item))).collect();
                let decider = ModelValue::Bool(*name == "exists");
                if found.contains(&Some(decider.clone())) {
                    return Some(decider);
                }
                let other = ModelValue::Bool(*name == "all");
                found.iter().all(|found| found.as_ref() == Some(&other)).then_some(other)
            }
        }
    }
}

/// None of what has no members.
fn member(map: &ModelValue, name: &str) -> Option<Option<ModelValue>> {
    match map {
        ModelValue::Map(members) => Some(members.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())),
        _ => None,
    }
}

fn int(value: i128) -> Option<ModelValue> {
    i64::try_from(value).ok().map(|_| ModelValue::Int(value))
}

/// How two numbers are to one another: by their whole parts, which fit 128 bits, then by what is left.
fn compare(left: &ModelValue, right: &ModelValue) -> Option<std::cmp::Ordering> {
    if let (ModelValue::Double(left), ModelValue::Double(right)) = (left, right) {
        return left.partial_cmp(right);
    }
    let parts = |number: &ModelValue| match number {
        ModelValue::Int(value) => Some((*value, 0.0)),
        ModelValue::Double(value) => Some((value.floor() as i128, value - value.floor())),
        _ => None,
    };
    parts(left)?.partial_cmp(&parts(right)?)
}

fn binary(operator: &str, left: ModelValue, right: ModelValue) -> Option<ModelValue> {
    use std::cmp::Ordering::{Greater, Less};
    match operator {
        "==" => return Some(ModelValue::Bool(equal(&left, &right))),
        "!=" => return Some(ModelValue::Bool(!equal(&left, &right))),
        "in" => {
            return match right {
                ModelValue::List(items) => Some(ModelValue::Bool(items.iter().any(|item| equal(&left, item)))),
                ModelValue::Map(members) => Some(ModelValue::Bool(members.iter().any(|(name, _)| left == ModelValue::Text(name.clone())))),
                _ => None,
            };
        }
        "<" | "<=" | ">" | ">=" => {
            let order = match (&left, &right) {
                (ModelValue::Text(left), ModelValue::Text(right)) => left.chars().cmp(right.chars()),
                (ModelValue::Bool(left), ModelValue::Bool(right)) => left.cmp(right),
                (left, right) => compare(left, right)?,
            };
            let holds = match operator {
                "<" => order == Less,
                "<=" => order != Greater,
                ">" => order == Greater,
                _ => order != Less,
            };
            return Some(ModelValue::Bool(holds));
        }
        _ => {}
    }
    match (left, right) {
        (ModelValue::Int(left), ModelValue::Int(right)) => {
            let made = match operator {
                "+" => left + right,
                "-" => left - right,
                "*" => left * right,
                "/" => left.checked_div(right)?,
                _ if right == -1 && left == i128::from(i64::MIN) => return None,
                _ => left.checked_rem(right)?,
            };
            int(made)
        }
        (ModelValue::Double(left), ModelValue::Double(right)) => {
            let made = match operator {
                "+" => left + right,
                "-" => left - right,
                "*" => left * right,
                "/" if right != 0.0 => left / right,
                _ => return None,
            };
            made.is_finite().then_some(ModelValue::Double(made))
        }
        (ModelValue::Text(left), ModelValue::Text(right)) if operator == "+" => Some(ModelValue::Text(left + &right)),
        (ModelValue::List(left), ModelValue::List(right)) if operator == "+" => Some(ModelValue::List([left, right].concat())),
        _ => None,
    }
}

fn equal(left: &ModelValue, right: &ModelValue) -> bool {
    match (left, right) {
        (ModelValue::List(left), ModelValue::List(right)) => left.len() == right.len() && left.iter().zip(right).all(|(l, r)| equal(l, r)),
        (ModelValue::Map(left), ModelValue::Map(right)) => {
            let has = |name: &String, value: &ModelValue| right.iter().any(|(other, found)| name == other && equal(value, found));
            left.len() == right.len() && left.iter().all(|(name, value)| has(name, value))
        }
        (ModelValue::Int(_) | ModelValue::Double(_), ModelValue::Int(_) | ModelValue::Double(_)) => {
            compare(left, right) == Some(std::cmp::Ordering::Equal)
        }
        (left, right) => left == right,
    }
}

fn share() -> ModelValue {
    let texts = [("id", "s1"), ("owner", "nw"), ("target", "acme"), ("asset", "NW-7"), ("target_asset", "EX-1"), ("permission", "view")];
    let members = texts.map(|(name, text)| (name.to_owned(), ModelValue::Text(text.to_owned())));
    ModelValue::Map(members.into_iter().chain([("label".to_owned(), ModelValue::Null)]).collect())
}

const NAMES: [&str; 4] = ["a", "b", "c", "label"];

/// JSON and what the model makes of it. Names may repeat.
fn json() -> impl Strategy<Value = (String, ModelValue)> {
    let leaf = prop_oneof![
        Just(("null".to_owned(), ModelValue::Null)),
        any::<bool>().prop_map(|value| (value.to_string(), ModelValue::Bool(value))),
        number(),
        text(),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(list_of),
            prop::collection::vec((prop::sample::select(&NAMES[..]), inner), 0..5).prop_map(map_of),
        ]
    })
}

fn list_of(items: Vec<(String, ModelValue)>) -> (String, ModelValue) {
    let (texts, values): (Vec<_>, Vec<_>) = items.into_iter().unzip();
    (format!("[{}]", texts.join(",")), ModelValue::List(values))
}

fn map_of(members: Vec<(&'static str, (String, ModelValue))>) -> (String, ModelValue) {
    let mut known: Vec<(String, ModelValue)> = Vec::new();
    let mut texts = Vec::new();
    for (name, (text, value)) in members {
        texts.push(format!("\"{name}\":{text}"));
        known.retain(|(other, _)| other != name);
        known.push((name.to_owned(), value));
    }
    (format!("{{{}}}", texts.join(",")), ModelValue::Map(known))
}

/// As JSON and CEL write it alike: ints at the ends of their range and around 2^53, doubles near them.
fn number() -> impl Strategy<Value = (String, ModelValue)> {
    let ints = prop_oneof![
        -3i64..4,
        prop::sample::select(&[i64::MIN, i64::MIN + 1, i64::MAX, i64::MAX - 1, 1 << 53, (1 << 53) + 1, -(1 << 53) - 1][..]),
    ];
    let doubles = prop_oneof![
        (-4i64..5).prop_map(|quarter| quarter as f64 / 4.0),
        prop::sample::select(&[9_007_199_254_740_992.0, 9_223_372_036_854_775_808.0, -9_223_372_036_854_775_808.0, 1e20, -0.0][..]),
    ];
    prop_oneof![
        ints.prop_map(|value| (value.to_string(), ModelValue::Int(i128::from(value)))),
        doubles.prop_map(|value| (format!("{value:?}"), ModelValue::Double(value))),
    ]
}

fn text() -> impl Strategy<Value = (String, ModelValue)> {
    prop::sample::select(&["", "a", "b", "ab", "é", "😀", "\u{ffff}", "label"][..])
        .prop_map(|text| (format!("\"{text}\""), ModelValue::Text(text.to_owned())))
}

/// Conditions with every operator. `in_loop`: there is an element, and no loop in it.
fn node(in_loop: bool) -> BoxedStrategy<ModelNode> {
    let literal = prop_oneof![
        number(),
        text(),
        any::<bool>().prop_map(|value| (value.to_string(), ModelValue::Bool(value))),
        Just(("null".to_owned(), ModelValue::Null)),
    ]
    .prop_map(|(source, value)| ModelNode::Literal(source, value));
    let record = Just(ModelNode::Record);
    let named = prop::sample::select(&NAMES[..]).prop_map(|name| ModelNode::Member(Box::new(ModelNode::Record), name));
    let leaf = if in_loop {
        prop_oneof![3 => literal, 1 => record, 4 => named, 1 => Just(ModelNode::Share), 4 => Just(ModelNode::Element)].boxed()
    } else {
        prop_oneof![3 => literal, 1 => record, 4 => named, 1 => Just(ModelNode::Share)].boxed()
    };
    let plain = leaf.prop_recursive(4, 24, 3, |inner| {
        let boxed = || inner.clone().prop_map(Box::new);
        let operators = &["==", "!=", "<", "<=", ">", ">=", "&&", "||", "&&", "||", "+", "-", "*", "/", "%", "in"][..];
        let methods = &["startsWith", "endsWith", "contains"][..];
        prop_oneof![
            2 => (boxed(), prop::sample::select(&NAMES[..])).prop_map(|(of, name)| ModelNode::Member(of, name)),
            1 => (boxed(), prop::sample::select(&NAMES[..])).prop_map(|(of, name)| ModelNode::Has(of, name)),
            1 => (boxed(), boxed()).prop_map(|(of, at)| ModelNode::Index(of, at)),
            2 => (prop::sample::select(&['!', '-'][..]), boxed()).prop_map(|(operator, of)| ModelNode::Unary(operator, of)),
            8 => (prop::sample::select(operators), boxed(), boxed()).prop_map(|(operator, l, r)| ModelNode::Binary(operator, l, r)),
            1 => (boxed(), boxed(), boxed()).prop_map(|(condition, then, otherwise)| ModelNode::If(condition, then, otherwise)),
            1 => boxed().prop_map(ModelNode::Size),
            1 => (prop::sample::select(methods), boxed(), boxed()).prop_map(|(name, of, argument)| ModelNode::Method(name, of, argument)),
            1 => prop::collection::vec(inner.clone(), 0..3).prop_map(ModelNode::List),
        ]
    });
    plain.boxed()
}

fn condition() -> impl Strategy<Value = ModelNode> {
    let loops = (prop::sample::select(&["all", "exists"][..]), node(false), node(true))
        .prop_map(|(name, of, body)| ModelNode::Loop(name, Box::new(of), Box::new(body)));
    let side = prop_oneof![3 => node(false), 2 => loops];
    let joined = (prop::sample::select(&["&&", "||", "=="][..]), side.clone(), side.clone())
        .prop_map(|(operator, left, right)| ModelNode::Binary(operator, Box::new(left), Box::new(right)));
    prop_oneof![1 => side, 1 => joined]
}

fn record() -> impl Strategy<Value = (String, ModelValue)> {
    prop::collection::vec((prop::sample::select(&NAMES[..]), json()), 0..7).prop_map(map_of)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn agrees_with_the_model(node in condition(), (text, model) in record()) {
        let source = node.source();
        prop_assume!(source.len() <= 4096);
        let expected = match node.value(&model, None) {
            Some(ModelValue::Bool(value)) => Some(value),
            _ => None,
        };
        prop_assert_eq!(holds_of(&source, &text).ok(), expected, "{} of {}", source, text);
    }

    /// Whatever is written, it is read or refused, and what is read has a value or an error.
    #[test]
    fn random_sources_never_panic(source in prop::collection::vec(prop::sample::select(&[
        "record", "share", ".a", "['a']", "[0]", "(", ")", "[", "]", "!", "-", "+", "*", "/", "%", "==", "!=", "<", ">=", "&&", "||", "?", ":", ",",
        " ", "1", "1.5", "0x1", "'a'", "\"", "'''", "\\", "r'", "true", "null", " in ", "has(", "size(", ".all(x,", ".exists(x,", "x", ".size()",
        ".startsWith(", "{", "}", "//", "\n", "é", "1u", "b'a'", "`", "@", "_",
    ][..]), 0..24), text in ".{0,40}") {
        for source in [source.concat(), text] {
            if let Ok(condition) = Condition::parse(&source) {
                let mut tape = Tape::default();
                tape.parse(RECORD.as_bytes()).unwrap();
                let _ = condition.holds(RECORD.as_bytes(), &tape, &SHARE);
            }
        }
    }
}
