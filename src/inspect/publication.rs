//! What a publication of a profile changes: which shares and targets gain or lose which members, on real newest records.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{Config, Secret};
use crate::explain::members::{MemberOutcome, ProfileText};
use crate::explain::project::RecordProjector;
use crate::inspect::record_search::FoundRecord;
use crate::json::document;
use crate::json::writer::object;
use crate::profile::compile::{Profile, Projection};
use crate::profile::spec::ProfileSpec;
use crate::record::mapping::Stream;
use crate::share::state::State;
use crate::share::table::ShareTable;

/// So many assets are looked at; more would say the same.
pub const MOST_ASSETS: usize = 10;

/// Looks at the first assets of those shares; `newest` finds their records. Returns how many assets were left out.
///
/// # Errors
/// What `newest` says.
pub fn look<'c, E>(
    config: &'c Config,
    users: &mut [ProfileUser<'c>],
    before: Option<&ComparedProfile>,
    after: &ComparedProfile,
    mut newest: impl FnMut(&'c Stream, &str) -> Result<Option<FoundRecord>, E>,
) -> Result<usize, E> {
    let assets = users.iter().map(|user| user.asset.as_str()).collect::<BTreeSet<_>>();
    let looked_at: Vec<String> = assets.iter().take(MOST_ASSETS).map(|asset| (*asset).to_owned()).collect();
    let left_out = assets.len() - looked_at.len();
    let mut found: BTreeMap<(String, String), Option<FoundRecord>> = BTreeMap::new();
    for user in users.iter_mut().filter(|user| looked_at.contains(&user.asset)) {
        let name = (user.stream.name.to_string(), user.asset.clone());
        if !found.contains_key(&name) {
            let record = newest(user.stream, &user.asset)?;
            found.insert(name.clone(), record);
        }
        user.change = Some(match found.get(&name).and_then(Option::as_ref) {
            None => MemberChange::NoRecord,
            Some(record) => change(config, user.stream, record, before, after),
        });
    }
    Ok(left_out)
}

/// A profile that members are shown by.
pub struct ComparedProfile {
    compiled: Profile,
    text: ProfileText,
}

impl ComparedProfile {
    /// One that is to be published.
    pub fn new(spec: ProfileSpec, config: &Config) -> Self {
        Self { compiled: Profile::compile(&spec, &config.streams), text: ProfileText::of_file(spec) }
    }

    /// None of a profile that is not published, or retired.
    pub fn of(table: &ShareTable, owner: &str, name: &str, config: &Config) -> Option<Self> {
        let found = table.profiles().find(|profile| profile.owner == owner && profile.name == name && !profile.is_retired)?;
        let spec = ProfileSpec::read(&document::parse(found.spec).ok()?).ok()?;
        Some(Self { compiled: Profile::compile(&spec, &config.streams), text: ProfileText::of(&found) })
    }

    fn section(&self, stream: &Stream) -> Option<(&Projection, &ProfileText)> {
        self.compiled.section(stream.index).map(|projection| (projection, &self.text))
    }
}

/// A share that uses the profile, and one of its streams.
#[derive(Debug)]
pub struct ProfileUser<'c> {
    /// The share.
    pub share: String,
    /// Who receives it; none of an invitation.
    pub target: Option<String>,
    /// Its asset, in the owner's words.
    pub asset: String,
    /// Where it is in its life.
    pub state: State,
    /// The stream.
    pub stream: &'c Stream,
    /// None where the asset was not looked at.
    pub change: Option<MemberChange>,
}

/// What a publication changes for a target.
#[derive(Debug)]
pub enum MemberChange {
    /// Its asset has no record to look at.
    NoRecord,
    /// The record cannot be read: it would be a dead letter.
    Unreadable(&'static str),
    /// Members that leave and did not, that do not leave any more, and that leave as something else.
    Members {
        /// Members that leave and did not.
        gains: Vec<String>,
        /// Members that do not leave any more.
        loses: Vec<String>,
        /// Members that leave as something else.
        changes: Vec<String>,
        /// The record does not leave at all.
        is_withheld: bool,
    },
}

/// The open and live shares that use a profile, a line for each of their streams.
pub fn users<'c>(table: &ShareTable, owner: &str, name: &str, config: &'c Config) -> Vec<ProfileUser<'c>> {
    let mut users = Vec::new();
    for share in table.shares() {
        let document = share.document();
        let is_open = document.state.is_live() || document.state == State::Pending;
        if !is_open || document.owner != owner || document.profile != Some(name) {
            continue;
        }
        for stream in document.streams.iter().filter_map(|stream| config.stream(stream)) {
            users.push(ProfileUser {
                share: document.share.to_owned(),
                target: document.target_tenant.map(str::to_owned),
                asset: document.asset.unwrap_or_default().to_owned(),
                state: document.state,
                stream,
                change: None,
            });
        }
    }
    users.sort_by(|a, b| (&a.share, a.stream.name.as_str()).cmp(&(&b.share, b.stream.name.as_str())));
    users
}

/// What of a record leaves by one profile: each member's path with how it leaves.
fn leaving(
    config: &Config,
    stream: &Stream,
    record: &FoundRecord,
    section: Option<(&Projection, &ProfileText)>,
) -> Result<(BTreeMap<String, String>, bool), &'static str> {
    let Some((projection, text)) = section else { return Ok((BTreeMap::new(), true)) };
    let secret = config.mask_secret.as_ref().map(Secret::expose);
    let mut projector = RecordProjector::new(stream, projection, text, config.release_rules().read, secret);
    let projected = projector.show(&record.record).map_err(|refusal| refusal.reason.as_str())?;
    let leaves = projected.members.into_iter().filter(|member| member.outcome != MemberOutcome::Withheld);
    let how = leaves.map(|member| (member.path, format!("{}{}", member.outcome.word(), member.action.unwrap_or_default())));
    Ok((how.collect(), projected.filtered.is_some()))
}

/// What a publication changes for a target, on this record.
pub fn change(
    config: &Config,
    stream: &Stream,
    record: &FoundRecord,
    before: Option<&ComparedProfile>,
    after: &ComparedProfile,
) -> MemberChange {
    let before = leaving(config, stream, record, before.and_then(|before| before.section(stream)));
    let after = leaving(config, stream, record, after.section(stream));
    let ((before, _), (after, is_withheld)) = match (before, after) {
        (Ok(before), Ok(after)) => (before, after),
        (Err(reason), _) | (_, Err(reason)) => return MemberChange::Unreadable(reason),
    };
    let gains = after.keys().filter(|path| !before.contains_key(*path)).cloned().collect();
    let loses = before.keys().filter(|path| !after.contains_key(*path)).cloned().collect();
    let changes =
        after.iter().filter(|(path, how)| before.get(*path).is_some_and(|was| was != *how)).map(|(path, _)| path.clone()).collect();
    MemberChange::Members { gains, loses, changes, is_withheld }
}

/// One line of it.
pub fn to_json(user: &ProfileUser<'_>) -> Vec<u8> {
    object(|out| {
        out.text("share", &user.share);
        out.text_if("target", user.target.as_deref());
        out.text("asset", &user.asset);
        out.text("state", user.state.word());
        out.text("stream", user.stream.name.as_str());
        match &user.change {
            None => out.flag("looked_at", false),
            Some(MemberChange::NoRecord) => out.null("record"),
            Some(MemberChange::Unreadable(reason)) => out.text("dead", reason),
            Some(MemberChange::Members { gains, loses, changes, is_withheld }) => {
                for (name, paths) in [("gains", gains), ("loses", loses), ("changes", changes)] {
                    out.texts(name, paths.iter().map(String::as_str));
                }
                out.flag("withheld", *is_withheld);
            }
        }
    })
}
