//! Reading the control topic again from its beginning, for what the shares as they are do not know: what became of one, event by event.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::control;
use crate::id::{Epoch, Offset, ShareId};
use crate::kafka::{KafkaControlLog, KafkaEndProbe, KafkaSettings};
use crate::serve::Serve;
use crate::serve::problem::Problem;
use crate::serve::view::CallerView;
use crate::share::event::{Envelope, Unreadable};
use crate::share::table::{Folded, ShareTable};
use crate::share::view::history::{History, HistoryEntry, Noted};
use crate::time::TimestampMs;
use crate::transport::{ConsumeError, ControlLog, ControlRecord, EndProbe};

/// So long one poll waits for the first record.
const POLL_WAIT: Duration = Duration::from_millis(50);
/// So long the cluster may be silent.
const SILENT: Duration = Duration::from_secs(10);

/// Sees each record on its way into a fold.
pub(super) trait LogReader {
    /// Whether the record is still of interest; else it is not folded, and reading goes on.
    fn takes(&mut self, offset: Offset, time: TimestampMs) -> bool;

    /// Before it is folded.
    fn reads(&mut self, record: &Result<Envelope, Unreadable>);

    /// After it.
    fn folded(&mut self, offset: Offset, folded: &Folded, table: &ShareTable);
}

impl Serve {
    /// What became of a share, as the caller may see it.
    pub(super) async fn history(self: &Arc<Self>, view: &CallerView, share: &str) -> Result<Vec<HistoryEntry>, Problem> {
        let mut found = self.histories(view, &[share]).await?;
        Ok(found.pop().unwrap_or_default())
    }

    /// The same of several shares, in one reading of the log.
    pub(crate) async fn histories(self: &Arc<Self>, view: &CallerView, shares: &[&str]) -> Result<Vec<Vec<HistoryEntry>>, Problem> {
        let history = |share: &&str| Some((History::new(ShareId::parse(share).ok()?, view.viewer().clone()), None));
        let histories = shares.iter().map(history).collect::<Option<Vec<_>>>().ok_or_else(Problem::unknown_share)?;
        let (mut reader, through) = (HistoryReader { histories }, view.epoch());
        let reader = self.read_log(move |serve| {
            serve.fold_again(ShareTable::for_documents(serve.config.fold_rules()), through, &mut reader)?;
            Ok(reader)
        });
        Ok(reader.await?.histories.into_iter().map(|(history, _)| history.into_entries()).collect())
    }

    /// Does something with the log on a thread that may wait; one at a time, for each may take a while.
    pub(super) async fn read_log<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Self) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let turn = Arc::clone(&self.log_turns).acquire_owned().await.map_err(|_| Problem::unavailable("the process is ending"))?;
        let serve = Arc::clone(self);
        let read = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            read(&serve)
        });
        read.await.map_err(|error| Problem::new(500, format!("reading the log broke: {error}")))?
    }

    /// Folds the log from its first record through an epoch.
    pub(super) fn fold_again(&self, mut table: ShareTable, through: Epoch, reader: &mut impl LogReader) -> Result<ShareTable, Problem> {
        let (kafka, topic) = (KafkaSettings::of(&self.config.kafka), &self.config.control.topic);
        let unavailable = |error: &dyn std::fmt::Display| Problem::unavailable(format!("the control topic cannot be read again: {error}"));
        let bounds =
            KafkaEndProbe::open(&kafka, topic, SILENT).map_err(|error| unavailable(&error))?.ask().map_err(|error| unavailable(&error))?;
        if bounds.start > Offset(0) {
            let what = format!("{topic} begins at offset {}: what happened before is gone", bounds.start);
            return Err(Problem::unavailable(what));
        }
        let mut log = KafkaControlLog::open(&kafka, topic, Offset(0)).map_err(|error| unavailable(&error))?;
        let (mut records, mut time) = (Vec::new(), table.control_time());
        let mut heard = self.clock.boot();
        let mut is_read = through < Epoch(0);
        while !is_read {
            let polled = log.poll(POLL_WAIT, &mut records);
            if !records.is_empty() {
                heard = self.clock.boot();
            }
            for record in records.drain(..) {
                time = time.max(record.timestamp);
                if record.offset.0 <= through.0 && reader.takes(record.offset, time) {
                    fold_one(&mut table, &record, time, reader);
                }
                is_read |= record.offset.0 >= through.0;
            }
            match polled {
                Ok(()) | Err(ConsumeError::Unavailable(_)) => {}
                Err(error) => return Err(unavailable(&error)),
            }
            if !is_read && (self.clock.boot().since(heard) > SILENT || self.is_stopping()) {
                return Err(unavailable(&"the cluster does not answer"));
            }
        }
        Ok(table)
    }
}

fn fold_one(table: &mut ShareTable, record: &ControlRecord, time: TimestampMs, reader: &mut impl LogReader) {
    let envelope = control::read(record);
    reader.reads(&envelope);
    let folded = table.fold(record.offset, time, envelope);
    reader.folded(record.offset, &folded, table);
}

struct HistoryReader {
    /// Each with what is noted of the record that is folded.
    histories: Vec<(History, Option<Noted>)>,
}

impl LogReader for HistoryReader {
    fn takes(&mut self, _: Offset, _: TimestampMs) -> bool {
        true
    }

    fn reads(&mut self, record: &Result<Envelope, Unreadable>) {
        self.histories.iter_mut().for_each(|(history, noted)| *noted = history.note(record));
    }

    fn folded(&mut self, offset: Offset, folded: &Folded, table: &ShareTable) {
        for (history, noted) in &mut self.histories {
            if let Some(noted) = noted.take() {
                history.add(offset, noted, folded, table);
            }
        }
    }
}
