//! Everything a request is answered from.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::HeaderMap;
use tokio::sync::{Semaphore, broadcast, watch};

use crate::access::{Caller, TokenHash};
use crate::clock::Clock;
use crate::config::Config;
use crate::id::Epoch;
use crate::kafka::KafkaSettings;
use crate::serve::admission::{Admission, RequestLimits};
use crate::serve::append::Appender;
use crate::serve::changes::FoldedChange;
use crate::serve::fold::{FoldError, Folding};
use crate::serve::freshness::Freshness;
use crate::serve::problem::Problem;
use crate::serve::published::{NotFolded, Publication, PublishedShares};
use crate::serve::recent::RecentEvents;
use crate::serve::view::CallerView;
use crate::share::table::ShareTable;
use crate::share::view::by_tenant::SharesByTenant;

/// So many changes are kept for a receiver that is slow; who is slower is cut off, and resumes.
const CHANGES_KEPT: usize = 4096;

/// So many requests read the log again at once.
const LOG_READERS: usize = 2;

/// Why the process could not begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Callers could not be known.
    #[error("{0}")]
    Admission(String),
    /// A thread could not be made.
    #[error("no thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// The process's state, which handlers and pages share.
pub struct Serve {
    pub(super) config: Arc<Config>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) published: Arc<Publication>,
    pub(super) freshness: Arc<Freshness>,
    pub(super) recent: Arc<Mutex<RecentEvents>>,
    pub(super) changes: broadcast::Sender<Arc<FoldedChange>>,
    pub(super) appender: Appender,
    /// The mailer's topic was seen.
    pub(super) has_mail_topic: AtomicBool,
    /// Who reads the log again.
    pub(super) log_turns: Arc<Semaphore>,
    admission: Admission,
    request_limits: RequestLimits,
    stop: Arc<AtomicBool>,
}

impl Serve {
    /// Begins folding and writing, on threads of their own. `ended` is called once, with why the fold ended.
    ///
    /// # Errors
    /// Callers could not be known, or a thread could not be made.
    pub fn start(
        config: Arc<Config>,
        clock: Arc<dyn Clock>,
        stop: Arc<AtomicBool>,
        ended: impl FnOnce(Result<(), FoldError>) + Send + 'static,
    ) -> Result<Arc<Self>, StartError> {
        let kafka = KafkaSettings::of(&config.kafka);
        let empty = ShareTable::new(config.fold_rules());
        let first = PublishedShares { table: empty.clone(), by_tenant: SharesByTenant::default() };
        let serve = Self {
            published: Arc::new(Publication::new(first)),
            freshness: Arc::default(),
            recent: Arc::default(),
            changes: broadcast::channel(CHANGES_KEPT).0,
            appender: Appender::start(kafka.clone(), config.control.topic.clone(), patience(&config))?,
            has_mail_topic: AtomicBool::new(false),
            log_turns: Arc::new(Semaphore::new(LOG_READERS)),
            admission: Admission::open(&config.api.auth).map_err(StartError::Admission)?,
            request_limits: RequestLimits::default(),
            clock: Arc::clone(&clock),
            stop: Arc::clone(&stop),
            config,
        };
        let folding = Folding {
            kafka,
            topic: serve.config.control.topic.clone(),
            snapshot: serve.config.snapshot.path.clone(),
            empty,
            published: Arc::clone(&serve.published),
            freshness: Arc::clone(&serve.freshness),
            recent: Arc::clone(&serve.recent),
            changes: serve.changes.clone(),
            clock,
            stop,
        };
        std::thread::Builder::new().name("fold".into()).spawn(move || ended(folding.run()))?;
        Ok(Arc::new(serve))
    }

    /// The configuration.
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// Who asks with these headers, counted against what it may ask a second.
    ///
    /// # Errors
    /// 401, 403 or 429.
    pub fn admit(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        let admitted = self.admission.admit(headers)?;
        let taken = self.request_limits.take(&admitted.counted_as, self.config.api.limits.requests, self.clock.boot());
        match taken {
            Ok(()) => Ok(admitted.caller),
            Err(seconds) => {
                let what = format!("a token has {} requests a second (`api.limits.requests`)", self.config.api.limits.requests);
                Err(Problem { retry_after: Some(seconds), ..Problem::new(429, what) })
            }
        }
    }

    /// Who holds the token of this hash: a session keeps no more of a token.
    pub fn holder(&self, token: &TokenHash) -> Option<Caller> {
        self.admission.holder(token)
    }

    /// Reads the file of tokens again.
    ///
    /// # Errors
    /// What is wrong with it: what counted before goes on counting.
    pub fn reload_tokens(&self) -> Result<(), String> {
        self.admission.reload()
    }

    /// The shares as this caller sees them now.
    pub fn view(&self, caller: &Caller) -> CallerView {
        CallerView::new(self.published.load(), caller)
    }

    /// The epoch that is published.
    pub fn epoch(&self) -> Epoch {
        self.published.load().table.epoch()
    }

    /// Waits until an epoch is folded, no longer than a request may take.
    ///
    /// # Errors
    /// It was not in time.
    pub async fn wait_for(&self, epoch: Epoch) -> Result<(), NotFolded> {
        self.published.wait_for(epoch, self.patience()).await
    }

    /// Told of each epoch that is published: a page may have changed.
    pub fn epochs(&self) -> watch::Receiver<Epoch> {
        self.published.epochs()
    }

    /// The longest that a request may take.
    pub fn patience(&self) -> Duration {
        patience(&self.config)
    }

    /// Whether the shares are those of the log, else why not.
    ///
    /// # Errors
    /// What is waited for, in words.
    pub fn check_fresh(&self) -> Result<(), String> {
        self.freshness.check(self.clock.boot())
    }

    /// Whether the process is ending.
    pub fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

fn patience(config: &Config) -> Duration {
    Duration::from_millis(config.api.limits.timeout.millis())
}
