//! What is a condition and what is not, and what conditions mean.

mod model;

use super::*;

const SHARE: ShareFacts<'static> =
    ShareFacts { id: "s1", owner: "nw", target: "acme", asset: "NW-7", target_asset: "EX-1", permission: "view", label: None };

fn holds_of(source: &str, record: &str) -> Result<bool, ConditionError> {
    let mut tape = Tape::default();
    tape.parse(record.as_bytes()).unwrap();
    Condition::parse(source).unwrap_or_else(|error| panic!("{source}: {error}")).holds(record.as_bytes(), &tape, &SHARE)
}

const RECORD: &str = r#"{"ignition":true,"speed":12,"ratio":0.5,"big":9007199254740993,"huge":12345678901234567890,"name":"Gr\u00fcn","emoji":"😀a",
    "none":null,"list":[1,2.0,"x",null,[1]],"codes":["P1","P2"],"metrics":[{"n":"fuel","v":7},{"n":"oil"}],
    "twice":1,"twice":2,"map":{"a":1,"a":2,"b":[]},"a b":1,"\u0067ps":{"lat":1},"empty":{},"no":[]}"#;

#[test]
fn what_is_true() {
    for source in [
        "record.ignition == true",
        "record.ignition",
        "record.speed > 10 && record.speed < 12.5",
        "record.speed == 12.0 && 12.0 == record.speed && record.speed != 12.5",
        "record.big > 9007199254740992.0 && record.big < 9007199254740994.0 && record.big != 9007199254740992.0",
        "record.huge > 9223372036854775807 && record.huge == 12345678901234567000.0",
        "record.name == 'Grün' && size(record.name) == 4 && record.name.size() == 4",
        "size(record.emoji) == 2 && record.emoji.startsWith('😀')",
        "record.none == null && null == null && record.none != 0",
        "record.twice == 2 && record['twice'] == 2",
        "record['a b'] == 1 && record.gps.lat == 1",
        "record.list[1] == 2 && record.list[4][0] == 1 && record.list[1.0] == 2",
        "record.list == [1, 2, 'x', null, [1.0]]",
        "record.map == record.map && size(record.map) == 2 && record.map.a == 2 && 'b' in record.map && !('c' in record.map)",
        "size(record.list) == 5 && size(record.no) == 0 && size(record.empty) == 0",
        "2 in record.list && 'x' in record.list && !('y' in record.list) && !(1 in record.map)",
        "record.speed in [1, 12, 3]",
        "has(record.speed) && !has(record.missing) && has(record.none) && has(record.gps.lat)",
        "has(record.missing) ? record.missing > 1 : record.speed == 12",
        "record.metrics.exists(m, m.v > 5)",
        "record.metrics.all(m, size(m.n) > 1)",
        "record.no.all(x, false) && !record.no.exists(x, true)",
        "record.map.all(k, k in ['a', 'b'])",
        "record.codes.exists(c, c.endsWith('2')) && record.codes.exists(c, c.contains('P'))",
        "true || record.missing && false",
        "record.missing == 1 || true",
        "true || 1 / 0 == 1",
        "1 / 0 == 1 || true",
        "!(false && record.missing)",
        "!(record.missing && false)",
        "'x' == 1 || !('x' == 1)",
        "'b' > 'a' && 'Z' < 'a' && '\\U0001F600' > '\\uFFFD' && true > false",
        "-7 / 2 == -3 && -7 % 2 == -1 && 7 % -2 == 1 && 1 - -1 == 2 && -(1) == -1",
        "7.5 / 2.5 == 3 && 0.1 + 0.2 != 0.3 && 2.0 * 3.0 == 6 && 1.0 - 2.0 == -1",
        "'a' + 'b' == \"ab\" && [1] + [2, 'x'] == [1, 2, 'x'] && [] + [] == []",
        "'it\\'s' == \"it's\" && r'\\n' == '\\\\n' && '''a\nb''' == 'a\\nb' && '\\x41\\101\\u0041' == 'AAA'",
        "0x1F == 31 && -0x1 == -1 && 1e3 == 1000 && .5 == 0.5",
        "record.speed > 1 // the engine runs\n && true",
        "1 < 2 == true",
        "true ? true : false ? false : false",
        "share.id == 's1' && share.owner == 'nw' && share.target == 'acme' && share.asset == 'NW-7' && share.target_asset == 'EX-1'",
        "share.permission == 'view' && share.label == null && has(share.label) && size(share) == 7 && 'label' in share",
        "share == share && share.all(k, size(k) > 1)",
        "[record, share].all(x, size(x) > 6)",
        "record.codes.all(record, record.startsWith('P'))",
        "record.metrics.exists(all, all.v == 7)",
        "-9223372036854775808 < 0 && 9223372036854775807 > 0",
        "record.metrics.all(m, has(m.n)) && record.metrics.exists(m, !has(m.v))",
        "[1, 2, 3].exists(x, x == record.list[0])",
    ] {
        assert_eq!(holds_of(source, RECORD), Ok(true), "{source}");
    }
}

#[test]
fn what_is_false() {
    for source in [
        "false",
        "record.speed > 12",
        "1 == '1'",
        "null == false",
        "[1] == ['1']",
        "[1] == [1, 1]",
        "record.map == record.empty",
        "record.metrics.exists(m, m.n == 'water')",
        "record.missing && false",
        "record.codes.all(c, c == 'P1' && record.missing)",
    ] {
        assert_eq!(holds_of(source, RECORD), Ok(false), "{source}");
    }
}

#[test]
fn what_has_no_value() {
    use ConditionError::{DivisionByZero, Missing, NotBoolean, Overflow, Types};
    for (source, error) in [
        ("record.missing", Missing),
        ("record.missing.deeper == 1", Missing),
        ("has(record.missing.deeper)", Missing),
        ("has(record.speed.deeper)", Types),
        ("record.none.x == 1", Types),
        ("record.list[9] == 1", Missing),
        ("record.list[-1] == 1", Missing),
        ("record.list[0.5] == 1", Missing),
        ("record.list['0'] == 1", Types),
        ("record.map[1] == 1", Missing),
        ("record.name[0] == 'G'", Types),
        ("share.note == null", Missing),
        ("1", NotBoolean),
        ("record", NotBoolean),
        ("!1", Types),
        ("-'a' == 'a'", Types),
        ("1 + 1.0 == 2", Types),
        ("1.5 % 1.0 == 0.5", Types),
        ("'a' + 1 == 'a1'", Types),
        ("'a' < 1", Types),
        ("null < null", Types),
        ("[1] < [2]", Types),
        ("record < record", Types),
        ("9223372036854775807 + 1 > 0", Overflow),
        ("-9223372036854775808 - 1 < 0", Overflow),
        ("-9223372036854775808 / -1 > 0", Overflow),
        ("-9223372036854775808 % -1 == 0", Overflow),
        ("1e308 * 10.0 > 1.0", Overflow),
        ("1 / 0 == 1", DivisionByZero),
        ("1 % 0 == 1", DivisionByZero),
        ("1.0 / 0.0 > 1.0", DivisionByZero),
        ("1 in 'abc'", Types),
        ("'a' in 'abc'", Types),
        ("size(1) == 1", Types),
        ("'a'.startsWith(1)", Types),
        ("record.name.all(c, true)", Types),
        ("1 && true", Types),
        ("false || 1", Types),
        ("record.missing || false", Missing),
        ("record.missing ? true : true", Missing),
        ("record.metrics.all(m, m.v > 1)", Missing),
        ("record.metrics.exists(m, m.v > 9)", Missing),
    ] {
        assert_eq!(holds_of(source, RECORD), Err(error), "{source}");
    }
}

#[test]
fn what_is_no_condition() {
    let long = format!("'{}' == ''", "x".repeat(4096));
    for source in [
        "",
        " ",
        "// nothing",
        "record.",
        "record. == 1",
        "record.a ==",
        "(record.a",
        "record.a)",
        "record.a]",
        "[1",
        "1 2",
        "a b",
        "= 1",
        "record.a = 1",
        "record.a & true",
        "record.a | true",
        "record.a; true",
        "@result",
        "`record`",
        "record.`a`",
        "$.a == 1",
        "recrod.a == 1",
        "x",
        "Record.a",
        ".record.a",
        "true.false",
        "record.true",
        "record.in",
        "in",
        "if",
        "for == 1",
        "let",
        "1u == 1",
        "0x1U == 1",
        "b'a' == 'a'",
        "rb'a' == 'a'",
        "B\"a\" == 'a'",
        "{'a': 1}",
        "{}",
        "record{a: 1}",
        "{'a': 1}.a == 1",
        "'a'.matches('a')",
        "matches('a', 'a')",
        "record.l.map(x, x)",
        "record.l.filter(x, true)",
        "record.l.exists_one(x, true)",
        "record.l.existsOne(x, true)",
        "record.l.map(x, true, x)",
        "record.l.all(x, y, true)",
        "record.l.all(x)",
        "record.l.all()",
        "all(record.l, true)",
        "record.l.all(x.y, true)",
        "record.l.all('x', true)",
        "record.l.exists(1, true)",
        "record.l.all(x, x.all(y, true))",
        "record.l.exists(x, record.m.exists(y, true))",
        "[record.l.all(x, true)].all(y, y)",
        "record.l.all(x, true) && x == 1",
        "has(record)",
        "has(record['a'])",
        "has(record.a, record.b)",
        "has()",
        "has(has(record.a))",
        "has((has(record.a)))",
        "record.has(a)",
        "record.?a == 1",
        "record[?'a'] == 1",
        "[?record.a] == []",
        "int(record.a) == 1",
        "string(1) == '1'",
        "double(1) == 1.0",
        "type(1) == int",
        "timestamp('x') == 1",
        "duration('1s') == 1",
        "dyn(1) == 1",
        "max(1, 2) == 2",
        "'a'.lowerAscii() == 'a'",
        "record.a.foo()",
        "foo()",
        "size()",
        "size(1, 2)",
        "'a'.size(1)",
        "'a'.startsWith()",
        "startsWith('a', 'b')",
        "contains('a', 'b')",
        "cel.bind(x, 1, x)",
        "optional.none()",
        "9223372036854775808 == 1",
        "-9223372036854775809 == 1",
        "1e999 == 1.0",
        "-1e999 == 1.0",
        "0x8000000000000000 == 1",
        "1. == 1.0",
        "1a",
        "0x",
        "1e",
        "1__0",
        "'a",
        "\"a",
        "'a\nb' == ''",
        "'a\r' == ''",
        "'\\q' == ''",
        "'\\ud800' == ''",
        "'\\x4' == ''",
        "'\\400' == ''",
        "'''a''",
        "r'a",
        "!-record.a",
        "-!record.a",
        "- - ! true",
        "true ? true",
        "true ? : false",
        "a ? b : c",
        "not true",
        "true and true",
        "record.a is null",
        "record.a === 1",
        "record.a <> 1",
        "é == 1",
        "record.é == 1",
        "\u{a0}true",
        "true\u{0}",
        "\u{feff}true",
        "_",
        "__result__",
        "@result || true",
        "[1,,2]",
        "size(record.a,)",
        &long,
    ] {
        let refused = Condition::parse(source).expect_err(source);
        assert!(refused.at <= source.len() && !refused.what.is_empty(), "{source}: {refused:?}");
    }
}

#[test]
fn no_record_makes_an_evaluation_long() {
    let list = vec!["1"; 50_000].join(",");
    let text = "x".repeat(500_000);
    let record = format!(r#"{{"list":[{list}],"text":"{text}"}}"#);
    let concat = format!("size({}) > 0", vec!["record.list"; 100].join(" + "));
    let texts = format!("size({}) > 0", vec!["record.text"; 100].join(" + "));
    for source in [
        "record.list.all(x, !(2 in record.list))",
        "record.list.exists(x, record.text.contains('y'))",
        "record.list.all(x, size(record.text + record.text) > x)",
        "record.list.all(x, record.list == record.list)",
        concat.as_str(),
        texts.as_str(),
    ] {
        assert_eq!(holds_of(source, &record), Err(ConditionError::TooCostly), "{source}");
        let saved = format!("{source} || true");
        assert_eq!(holds_of(&saved, &record), Err(ConditionError::TooCostly), "{saved}");
    }
    for source in ["record.list.all(x, x == 1)", "1 in record.list && record.list == record.list", "record.text + 'y' != record.text"] {
        assert_eq!(holds_of(source, &record), Ok(true), "{source}");
    }
    let small = format!(r#"{{"list":[{}]}}"#, vec!["1"; 500].join(","));
    assert_eq!(holds_of("record.list.all(x, !(2 in record.list))", &small), Ok(true), "what is short may be squared");
}

#[test]
fn an_error_says_where_it_is() {
    for (source, at) in [("record.a == 'x", 12), ("record.a ==\n  = 2", 14), ("true && {}", 8)] {
        assert_eq!(Condition::parse(source).unwrap_err().at, at, "{source}");
    }
}
