//! Everything a request is answered from.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::http::HeaderMap;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::{Semaphore, broadcast, watch};

use crate::access::{Caller, TokenHash, Tokens};
use crate::clock::Clock;
use crate::config::{ApiLimits, Config, Secret};
use crate::explain::RecordPlace;
use crate::id::{Epoch, Offset};
use crate::kafka::KafkaSettings;
use crate::serve::admission::{Admission, NotAdmitted, RequestLimits};
use crate::serve::append::EventAppender;
use crate::serve::changes::FoldedChange;
use crate::serve::directory::{Directory, DirectoryReader};
use crate::serve::fold::{FoldError, Folding};
use crate::serve::freshness::Freshness;
use crate::serve::look::{FoundRecords, LOOKERS};
use crate::serve::problem::Problem;
use crate::serve::published::{NotFolded, Publication, PublishedShares};
use crate::serve::recent::RecentEvents;
use crate::serve::rest::request::AdmittedToken;
use crate::serve::view::CallerView;
use crate::share::table::ShareTable;
use crate::share::view::by_tenant::SharesByTenant;

/// So many times that changes were told are kept for a receiver that is slow; who is slower is cut off, and resumes.
const CHANGES_KEPT: usize = 256;

/// Between two looks at whether keys are to be asked for again.
const ASK_FOR_KEYS: Duration = Duration::from_secs(5);
/// So many requests read the log again at once.
const LOG_READERS: usize = 2;

/// So long an epoch is waited for that the log does not have: whoever writes it may be about to.
const WAIT_FOR_ABSENT: Duration = Duration::from_secs(5);
/// No log grows by so many records while a request waits.
const FAR_AHEAD: i64 = 1_000_000;

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
    /// `api.secret`: no server begins without one.
    secret: Secret,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) published: Arc<Publication>,
    pub(super) freshness: Arc<Freshness>,
    pub(super) recent: Arc<Mutex<RecentEvents>>,
    pub(super) changes: broadcast::Sender<Arc<[FoldedChange]>>,
    pub(super) appender: EventAppender,
    /// The mailer's topic was seen.
    pub(super) has_mail_topic: AtomicBool,
    /// Who reads the log again.
    pub(super) log_turns: Arc<Semaphore>,
    pub(super) directory: Arc<Directory>,
    pub(super) found_records: FoundRecords,
    /// Who looks at records.
    pub(super) look_turns: Arc<Semaphore>,
    admission: Admission,
    pub(super) metrics: PrometheusHandle,
    request_limits: RequestLimits,
    limits: ArcSwap<ApiLimits>,
    stop: Arc<AtomicBool>,
}

impl Serve {
    /// Begins folding and writing, on threads of their own. `ended` is called once, with why the fold ended.
    ///
    /// # Errors
    /// Callers could not be known, or a thread could not be made.
    pub fn start(
        config: Arc<Config>,
        secret: Secret,
        clock: Arc<dyn Clock>,
        metrics: PrometheusHandle,
        stop: Arc<AtomicBool>,
        ended: impl FnOnce(Result<(), FoldError>) + Send + 'static,
    ) -> Result<Arc<Self>, StartError> {
        let empty = ShareTable::new(config.fold_rules());
        let serve = Self::holding(config, secret, Arc::clone(&clock), metrics, Arc::clone(&stop), empty.clone())?;
        let kafka = KafkaSettings::of(&serve.config.kafka);
        let folding = Folding {
            kafka,
            topic: serve.config.control.topic.clone(),
            snapshot: serve.config.snapshot.path.clone(),
            empty,
            published: Arc::clone(&serve.published),
            freshness: Arc::clone(&serve.freshness),
            recent: Arc::clone(&serve.recent),
            changes: serve.changes.clone(),
            clock: Arc::clone(&clock),
            stop: Arc::clone(&stop),
        };
        let directory = DirectoryReader { config: Arc::clone(&serve.config), directory: Arc::clone(&serve.directory), clock, stop };
        std::thread::Builder::new().name("directory".into()).spawn(move || directory.run())?;
        std::thread::Builder::new().name("fold".into()).spawn(move || ended(folding.run()))?;
        let serve = Arc::new(serve);
        let signers = Arc::clone(&serve);
        std::thread::Builder::new().name("signers".into()).spawn(move || signers.ask_for_keys())?;
        Ok(serve)
    }

    /// The state of a table, which nobody folds on: what requests cost is measured by it.
    ///
    /// # Errors
    /// Callers could not be known, or a thread could not be made.
    pub fn of_table(
        config: Arc<Config>,
        secret: Secret,
        clock: Arc<dyn Clock>,
        metrics: PrometheusHandle,
        table: ShareTable,
    ) -> Result<Arc<Self>, StartError> {
        let (next, now) = (Offset(table.epoch().0 + 1), clock.boot());
        let serve = Self::holding(config, secret, clock, metrics, Arc::default(), table)?;
        // There is no log that could have more.
        serve.freshness.folded(next);
        serve.freshness.ends(next, now);
        Ok(Arc::new(serve))
    }

    fn holding(
        config: Arc<Config>,
        secret: Secret,
        clock: Arc<dyn Clock>,
        metrics: PrometheusHandle,
        stop: Arc<AtomicBool>,
        table: ShareTable,
    ) -> Result<Self, StartError> {
        let kafka = KafkaSettings::of(&config.kafka);
        let by_tenant = SharesByTenant::of(&table);
        Ok(Self {
            published: Arc::new(Publication::new(PublishedShares { table, by_tenant })),
            freshness: Arc::default(),
            recent: Arc::default(),
            changes: broadcast::channel(CHANGES_KEPT).0,
            appender: EventAppender::start(kafka, config.control.topic.clone(), patience(&config))?,
            has_mail_topic: AtomicBool::new(false),
            directory: Arc::default(),
            found_records: FoundRecords::default(),
            look_turns: Arc::new(Semaphore::new(LOOKERS)),
            log_turns: Arc::new(Semaphore::new(LOG_READERS)),
            admission: Admission::open(&config.api.auth, Arc::clone(&clock)).map_err(StartError::Admission)?,
            metrics,
            request_limits: RequestLimits::default(),
            limits: ArcSwap::from_pointee(config.api.limits),
            clock,
            stop,
            secret,
            config,
        })
    }

    /// Takes in what an asset is called, as the directory's thread does.
    pub fn name_asset(&self, owner: &str, asset: &str, name: Option<&str>, reference: Option<&str>) {
        self.directory.name(owner, asset, name, reference, RecordPlace { partition: 0, offset: Offset(0) });
    }

    /// What ids of writes, cursors and sessions are made with.
    pub(crate) fn secret(&self) -> &[u8] {
        self.secret.expose()
    }

    /// Asks for the keys of signed tokens again and again, as long as there are such.
    fn ask_for_keys(&self) {
        while self.admission.has_signers() && !self.is_stopping() {
            self.admission.refresh();
            self.clock.sleep(ASK_FOR_KEYS);
        }
    }

    /// The configuration.
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// Who asks with these headers, and by which token, counted against what it may ask a second.
    ///
    /// # Errors
    /// 401, 403 or 429.
    pub async fn admit(self: &Arc<Self>, headers: &HeaderMap) -> Result<(Caller, TokenHash), Problem> {
        let admitted = match self.admission.admit(headers) {
            Err(NotAdmitted::UnknownKey(jwt)) => {
                // The provider may sign with a new one.
                let asked = tokio::task::spawn_blocking(move || jwt.refresh(true)).await.unwrap_or(false);
                let again = if asked { self.admission.admit(headers).ok() } else { None };
                again.ok_or_else(|| Problem::new(401, "the token does not count: its key is not known"))?
            }
            Err(NotAdmitted::Refused(problem)) => return Err(problem),
            Ok(admitted) => admitted,
        };
        self.count(&admitted.counted_as)?;
        Ok((admitted.caller, admitted.counted_as))
    }

    /// Counts a request of whoever this names.
    ///
    /// # Errors
    /// 429: there were too many.
    pub fn count(&self, token: &TokenHash) -> Result<(), Problem> {
        let requests = self.limits().requests;
        self.request_limits.take(token, requests, self.clock.boot()).map_err(|seconds| {
            let what = format!("a token has {requests} requests a second (`api.limits.requests`)");
            Problem { retry_after: Some(seconds), ..Problem::new(429, what) }
        })
    }

    /// What one client may cost.
    pub fn limits(&self) -> ApiLimits {
        **self.limits.load()
    }

    /// Takes what can be taken of a changed configuration while this runs. It cannot fail.
    pub fn take(&self, limits: ApiLimits, tokens: Option<Tokens>) {
        self.limits.store(Arc::new(limits));
        tokens.into_iter().for_each(|tokens| self.admission.take(tokens));
    }

    /// Who holds this token: for who signs in with it.
    ///
    /// # Errors
    /// Why nobody does, in words.
    pub fn holder_of(&self, token: &str) -> Result<Caller, String> {
        self.admission.holder_of(token)
    }

    /// Who holds the token of this hash: a session keeps no more of a token.
    pub fn holder(&self, token: &TokenHash) -> Option<Caller> {
        self.admission.holder(token)
    }

    /// Whether a request that was let in by this token would be let in now.
    pub(super) fn still_admits(&self, token: &AdmittedToken, caller: &Caller) -> bool {
        !self.is_stopping() && self.admission.still_admits(&token.0, caller)
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

    /// Waits until the epoch that a request names in this member is folded. For one that the log does not have, as by a slip, it does not
    /// wait for long; that is no failure of the server.
    ///
    /// # Errors
    /// 400: the log has no such epoch. 503: it was not folded in time.
    pub async fn reach(&self, member: &str, epoch: Epoch) -> Result<(), Problem> {
        let absent =
            |end: Offset| Problem::of_member(member, format!("the log has no epoch {} yet: its last one is {}", epoch.0, end.0 - 1));
        if let Some(end) = self.freshness.known_end().filter(|end| epoch.0 > end.0.saturating_add(FAR_AHEAD)) {
            return Err(absent(end));
        }
        let (begun, patience) = (self.clock.boot(), self.patience());
        if self.published.wait_for(epoch, patience.min(WAIT_FOR_ABSENT)).await.is_ok() {
            return Ok(());
        }
        if let Some(end) = self.freshness.end_after(begun).filter(|end| epoch.0 >= end.0) {
            return Err(absent(end));
        }
        let rest = patience.saturating_sub(WAIT_FOR_ABSENT);
        self.published.wait_for(epoch, rest).await.map_err(|late| Problem::unavailable(late.to_string()))
    }

    /// Told of each epoch that is published: a page may have changed.
    pub fn epochs(&self) -> watch::Receiver<Epoch> {
        self.published.epochs()
    }

    /// The longest that a request may take.
    pub fn patience(&self) -> Duration {
        Duration::from_millis(self.limits().timeout.millis())
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
