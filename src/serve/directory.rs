//! The directory: what assets are called, from the newest document of each in an upsert stream. One thread reads the topic from its
//! beginning, and follows it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use tracing::{info, warn};

use crate::clock::Clock;
use crate::config::{Config, DirectoryConfig};
use crate::explain::RecordPlace;
use crate::explain::record::WholeRecord;
use crate::id::Offset;
use crate::json::path::{Path, Selected};
use crate::json::tape::{NodeKind, Tape};
use crate::kafka::{Admin, KafkaSettings, ReadRecord, TopicReader};
use crate::record::decode;
use crate::record::decode::ReadRules;
use crate::record::mapping::Stream;
use crate::transport::ConsumeError;

pub use super::asset_names::AssetEntry;
use super::asset_names::AssetNames;

/// So long one poll waits.
const POLL_WAIT: Duration = Duration::from_millis(200);
/// Between two tries to read a topic that cannot be read.
const TRY_AGAIN: Duration = Duration::from_secs(2);
/// So long one answer of the cluster is waited for.
const ASK: Duration = Duration::from_secs(10);
/// A longer name is cut: it is shown in a table.
const LONGEST_NAME: usize = 200;

/// What assets are called.
#[derive(Debug, Default)]
pub(crate) struct Directory(RwLock<AssetNames>);

impl Directory {
    /// What an asset is called.
    pub(super) fn find(&self, owner: &str, asset: &str) -> Option<AssetEntry> {
        self.read().find(owner, asset)
    }

    /// Where its newest document is.
    pub(super) fn place(&self, owner: &str, asset: &str) -> Option<RecordPlace> {
        self.read().place(owner, asset)
    }

    /// An owner's assets that have the text, in people's order, those after `after`, at most `limit`; whether there are more.
    pub(super) fn list(&self, owner: &str, text: Option<&str>, after: Option<&str>, limit: usize) -> (Vec<AssetEntry>, bool) {
        self.read().list(owner, text, after, limit)
    }

    /// What an asset is called from now on, and where its document is.
    pub(super) fn name(&self, owner: &str, asset: &str, name: Option<&str>, reference: Option<&str>, place: RecordPlace) {
        self.write().put(owner, asset, name, reference, place);
    }

    fn forget(&self, owner: &str, asset: &str) {
        self.write().remove(owner, asset);
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, AssetNames> {
        self.0.write().expect("it is only added to")
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, AssetNames> {
        self.0.read().expect("it is only added to")
    }
}

/// What the directory's thread needs.
pub(super) struct DirectoryReader {
    pub(super) config: Arc<Config>,
    pub(super) directory: Arc<Directory>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) stop: Arc<AtomicBool>,
}

impl DirectoryReader {
    /// Reads until `stop` is raised. A topic that cannot be read is tried again: names are missing then, and nothing else.
    pub(super) fn run(self) {
        let Some(from) = self.config.api.directory.clone() else { return };
        let mut told = String::new();
        while !self.stop.load(Ordering::Relaxed) {
            if let Err(why) = self.follow(&from)
                && why != told
            {
                warn!("the directory of assets cannot be read: {why}");
                told = why;
            }
            self.clock.sleep(TRY_AGAIN);
        }
    }

    fn follow(&self, from: &DirectoryConfig) -> Result<(), String> {
        let stream = &self.config.streams[usize::from(from.stream.0)];
        let kafka = KafkaSettings::of(&self.config.kafka);
        let shape = Admin::open(&kafka, ASK).and_then(|admin| admin.topic(&stream.topic)).map_err(|error| error.to_string())?;
        let shape = shape.ok_or_else(|| format!("{} is not there", stream.topic))?;
        let mut reader = TopicReader::open_within(&kafka, &stream.topic, 0..shape.partitions, ASK).map_err(|error| error.to_string())?;
        let mut naming = AssetNaming { stream, from, rules: self.config.release_rules().read, tape: Tape::default() };
        let mut was_at_end = false;
        while !self.stop.load(Ordering::Relaxed) {
            let read = reader.follow(POLL_WAIT, |record| naming.take(record, &self.directory));
            match read {
                Ok(()) | Err(ConsumeError::Unavailable(_)) => {}
                Err(error) => return Err(error.to_string()),
            }
            if !was_at_end && reader.is_at_end().unwrap_or(false) {
                was_at_end = true;
                info!(assets = self.directory.read().len(), "the directory of assets is read");
            }
        }
        Ok(())
    }
}

/// Reads names from documents.
struct AssetNaming<'s> {
    stream: &'s Stream,
    from: &'s DirectoryConfig,
    rules: ReadRules,
    tape: Tape,
}

impl AssetNaming<'_> {
    /// Takes a document in. One that cannot be read names nothing.
    fn take(&mut self, read: ReadRecord<'_>, directory: &Directory) {
        let record = WholeRecord {
            key: read.key().map(<[u8]>::to_vec),
            headers: read.headers().map(|(name, value)| (name.to_vec(), value.map(<[u8]>::to_vec))).collect(),
            timestamp: read.timestamp(),
            value: None,
        };
        let input = record.input();
        let Ok(outer) = decode::outer_identity(self.stream, input.key, input.headers) else { return };
        let Some(identity) = outer.complete() else { return };
        let place = RecordPlace { partition: read.partition(), offset: Offset(read.offset().0) };
        let Some(value) = read.value() else { return directory.forget(identity.tenant, identity.asset) };
        let tape = &mut self.tape;
        let loaded = decode::load(Some(value), &self.rules, move |text| tape.parse(text).map(|()| &*tape));
        let Ok(text) = loaded else { return };
        let found = |path: &Option<Path>| path.as_ref().and_then(|path| text_at(path, text, &self.tape));
        let (name, reference) = (found(&self.from.name), found(&self.from.reference));
        directory.name(identity.tenant, identity.asset, name.as_deref(), reference.as_deref(), place);
    }
}

/// The text or the number at a path.
fn text_at(path: &Path, text: &[u8], tape: &Tape) -> Option<String> {
    let Selected::One(node) = path.find(text, tape) else { return None };
    let found = match tape.kind(node) {
        NodeKind::String => tape.string_text(text, node)?.into_owned(),
        NodeKind::Number => String::from_utf8_lossy(tape.raw(text, node)).into_owned(),
        _ => return None,
    };
    let cut = found.char_indices().nth(LONGEST_NAME).map_or(found.as_str(), |(at, _)| &found[..at]);
    Some(cut.to_owned()).filter(|name| !name.is_empty())
}
