//! The house rules, held by reading the project's own files: what comments cite, where the pages of `docs/` lead, what has which
//! name, and how large a room may be. A list of exceptions can only become shorter.

mod citations;
mod circles;
mod pages;
mod size;
#[path = "../sources/mod.rs"]
mod sources;
mod tables;

use std::collections::BTreeMap;
use std::fmt::Display;

/// Compares what breaks a rule, with how often, with the exceptions. Both more and less is an error: an exception that is no longer
/// needed is taken off its list.
fn assert_only_known<K: Ord + Display + Clone>(rule: &str, found: &BTreeMap<K, usize>, known: &BTreeMap<K, usize>) {
    let all: std::collections::BTreeSet<&K> = found.keys().chain(known.keys()).collect();
    let mut errors = Vec::new();
    for key in all {
        match (found.get(key), known.get(key)) {
            (Some(found), None) => errors.push(format!("{key}: {found}, and it is no known exception")),
            (None, Some(_)) => errors.push(format!("{key}: mended; take it off the list")),
            (Some(found), Some(known)) if found > known => errors.push(format!("{key}: {found}, was {known}")),
            (Some(found), Some(known)) if found < known => {
                errors.push(format!("{key}: {found} now; write that in the list, which has {known}"))
            }
            _ => {}
        }
    }
    assert!(errors.is_empty(), "{rule}:\n{}", errors.join("\n"));
}
