//! Why a record did not come: the engine's own explanation, by the world as it is when the record is seen.

use super::world::WorldLog;
use super::{Fact, ScenarioRecord};
use crate::explain::Explainer;
use crate::explain::record::WholeRecord;
use crate::record::mapping::Stream;
use crate::replay::Settings;
use crate::replay::input::InputReader;

/// What was compared for one share that did not get a record.
#[derive(Debug)]
pub(super) struct WithheldShare {
    pub(super) target: Option<String>,
    pub(super) lines: Vec<String>,
}

/// The shares of the record's asset that did not get it. What `sample` remembers of earlier records is not known here.
pub(super) fn withheld(facts: &[Fact], record: &ScenarioRecord, settings: &Settings) -> Vec<WithheldShare> {
    let stream = settings.fold.streams.iter().find(|stream: &&Stream| stream.name.as_str() == record.stream);
    let Some((stream, line)) = stream.and_then(|stream| Some((stream, InputReader::new(stream).line(&record.line).ok()?))) else {
        return Vec::new();
    };
    let until_then = facts.iter().filter(|fact| fact.at <= line.at);
    let Ok(log) = WorldLog::of(until_then, &settings.fold) else { return Vec::new() };
    let bytes = |text: &str| text.as_bytes().to_vec();
    let whole = WholeRecord {
        key: line.key.as_deref().map(bytes),
        headers: line.headers.iter().map(|(name, value)| (bytes(name), value.as_deref().map(bytes))).collect(),
        timestamp: line.timestamp,
        value: line.value.map(|value| value.into_owned()),
    };
    let explainer = Explainer::new(settings.release, settings.mask_secret.as_deref());
    let shares = explainer.record(&log.table, stream, &whole, None, line.at).shares;
    let withheld = shares.into_iter().filter(|share| share.suppressed.is_some());
    withheld.map(|share| WithheldShare { target: share.target.clone(), lines: share.to_lines() }).collect()
}
