//! Members marked as critical: what a profile lets out of them is named, and a person confirms before it is written.

use crate::cli::exit::shown;
use crate::config::Config;
use crate::profile::critical::critical_members;
use crate::profile::spec::{ProfileSpec, Section};

/// What a profile lets out of the members that the configuration marks as critical, a line for each, in the order of the streams.
pub(in crate::cli) fn of_profile(config: &Config, spec: &ProfileSpec) -> Vec<String> {
    config.streams.iter().flat_map(|stream| of_section(config, stream.name.as_str(), spec.section(stream.name.as_str()))).collect()
}

fn of_section(config: &Config, stream: &str, section: Option<&Section>) -> Vec<String> {
    let (Some(section), Some(stream)) = (section, config.stream(stream)) else { return Vec::new() };
    let members = critical_members(section, config.critical(stream.index), &stream.mapping);
    members.iter().map(|member| shown(&format!("{}: {}", stream.name, member.in_words()))).collect()
}

#[cfg(feature = "io")]
pub(in crate::cli) use asking::{confirm, name, of_event, of_events};

/// What is asked where something is written.
#[cfg(feature = "io")]
mod asking {
    use std::collections::BTreeSet;
    use std::io::{self, IsTerminal};

    use super::*;
    use crate::cli::exit::{Failure, tell};
    use crate::cli::share::confirm;
    use crate::document::Node;
    use crate::json::document;
    use crate::share::bulk::Intent;
    use crate::share::event::kind::EventType;
    use crate::share::table::ShareTable;

    /// What an event on a share lets out: an offer, and an update that names a profile or streams. Nothing of any other event.
    pub(in crate::cli) fn of_event(config: &Config, kind: EventType, source: &str, data: &Node, table: &ShareTable) -> Vec<String> {
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
                let found = table.profiles().find(|profile| profile.owner == owner && profile.name == name);
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
    pub(in crate::cli) fn of_events(config: &Config, kind: EventType, source: &str, intents: &[Intent], table: &ShareTable) -> Vec<String> {
        let mut lines = BTreeSet::new();
        for intent in intents {
            lines.extend(of_event(config, kind, source, &intent.data, table));
            // Offers differ in the asset alone.
            if kind == EventType::ShareOffered {
                break;
            }
        }
        lines.into_iter().collect()
    }

    /// Names what leaves.
    pub(in crate::cli) fn name(lines: &[String]) {
        lines.iter().for_each(|line| tell!("critical: {line}"));
    }

    /// Names what leaves, and asks a person; `--yes` is the answer too. Without a terminal and without it nothing is written.
    pub(in crate::cli) fn confirm(lines: &[String], is_confirmed: bool) -> Result<(), Failure> {
        if lines.is_empty() {
            return Ok(());
        }
        name(lines);
        confirm::confirm("Members that are marked as critical leave. Write it?", is_confirmed, io::stdin().is_terminal())
    }
}
