//! Looking at input records: how commands end where they cannot be looked at.

use crate::cli::exit::{Exit, Failure, client_failure, input_failure, tell};
use crate::inspect::record_search::{FoundRecord, LookError, Search};

/// The newest record that is looked for. Where the topic is missing there is none, and that is said.
pub(in crate::cli) fn newest(search: &Search<'_>) -> Result<Option<FoundRecord>, Failure> {
    match search.newest() {
        Err(missing @ LookError::NoTopic { .. }) => {
            tell!("warning: {missing}");
            Ok(None)
        }
        found => found.map_err(failure),
    }
}

/// As commands end for it.
pub(in crate::cli) fn failure(error: LookError) -> Failure {
    match error {
        LookError::NoTopic { .. } | LookError::NoRecord(_) => Failure::new(Exit::Usage, error),
        LookError::Late(_) => Failure::new(Exit::Unavailable, error),
        LookError::Client(error) => client_failure(error),
        LookError::Input(error) => input_failure(error),
    }
}
