//! `profile publish --preview`: which shares and targets gain or lose which members, on real newest records, before it is written.

use std::collections::BTreeMap;
use std::io::{self, Write};

use crate::cli::args::{ActorArgs, Format};
use crate::cli::check::WrittenProfile;
use crate::cli::control_fold::{ControlFold, StartFrom};
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::{PrintError, exit, print_values, shown};
use crate::cli::share::record_search::{FoundRecord, Search};
use crate::config::{Config, Secret};
use crate::explain::members::{MemberOutcome, ProfileText};
use crate::explain::project::RecordProjector;
use crate::id::TenantId;
use crate::json::document;
use crate::json::writer::object;
use crate::profile::compile::{Profile, Projection};
use crate::profile::spec::ProfileSpec;
use crate::record::mapping::Stream;
use crate::share::state::State;
use crate::share::table::ShareTable;

/// So many assets are looked at; more would say the same.
const MOST_ASSETS: usize = 10;

/// Runs the command. Nothing is written.
pub(in crate::cli) fn run(
    config: &Config,
    acting: &ActorArgs,
    name: &str,
    owner: Option<&TenantId>,
    written: WrittenProfile,
    search: u32,
) -> Result<Exit, Failure> {
    let patience = acting.patience_of_reader()?;
    let owner = acting.actor.as_ref().or(owner).map(TenantId::as_str).unwrap_or_default();
    let table = ControlFold::open(config, patience, StartFrom::Snapshot)?.fold_to_end()?;
    let before = PublishedProfile::of(&table, owner, name, config);
    let after = PublishedProfile { compiled: Profile::compile(&written.spec, &config.streams), text: ProfileText::of_file(written.spec) };
    let mut users = users(&table, owner, name, config);
    let assets = users.iter().map(|user| user.asset.as_str()).collect::<std::collections::BTreeSet<_>>();
    let looked_at: Vec<String> = assets.iter().take(MOST_ASSETS).map(|asset| (*asset).to_owned()).collect();
    let left_out = assets.len() - looked_at.len();
    let mut found: BTreeMap<(String, String), Option<FoundRecord>> = BTreeMap::new();
    for user in &mut users {
        if !looked_at.contains(&user.asset) {
            continue;
        }
        let record = match found.entry((user.stream.name.to_string(), user.asset.clone())) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::btree_map::Entry::Vacant(new) => {
                let newest = Search { config, stream: user.stream, owner, asset: &user.asset, newest: search, patience }.newest()?;
                new.insert(newest)
            }
        };
        user.change = Some(match record {
            None => MemberChange::NoRecord,
            Some(record) => change(config, user.stream, record, before.as_ref(), &after),
        });
    }
    print(&users, left_out, name, before.is_none(), acting.output)
}

/// A profile that members are shown by.
struct PublishedProfile {
    compiled: Profile,
    text: ProfileText,
}

impl PublishedProfile {
    /// None of a profile that is not published, or retired.
    fn of(table: &ShareTable, owner: &str, name: &str, config: &Config) -> Option<Self> {
        let found = table.profiles().find(|profile| profile.owner == owner && profile.name == name && !profile.is_retired)?;
        let spec = ProfileSpec::read(&document::parse(found.spec).ok()?).ok()?;
        Some(Self { compiled: Profile::compile(&spec, &config.streams), text: ProfileText::of(&found) })
    }

    fn section(&self, stream: &Stream) -> Option<(&Projection, &ProfileText)> {
        self.compiled.section(stream.index).map(|projection| (projection, &self.text))
    }
}

/// A share that uses the profile, and one of its streams.
struct ProfileUser<'c> {
    share: String,
    target: Option<String>,
    asset: String,
    state: State,
    stream: &'c Stream,
    /// None where the asset was not looked at.
    change: Option<MemberChange>,
}

/// What a publication changes for a target.
enum MemberChange {
    /// Its asset has no record to look at.
    NoRecord,
    /// The record cannot be read: it would be a dead letter.
    Unreadable(&'static str),
    /// Members that leave and did not, that do not leave any more, and that leave as something else.
    Members { gains: Vec<String>, loses: Vec<String>, changes: Vec<String>, is_withheld: bool },
}

fn users<'c>(table: &ShareTable, owner: &str, name: &str, config: &'c Config) -> Vec<ProfileUser<'c>> {
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

fn change(
    config: &Config,
    stream: &Stream,
    record: &FoundRecord,
    before: Option<&PublishedProfile>,
    after: &PublishedProfile,
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

fn print(users: &[ProfileUser<'_>], left_out: usize, name: &str, is_new: bool, format: Format) -> Result<Exit, Failure> {
    let mut out = io::stdout().lock();
    let printed = match format {
        Format::Table | Format::Id => lines(users, left_out, name, is_new).iter().try_for_each(|line| writeln!(out, "{}", shown(line))),
        Format::Json | Format::Ndjson => print_values(format, users.iter().map(to_json), &mut out),
    };
    exit(printed.map_err(PrintError::from))
}

fn lines(users: &[ProfileUser<'_>], left_out: usize, name: &str, is_new: bool) -> Vec<String> {
    let what = if is_new { "not published so far" } else { "published" };
    let mut lines = vec![format!("profile {name}, {what}: this is a preview, nothing was written")];
    if users.is_empty() {
        lines.push("no share uses it".to_owned());
    }
    for user in users {
        let Some(change) = &user.change else { continue };
        lines.push(String::new());
        let target = user.target.as_deref().unwrap_or("an invitee");
        lines.push(format!("{} for {target} ({}), asset {}, {}", user.share, user.state.word(), user.asset, user.stream.name));
        match change {
            MemberChange::NoRecord => lines.push(format!("  no record of it was found in the newest of {} (--search)", user.stream.topic)),
            MemberChange::Unreadable(reason) => lines.push(format!("  its newest record would be a dead letter: {reason}")),
            MemberChange::Members { gains, loses, changes, is_withheld } => {
                let told = [("gains", gains), ("loses", loses), ("leaves as something else", changes)];
                let told: Vec<String> = told
                    .iter()
                    .filter(|(_, paths)| !paths.is_empty())
                    .map(|(what, paths)| format!("  {what}: {}", paths.join(", ")))
                    .collect();
                lines.extend(if told.is_empty() { vec!["  the same members as before".to_owned()] } else { told });
                if *is_withheld {
                    lines.push("  its newest record would not leave at all: no section, or a condition that is not true of it".to_owned());
                }
            }
        }
    }
    if left_out > 0 {
        lines.push(String::new());
        lines.push(format!("{left_out} more assets are shared by it and were not looked at"));
    }
    lines
}

fn to_json(user: &ProfileUser<'_>) -> Vec<u8> {
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
