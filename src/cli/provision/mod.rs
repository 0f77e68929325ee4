//! `sharecast provision`: makes the topics that are missing, sets what may be set while everything runs, and says what else is wrong.

#[cfg(feature = "io")]
pub(crate) mod acls;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args as ClapArgs;

use crate::cli::args::{Format, no_list_format, tenant};
use crate::cli::argument;
use crate::cli::config;
use crate::cli::control_fold::{ControlFold, StartFrom};
use crate::cli::exit::{Exit, Failure, admin_failure, client_failure};
use crate::cli::output::{PrintError, exit, print_table, print_values};
use crate::cli::provision::acls::Principals;
use crate::config::Config;
use crate::engine::topic::required::{Adjustment, Need, needs};
use crate::id::TenantId;
use crate::json::writer::object;
use crate::kafka::{Admin, ClientError, KafkaSettings, control_topic};
use crate::record::mapping::Mode;
use crate::share::table::ShareTable;

/// Options of `provision`.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Only say what would be made or set and what is wrong: exit 2 if there is anything
    #[arg(long, visible_alias = "dry-run")]
    check: bool,
    /// Print the kafka-acls commands that this configuration needs, and do nothing else
    #[arg(long)]
    print_acls: bool,
    /// With --print-acls: who runs the engine
    #[arg(long, value_name = "PRINCIPAL", default_value = "User:sharecast")]
    engine: String,
    /// With --print-acls: who runs the other commands
    #[arg(long, value_name = "PRINCIPAL", default_value = "User:sharecast-operator")]
    operator: String,
    /// With --print-acls: who runs backfills
    #[arg(long, value_name = "PRINCIPAL", default_value = "User:sharecast-backfill")]
    backfill: String,
    /// With --print-acls: who sends the invitations
    #[arg(long, value_name = "PRINCIPAL", default_value = "User:sharecast-mailer")]
    mailer: String,
    /// With --print-acls: these tenants, with commas; default: all that the control topic names
    #[arg(long, value_name = "TENANT", value_delimiter = ',', value_parser = tenant)]
    tenant: Vec<TenantId>,
    /// With --print-acls: a tenant's data platform
    #[arg(long, value_name = "PRINCIPAL", default_value = "User:{tenant}")]
    tenant_principal: String,
    /// With --print-acls: kafka-acls's own --command-config
    #[arg(long, value_name = "FILE")]
    command_config: Option<String>,
    /// How long a silent cluster is waited for
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = argument::duration, allow_hyphen_values = true)]
    timeout: Duration,
    /// How the result is printed
    #[arg(short, long, value_parser = no_list_format(), default_value = "table")]
    output: Format,
}

/// A topic and what was found.
struct Looked {
    topic: String,
    partitions: i32,
    /// As it is made.
    config: BTreeMap<String, String>,
    is_missing: bool,
    /// Made by this run.
    is_made: bool,
    /// Set by this run.
    set: Vec<String>,
    faults: Vec<String>,
    warnings: Vec<String>,
}

impl Looked {
    fn state(&self) -> &'static str {
        match (self.is_made, self.is_missing, self.faults.is_empty(), self.set.is_empty()) {
            (true, ..) => "made",
            (_, true, ..) => "missing",
            (_, _, false, _) => "wrong",
            (.., false) => "set",
            _ => "ok",
        }
    }
}

/// Runs the command.
pub fn run(files: &[PathBuf], args: &Args) -> Result<Exit, Failure> {
    let patience = args.timeout;
    let config = config::load(files)?;
    if args.print_acls {
        return exit(print_acls(&config, args, patience));
    }
    let kafka = KafkaSettings::of(&config.kafka);
    let admin = Admin::open(&kafka, patience).map_err(client_failure)?;
    // Who is refused, or reaches nobody, is told so at once, and why.
    admin.cluster_id().map_err(client_failure)?;
    let mut looked = Vec::new();
    let ended = look_at_all(&admin, &config, args.check, patience, &mut looked);
    // What was made before something failed is made, and told.
    if ended.is_ok() || !looked.is_empty() {
        exit(print(&looked, args.output).map_err(PrintError::from))?;
    }
    ended?;
    let is_left = |looked: &&Looked| looked.is_missing || !looked.faults.is_empty();
    Ok(match (looked.iter().filter(is_left).count(), args.check) {
        (0, _) => Exit::Ok,
        (_, true) => Exit::Changes,
        (_, false) => Exit::Configuration,
    })
}

/// Looks at each topic, and makes it unless `is_check`: `looked` is what is known whatever the end.
fn look_at_all(admin: &Admin, config: &Config, is_check: bool, patience: Duration, looked: &mut Vec<Looked>) -> Result<(), Failure> {
    let control = look_at_control(admin, config, is_check)?;
    let is_missing = control.is_missing;
    looked.push(control);
    // What a control topic that is missing says is nothing.
    let table = if is_missing { ShareTable::for_documents(config.fold_rules()) } else { fold(config, patience)? };
    let (inputs, missing_inputs) = inputs(admin, config)?;
    let partitions_of = |topic: &str| inputs.get(topic).copied();
    for need in needs(config, &table, &partitions_of) {
        looked.push(look_at(admin, &need, is_check)?);
    }
    looked.extend(missing_inputs);
    Ok(())
}

fn fold(config: &Config, patience: Duration) -> Result<ShareTable, Failure> {
    ControlFold::open(config, patience, StartFrom::Snapshot)?.fold_to_end()
}

fn look_at_control(admin: &Admin, config: &Config, is_check: bool) -> Result<Looked, Failure> {
    let topic = config.control.topic.clone();
    let spec = control_topic(&topic, admin.brokers().map_err(client_failure)?);
    let found = admin.check_control_topic(&topic).map_err(client_failure)?;
    let is_missing = found.is_none();
    if is_missing && !is_check {
        admin.create(std::slice::from_ref(&spec)).map_err(admin_failure)?;
    }
    let check = found.unwrap_or_default();
    let (faults, warnings) = (check.faults, check.warnings);
    let is_made = is_missing && !is_check;
    Ok(Looked {
        topic,
        partitions: spec.partitions,
        config: spec.config,
        is_missing: is_missing && is_check,
        is_made,
        set: Vec::new(),
        faults,
        warnings,
    })
}

fn look_at(admin: &Admin, need: &Need, is_check: bool) -> Result<Looked, Failure> {
    let spec = &need.spec;
    let mut looked = Looked {
        topic: spec.name.clone(),
        partitions: spec.partitions,
        config: spec.config.clone(),
        is_missing: false,
        is_made: false,
        set: Vec::new(),
        faults: Vec::new(),
        warnings: Vec::new(),
    };
    match admin.topic(&spec.name).map_err(client_failure)? {
        Some(shape) => {
            looked.partitions = shape.partitions;
            let config = admin.topic_config(&spec.name).map_err(client_failure)?;
            looked.faults = need.faults(&shape, &config);
            if let Some(adjustment) = need.adjustment(&config) {
                adjust(admin, &adjustment, is_check, &mut looked)?;
            }
        }
        None if is_check => looked.is_missing = true,
        None => {
            admin.create(std::slice::from_ref(spec)).map_err(admin_failure)?;
            looked.is_made = true;
        }
    }
    Ok(looked)
}

/// Sets what may be set while everything runs. Where the cluster refuses it, somebody else must.
fn adjust(admin: &Admin, Adjustment { key, found, wanted }: &Adjustment, is_check: bool, looked: &mut Looked) -> Result<(), Failure> {
    if is_check {
        looked.faults.push(format!("{key} is {found}; `sharecast provision` sets it to {wanted}"));
        return Ok(());
    }
    match admin.alter_topic(&looked.topic, &[(key, Some(wanted))]) {
        Ok(()) => looked.set.push(format!("{key} was {found} and is {wanted} now")),
        Err(ClientError::Refused(why)) => looked.faults.push(format!("{key} is {found}; set it to {wanted} ({why})")),
        Err(other) => return Err(client_failure(other)),
    }
    Ok(())
}

/// Upsert inputs with their partitions; and what is wrong with inputs. Nobody makes them here: they are others'.
fn inputs(admin: &Admin, config: &Config) -> Result<(BTreeMap<String, i32>, Vec<Looked>), Failure> {
    let (mut found, mut wrong, mut seen) = (BTreeMap::new(), Vec::new(), BTreeSet::new());
    for stream in config.streams.iter().filter(|stream| seen.insert(stream.topic.clone())) {
        let shape = admin.topic(&stream.topic).map_err(client_failure)?;
        let mut faults = Vec::new();
        if let Some(shape) = &shape {
            found.insert(stream.topic.clone(), shape.partitions);
            let config = admin.topic_config(&stream.topic).map_err(client_failure)?;
            let policy = config.get("cleanup.policy").map_or("nothing", String::as_str);
            if stream.mode == Mode::Upsert && policy != "compact" {
                faults.push(format!("cleanup.policy is {policy}; an upsert stream's input needs compact"));
            }
        } else {
            faults.push(format!("the input of {} is missing: who writes it makes it", stream.name));
        }
        if !faults.is_empty() {
            let partitions = shape.map_or(0, |shape| shape.partitions);
            let (config, warnings) = (BTreeMap::new(), Vec::new());
            let topic = stream.topic.clone();
            wrong.push(Looked { topic, partitions, config, is_missing: false, is_made: false, set: Vec::new(), faults, warnings });
        }
    }
    Ok((found, wrong))
}

fn print(looked: &[Looked], format: Format) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    if format == Format::Table {
        let row = |looked: &Looked| {
            let notes: Vec<&str> = looked.faults.iter().chain(&looked.set).chain(&looked.warnings).map(String::as_str).collect();
            vec![looked.topic.clone(), looked.state().to_owned(), looked.partitions.to_string(), notes.join("; ")]
        };
        print_table(&["TOPIC", "STATE", "PARTITIONS", "NOTE"], &looked.iter().map(row).collect::<Vec<_>>(), &mut out)?;
    } else {
        print_values(format, looked.iter().map(to_json), &mut out)?;
    }
    out.flush()
}

fn to_json(looked: &Looked) -> Vec<u8> {
    object(|out| {
        out.text("topic", &looked.topic);
        out.text("state", looked.state());
        out.number("partitions", looked.partitions);
        out.object("config", |out| looked.config.iter().for_each(|(key, value)| out.text(key, value)));
        out.texts("change", looked.faults.iter().map(String::as_str));
        out.texts("set", looked.set.iter().map(String::as_str));
        out.texts("warnings", looked.warnings.iter().map(String::as_str));
    })
}

fn print_acls(config: &Config, args: &Args, patience: Duration) -> Result<(), PrintError> {
    let mut tenants: BTreeSet<TenantId> = args.tenant.iter().cloned().collect();
    if tenants.is_empty() {
        let table = fold(config, patience)?;
        tenants.extend(table.tenants().into_iter().filter_map(|tenant| TenantId::parse(tenant.id).ok()));
    }
    let principal = |tenant: &TenantId| args.tenant_principal.replace("{tenant}", tenant.as_str());
    let principals = Principals {
        engine: args.engine.clone(),
        operator: args.operator.clone(),
        backfill: args.backfill.clone(),
        mailer: args.mailer.clone(),
        tenants: tenants.into_iter().map(|tenant| (tenant.clone(), principal(&tenant))).collect(),
    };
    let mut out = BufWriter::new(io::stdout().lock());
    for section in acls::sections(config, &principals) {
        writeln!(out, "# {}", section.title)?;
        for grant in section.grants {
            writeln!(out, "{}", grant.command(&config.kafka.bootstrap, args.command_config.as_deref()))?;
        }
    }
    Ok(out.flush()?)
}
