//! `config/sharecast.yaml` says what the code does.

use std::collections::BTreeSet;

use super::*;
use crate::config::keys::{Form, KEYS};
use crate::document::Node;

pub(super) const SAMPLE: &str = include_str!("../../../config/sharecast.yaml");

#[test]
fn the_sample_is_the_default() {
    let (sample, standard) = (load(SAMPLE).unwrap(), Config::load(&[], &ConfigEnv::none()).unwrap());
    assert_eq!(format!("{sample:#?}"), format!("{standard:#?}"));
    assert!(sample.warnings.is_empty());
}

/// The keys of a document as the table writes them.
fn keys_of(node: &Node, prefix: &str, into: &mut BTreeSet<String>) {
    for member in node.members() {
        let name = if prefix == "streams" { "*" } else { &member.name };
        let key = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
        if !matches!(KEYS.iter().find(|(known, _)| *known == key), Some((_, Form::Free))) {
            keys_of(&member.value, &key, into);
        }
        into.insert(key);
    }
}

#[test]
fn the_sample_has_every_key_and_no_other() {
    let mut in_sample = BTreeSet::new();
    keys_of(&read_document("sample", SAMPLE).unwrap(), "", &mut in_sample);
    let known: BTreeSet<String> = KEYS.iter().map(|(key, _)| (*key).to_owned()).collect();
    assert_eq!(in_sample, known);
}

#[test]
fn every_key_of_the_sample_has_its_reason() {
    for line in SAMPLE.lines().filter(|line| line.contains(": ") && !line.trim_start().starts_with('#')) {
        let names = ["mode: upsert", "tenant: key", "asset: key", "tenant: [", "asset: [", "max_records", "enabled", "every"];
        assert!(line.contains(" # ") || names.iter().any(|name| line.contains(name)), "{line}");
    }
}
