//! The command line (docs/rules/cli.md). Results go to stdout, logs and what went wrong to stderr.

pub mod argument;
pub mod check;
#[cfg(feature = "io")]
pub mod backfill;
#[cfg(feature = "io")]
pub mod demo;
#[cfg(feature = "io")]
pub mod explain;
pub mod exit;
pub mod logging;
#[cfg(feature = "io")]
mod outcome;
#[cfg(feature = "io")]
mod random;
pub mod replay;
pub mod test;
mod sample;
#[cfg(feature = "io")]
pub mod listing;
#[cfg(feature = "io")]
pub mod run;
#[cfg(feature = "io")]
pub mod reload;
#[cfg(feature = "io")]
pub mod signal;
#[cfg(feature = "io")]
pub mod snapshot;
pub mod time_argument;
pub mod shell;
#[cfg(feature = "io")]
mod trial;
#[cfg(feature = "io")]
mod writing;
#[cfg(feature = "io")]
pub mod args;
#[cfg(feature = "io")]
pub(crate) mod output;
pub mod config;
pub mod contract;
#[cfg(feature = "io")]
pub(crate) mod control_fold;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use exit::{Exit, tell};

/// Gives each tenant a clean Kafka topic of what others share with it.
#[derive(Debug, Parser)]
#[command(name = "sharecast", version = shell::version::text(), propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    /// A configuration file; given again, a later file overrides an earlier one key by key. Without it: the file that SHARECAST_CONFIG
    /// names, else ./sharecast.yaml, else /etc/sharecast/sharecast.yaml, else the defaults
    #[arg(short = 'c', long = "config", value_name = "FILE", global = true)]
    pub config: Vec<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What there is to do.
#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant, reason = "there is one of it in a process")]
pub enum Command {
    /// Check the configuration and profile files
    Check(check::Args),
    /// Show the configuration as it counts
    #[cfg(feature = "io")]
    Config {
        /// What to do.
        #[command(subcommand)]
        command: config::show::ConfigCommand,
    },
    /// Print a script by which a shell completes commands and ids
    #[cfg(feature = "io")]
    Completions(shell::completion::CompletionsArgs),
    /// Print the manual
    #[cfg(feature = "io")]
    Man(shell::completion::ManArgs),
    /// Run files through the same code without Kafka
    Replay(replay::Args),
    /// Run test files: who shares what, records, and what each tenant is to get
    Test(test::TestArgs),
    /// Print a JSON Schema of what people write, or an AsyncAPI document of a configuration's topics
    Schema(contract::schema::SchemaArgs),
    /// What may arrive in a tenant's topics, member by member
    #[cfg(feature = "io")]
    Contract(contract::reader::ContractArgs),
    /// Say why a record did or did not flow, or what would be: each share, the rule that decided, each member
    #[cfg(feature = "io")]
    Explain(explain::args::ExplainArgs),
    /// Show what a profile shows of one record: no share, no target, the owner's ids stay
    #[cfg(feature = "io")]
    Project(explain::project::ProjectArgs),
    /// Give old records to those who may see them today, from the stream's topic or from files
    #[cfg(feature = "io")]
    Backfill(backfill::args::BackfillArgs),
    /// See it work: a story on a cluster inside this process, with nothing to install
    #[cfg(feature = "io")]
    Demo(demo::Args),
    /// Run the engine beside a Kafka cluster
    #[cfg(feature = "io")]
    Run(run::RunArgs),
    /// Make the topics that are missing, and say what is wrong with those that are there
    #[cfg(feature = "io")]
    Provision(provision::Args),
    /// Write the folded control topic to a file now, so that the next start reads only what comes after it
    #[cfg(feature = "io")]
    Snapshot(snapshot::Args),
    /// Offer, accept, change and end shares; list, show, count and watch them
    #[cfg(feature = "io")]
    Share {
        /// Who acts and what is printed.
        #[command(flatten)]
        acting: args::ActorArgs,
        /// What to do.
        #[command(subcommand)]
        command: args::Verb<share::list::ShareLook, share::args::ShareCommand>,
    },
    /// Make, end, list and show partnerships
    #[cfg(feature = "io")]
    Partnership {
        /// Who acts and what is printed.
        #[command(flatten)]
        acting: args::ActorArgs,
        /// What to do.
        #[command(subcommand)]
        command: args::Verb<party::args::PartnershipLook, party::args::PartnershipCommand>,
    },
    /// Make tenants known, place them in the tree, suspend them; list and show them
    #[cfg(feature = "io")]
    Tenant {
        /// Who acts and what is printed.
        #[command(flatten)]
        acting: args::ActorArgs,
        /// What to do.
        #[command(subcommand)]
        command: args::Verb<party::args::TenantLook, party::args::TenantCommand>,
    },
    /// Publish, retire, list and show sharing profiles
    #[cfg(feature = "io")]
    Profile {
        /// Who acts and what is printed.
        #[command(flatten)]
        acting: args::ActorArgs,
        /// What to do.
        #[command(subcommand)]
        command: args::Verb<party::args::ProfileLook, party::args::ProfileCommand>,
    },
    /// Deal with the control topic: dump it, skip what cannot be understood, name the configuration to it
    #[cfg(feature = "io")]
    Control {
        /// Who acts and what is printed.
        #[command(flatten)]
        acting: args::ActorArgs,
        /// What to do.
        #[command(subcommand)]
        command: args::Verb<party::args::ControlLook, party::args::ControlTopicCommand>,
    },
}

#[cfg(feature = "io")]
impl Command {
    /// Whether ids are asked for of what is no list.
    fn has_ids_of_no_list(&self) -> bool {
        use args::Verb::Query;
        use party::args::{PartnershipLook, ProfileLook, TenantLook};
        use share::list::ShareLook;
        let (acting, is_list) = match self {
            Self::Share { acting, command } => {
                (acting, matches!(command, Query(ShareLook::List { .. } | ShareLook::Invitations { outbox: false, .. })))
            }
            Self::Partnership { acting, command } => (acting, matches!(command, Query(PartnershipLook::List { .. }))),
            Self::Tenant { acting, command } => (acting, matches!(command, Query(TenantLook::List { .. }))),
            Self::Profile { acting, command } => (acting, matches!(command, Query(ProfileLook::List { .. }))),
            Self::Control { acting, .. } => (acting, false),
            _ => return false,
        };
        acting.output == args::Format::Id && !is_list
    }
}

impl Cli {
    /// Reads the arguments, the first being the program's name. What is wrong with them, or the help that was asked
    /// for, is printed; then the answer is how to exit.
    pub fn read(args: impl IntoIterator<Item = OsString>) -> Result<Self, Exit> {
        let args: Vec<OsString> = args.into_iter().collect();
        if let Err(what) = argument::refuse_twice(&args) {
            tell!("error: {what}");
            return Err(Exit::Usage);
        }
        let files = argument::all_of(&args, &["--config", "-c"]);
        let read = Self::try_parse_from(args).map(|mut cli| {
            if files.len() > cli.config.len() {
                cli.config = files.into_iter().map(PathBuf::from).collect();
            }
            cli
        });
        let cli = read.map_err(|e| {
            // There is nobody left to tell if this cannot be printed.
            let _ = e.print();
            if e.use_stderr() { Exit::Usage } else { Exit::Ok }
        })?;
        #[cfg(feature = "io")]
        if cli.command.has_ids_of_no_list() {
            tell!("error: `-o id` is for lists, and this prints none: -o table, json or ndjson");
            return Err(Exit::Usage);
        }
        Ok(cli)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Cli, Exit> {
        Cli::read(line.split(' ').map(OsString::from))
    }

    #[test]
    fn the_definition_is_sound() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn configuration_files_may_stand_anywhere_and_often() {
        assert_eq!(read("sharecast check -c a -c b").unwrap().config, [PathBuf::from("a"), PathBuf::from("b")]);
        assert_eq!(read("sharecast --config a check").unwrap().config, [PathBuf::from("a")]);
        assert_eq!(read("sharecast -c a check -c b").unwrap().config, [PathBuf::from("a"), PathBuf::from("b")]);
    }

    #[cfg(feature = "io")]
    #[test]
    fn commands_that_look_and_commands_that_write_stand_beside_each_other() {
        for line in [
            "sharecast share list -o id --sort since:desc --limit 3 --state active",
            "sharecast share list --search ex --state active,PAUSED --state left --permission view --stream t --as acme -o json",
            "sharecast share show s1 --no-history",
            "sharecast share stats --owner acme --owner zenith",
            "sharecast share watch --from-start --share s1",
            "sharecast partnership show a b",
            "sharecast profile show hire --version 2 --owner acme",
            "sharecast tenant list",
            "sharecast control dump",
            "sharecast control configure --yes",
        ] {
            assert!(read(line).is_ok(), "{line}");
        }
        assert!(matches!(
            read("sharecast share revoke s1").unwrap().command,
            Command::Share { command: args::Verb::Write(share::args::ShareCommand::Revoke(_)), .. }
        ));
        assert_eq!(read("sharecast share list --state done").unwrap_err(), Exit::Usage);
        assert_eq!(read("sharecast share list --permission all").unwrap_err(), Exit::Usage);
        for line in [
            "share show s1",
            "share stats",
            "share revoke s1",
            "share invitations --outbox",
            "control dump",
            "tenant update a",
            "config show",
        ] {
            assert_eq!(read(&format!("sharecast {line} -o id")).unwrap_err(), Exit::Usage, "{line}");
        }
        for line in ["share invitations", "partnership list", "tenant list", "profile list"] {
            assert!(read(&format!("sharecast {line} -o id --sort state --limit 1")).is_ok() == (line == "partnership list"), "{line}");
            assert!(read(&format!("sharecast {line} -o id --limit 1")).is_ok(), "{line}");
        }
    }

    #[cfg(feature = "io")]
    #[test]
    fn a_value_that_begins_with_a_dash_reaches_the_one_who_says_what_is_wrong_with_it() {
        for line in ["update s1 --ends -7d", "update s1 --starts -7", "resend s1 --offer-expires -1h"] {
            assert!(read(&format!("sharecast share {line}")).is_ok(), "{line}");
        }
        for line in ["share revoke s1 --timeout -5s", "snapshot --timeout 0s", "provision --timeout -5s", "control skip -1 --note x"] {
            assert_eq!(read(&format!("sharecast {line}")).unwrap_err(), Exit::Usage, "{line}");
        }
    }

    #[test]
    fn wrong_usage_is_64_and_help_is_0() {
        assert_eq!(read("sharecast checkk").unwrap_err(), Exit::Usage);
        assert_eq!(read("sharecast check --nope").unwrap_err(), Exit::Usage);
        assert_eq!(read("sharecast").unwrap_err(), Exit::Usage);
        assert_eq!(read("sharecast --help").unwrap_err(), Exit::Ok);
        assert_eq!(read("sharecast --version").unwrap_err(), Exit::Ok);
    }
}
#[cfg(feature = "io")]
pub mod restore;
#[cfg(feature = "io")]
pub mod configure;
pub mod share;
pub mod party;
#[cfg(feature = "io")]
pub mod provision;
#[cfg(feature = "io")]
pub mod event;
