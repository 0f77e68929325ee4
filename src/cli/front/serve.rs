//! `sharecast serve`.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use crate::cli::exit::{Exit, Failure};
use crate::cli::reload::{self, PreparedReload, Reloader, TakesConfig};
use crate::cli::{config, logging, signal};
use crate::clock::SystemClock;
use crate::config::{AuthConfig, Config};
use crate::console;
use crate::metrics;
use crate::serve::Serve;
use crate::serve::admission::read_tokens;
use crate::serve::rest;
use crate::serve::server;
use crate::serve::server::{ServeError, ServeInput};

/// `sharecast serve`.
#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    /// Read the configuration again when one of its files changes, as at a SIGHUP
    #[arg(long)]
    watch: bool,
}

/// What a server takes of a configuration while it runs.
struct ServeTuning {
    serve: Arc<Serve>,
    /// The file of tokens as it was read last.
    tokens: Option<String>,
}

impl ServeTuning {
    fn new(serve: Arc<Serve>) -> Self {
        let tokens = text_of(serve.config());
        Self { serve, tokens }
    }
}

/// The file of tokens as it is.
fn text_of(config: &Config) -> Option<String> {
    match &config.api.auth {
        AuthConfig::Tokens(Some(path)) => std::fs::read_to_string(path).ok(),
        AuthConfig::Tokens(None) | AuthConfig::Jwt(_) | AuthConfig::Nobody => None,
    }
}

impl TakesConfig for ServeTuning {
    fn prepare(&mut self, read: &Config) -> Result<PreparedReload, String> {
        let tokens = match &read.api.auth {
            AuthConfig::Tokens(Some(path)) => Some(read_tokens(path)?),
            AuthConfig::Tokens(None) => return Err("`api.auth.tokens` names no file".to_owned()),
            AuthConfig::Jwt(_) | AuthConfig::Nobody => None,
        };
        let text = text_of(read);
        let also = if text == self.tokens { Vec::new() } else { vec!["the tokens of api.auth.tokens".to_owned()] };
        self.tokens = text;
        let (serve, limits) = (Arc::clone(&self.serve), read.api.limits);
        Ok(PreparedReload { also, take: Box::new(move || serve.take(limits, tokens)) })
    }
}

/// Serves the API and the console until a signal or a failure ends it.
pub fn run(files: &[PathBuf], args: &ServeArgs) -> Result<Exit, Failure> {
    let read = config::read(files)?;
    let level = logging::init(&read.config.log);
    let metrics = metrics::install().map_err(|error| Failure::new(Exit::Failed, error))?;
    let (hang_up, asked) = reload::by_hang_up();
    let stop = signal::stop_on(hang_up)?;
    let input = ServeInput { config: read.config.clone(), clock: Arc::new(SystemClock), metrics, stop, listening: None };
    let not_reloading = Arc::new(Mutex::new(None));
    let told = Arc::clone(&not_reloading);
    let served = server::run(input, |serve| {
        let tuning = ServeTuning::new(Arc::clone(&serve));
        let reloader = Reloader::new(files, &read, args.watch, level, tuning, Box::new(SystemClock));
        if let Err(failure) = reloader.spawn(asked) {
            *told.lock().expect("it is only set") = Some(failure);
        }
        rest::router(Arc::clone(&serve)).merge(console::router(serve))
    });
    let failed = not_reloading.lock().expect("it is only set").take();
    failed.map_or(Ok(()), Err)?;
    served.map(|()| Exit::Ok).map_err(|error| {
        let exit = match error {
            ServeError::Configuration(_) => Exit::Configuration,
            ServeError::Failed(_) => Exit::Failed,
        };
        Failure::new(exit, error)
    })
}
