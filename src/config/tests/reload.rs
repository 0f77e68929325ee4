//! What a running process takes of a changed configuration.

use super::sample::SAMPLE;
use super::*;
use crate::config::keys::{Form, KEYS};
use crate::config::reload::{ReloadDecision, decide};

/// What is taken while running. What else there is needs a restart.
const RELOADED: &[&str] = &["log.level"];

/// Values of which one at least suits each key and is not its default.
const TEXTS: &[&str] =
    &["all", "x", "k:1", "127.0.0.1:1", "x.{tenant}.x", "x.{tenant}.{stream}", "$.x", "header:x", "'{asset}/{tenant}'", "[x]", "[$.x]"];

fn candidates(form: Form) -> Vec<String> {
    match form {
        Form::Map => Vec::new(),
        Form::Free => vec!["{ client.id: x }".to_owned()],
        Form::Text | Form::Texts => {
            TEXTS.iter().map(|text| if text.starts_with(['[', '\'']) { (*text).to_owned() } else { format!("'{text}'") }).collect()
        }
        Form::Whole(..) => vec!["7".to_owned()],
        Form::Flag => vec!["true".to_owned(), "false".to_owned()],
        Form::Span | Form::LongerSpan => vec!["700ms".to_owned(), "70s".to_owned()],
        Form::Word(words) => words.iter().map(|word| (*word).to_owned()).collect(),
    }
}

fn over(in_force: &Config, text: &str) -> Result<ReloadDecision, ConfigErrors> {
    Config::load(&[("sample", SAMPLE), ("over", text)], &ConfigEnv::none()).map(|read| decide(in_force, &read))
}

/// One key under its maps.
fn nested(key: &str, value: &str) -> String {
    let names: Vec<&str> = key.split('.').collect();
    names.iter().rev().fold(value.to_owned(), |value, name| format!("{{ {name}: {value} }}"))
}

#[test]
fn each_key_is_taken_or_named_as_one_that_needs_a_restart() {
    let in_force = load(SAMPLE).unwrap();
    let mut found_none = Vec::new();
    for (key, form) in KEYS.iter().filter(|(_, form)| *form != Form::Map) {
        let streams = if key.contains('*') { vec!["telemetry", "details"] } else { vec![""] };
        let mut decisions = Vec::new();
        for (stream, value) in streams.iter().flat_map(|stream| candidates(*form).into_iter().map(move |value| (stream, value))) {
            let key = key.replace('*', stream);
            // A stream of the other mode has its ids elsewhere.
            let text = if key == "streams.telemetry.mode" && value == "upsert" {
                "streams: { telemetry: { mode: upsert, tenant: header:t, asset: key } }".to_owned()
            } else {
                nested(&key, &value)
            };
            decisions.extend(
                over(&in_force, &text).ok().filter(|decision| *decision != ReloadDecision::Unchanged).map(|decision| (key, decision)),
            );
        }
        found_none.extend(decisions.is_empty().then_some(*key));
        for (written, decision) in decisions {
            match decision {
                ReloadDecision::Take(keys) => {
                    assert_eq!(keys, [*key]);
                    assert!(RELOADED.contains(key), "{key}");
                }
                ReloadDecision::NeedsRestart(keys) => {
                    assert!(!RELOADED.contains(key), "{key}");
                    assert!(keys.iter().any(|named| named.starts_with(&written)), "{written}: {keys:?}");
                }
                ReloadDecision::Unchanged => unreachable!(),
            }
        }
    }
    assert_eq!(found_none, [""; 0], "another value for each of these keys belongs into TEXTS");
}

#[test]
fn one_key_that_needs_a_restart_keeps_all_others_from_being_taken() {
    let in_force = load(SAMPLE).unwrap();
    let both = over(&in_force, "metrics: { tenants: \"off\" }\nworkers: 3\nlog: { level: debug, format: text }").unwrap();
    assert_eq!(both, ReloadDecision::NeedsRestart(vec!["workers".to_owned(), "metrics.tenants".to_owned(), "log.format".to_owned()]));
    let taken = over(&in_force, "log: { level: debug }").unwrap();
    assert_eq!(taken, ReloadDecision::Take(vec!["log.level"]));
}

#[test]
fn what_is_written_otherwise_and_counts_the_same_is_no_change() {
    let in_force = load(SAMPLE).unwrap();
    assert_eq!(decide(&in_force, &load("").unwrap()), ReloadDecision::Unchanged);
    assert_eq!(over(&in_force, "batch: { interval: 100ms }\nfence: { max_view_age: 1000ms }").unwrap(), ReloadDecision::Unchanged);
    let streams = ["a: { topic: a, tenant: $.t, asset: $.a, critical: [$.x] }", "b: { topic: b, tenant: $.t, asset: $.a, start: latest }"];
    let [forth, back] =
        [[0, 1], [1, 0]].map(|order| load(&format!("streams: {{ {}, {} }}", streams[order[0]], streams[order[1]])).unwrap());
    assert_eq!(decide(&forth, &back), ReloadDecision::Unchanged);
}

#[test]
fn streams_and_settings_that_come_or_go_are_named_and_no_value_is_shown() {
    let named = |in_force: &str, read: &str| match decide(&load(in_force).unwrap(), &load(read).unwrap()) {
        ReloadDecision::NeedsRestart(keys) => keys.join(" "),
        other => panic!("{other:?}"),
    };
    let one = "streams: { a: { topic: a, tenant: $.t, asset: $.a } }";
    let two = "streams: { a: { topic: a, tenant: $.t, asset: $.a }, b: { topic: b, tenant: $.t, asset: $.a } }";
    assert_eq!((named(one, two), named(two, one)), ("streams.b".to_owned(), "streams.b".to_owned()));
    let (without, with) = ("", "kafka: { client: { sasl.password: hunter2 } }\nmask: { secret: hunter2 }");
    assert_eq!(
        (named(without, with), named(with, without)),
        ("mask.secret kafka.client.sasl.password".into(), "mask.secret kafka.client.sasl.password".into())
    );
    assert_eq!(named(with, "kafka: { client: { sasl.password: hunter3 } }\nmask: { secret: hunter2 }"), "kafka.client.sasl.password");
    assert_eq!(named("", "output: { compression: zstd }"), "output.compression");
}
