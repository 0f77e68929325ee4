//! What a profile may say, and what is refused.

use super::*;
use crate::json::document;

fn read(text: &str) -> Result<ProfileSpec, SpecError> {
    ProfileSpec::read(&document::parse(text.as_bytes()).unwrap())
}

fn refused(text: &str) -> String {
    match read(text) {
        Ok(_) => panic!("{text} was taken"),
        Err(error) => format!("{}:{}", error.place.column, error.what),
    }
}

fn entry(text: &str) -> String {
    format!(r#"{{"t":{{"transform":[{text}]}}}}"#)
}

#[test]
fn d21_sections_of_any_stream_and_of_nothing_pass() {
    let spec = read(r#"{"telemetry":{"include":["$.a","$"],"exclude":["$"],"transform":[{"paths":[],"const":null}]},"not-configured":{},"details":{"include":[]}}"#).unwrap();
    assert_eq!(spec.sections().iter().map(|s| s.stream.as_str()).collect::<Vec<_>>(), ["telemetry", "not-configured", "details"]);
    assert!(spec.has_section("details") && !spec.has_section("other"));
    assert_eq!(read("{}").unwrap().sections().len(), 0);
}

#[test]
fn d21_a_section_has_the_name_of_a_stream() {
    for name in ["Telemetry", "", "a b", "1d", "all streams"] {
        assert!(refused(&format!(r#"{{"{name}":{{}}}}"#)).contains("no stream"));
    }
}

#[test]
fn d10_of_a_repeated_member_the_last_counts() {
    let spec =
        read(r#"{"a":{"wrong":1},"a":{"include":null,"include":["$.x"],"transform":[{"path":"$.y","round":1,"path":"$.z","round":2}]}}"#)
            .unwrap();
    let section = spec.section("a").unwrap();
    assert_eq!(section.include[0].path, Path::parse("$.x").unwrap());
    assert_eq!(section.transforms[0].paths[0].path, Path::parse("$.z").unwrap());
    assert!(matches!(section.transforms[0].action, Action::Round(2)));
}

#[test]
fn d21_unknown_keys_name_the_nearest() {
    assert_eq!(refused(r#"{"t":{"inculde":[]}}"#), "7:unknown key `inculde`: did you mean `include`?");
    assert!(refused(r#"{"t":{"nothing":1}}"#).contains("include, exclude, transform, when, sample"));
    assert_eq!(refused(r#"{"t":{"sample":{"evry":"1s"}}}"#), "17:unknown key `evry`: did you mean `every`?");
    assert!(refused(&entry(r#"{"path":"$.a","rond":1}"#)).contains("`round`"));
}

#[test]
fn d53_a_condition_is_a_string_of_cel() {
    let spec = read(r#"{"t":{"when":"record.a == 1"},"u":{}}"#).unwrap();
    let source = |stream| spec.section(stream).unwrap().condition.as_ref().map(|condition| condition.source().to_owned());
    assert_eq!((source("t").as_deref(), source("u")), (Some("record.a == 1"), None));
    assert_eq!(refused(r#"{"t":{"when":"é == 1"}}"#), "14:when, character 1: a character that has no meaning here");
    assert_eq!(refused(r#"{"t":{"when":"'é' == é"}}"#), "14:when, character 8: a character that has no meaning here");
    assert!(refused(r#"{"t":{"when":true}}"#).contains("a string such as"));
    for bad in ["null", "1", "[]", "{}", "\"\"", "\"record.a =\"", "\"matches('a','b')\""] {
        refused(&format!(r#"{{"t":{{"when":{bad}}}}}"#));
    }
}

#[test]
fn d64_sample_takes_a_period_above_zero_alone() {
    let every =
        |text: &str| read(&format!(r#"{{"t":{{"sample":{text}}}}}"#)).map(|spec| spec.section("t").unwrap().sample.as_ref().unwrap().every);
    assert_eq!(every(r#"{"every":"250ms"}"#).ok(), Some(Period::from_millis(250)));
    assert_eq!(every(r#"{"every":"0s","every":"1m"}"#).ok(), Some(Period::from_millis(60_000)));
    for bad in [
        "null",
        "{}",
        "[]",
        r#""30s""#,
        "30",
        r#"{"every":null}"#,
        r#"{"every":30}"#,
        r#"{"every":"0s"}"#,
        r#"{"every":"30"}"#,
        r#"{"every":"-1s"}"#,
        r#"{"every":"1.5s"}"#,
        r#"{"every":"1w"}"#,
        r#"{"every":""}"#,
        r#"{"every":"99999999999999d"}"#,
        r#"{"every":"1s","first":1}"#,
        r#"{"first":1}"#,
    ] {
        assert!(every(bad).is_err(), "{bad}");
    }
}

#[test]
fn d21_bad_shapes_and_arguments_are_refused() {
    for text in [
        "[]",
        "null",
        r#"{"t":null}"#,
        r#"{"t":[]}"#,
        r#"{"t":{"include":null}}"#,
        r#"{"t":{"include":"$.a"}}"#,
        r#"{"t":{"include":[1]}}"#,
        r#"{"t":{"exclude":null}}"#,
        r#"{"t":{"transform":null}}"#,
        r#"{"t":{"transform":{}}}"#,
        r#"{"t":{"include":["$.a[0]"]}}"#,
        r#"{"t":{"include":["a"]}}"#,
    ] {
        refused(text);
    }
    for text in [
        "1",
        "{}",
        r#"{"path":"$.a"}"#,
        r#"{"round":1}"#,
        r#"{"path":"$.a","paths":["$.b"],"round":1}"#,
        r#"{"path":"$.a","round":1,"bucket":1}"#,
        r#"{"path":"$","round":1}"#,
        r#"{"paths":["$.a","$"],"mask":null}"#,
        r#"{"path":["$.a"],"round":1}"#,
        r#"{"paths":"$.a","round":1}"#,
        r#"{"path":null,"round":1}"#,
        r#"{"path":"$.a","round":-1}"#,
        r#"{"path":"$.a","round":100}"#,
        r#"{"path":"$.a","round":1.0}"#,
        r#"{"path":"$.a","round":1e1}"#,
        r#"{"path":"$.a","round":"2"}"#,
        r#"{"path":"$.a","round":null}"#,
        r#"{"path":"$.a","round":99999999999999999999999}"#,
        r#"{"path":"$.a","bucket":0}"#,
        r#"{"path":"$.a","bucket":-5}"#,
        r#"{"path":"$.a","bucket":"5"}"#,
        r#"{"path":"$.a","truncate":60}"#,
        r#"{"path":"$.a","truncate":"1w"}"#,
        r#"{"path":"$.a","truncate":"0s"}"#,
        r#"{"path":"$.a","truncate":"1.5s"}"#,
        r#"{"path":"$.a","truncate":null}"#,
        r#"{"path":"$.a","mask":"Hash"}"#,
        r#"{"path":"$.a","mask":true}"#,
        r#"{"path":"$.a","mask":{}}"#,
        r#"{"path":"$.a","mask":{"keep_last":1,"keep_first":1}}"#,
        r#"{"path":"$.a","mask":{"keep_last":-1}}"#,
        r#"{"path":"$.a","mask":{"keep_last":"4"}}"#,
        r#"{"path":"$.a","mask":{"keep_last":null}}"#,
        r#"{"path":"$.a","mask":{"keep":4}}"#,
        r#"{"path":"$.a","mask":[]}"#,
        r#"{"path":"$.a","rename":null}"#,
        r#"{"path":"$.a","rename":1}"#,
        r#"{"path":"$.a[*]","rename":"b"}"#,
        r#"{"path":"$.a[?@.b==1]","rename":"b"}"#,
    ] {
        refused(&entry(text));
    }
    for text in [
        r#"{"path":"$.a","round":0}"#,
        r#"{"path":"$.a","round":99}"#,
        r#"{"path":"$.a","bucket":1E2}"#,
        r#"{"path":"$.a","bucket":0.30}"#,
        r#"{"path":"$.a","truncate":"7m"}"#,
        r#"{"path":"$.a","mask":null}"#,
        r#"{"path":"$.a","mask":"null"}"#,
        r#"{"path":"$.a","mask":{"keep_first":0}}"#,
        r#"{"path":"$.a","mask":{"keep_last":99999999999999999999}}"#,
        r#"{"path":"$.a","const":null}"#,
        r#"{"path":"$.a[*].b","rename":""}"#,
    ] {
        read(&entry(text)).unwrap_or_else(|error| panic!("{text}: {error}"));
    }
}

#[test]
fn d26_constants_have_finite_numbers() {
    let place = TextPosition::default();
    let number = |text: &str| Node { kind: DocumentKind::Number(text.to_owned()), place };
    let list = |text: &str| Node { kind: DocumentKind::List(vec![number(text)]), place };
    assert!(has_boundless_number(&number("1e999")) && has_boundless_number(&list("-1e309")));
    assert!(!has_boundless_number(&list("1e-999")) && !has_boundless_number(&number("123456789012345678901234567890")));
}

#[test]
fn errors_say_where() {
    assert_eq!(refused(r#"{"t":{"include":["$.a", "$.b[0]"]}}"#).split(':').next(), Some("25"));
    assert!(refused(r#"{"t":{"include":["$.b[0]"]}}"#).contains("path $.b[0], character 5: indexes"));
}
