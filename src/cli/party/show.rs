//! `sharecast partnership|tenant|profile list|show`, and `control dump`.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::time::Duration;

use crate::cli::args::{ActorArgs, Format};
use crate::cli::config;
use crate::cli::control_fold::{ControlFold, StartFrom};
use crate::cli::exit::{Exit, Failure};
use crate::cli::listing::{Cell, Shown};
use crate::cli::output::{PrintError, exit, pretty, print_members, shown};
use crate::cli::party::args::{ControlLook, PartnershipLook, ProfileLook, TenantLook};
use crate::config::Config;
use crate::id::{ProfileName, TenantId};
use crate::json::document::parse;
use crate::json::writer::object;
use crate::share::table::ShareTable;
use crate::share::table::parties::{Bonded, PartnershipView, TenantView};
use crate::share::table::query::ProfileView;
use crate::share::view::dump;

fn read(files: &[PathBuf], acting: &ActorArgs) -> Result<ShareTable, Failure> {
    let patience = acting.patience_of_reader()?;
    ControlFold::open(&config::load(files)?, patience, StartFrom::Snapshot)?.fold_to_end()
}

fn missing(what: String) -> Failure {
    Failure::new(Exit::Failed, what)
}

fn yes_or_no(is_so: bool) -> Cell {
    Cell::Text(if is_so { "yes" } else { "no" }.to_owned())
}

/// One thing, by its members or as its JSON.
fn print_one(format: Format, json: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if format == Format::Table {
        return print_members(json, &mut out);
    }
    out.write_all(json)?;
    out.write_all(b"\n")
}

/// `sharecast tenant list|show`. A tenant sees itself alone.
pub fn tenant(files: &[PathBuf], acting: &ActorArgs, command: TenantLook) -> Result<Exit, Failure> {
    let table = read(files, acting)?;
    let is_seen = |id: &str| acting.actor.as_ref().is_none_or(|own| own.as_str() == id);
    exit(match command {
        TenantLook::List { list } => {
            let all: Vec<TenantView<'_>> = table.tenants().into_iter().filter(|tenant| is_seen(tenant.id)).collect();
            let cells = |tenant: &TenantView<'_>| {
                vec![Cell::Text(tenant.id.to_owned()), Cell::text_if(tenant.parent), yes_or_no(tenant.is_suspended)]
            };
            let shown = Shown { cells, id: |tenant: &TenantView<'_>| tenant.id.to_owned(), json: TenantView::to_json };
            list.print(acting.output, all, &shown).map_err(PrintError::from)
        }
        TenantLook::Show { tenant } => {
            let found = table.known_tenant(tenant.as_str()).filter(|tenant| is_seen(tenant.id));
            let found = found.ok_or_else(|| missing(format!("nothing is known of tenant {tenant} here")))?;
            print_one(acting.output, &found.to_json()).map_err(PrintError::from)
        }
    })
}

/// `sharecast partnership list|show`. A tenant sees its own.
pub fn partnership(files: &[PathBuf], acting: &ActorArgs, command: PartnershipLook) -> Result<Exit, Failure> {
    // The command line first: what is wrong with it is said at once.
    let pair = match (&command, &acting.actor) {
        (PartnershipLook::List { .. }, _) => None,
        (PartnershipLook::Show { tenants }, own) => match (own, tenants.as_slice()) {
            (Some(own), [partner]) if own != partner => Some([own.clone(), partner.clone()]),
            (None, [a, b]) if a != b => Some([a.clone(), b.clone()]),
            (None, [a, _]) => return Err(Failure::new(Exit::Usage, format!("a partnership is of two tenants, and {a} is named twice"))),
            (Some(own), [_]) => {
                return Err(Failure::new(Exit::Usage, format!("a partnership is of two tenants, and {own} is the one of --as")));
            }
            (Some(_), _) => return Err(Failure::new(Exit::Usage, "name the partner alone: the other is the tenant of --as")),
            (None, _) => return Err(Failure::new(Exit::Usage, "name both tenants, or say who asks with --as TENANT")),
        },
    };
    let table = read(files, acting)?;
    let all = table.partnerships();
    let is_of = |pair: &PartnershipView<'_>, tenant: &TenantId| pair.tenants.contains(&tenant.as_str());
    exit(match (command, pair) {
        (PartnershipLook::Show { .. }, Some([a, b])) => {
            let found = all.iter().find(|pair| is_of(pair, &a) && is_of(pair, &b) && a != b);
            let found = found.ok_or_else(|| missing(format!("there is no partnership of {a} and {b}")))?;
            print_one(acting.output, &found.to_json()).map_err(PrintError::from)
        }
        // Without a pair there is nothing to show: the command line was refused.
        (PartnershipLook::Show { .. }, None) => Ok(()),
        (PartnershipLook::List { tenant: of, list }, _) => {
            let is_wanted = |pair: &PartnershipView<'_>| of.is_empty() || of.iter().any(|tenant| is_of(pair, tenant));
            let is_seen = |pair: &PartnershipView<'_>| acting.actor.as_ref().is_none_or(|own| is_of(pair, own));
            let all: Vec<PartnershipView<'_>> = all.into_iter().filter(|pair| is_wanted(pair) && is_seen(pair)).collect();
            let cells = |pair: &PartnershipView<'_>| {
                let note = match pair.bond {
                    Bonded::OfferedBy(by) => Cell::Text(format!("offered by {by}")),
                    Bonded::Active { auto_accept: true } => Cell::Text("accepts by itself".to_owned()),
                    Bonded::Active { auto_accept: false } => Cell::None,
                };
                let [a, b] = pair.tenants.map(|tenant| Cell::Text(tenant.to_owned()));
                vec![a, b, Cell::Text(pair.state().to_owned()), note]
            };
            let id = |pair: &PartnershipView<'_>| {
                let named = pair.tenants.into_iter().filter(|tenant| acting.actor.as_ref().is_none_or(|own| own.as_str() != *tenant));
                named.collect::<Vec<_>>().join(" ")
            };
            list.print(acting.output, all, &Shown { cells, id, json: PartnershipView::to_json }).map_err(PrintError::from)
        }
    })
}

/// A profile's spec as one version of it said.
struct Version {
    owner: String,
    name: String,
    version: u32,
    is_retired: bool,
    spec: Vec<u8>,
}

impl Version {
    fn of(profile: &ProfileView<'_>) -> Self {
        let (owner, name) = (profile.owner.to_owned(), profile.name.to_owned());
        Self { owner, name, version: profile.revision, is_retired: profile.is_retired, spec: profile.spec.to_vec() }
    }

    /// `{"owner","profile","version","retired"}`, and `"spec"` if it is wanted.
    fn to_json(&self, has_spec: bool) -> Vec<u8> {
        object(|out| {
            out.text("owner", &self.owner);
            out.text("profile", &self.name);
            out.number("version", self.version);
            out.flag("retired", self.is_retired);
            if has_spec {
                out.json("spec", &self.spec);
            }
        })
    }

    fn cells(&self) -> Vec<Cell> {
        let streams = parse(&self.spec).map(|spec| spec.members().iter().map(|member| member.name.clone()).collect::<Vec<_>>().join(","));
        vec![
            Cell::Text(self.owner.clone()),
            Cell::Text(self.name.clone()),
            Cell::Number(self.version.into()),
            yes_or_no(self.is_retired),
            streams.map_or(Cell::None, Cell::Text),
        ]
    }
}

/// `sharecast profile list|show`. A tenant sees its own profiles alone (docs/rules/status.md#who-sees-what).
pub fn profile(files: &[PathBuf], acting: &ActorArgs, command: ProfileLook) -> Result<Exit, Failure> {
    let patience = acting.patience_of_reader()?;
    let (listed, name, owner, version) = match command {
        ProfileLook::List { owner, list } => (Some(list), None, owner, None),
        ProfileLook::Show { name, owner, version } => (None, Some(name), owner, version),
    };
    if let Some(name) = &name {
        ProfileName::parse(name).map_err(|error| Failure::new(Exit::Usage, format!("'{}': {error}", shown(name))))?;
    }
    if version == Some(0) {
        return Err(Failure::new(Exit::Usage, "--version 0: the first publication is version 1"));
    }
    let is_wanted = |profile: &ProfileView<'_>| {
        name.as_ref().is_none_or(|name| name == profile.name)
            && [&owner, &acting.actor].into_iter().flatten().all(|owner| owner.as_str() == profile.owner)
    };
    let config = config::load(files)?;
    let mut found = match version {
        Some(version) => old_version(&config, patience, version, is_wanted)?,
        None => {
            let table = ControlFold::open(&config, patience, StartFrom::Snapshot)?.fold_to_end()?;
            table.profiles().filter(is_wanted).map(|profile| Version::of(&profile)).collect()
        }
    };
    found.sort_by(|a, b| (&a.owner, &a.name).cmp(&(&b.owner, &b.name)));
    if let Some(list) = listed {
        let shown = Shown { cells: Version::cells, id: |found: &Version| found.name.clone(), json: |found: &Version| found.to_json(false) };
        return exit(list.print(acting.output, found, &shown).map_err(PrintError::from));
    }
    let name = shown(&name.unwrap_or_default());
    match found.as_slice() {
        [] if name == "all" => Err(missing("`all` is built in: every stream, everything in it".to_owned())),
        [] => Err(missing(format!("there is no profile {name} here, or none of this owner and version"))),
        [one] => exit(print_version(one, acting.output).map_err(PrintError::from)),
        many => {
            let owners: Vec<&str> = many.iter().map(|found| found.owner.as_str()).collect();
            Err(Failure::new(Exit::Usage, format!("several tenants have a profile {name}: say --owner {}", owners.join(" or --owner "))))
        }
    }
}

/// Each publication that said something else is a version; only the log has the old ones.
fn old_version(
    config: &Config,
    patience: Duration,
    version: u32,
    is_wanted: impl Fn(&ProfileView<'_>) -> bool,
) -> Result<Vec<Version>, Failure> {
    let mut found: Vec<Version> = Vec::new();
    let mut fold = ControlFold::open(config, patience, StartFrom::First)?;
    fold.read_to_end(|table, coming| {
        let changed = coming.fold(table).profile;
        let profile = changed.and_then(|slot| table.profiles().find(|profile| profile.slot == slot));
        if let Some(profile) = profile.filter(|profile| profile.revision == version && !profile.is_retired && is_wanted(profile)) {
            found.push(Version::of(&profile));
        }
        Ok::<(), Failure>(())
    })?;
    // Whether it is retired is said of the profile as it stands now.
    for one in &mut found {
        let now = fold.table.profiles().find(|profile| profile.owner == one.owner && profile.name == one.name);
        one.is_retired = now.is_some_and(|now| now.is_retired);
    }
    Ok(found)
}

fn print_version(found: &Version, format: Format) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if format != Format::Table {
        out.write_all(&found.to_json(true))?;
        return out.write_all(b"\n");
    }
    print_members(&found.to_json(false), &mut out)?;
    let mut text = Vec::new();
    if let Ok(spec) = parse(&found.spec) {
        pretty(&spec, 0, &mut text);
    }
    writeln!(out, "\n{}", String::from_utf8_lossy(&text))
}

/// `sharecast control dump`: every record of the control topic as a line that `replay` reads.
pub fn control(files: &[PathBuf], acting: &ActorArgs, command: &ControlLook) -> Result<Exit, Failure> {
    let ControlLook::Dump = command;
    if acting.actor.is_some() {
        return Err(Failure::new(Exit::Usage, "the control topic is the operator's to look at: leave --as out"));
    }
    let patience = acting.patience_of_reader()?;
    let mut fold = ControlFold::open(&config::load(files)?, patience, StartFrom::Oldest)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let is_list = acting.output == Format::Json;
    let mut count = 0u64;
    let mut dump = || -> Result<(), PrintError> {
        out.write_all(if is_list { b"[" } else { b"" })?;
        fold.read_to_end(|_, coming| {
            let record = coming.record;
            out.write_all(if is_list && count > 0 { b"," } else { b"" })?;
            out.write_all(&dump::line(record.offset, coming.time, &record.headers, record.value.as_deref()))?;
            out.write_all(if is_list { b"" } else { b"\n" })?;
            count += 1;
            Ok::<(), PrintError>(())
        })?;
        out.write_all(if is_list { b"]\n" } else { b"" })?;
        Ok(out.flush()?)
    };
    exit(dump())
}
