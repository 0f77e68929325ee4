//! `sharecast mailer`.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use crate::cli::exit::{Exit, Failure};
use crate::cli::reload::{self, PreparedReload, Reloader, TakesConfig};
use crate::cli::{config, logging, signal};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::engine::server::shutdown::RunError;
use crate::mailer::letter::{compose, example};
use crate::mailer::live_templates::{LiveTemplates, read_templates};
use crate::mailer::server;
use crate::mailer::server::MailerInput;
use crate::mailer::smtp::sender;
use crate::metrics;

/// What `mailer` takes.
#[derive(Debug, clap::Args)]
pub struct MailerArgs {
    /// Send also what was written before this group's first start and is open still
    #[arg(long)]
    all: bool,
    /// Print a mail of an invitation that there is not, and send nothing: no Kafka and no server are needed
    #[arg(long, conflicts_with = "all")]
    print: bool,
    /// Read the configuration again when one of its files changes, as at a SIGHUP
    #[arg(long, conflicts_with = "print")]
    watch: bool,
}

/// What a mailer takes of a configuration while it runs.
struct MailerTuning(Arc<LiveTemplates>);

impl TakesConfig for MailerTuning {
    fn prepare(&mut self, read: &Config) -> Result<PreparedReload, String> {
        let folder = read.mail.templates.clone();
        let (live, templates) = (Arc::clone(&self.0), read_templates(folder.as_deref())?);
        // Other texts in the same folder are no change: they are read before each mail.
        Ok(PreparedReload { also: Vec::new(), take: Box::new(move || live.put(folder, templates)) })
    }
}

/// Sends mails until a signal or a failure ends it.
pub fn run(files: &[PathBuf], args: &MailerArgs) -> Result<Exit, Failure> {
    let read = config::read(files)?;
    if args.print {
        return print(&read.config);
    }
    let level = logging::init(&read.config.log);
    let templates = LiveTemplates::read(read.config.mail.templates.as_deref());
    let templates = Arc::new(templates.map_err(|error| Failure::new(Exit::Configuration, error))?);
    let metrics = metrics::install().map_err(|error| Failure::new(Exit::Failed, error))?;
    let (hang_up, asked) = reload::by_hang_up();
    let stop = signal::stop_on(hang_up)?;
    let takes = MailerTuning(Arc::clone(&templates));
    Reloader::new(files, &read, args.watch, level, takes, Box::new(SystemClock)).spawn(asked)?;
    let input = MailerInput { sends_all: args.all, clock: Arc::new(SystemClock), templates, metrics, stop, config: read.config };
    server::run(input).map(|()| Exit::Ok).map_err(|error| {
        let exit = match error {
            RunError::Configuration(_) => Exit::Configuration,
            RunError::Unavailable(_) => Exit::Unavailable,
            RunError::Failed(_) => Exit::Failed,
        };
        Failure::new(exit, error)
    })
}

fn print(config: &Config) -> Result<Exit, Failure> {
    let wrong = |error: String| Failure::new(Exit::Configuration, error);
    let from = sender(&config.mail).map_err(|error| wrong(error.to_string()))?;
    let templates = read_templates(config.mail.templates.as_deref()).map_err(wrong)?;
    let letter = example().and_then(|mail| compose(&mail, &templates, config.mail.link.as_deref(), from.email.domain()));
    let Some(letter) = letter else { return Ok(Exit::Failed) };
    let text = format!(
        "From: {from}\nTo: {}\nSubject: {}\nMessage-ID: {}\n\n{}\n----- the same in HTML -----\n\n{}",
        letter.to, letter.subject, letter.message_id, letter.text, letter.html
    );
    std::io::stdout().lock().write_all(text.as_bytes()).map_err(|error| Failure::new(Exit::Failed, error))?;
    Ok(Exit::Ok)
}
