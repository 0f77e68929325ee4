//! The command line (SPEC section 12). Results go to stdout, logs and what went wrong to stderr.

#[cfg(feature = "io")]
pub mod acting;
pub mod check;
pub mod configuration;
#[cfg(feature = "io")]
pub mod demo;
pub mod exit;
pub mod logging;
#[cfg(feature = "io")]
pub mod parties;
pub mod replay;
#[cfg(feature = "io")]
pub mod run;
#[cfg(feature = "io")]
pub mod send;
#[cfg(feature = "io")]
pub mod share;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use exit::Exit;

/// Gives each tenant a clean Kafka topic of what others share with it.
#[derive(Debug, Parser)]
#[command(name = "sharecast", version, propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    /// A configuration file; given again, a later file overrides an earlier one key by key
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
    /// Run files through the same code without Kafka
    Replay(replay::Args),
    /// See it work: a story on a cluster inside this process, with nothing to install
    #[cfg(feature = "io")]
    Demo(demo::Args),
    /// Run the engine beside a Kafka cluster
    #[cfg(feature = "io")]
    Run,
    /// Offer, accept, change and end shares
    #[cfg(feature = "io")]
    Share {
        /// Who acts and what is printed.
        #[command(flatten)]
        acting: acting::Acting,
        /// What to do.
        #[command(subcommand)]
        command: share::ShareCommand,
    },
    /// Make and end partnerships
    #[cfg(feature = "io")]
    Partnership {
        /// Who acts and what is printed.
        #[command(flatten)]
        acting: acting::Acting,
        /// What to do.
        #[command(subcommand)]
        command: parties::PartnershipCommand,
    },
    /// Make tenants known, place them in the tree, suspend them
    #[cfg(feature = "io")]
    Tenant {
        /// Who acts and what is printed.
        #[command(flatten)]
        acting: acting::Acting,
        /// What to do.
        #[command(subcommand)]
        command: parties::TenantCommand,
    },
    /// Publish and retire sharing profiles
    #[cfg(feature = "io")]
    Profile {
        /// Who acts and what is printed.
        #[command(flatten)]
        acting: acting::Acting,
        /// What to do.
        #[command(subcommand)]
        command: parties::ProfileCommand,
    },
    /// Deal with the control topic
    #[cfg(feature = "io")]
    Control {
        /// Who acts and what is printed.
        #[command(flatten)]
        acting: acting::Acting,
        /// What to do.
        #[command(subcommand)]
        command: parties::ControlCommand,
    },
}

impl Cli {
    /// Reads the arguments, the first being the program's name. What is wrong with them, or the help that was asked
    /// for, is printed; then the answer is how to exit.
    pub fn read(args: impl IntoIterator<Item = OsString>) -> Result<Self, Exit> {
        Self::try_parse_from(args).map_err(|e| {
            // There is nobody left to tell if this cannot be printed.
            let _ = e.print();
            if e.use_stderr() { Exit::Usage } else { Exit::Ok }
        })
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
