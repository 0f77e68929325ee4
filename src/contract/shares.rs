//! The contracts of a tenant: one for each share that it may see, and each of its streams.

use super::members::{ContractMember, members};
use crate::config::Config;
use crate::json::document;
use crate::profile::spec::{ProfileSpec, Section};
use crate::record::mapping::Mode;
use crate::share::state::State;
use crate::share::status::Audience;
use crate::share::table::ShareTable;
use crate::share::view::list::{ShareFilter, Viewer, list};
use crate::time::TimestampNs;

/// What may arrive by one share in one stream.
#[derive(Debug)]
pub struct StreamContract {
    /// The share.
    pub share: String,
    /// Whose asset it is.
    pub owner: String,
    /// The key of its records.
    pub key: String,
    /// The share's label.
    pub label: Option<String>,
    /// The share's state.
    pub state: State,
    /// The stream.
    pub stream: String,
    /// Append or upsert.
    pub mode: Mode,
    /// The topic.
    pub topic: String,
    /// From when on.
    pub starts: Option<TimestampNs>,
    /// Until when.
    pub ends: Option<TimestampNs>,
    /// The members; none where nothing arrives, since the profile has no section for the stream, or is retired.
    pub members: Option<Vec<ContractMember>>,
}

impl StreamContract {
    /// When records come, by the share's state and its time.
    pub fn when(&self) -> String {
        let now = match (self.state, &self.members) {
            (_, None) => "nothing arrives now: the owner's profile lets nothing of this stream out",
            (State::Active, Some(_)) => "records arrive",
            (State::Paused, Some(_)) => "nothing arrives while the share is paused",
            (State::Pending, Some(_)) => "nothing arrives before the share is accepted",
            (State::Failed | State::Declined | State::Cancelled | State::Expired | State::Revoked | State::Left, Some(_)) => {
                return "nothing arrives any more: the share is over".to_owned();
            }
        };
        let starts = self.starts.map(|starts| format!("; not before {starts}"));
        let ends = self.ends.map(|ends| format!("; until {ends}"));
        [Some(now.to_owned()), starts, ends].into_iter().flatten().collect()
    }
}

/// The contracts of the shares that a target sees: those that are not over, or the one that is named.
pub fn of_target(table: &ShareTable, config: &Config, viewer: &Viewer, share: Option<&str>) -> Vec<StreamContract> {
    let filter = ShareFilter { shares: share.map(str::to_owned).into_iter().collect(), ..ShareFilter::default() };
    let mut found = Vec::new();
    for listed in list(table, viewer, &filter) {
        let document = listed.share.document();
        let is_over = !matches!(document.state, State::Pending | State::Active | State::Paused);
        if listed.audience != Audience::Target || is_over && share.is_none() {
            continue;
        }
        let Some(target) = document.target_tenant else { continue };
        let sections = document.profile.and_then(|profile| Sections::of(table, document.owner, profile));
        for name in &document.streams {
            // A stream that this configuration does not have is read by others.
            let Some(stream) = config.stream(name) else { continue };
            let section = sections.as_ref().and_then(|sections| sections.section(name));
            found.push(StreamContract {
                share: document.share.to_owned(),
                owner: document.owner.to_owned(),
                key: document.target_asset.unwrap_or_default().to_owned(),
                label: document.label.map(str::to_owned),
                state: document.state,
                stream: stream.name.to_string(),
                mode: stream.mode,
                starts: document.starts,
                ends: document.ends,
                topic: config.output.topics.topic(target, stream.name.as_str()),
                members: section.map(|section| members(&section, &stream.mapping)),
            });
        }
    }
    found
}

/// The profile in force.
enum Sections {
    All,
    Published(ProfileSpec),
}

impl Sections {
    fn of(table: &ShareTable, owner: &str, name: &str) -> Option<Self> {
        if name == "all" {
            return Some(Self::All);
        }
        let found = table.profiles().find(|profile| profile.owner == owner && profile.name == name && !profile.is_retired)?;
        Some(Self::Published(ProfileSpec::read(&document::parse(found.spec).ok()?).ok()?))
    }

    fn section(&self, stream: &str) -> Option<Section> {
        match self {
            Self::All => Some(Section::all()),
            Self::Published(spec) => spec.section(stream).cloned(),
        }
    }
}
