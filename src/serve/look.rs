//! Looking at input records for people: the newest of an asset, what an offer would show of it, and why a record leaves or not.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::clock::BootTime;
use crate::config::Secret;
use crate::explain::{Explainer, Explanation, RecordPlace};
use crate::id::Offset;
use crate::inspect::record_search::{FoundRecord, LookError, Search, read_at};
use crate::record::mapping::Stream;
use crate::serve::Serve;
use crate::serve::history::LogReader;
use crate::serve::problem::Problem;
use crate::share::event::{Envelope, Unreadable};
use crate::share::table::{Folded, ShareTable};
use crate::time::TimestampMs;

/// So many of the newest records of each partition are looked at.
const NEWEST: u32 = 1_000;
/// So many assets at most are looked at in one request.
pub const MOST_ASSETS: usize = 10;
/// A record that was found stands for the newest for so long: somebody types.
const KEPT_FOR: Duration = Duration::from_secs(3);
/// So many are kept.
const KEPT: usize = 256;
/// So many requests look at records at once.
pub(super) const LOOKERS: usize = 4;

/// Records that were found a moment ago, by stream, owner and asset.
#[derive(Debug, Default)]
pub(crate) struct FoundRecords(Mutex<HashMap<RecordName, (BootTime, Option<FoundRecord>)>>);

type RecordName = (String, String, String);

/// By which state of the shares a record is explained.
#[derive(Debug, Clone, Copy, Default)]
pub struct PointInTime {
    /// The last control offset that counts.
    pub epoch: Option<Offset>,
    /// The moment to decide at, and the last control time that counts.
    pub at: Option<TimestampMs>,
}

impl Serve {
    /// The newest record of an asset, of the newest that are looked at; none where there is none among them.
    pub(crate) fn newest_record(&self, stream: &Stream, owner: &str, asset: &str) -> Result<Option<FoundRecord>, Problem> {
        let name = (stream.name.to_string(), owner.to_owned(), asset.to_owned());
        let now = self.clock.boot();
        let known = self.found_records.0.lock().expect("it is only kept").get(&name).filter(|(at, _)| now.since(*at) <= KEPT_FOR).cloned();
        if let Some((_, found)) = known {
            return Ok(found);
        }
        let found = self.search(stream, owner, asset)?;
        let mut kept = self.found_records.0.lock().expect("it is only kept");
        if kept.len() >= KEPT {
            kept.retain(|_, (at, _)| now.since(*at) <= KEPT_FOR);
        }
        if kept.len() < KEPT {
            kept.insert(name, (now, found.clone()));
        }
        Ok(found)
    }

    fn search(&self, stream: &Stream, owner: &str, asset: &str) -> Result<Option<FoundRecord>, Problem> {
        let patience = self.patience();
        // The directory knows where the newest document is, however old.
        let is_in_directory = self.config.api.directory.as_ref().is_some_and(|directory| directory.stream == stream.index);
        if is_in_directory && let Some(place) = self.directory.place(owner, asset) {
            match read_at(&self.config, stream, &place, patience) {
                Ok(record) if record.value.is_some() => return Ok(Some(FoundRecord { place: Some(place), record })),
                // Another document has taken its place since.
                Ok(_) | Err(LookError::NoRecord(_)) => {}
                Err(error) => return Err(looked(error)),
            }
        }
        let search = Search { config: &self.config, stream, owner, asset, newest: NEWEST, searches_all_documents: false, patience };
        match search.newest() {
            Err(LookError::NoTopic { .. }) => Ok(None),
            found => found.map_err(looked),
        }
    }

    /// The record at a place.
    pub(super) fn record_at(&self, stream: &Stream, place: RecordPlace) -> Result<FoundRecord, Problem> {
        let record = read_at(&self.config, stream, &place, self.patience()).map_err(looked)?;
        Ok(FoundRecord { place: Some(place), record })
    }

    /// Does something that looks at records on a thread that may wait; a few at a time.
    pub(crate) async fn look<T: Send + 'static>(
        self: &Arc<Self>,
        look: impl FnOnce(&Self) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let turn = Arc::clone(&self.look_turns).acquire_owned().await.map_err(|_| Problem::unavailable("the process is ending"))?;
        let serve = Arc::clone(self);
        let looked = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            look(&serve)
        });
        looked.await.map_err(|error| Problem::new(500, format!("looking at records broke: {error}")))?
    }

    /// Explains by the shares of a moment, or of now.
    pub(super) fn explain(
        &self,
        then: PointInTime,
        explain: impl FnOnce(&Explainer<'_>, &ShareTable, TimestampMs) -> Explanation,
    ) -> Result<Explanation, Problem> {
        let secret = self.config.mask_secret.as_ref().map(Secret::expose);
        let explainer = Explainer::new(self.config.release_rules(), secret);
        let state = self.published.load();
        let clock = then.at.unwrap_or_else(|| self.clock.wall());
        let is_now =
            then.epoch.is_none_or(|epoch| epoch.0 == state.table.epoch().0) && then.at.is_none_or(|at| at >= state.table.control_time());
        if is_now {
            return Ok(explain(&explainer.with_lists(&state.by_tenant), &state.table, clock));
        }
        if let Some(epoch) = then.epoch.filter(|epoch| epoch.0 > state.table.epoch().0) {
            return Err(Problem::of_member(
                "epoch",
                format!("the last control record is at offset {}, and {epoch} is none yet", state.table.epoch()),
            ));
        }
        let mut reader = UpTo(then);
        let table = self.fold_again(ShareTable::new(self.config.fold_rules()), state.table.epoch(), &mut reader)?;
        Ok(explain(&explainer, &table, clock))
    }
}

/// What there is to say of a record that could not be looked at.
fn looked(error: LookError) -> Problem {
    match error {
        LookError::NoTopic { .. } | LookError::NoRecord(_) => Problem::new(404, error.to_string()),
        LookError::Late(_) | LookError::Client(_) | LookError::Input(_) => Problem::unavailable(error.to_string()),
    }
}

/// Folds up to a moment.
struct UpTo(PointInTime);

impl LogReader for UpTo {
    fn takes(&mut self, offset: Offset, time: TimestampMs) -> bool {
        match (self.0.epoch, self.0.at) {
            // An epoch that is named alone decides about the shares.
            (Some(epoch), _) => offset <= epoch,
            (None, Some(at)) => time <= at,
            (None, None) => true,
        }
    }

    fn reads(&mut self, _: &Result<Envelope, Unreadable>) {}

    fn folded(&mut self, _: Offset, _: &Folded, _: &ShareTable) {}
}
