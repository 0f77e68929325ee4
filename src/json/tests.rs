//! The tape against serde_json, and what docs/rules/values.md#json-that-is-read adds to the grammar.

use crate::json::tape::{NodeIndex, NodeKind, Tape};
use proptest::prelude::*;
use serde_json::Value;

fn is_taken(text: &[u8]) -> bool {
    Tape::default().parse(text).is_ok()
}

/// The tape's values as serde_json has them; every accessor is used on the way.
fn rebuilt(tape: &Tape, text: &[u8], node: NodeIndex) -> Value {
    let mut buffer = String::new();
    match tape.kind(node) {
        NodeKind::Null => Value::Null,
        NodeKind::True => Value::Bool(true),
        NodeKind::False => Value::Bool(false),
        NodeKind::Number => serde_json::from_slice(tape.raw(text, node)).unwrap(),
        NodeKind::String => {
            let string = tape.string(text, node, &mut buffer).unwrap().to_owned();
            assert!(tape.string_is(text, node, &string) && !tape.string_is(text, node, &format!("{string}x")));
            Value::String(string)
        }
        NodeKind::Array => Value::Array(tape.children(node).map(|child| rebuilt(tape, text, child)).collect()),
        NodeKind::Object => {
            let member = |child| {
                let name = tape.name(text, child, &mut buffer).to_owned();
                assert!(tape.name_is(text, child, &name) && !tape.name_is(text, child, &format!("{name}x")));
                assert_eq!(tape.entry(child).name.hash, crate::json::tape::hash_name(&name));
                (name, rebuilt(tape, text, child))
            };
            Value::Object(tape.children(node).map(member).collect())
        }
    }
}

fn json() -> impl Strategy<Value = String> {
    let blank = || prop::sample::select(vec!["", "", "", " ", "\n", " \t\r\n "]);
    let string = "(([a-zA-Z0-9 é🚜'/]|\\\\[\"\\\\/bfnrt]|\\\\u00[0-7][0-9a-fA-F]|\\\\uD83D\\\\uDe9c){0,6}|[a-z]{7,20})"
        .prop_map(|inside| format!("\"{inside}\""));
    let number = "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?";
    let leaf =
        prop_oneof![number.prop_map(|n| n), string.clone(), prop::sample::select(vec!["true", "false", "null"]).prop_map(str::to_owned)];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        let inner = (blank(), inner, blank()).prop_map(|(a, value, b)| format!("{a}{value}{b}"));
        let name = (blank(), string.clone(), blank()).prop_map(|(a, name, b)| format!("{a}{name}{b}"));
        prop_oneof![
            (blank(), prop::collection::vec(inner.clone(), 0..5)).prop_map(|(a, items)| if items.is_empty() {
                format!("[{a}]")
            } else {
                format!("[{}]", items.join(","))
            }),
            (blank(), prop::collection::vec((name, inner).prop_map(|(name, value)| format!("{name}:{value}")), 0..5))
                .prop_map(|(a, members)| if members.is_empty() { format!("{{{a}}}") } else { format!("{{{}}}", members.join(",")) }),
        ]
    })
}

fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![prop::sample::select(br#"{}[]",:\u0123dD8tfn-+.eE "#.to_vec()), any::<u8>()];
    let change = (any::<prop::sample::Index>(), byte, 0u8..3);
    (json(), prop::collection::vec(change, 1..4)).prop_map(|(text, changes)| {
        let mut bytes = text.into_bytes();
        for (index, byte, kind) in changes {
            let at = index.index(bytes.len() + 1).min(bytes.len());
            match kind {
                0 if at < bytes.len() => bytes[at] = byte,
                1 if at < bytes.len() => drop(bytes.remove(at)),
                _ => bytes.insert(at, byte),
            }
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8 * ProptestConfig::default().cases))]

    #[test]
    fn valid_json_is_read_as_serde_json_reads_it(text in json()) {
        let mut tape = Tape::default();
        prop_assert_eq!(tape.parse(text.as_bytes()), Ok(()));
        prop_assert_eq!(rebuilt(&tape, text.as_bytes(), NodeIndex::ROOT), serde_json::from_str::<Value>(&text).unwrap());
        let mut compact = Vec::new();
        crate::json::text::write_compact(text.as_bytes(), &mut compact);
        prop_assert_eq!(serde_json::from_slice::<Value>(&compact).unwrap(), serde_json::from_str::<Value>(&text).unwrap());
        let has_blanks = compact.len() != text.trim_matches([' ', '\n', '\r', '\t']).len();
        prop_assert_eq!(tape.entry(NodeIndex::ROOT).has_blanks(), has_blanks);
    }

    /// Records of few shapes in turn, some of them damaged, and the names of some changed: every entry is the same by either way.
    #[test]
    fn a_remembered_shape_reads_as_the_whole_reader_does(
        texts in prop::collection::vec(json(), 1..4),
        scalars in prop::collection::vec(prop::sample::select(vec!["1", "-0", "1e3", "\"x\"", "\"\\n\"", "null", "true", "[]", "{}", "\"é\""]), 12),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut records: Vec<Vec<u8>> = Vec::new();
        for scalar in scalars {
            for text in &texts {
                // The shape with other scalars, and with a name that is changed.
                records.push(text.clone().into_bytes());
                records.push(format!(r#"{{"a":{scalar},"b":{text},"c":[{scalar},{{"d":{scalar}}}]}}"#).into_bytes());
                records.push(format!(r#"{{"a":{scalar},"e":{text},"c":[{scalar},{{"d":{scalar}}}]}}"#).into_bytes());
            }
        }
        for (which, at, byte) in damage {
            let record = which.get(&records).clone();
            let mut record = record;
            let at = at.index(record.len());
            record[at] = byte;
            records.push(record);
        }
        let (mut plain, mut remembering) = (Tape::default(), Tape::remembering());
        for text in records.iter().chain(records.iter().rev()) {
            prop_assert_eq!(remembering.parse(text), plain.parse(text), "{}", String::from_utf8_lossy(text));
            prop_assert_eq!(remembering.entries(), plain.entries(), "{}", String::from_utf8_lossy(text));
        }
        prop_assert!(remembering.shape().is_some() || plain.entries().is_empty() || std::str::from_utf8(&records[0]).is_err());
    }

    #[test]
    fn damaged_json_is_refused_where_serde_json_refuses_it(bytes in mutated()) {
        prop_assert_eq!(is_taken(&bytes), serde_json::from_slice::<Value>(&bytes).is_ok(), "{}", String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn d26_depth_is_128_and_no_depth_exhausts_the_stack() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(is_taken(nested(128).as_bytes()) && !is_taken(nested(129).as_bytes()));
    assert!(is_taken(format!("{}1{}", "{\"a\":".repeat(128), "}".repeat(128)).as_bytes()));
    assert!(!is_taken(&[b'['; 1 << 20]) && !is_taken("{\"a\":".repeat(1 << 18).as_bytes()));
}

#[test]
fn d26_numbers_are_finite_as_doubles() {
    let zeros = "0".repeat(400);
    for good in [
        "1.7976931348623157e308",
        "1e-999999999",
        "0e999999999",
        "-0.0",
        &format!("0.{zeros}1"),
        &format!("0.{zeros}1e400"),
        "123456789012345678901234567890.5e-3",
        "1E+300",
    ] {
        assert!(is_taken(good.as_bytes()), "{good}");
    }
    for bad in [
        "1e309",
        "-1e309",
        "1.8e308",
        &format!("1{zeros}"),
        "1e99999999999999999999",
        "01",
        "-",
        "-01",
        "1.",
        ".5",
        "+1",
        "1e",
        "1e+",
        "0x1",
        "NaN",
        "Infinity",
        "1.e5",
    ] {
        assert!(!is_taken(bad.as_bytes()), "{bad}");
    }
}

#[test]
fn d26_texts_are_whole_unicode() {
    for good in [r#""\u0000""#, r#""\ud83d\ude9c""#, r#"{"\uD83D\uDE9C":1,"a":1,"a":2}"#, "\"\u{7f}\u{85}\"", " \t\r\n1 \t\r\n"] {
        assert!(is_taken(good.as_bytes()), "{good}");
    }
    let bad: [&[u8]; 14] = [
        br#""\ud800""#,
        br#""\udc00x""#,
        br#"{"\ud800":1}"#,
        br#""\ud83d\u0041""#,
        "\u{feff}1".as_bytes(),
        b"\"\xff\"",
        b"\"\xc0\x80\"",
        b"\"\xed\xa0\x80\"",
        b"\"a\nb\"",
        b"\"\x01\"",
        b"",
        b" ",
        b"\x0b1",
        b"1\0",
    ];
    for text in bad {
        assert!(!is_taken(text), "{text:?}");
    }
}

#[test]
fn the_grammar_alone_knows_no_limits() {
    let mut tape = Tape::default();
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for text in [r#"{"a":1e999,"b":"x\ud800y","\udc00":"\u0041"}"#, &deep, &"9".repeat(400)] {
        assert!(tape.parse_grammar(text.as_bytes()).is_ok() && !is_taken(text.as_bytes()));
    }
    for bad in [r#""\ud80""#, r#""\x""#, "1e", "[", "\u{feff}1", r#"{"a":1,}"#] {
        assert!(tape.parse_grammar(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn errors_say_where_and_leave_an_empty_tape() {
    let mut tape = Tape::default();
    for (text, at) in
        [("[1,]", 3), ("{\"a\" 1}", 5), ("[1 2]", 3), ("{\"a\":1", 6), ("[}", 1), ("1 1", 2), ("{1:1}", 1), ("[\"a", 3), ("{\"a\":tru}", 5)]
    {
        assert_eq!(tape.parse(text.as_bytes()).map_err(|error| error.at), Err(at), "{text}");
    }
    assert!(tape.parse(b"[1]").is_ok() && tape.children(NodeIndex::ROOT).count() == 1);
}
