//! `sharecast snapshot`: the folded control topic as a file, so that the next start reads only what came after it.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::provision::patience;
use crate::cli::config;
use crate::cli::control_fold::{ControlFold, StartFrom};
use crate::cli::exit::{Exit, Failure, client_failure};
use crate::cli::output::{PrintError, exit};
use crate::engine::control::snapshot;
use crate::kafka::{Admin, KafkaSettings};
use crate::share::snapshot::{SnapshotError, SnapshotOrigin};

/// Options of `snapshot`.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Where to write it; default: `snapshot.path`, which a running engine may use at the same time
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// How long a silent cluster is waited for
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    timeout: String,
}

/// Runs the command.
pub fn run(files: &[PathBuf], args: &Args) -> Result<Exit, Failure> {
    let patience = patience(&args.timeout)?;
    let config = config::load(files)?;
    let path = args.out.as_ref().unwrap_or(&config.snapshot.path);
    let failed = |error: SnapshotError| Failure::new(Exit::Failed, format!("{}: {error}", path.display()));
    // Before the whole control topic is read for it.
    if let Some(error) = snapshot::cannot_write(path) {
        return Err(failed(error.into()));
    }
    let kafka = KafkaSettings::of(&config.kafka);
    let cluster = Admin::open(&kafka, patience).and_then(|admin| admin.cluster_id()).map_err(client_failure)?;
    let origin = SnapshotOrigin { cluster, topic: config.control.topic.clone() };
    let table = ControlFold::open(&config, patience, StartFrom::Whole)?.fold_to_end()?;
    let bytes = snapshot::write_whole(&table, &origin, path).map_err(failed)?;
    let (epoch, shares) = (table.epoch().0, table.shares().count());
    exit(writeln!(io::stdout(), "{}  epoch {epoch}  {shares} shares  {bytes} bytes", path.display()).map_err(PrintError::from))
}
