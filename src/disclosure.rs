//! Members marked as critical (`streams.X.critical`): what an event lets out of them, so that a person confirms it before it is written.

use std::collections::BTreeSet;

use crate::config::Config;
use crate::document::Node;
use crate::json::document;
use crate::profile::critical::critical_members;
use crate::profile::spec::{ProfileSpec, Section};
use crate::share::bulk::Intent;
use crate::share::event::kind::EventType;
use crate::share::table::ShareTable;

/// What a profile lets out of the members that the configuration marks as critical, a line for each, in the order of the streams.
pub fn of_profile(config: &Config, spec: &ProfileSpec) -> Vec<String> {
    config.streams.iter().flat_map(|stream| of_section(config, stream.name.as_str(), spec.section(stream.name.as_str()))).collect()
}

fn of_section(config: &Config, stream: &str, section: Option<&Section>) -> Vec<String> {
    let (Some(section), Some(stream)) = (section, config.stream(stream)) else { return Vec::new() };
    let members = critical_members(section, config.critical(stream.index), &stream.mapping);
    members.iter().map(|member| format!("{}: {}", stream.name, member.in_words())).collect()
}

/// What an event on a share lets out: an offer, and an update that names a profile or streams. Nothing of any other event.
pub fn of_event(config: &Config, kind: EventType, source: &str, data: &Node, table: &ShareTable) -> Vec<String> {
    let text = |name: &str| data.get(name).and_then(Node::as_str);
    let streams = data.get("streams").and_then(Node::as_list).map(|items| items.iter().filter_map(Node::as_str).collect::<Vec<_>>());
    let acting = source.strip_prefix("/tenants/");
    let (owner, profile, streams) = match kind {
        EventType::ShareOffered => (acting.or(text("owner")), text("profile"), streams),
        EventType::ShareUpdated if text("profile").is_some() || streams.is_some() => {
            let Some(share) = text("share").and_then(|share| table.share(share)) else { return Vec::new() };
            let now = share.document();
            let named = streams.unwrap_or_else(|| now.streams.to_vec());
            (Some(now.owner), text("profile").or(now.profile), Some(named))
        }
        _ => return Vec::new(),
    };
    let (Some(owner), Some(profile), Some(streams)) = (owner, profile, streams) else { return Vec::new() };
    let spec = match profile {
        "all" => None,
        name => {
            let found = table.profile_slot(owner, name).and_then(|slot| table.profile_in(slot));
            let spec = found.and_then(|found| document::parse(found.spec).ok()).and_then(|node| ProfileSpec::read(&node).ok());
            // The offer is refused for it.
            let Some(spec) = spec else { return Vec::new() };
            Some(spec)
        }
    };
    let all = Section::all();
    let section = |stream: &str| spec.as_ref().map_or(Some(&all), |spec| spec.section(stream));
    streams.into_iter().flat_map(|stream| of_section(config, stream, section(stream))).collect()
}

/// The same of all events of a command, each line once.
pub fn of_events(config: &Config, kind: EventType, source: &str, intents: &[Intent], table: &ShareTable) -> Vec<String> {
    let mut lines = BTreeSet::new();
    let mut terms = BTreeSet::new();
    for intent in intents {
        if kind == EventType::ShareOffered && !terms.insert(terms_of(&intent.data)) {
            continue;
        }
        lines.extend(of_event(config, kind, source, &intent.data, table));
    }
    lines.into_iter().collect()
}

/// By what alone the lines of an offer differ.
fn terms_of(data: &Node) -> Vec<Vec<u8>> {
    let bytes = |name: &str| {
        let mut text = Vec::new();
        data.get(name).inspect(|value| document::write(value, &mut text));
        text
    };
    ["owner", "profile", "streams"].map(bytes).to_vec()
}
