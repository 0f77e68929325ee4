//! `sharecast run`.

use std::path::PathBuf;
use std::sync::Arc;

use super::exit::{Exit, Failure};
use crate::cli::reload::{self, PreparedReload, Reloader, TakesConfig};
use crate::cli::shell::version;
use crate::cli::{config, logging, signal};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::engine::server;
use crate::engine::server::EngineInput;
use crate::engine::server::shutdown::RunError;
use crate::engine::worker::tuning::{LiveTuning, Tuning};
use crate::kafka::KafkaSettings;
use crate::metrics;

/// `sharecast run`.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// Read the configuration again when one of its files changes, as at a SIGHUP
    #[arg(long)]
    watch: bool,
}

/// What an engine takes of a configuration while it runs.
struct EngineTuning(Arc<LiveTuning>);

impl TakesConfig for EngineTuning {
    fn prepare(&mut self, read: &Config) -> Result<PreparedReload, String> {
        let (live, tuning) = (Arc::clone(&self.0), Tuning::of(read));
        Ok(PreparedReload { also: Vec::new(), take: Box::new(move || live.publish(tuning)) })
    }
}

/// Runs the engine until a signal or a failure ends it.
pub fn run(files: &[PathBuf], args: &RunArgs) -> Result<Exit, Failure> {
    let read = config::read(files)?;
    let level = logging::init(&read.config.log);
    announce(&read.config, &config::found(files));
    let tuning = Arc::new(LiveTuning::new(Tuning::of(&read.config)));
    let metrics = metrics::install().map_err(|error| Failure::new(Exit::Failed, error))?;
    let (hang_up, asked) = reload::by_hang_up();
    let stop = signal::stop_on(hang_up)?;
    let takes = EngineTuning(Arc::clone(&tuning));
    Reloader::new(files, &read, args.watch, level, takes, Box::new(SystemClock)).spawn(asked)?;
    let config = read.config;
    let start = EngineInput {
        kafka: KafkaSettings::of(&config.kafka),
        clock: Arc::new(SystemClock),
        metrics,
        stop,
        topics_are_given: false,
        tuning,
        listening: None,
        config,
    };
    server::run(start).map(|()| Exit::Ok).map_err(|error| {
        let exit = match error {
            RunError::Configuration(_) => Exit::Configuration,
            RunError::Unavailable(_) => Exit::Unavailable,
            RunError::Failed(_) => Exit::Failed,
        };
        Failure::new(exit, error)
    })
}

/// One line by which a log says what begins here.
fn announce(config: &Config, files: &[PathBuf]) {
    let streams: Vec<String> = config.streams.iter().map(|stream| format!("{} <- {}", stream.name, stream.topic)).collect();
    tracing::info!(
        version = version::text(),
        configuration = config::names_of(files),
        bootstrap = config.kafka.bootstrap,
        group = config.kafka.group,
        instance = config.kafka.instance,
        streams = streams.join(", "),
        workers = config.workers,
        http = %config.http_listen,
        "sharecast begins"
    );
}
