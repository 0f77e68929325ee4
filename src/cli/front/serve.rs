//! `sharecast serve`.

use std::path::PathBuf;
use std::sync::Arc;

use crate::cli::exit::{Exit, Failure};
use crate::cli::signal::stop_on_signal;
use crate::cli::{config, logging};
use crate::clock::SystemClock;
use crate::serve::rest;
use crate::serve::server;
use crate::serve::server::{ServeError, ServeInput};

/// Serves the API and the console until a signal or a failure ends it.
pub fn run(files: &[PathBuf]) -> Result<Exit, Failure> {
    let config = config::load_silently(files)?;
    logging::init(&config.log);
    let input = ServeInput { config, clock: Arc::new(SystemClock), stop: stop_on_signal()?, listening: None };
    server::run(input, rest::router).map(|()| Exit::Ok).map_err(|error| {
        let exit = match error {
            ServeError::Configuration(_) => Exit::Configuration,
            ServeError::Failed(_) => Exit::Failed,
        };
        Failure::new(exit, error)
    })
}
