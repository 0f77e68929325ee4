//! `share revoke --wait`: until the cut is certain.

use std::time::Duration;

use crate::cli::exit::{Exit, Failure, tell};
use crate::clock::BootTime;
use crate::config::Config;
use crate::id::Offset;
use crate::writing::certainty;
use crate::writing::certainty::Quiescence;

/// Waits, and says on stderr for what.
pub(in crate::cli) fn wait(
    config: &Config,
    offset: Offset,
    acknowledged: BootTime,
    limit: Option<Duration>,
) -> Result<Quiescence, Failure> {
    certainty::wait(config, offset, acknowledged, limit, &|line| tell!("{line}")).map_err(|uncertain| Failure::new(Exit::Failed, uncertain))
}
