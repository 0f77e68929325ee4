//! The process: its topics, its listener, its end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use tracing::{info, warn};

use crate::clock::Clock;
use crate::config::Config;
use crate::engine::server::http::{self, Health, Served};
use crate::engine::server::shutdown::RunError;
use crate::engine::topic::spec::TopicSpecs;
use crate::kafka::{Admin, KafkaSettings};
use crate::listener;

use super::live_templates::LiveTemplates;
use super::post::{LetterForm, Post, PostError, PostHealth};
use super::smtp::{MailSender, SmtpSender, SmtpSetupError, sender};
use super::topics::MailTopics;

/// What the command hands the process.
pub struct MailerInput {
    /// The configuration.
    pub config: Config,
    /// What mails are written by.
    pub templates: Arc<LiveTemplates>,
    /// Whether what was written before the group's first start is sent too.
    pub sends_all: bool,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Renders `/metrics`.
    pub metrics: PrometheusHandle,
    /// Raised from outside to end it.
    pub stop: Arc<AtomicBool>,
}

impl From<SmtpSetupError> for RunError {
    fn from(error: SmtpSetupError) -> Self {
        Self::Configuration(error.to_string())
    }
}

impl From<PostError> for RunError {
    fn from(error: PostError) -> Self {
        match error {
            PostError::Input(error) => error.into(),
            PostError::Client(error) => error.into(),
        }
    }
}

/// Sends mails until `stop` is raised or something fails for good.
///
/// # Errors
/// Why it could not begin, or ended.
pub fn run(input: MailerInput) -> Result<(), RunError> {
    let sender = SmtpSender::of(&input.config.mail)?;
    let stop = Arc::clone(&input.stop);
    let ended = deliver(input, sender);
    stop.store(true, Ordering::Relaxed);
    ended
}

fn deliver(input: MailerInput, smtp: impl MailSender) -> Result<(), RunError> {
    let MailerInput { config, templates, sends_all, clock, metrics, stop } = input;
    config.warnings.iter().for_each(|warning| warn!("{warning}"));
    let domain = sender(&config.mail)?.email.domain().to_owned();
    if config.mail.link.is_none() {
        warn!("mails have a code and no link: neither `invitations.link` nor `api.public_url` is written");
    }
    let health = Arc::new(PostHealth::new(Arc::clone(&stop)));
    let health_seen: Arc<dyn Health> = Arc::<PostHealth>::clone(&health);
    let served = Served { health: health_seen, metrics, clock: Arc::clone(&clock) };
    let listening = serve(config.http_listen, served, Arc::clone(&stop))?;
    make_topics(&config, &*clock, &stop)?;
    let form = LetterForm { templates, link: config.mail.link.clone(), domain };
    let post = Post { topics: MailTopics::of(&config), sender: smtp, form, sends_all, clock, health };
    let ended = post.run(&config).map_err(RunError::from);
    stop.store(true, Ordering::Relaxed);
    // It has nothing to say that is worth more than why the loop ended.
    let _ = listening.join();
    ended
}

fn serve(address: SocketAddr, served: Served, stop: Arc<AtomicBool>) -> Result<std::thread::JoinHandle<()>, RunError> {
    let failed = |error: std::io::Error| RunError::Failed(format!("http: {error}"));
    let bound = listener::bind(address)
        .map_err(|error| RunError::Configuration(format!("http.listen: {address} cannot be bound: {error}; choose another address")))?;
    info!(address = %bound.local_addr().map_err(failed)?, "serving /metrics, /livez and /readyz");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let serving = move || {
        if let Err(error) = runtime.block_on(http::serve(bound, served, Arc::clone(&stop))) {
            tracing::error!(%error, "the listener has failed");
            stop.store(true, Ordering::Relaxed);
        }
    };
    std::thread::Builder::new().name("http".into()).spawn(serving).map_err(failed)
}

/// Makes the topics that are missing, where that is for sharecast to do.
fn make_topics(config: &Config, clock: &dyn Clock, stop: &AtomicBool) -> Result<(), RunError> {
    let specs = TopicSpecs::of(config);
    let needed = [&config.topics.invitations, &config.topics.state];
    while !stop.load(Ordering::Relaxed) {
        match make_missing(config, &specs, needed) {
            Err(RunError::Unavailable(words)) => {
                warn!(%words, "waiting for Kafka");
                clock.sleep(Duration::from_secs(1));
            }
            done => return done,
        }
    }
    Ok(())
}

fn make_missing(config: &Config, specs: &TopicSpecs, needed: [&String; 2]) -> Result<(), RunError> {
    let admin = Admin::open(&KafkaSettings::of(&config.kafka), Duration::from_secs(10))?;
    for topic in needed {
        if admin.topic(topic)?.is_some() {
            continue;
        }
        if !specs.are_made_by_engine() {
            let what = format!("the topic {topic} is missing and output.provision is manual: `sharecast provision` makes it");
            return Err(RunError::Configuration(what));
        }
        let spec: Vec<_> = specs.own().into_iter().filter(|spec| spec.name == **topic).collect();
        admin.create(&spec)?;
    }
    Ok(())
}
