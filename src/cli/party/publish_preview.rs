//! `profile publish --preview`: which shares and targets gain or lose which members, on real newest records, before it is written.

use std::io::{self, Write};

use crate::cli::args::{ActorArgs, Format};
use crate::cli::check::WrittenProfile;
use crate::cli::control_fold::{ControlFold, StartFrom};
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::{PrintError, exit, print_values, shown};
use crate::cli::share::look::newest;
use crate::config::Config;
use crate::id::TenantId;
use crate::inspect::publication::{ComparedProfile, MemberChange, ProfileUser, look, to_json, users};
use crate::inspect::record_search::Search;

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
    let before = ComparedProfile::of(&table, owner, name, config);
    let after = ComparedProfile::new(written.spec, config);
    let mut users = users(&table, owner, name, config);
    let left_out = look(config, &mut users, before.as_ref(), &after, |stream, asset| {
        newest(&Search { config, stream, owner, asset, newest: search, searches_all_documents: true, patience })
    })?;
    print(&users, left_out, name, before.is_none(), acting.output)
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
