//! A question to the person at the terminal before something is written.

use std::io::{self, Write};

use crate::cli::exit::{Exit, Failure};

/// Asks a person, or takes `--yes` for the answer.
pub(in crate::cli) fn confirm(question: &str, is_confirmed: bool, is_answerable: bool) -> Result<(), Failure> {
    if is_confirmed {
        return Ok(());
    }
    if !is_answerable {
        let what = "nothing was written: standard input is no terminal to ask for confirmation on; --yes writes without asking";
        return Err(Failure::new(Exit::Usage, what));
    }
    // Where it cannot be shown there is nobody to answer, which is no.
    let _ = write!(io::stderr(), "{question} [y/N] ");
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(|error| Failure::new(Exit::Failed, format!("stdin: {error}")))?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Failure::new(Exit::Failed, "nothing was written")),
    }
}
