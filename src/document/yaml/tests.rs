use super::*;
use crate::document::DocumentKind;

fn show(node: &Node) -> String {
    match &node.kind {
        DocumentKind::Null => "null".into(),
        DocumentKind::Bool(value) => value.to_string(),
        DocumentKind::Number(text) => format!("n{text}"),
        DocumentKind::String(text) => format!("{text:?}"),
        DocumentKind::List(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(",")),
        DocumentKind::Map(members) => {
            format!("{{{}}}", members.iter().map(|m| format!("{}:{}", m.name, show(&m.value))).collect::<Vec<_>>().join(","))
        }
    }
}

fn read(text: &str) -> String {
    show(&parse(text).unwrap())
}

fn refused(text: &str) -> (u32, u32, String) {
    let e = parse(text).unwrap_err();
    (e.place.line, e.place.column, e.what)
}

#[test]
fn plain_scalars_follow_the_core_schema_and_numbers_json() {
    assert_eq!(read("[~, null, NULL]"), "[null,null,null]");
    assert_eq!(read("a:\nb: ~\nc: Null"), "{a:null,b:null,c:null}");
    assert_eq!(read("[true, False, yes, off, on]"), r#"[true,false,"yes","off","on"]"#);
    assert_eq!(read("[0, -0, 1.0, 1e3, 1E+2, -12.50, 12345678901234567890]"), "[n0,n-0,n1.0,n1e3,n1E+2,n-12.50,n12345678901234567890]");
    for text in ["0x1f", "0o7", "012", "+1", ".5", "1.", ".inf", "-.inf", ".nan", "1_000", "1e", "1.e3", "2026-01-01", "12:30", "1.2.3"] {
        assert_eq!(parse(&format!("a: {text}")).unwrap().get("a").unwrap().as_str(), Some(text));
    }
    assert_eq!(read("['1', \"true\", '', !!str 5]"), r#"["1","true","","5"]"#);
    assert_eq!(read("a: |\n  x\n  1\n"), r#"{a:"x\n1\n"}"#);
}

#[test]
fn an_empty_text_is_null() {
    for text in ["", "\n# nothing\n", "\u{feff}", "---\n"] {
        assert_eq!(read(text), "null", "{text:?}");
    }
}

#[test]
fn every_node_knows_its_place() {
    let node = parse("# a comment\nstreams:\n  telemetry:\n    tenant: $.tenant\n    list: [1, \"é\", x]\n").unwrap();
    let telemetry = node.get("streams").unwrap().get("telemetry").unwrap();
    assert_eq!(telemetry.members()[0].place, TextPosition { line: 4, column: 5 });
    assert_eq!(telemetry.get("tenant").unwrap().place, TextPosition { line: 4, column: 13 });
    let columns: Vec<u32> = telemetry.get("list").unwrap().as_list().unwrap().iter().map(|n| n.place.column).collect();
    assert_eq!(columns, [12, 15, 20]);
    let json = parse("{\"a\":{\"b\":[null,\n{\"c\":1}]}}").unwrap();
    let list = json.get("a").unwrap().get("b").unwrap().as_list().unwrap();
    assert_eq!(
        (list[0].place, list[1].get("c").unwrap().place),
        (TextPosition { line: 1, column: 12 }, TextPosition { line: 2, column: 6 })
    );
}

#[test]
fn a_key_written_twice_names_both_places() {
    let e = parse("a: 1\nb: 2\na: 3\n").unwrap_err();
    assert_eq!((e.place, e.other), (TextPosition { line: 3, column: 1 }, Some(TextPosition { line: 1, column: 1 })));
    assert!(e.what.contains("`a`") && e.what.contains("line 1"), "{}", e.what);
    assert_eq!(read("[{a: 1}, {a: 2}]"), "[{a:n1},{a:n2}]");
}

#[test]
fn aliases_are_written_out_within_a_bound() {
    assert_eq!(read("a: &x [1, {b: 2}]\nc: *x\n"), "{a:[n1,{b:n2}],c:[n1,{b:n2}]}");
    assert!(refused("a: &x [*x]\n").2.contains("alias"));
    let mut laughs = String::from("a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n");
    for n in 1..12 {
        laughs += &format!("a{n}: &a{n} [*a{m},*a{m},*a{m},*a{m},*a{m},*a{m},*a{m},*a{m},*a{m},*a{m}]\n", m = n - 1);
    }
    assert!(refused(&laughs).2.contains("aliases written out"));
}

#[test]
fn what_cannot_be_meant_is_refused_with_its_place() {
    assert_eq!(refused("a: 1\n---\nb: 2\n").0, 2);
    assert_eq!(refused("a: !thing 1\n").2, "tags other than !!str are not read; remove it");
    assert_eq!(refused("? [a]\n: 1\n").2, "a key must be a text, not a list or a map");
    assert_eq!(refused(": 1\n").2, "a key is missing before the colon");
    let (line, _, _) = refused("a:\n  b: [1, 2\nc: 3\n");
    assert!(line >= 2);
    assert_eq!(refused("a:\n\tb: 1\n").0, 2);
    assert!(parse("a: *nowhere\n").is_err());
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    assert!(parse(&nested(MAX_DEPTH)).is_ok());
    assert!(parse(&nested(MAX_DEPTH + 1)).unwrap_err().what.contains("deep"));
    let block: String = (0..5000).map(|n| format!("{}a:\n", " ".repeat(n))).collect();
    assert!(parse(&block).is_err());
}

proptest::proptest! {
    #[test]
    fn hostile_text_never_panics(text in "[\\[\\]{}:,&*!|>'\"#%@`~?a1 \\n\\t\\-\\\\é]{0,60}") {
        let _ = parse(&text);
    }
}
