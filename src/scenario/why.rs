//! Why a record came or did not: the engine's own explanation, by the world as it is when the record is seen.

use super::world::WorldLog;
use super::{Fact, ScenarioRecord};
use crate::explain::record::WholeRecord;
use crate::explain::{Explainer, ShareExplanation};
use crate::record::mapping::Stream;
use crate::replay::Settings;
use crate::replay::input::InputReader;

/// What was compared for one share, and what became of each member where it got the record.
#[derive(Debug)]
pub(super) struct ExplainedShare {
    pub(super) target: Option<String>,
    pub(super) is_released: bool,
    pub(super) lines: Vec<String>,
}

/// The shares of the record's asset. What `sample` remembers of earlier records is not known here.
pub(super) fn explained(facts: &[Fact], record: &ScenarioRecord, settings: &Settings) -> Vec<ExplainedShare> {
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
    let explained = |share: &ShareExplanation| ExplainedShare {
        target: share.target.clone(),
        is_released: share.suppressed.is_none(),
        lines: share.to_lines(),
    };
    shares.iter().map(explained).collect()
}
