//! Members marked as critical: what an event lets out of them is named, and a person confirms before it is written.

use std::io::{self, IsTerminal};

use crate::cli::exit::{Failure, shown, tell};
use crate::cli::share::confirm;

/// Names what leaves.
pub(in crate::cli) fn name(lines: &[String]) {
    lines.iter().for_each(|line| tell!("critical: {}", shown(line)));
}

/// Names what leaves, and asks a person; `--yes` is the answer too. Without a terminal and without it nothing is written.
pub(in crate::cli) fn confirm(lines: &[String], is_confirmed: bool) -> Result<(), Failure> {
    if lines.is_empty() {
        return Ok(());
    }
    name(lines);
    confirm::confirm("Members that are marked as critical leave. Write it?", is_confirmed, io::stdin().is_terminal())
}
