//! The `sharecast` command: what there is to call, in one place.

use std::process::ExitCode;

#[cfg(feature = "io")]
use crate::cli::args::Verb;
use sharecast::cli::{self, Cli, Command};

/// For librdkafka too. It packs the many small texts of shares tighter than the system's allocator and gives back what a
/// start needed only once.
#[cfg(feature = "io")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    #[cfg(feature = "io")]
    cli::shell::completion::complete_if_asked();
    let cli = match Cli::read(std::env::args_os()) {
        Ok(cli) => cli,
        Err(exit) => return exit.into(),
    };
    let files = &cli.config;
    let done = match cli.command {
        Command::Check(args) => cli::check::run(files, &args),
        #[cfg(feature = "io")]
        Command::Config { command } => cli::config::show::run(files, &command),
        #[cfg(feature = "io")]
        Command::Completions(args) => cli::shell::completion::completions(&args),
        #[cfg(feature = "io")]
        Command::Man(args) => cli::shell::completion::man(&args),
        Command::Replay(args) => cli::replay::run(files, &args),
        Command::Test(args) => cli::test::run(files, &args),
        Command::Schema(args) => cli::contract::schema::run(files, &args),
        #[cfg(feature = "io")]
        Command::Contract(args) => cli::contract::reader::run(files, &args),
        #[cfg(feature = "io")]
        Command::Explain(args) => cli::explain::run(files, &args),
        #[cfg(feature = "io")]
        Command::Project(args) => cli::explain::project::run(files, &args),
        #[cfg(feature = "io")]
        Command::Backfill(args) => cli::backfill::run(files, &args),
        #[cfg(feature = "io")]
        Command::Demo(args) => cli::demo::run(&args),
        #[cfg(feature = "io")]
        Command::Run(args) => cli::run::run(files, &args),
        #[cfg(feature = "io")]
        Command::Provision(args) => cli::provision::run(files, &args),
        #[cfg(feature = "io")]
        Command::Snapshot(args) => cli::snapshot::run(files, &args),
        #[cfg(feature = "io")]
        Command::Share { acting, command: Verb::Query(look) } => cli::share::list::run(files, &acting, look),
        #[cfg(feature = "io")]
        Command::Share { acting, command: Verb::Write(command) } => cli::event::share(files, &acting, command),
        #[cfg(feature = "io")]
        Command::Partnership { acting, command: Verb::Query(look) } => cli::party::show::partnership(files, &acting, look),
        #[cfg(feature = "io")]
        Command::Partnership { acting, command: Verb::Write(command) } => cli::event::partnership(files, &acting, command),
        #[cfg(feature = "io")]
        Command::Tenant { acting, command: Verb::Query(look) } => cli::party::show::tenant(files, &acting, look),
        #[cfg(feature = "io")]
        Command::Tenant { acting, command: Verb::Write(command) } => cli::event::tenant(files, &acting, command),
        #[cfg(feature = "io")]
        Command::Profile { acting, command: Verb::Query(look) } => cli::party::show::profile(files, &acting, look),
        #[cfg(feature = "io")]
        Command::Profile { acting, command: Verb::Write(command) } => cli::event::profile(files, &acting, command),
        #[cfg(feature = "io")]
        Command::Control { acting, command: Verb::Query(look) } => cli::party::show::control(files, &acting, &look),
        #[cfg(feature = "io")]
        Command::Control { acting, command: Verb::Write(command) } => cli::event::control(files, &acting, command),
    };
    done.unwrap_or_else(cli::exit::report).into()
}
