//! What the pages list is what the code has: reason codes, event types, dead letters, metrics.

use std::collections::BTreeSet;

use sharecast::record::dead_letter;
use sharecast::share::event::kind::EventType;
use sharecast::share::state::Reason;

use super::pages::texts;
use super::sources::read;

/// What follows a heading, up to the next one.
fn section(page: &str, heading: &str) -> String {
    let texts = texts();
    let text = &texts[page];
    let start = text.find(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("{page} has no {heading}")) + 4;
    let rest = &text[start..];
    rest[..rest.find("\n## ").unwrap_or(rest.len())].to_owned()
}

/// The words in back quotes of which each character is one of these.
fn quoted(text: &str, is_part: impl Fn(char) -> bool) -> BTreeSet<String> {
    let words = text.split('`').skip(1).step_by(2);
    words.filter(|word| !word.is_empty() && word.chars().all(&is_part)).map(str::to_owned).collect()
}

fn is_code(c: char) -> bool {
    c.is_ascii_lowercase() || c == '_'
}

/// The rows of the first table in a text, each as its cells.
fn rows(text: &str) -> Vec<Vec<String>> {
    let table = text.lines().skip_while(|line| !line.starts_with("| ---")).skip(1).take_while(|line| line.starts_with('|'));
    let cells = |line: &str| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect();
    table.map(cells).collect()
}

#[test]
fn the_reason_codes_are_those_of_the_fold_in_the_same_words() {
    let listed = rows(&section("docs/rules/shares.md", "Reason codes"));
    let known = Reason::ALL.iter().map(|reason| vec![format!("`{}`", reason.code()), reason.in_words().to_owned()]);
    assert_eq!(listed, known.collect::<Vec<_>>());
}

#[test]
fn the_reasons_of_dead_letters_are_all_there() {
    let mut listed = quoted(&section("docs/rules/dead-letters.md", "Reasons"), is_code);
    listed.remove("dead_letter");
    assert_eq!(listed, dead_letter::DeadLetterReason::ALL.iter().map(|reason| reason.as_str().to_owned()).collect());
}

#[test]
fn the_event_types_are_those_that_are_read() {
    let listed = section("docs/rules/events.md", "Event types");
    let mut named = BTreeSet::new();
    for row in listed.lines().filter(|line| line.starts_with("| `")) {
        let cell = row.split('|').nth(1).unwrap();
        let mut subject = String::new();
        for word in cell.split('`').skip(1).step_by(2) {
            if !word.starts_with('.') {
                word.split('.').next().unwrap().clone_into(&mut subject);
            }
            named.insert(if word.starts_with('.') { format!("{subject}{word}") } else { word.to_owned() });
        }
    }
    assert_eq!(named, EventType::ALL.iter().map(|(name, _)| (*name).to_owned()).collect());
}

#[test]
fn what_takes_away_is_what_the_table_says() {
    let node = |text: &str| sharecast::json::document::parse(text.as_bytes()).unwrap();
    let (plain, suspends) = (node(r#"{"suspended":false}"#), node(r#"{"suspended":true}"#));
    let yes_or_no = |is: bool| if is { "yes" } else { "no" };
    let mut known = BTreeSet::new();
    for (name, kind) in EventType::ALL {
        let untried = match (kind.is_written_untried(&plain), kind.is_written_untried(&suspends)) {
            (false, true) => "`suspended`",
            (is, _) => yes_or_no(is),
        };
        let answers = [yes_or_no(kind.is_unreadable_if_malformed()), untried, yes_or_no(kind.is_measured_as_cut())];
        if answers != ["no"; 3] {
            known.insert([format!("`{name}`")].into_iter().chain(answers.map(str::to_owned)).collect::<Vec<_>>());
        }
    }
    assert_eq!(rows(&section("docs/rules/events.md", "What takes away")).into_iter().collect::<BTreeSet<_>>(), known);
}

#[test]
fn the_metrics_are_those_that_are_exported() {
    let sources = read("src", "metrics.rs");
    let (_, table) = sources.iter().find(|(path, _)| path == "metrics.rs").unwrap();
    let table = &table[table.find("METRICS").unwrap()..];
    let table = &table[..table.find("];").unwrap()];
    let exported: BTreeSet<String> =
        table.split('"').filter(|text| text.starts_with("sharecast_") && text.chars().all(is_code)).map(str::to_owned).collect();
    assert!(exported.len() > 10, "the table is read");
    let page = texts()["docs/metrics.md"].clone();
    let listed = quoted(&page, is_code).into_iter().filter(|word| word.starts_with("sharecast_")).collect();
    assert_eq!(exported, listed);
}
