//! The lines of each output topic (docs/rules/values.md#times, docs/rules/values.md#json-that-is-written).

use rustc_hash::FxHashMap;

use super::Settings;
use crate::id::{StreamIndex, TenantId};
use crate::json::writer::write_object;
use crate::record::dead_letter::DeadLetter;
use crate::record::mapping::Stream;
use crate::share::status::{StatusDocument, StatusTopic};
use crate::time::TimestampMs;

/// Lines in the order produced, by topic, until somebody takes them.
pub(crate) struct Outputs<'s> {
    settings: &'s Settings,
    streams: &'s [Stream],
    topics: Vec<TopicFile>,
    by_name: FxHashMap<String, usize>,
    by_route: FxHashMap<(TenantId, StreamIndex), usize>,
    /// Bytes in all topics together.
    bytes: usize,
}

struct TopicFile {
    name: String,
    lines: Vec<u8>,
}

impl<'s> Outputs<'s> {
    pub(crate) fn new(settings: &'s Settings, streams: &'s [Stream]) -> Self {
        Self { settings, streams, topics: Vec::new(), by_name: FxHashMap::default(), by_route: FxHashMap::default(), bytes: 0 }
    }

    /// A record of a tenant topic.
    pub(crate) fn record(&mut self, target: &TenantId, stream: StreamIndex, key: &str, timestamp: TimestampMs, value: Option<&[u8]>) {
        let route = (target.clone(), stream);
        let topic = match self.by_route.get(&route) {
            Some(&topic) => topic,
            None => {
                let name = (self.settings.topics)(target, &self.streams[usize::from(stream.0)].name);
                let topic = self.topic(name);
                self.by_route.insert(route, topic);
                topic
            }
        };
        self.line(topic, |out| write_record(key, timestamp, value, out));
    }

    /// A status document.
    pub(crate) fn status(&mut self, document: &StatusDocument) {
        let topic = self.topic(match &document.topic {
            StatusTopic::Shares => self.settings.own.shares.clone(),
            StatusTopic::Tenant(tenant) => self.settings.own.status(tenant),
        });
        self.line(topic, |out| write_record(&document.key, document.timestamp, Some(&document.value), out));
    }

    /// A dead letter.
    pub(crate) fn dead_letter(&mut self, letter: &DeadLetter<'_>) {
        let topic = self.topic(self.settings.own.dead_letters.clone());
        self.line(topic, |out| letter.write_line(out));
    }

    /// Hands over what has gathered, once it is more than `limit` bytes.
    pub(crate) fn hand_over<E>(&mut self, limit: usize, take: &mut impl FnMut(&str, &[u8]) -> Result<(), E>) -> Result<(), E> {
        if self.bytes <= limit {
            return Ok(());
        }
        for topic in self.topics.iter_mut().filter(|topic| !topic.lines.is_empty()) {
            take(&topic.name, &topic.lines)?;
            topic.lines.clear();
        }
        self.bytes = 0;
        Ok(())
    }

    fn topic(&mut self, name: String) -> usize {
        if let Some(&topic) = self.by_name.get(&name) {
            return topic;
        }
        self.topics.push(TopicFile { name: name.clone(), lines: Vec::new() });
        self.by_name.insert(name, self.topics.len() - 1);
        self.topics.len() - 1
    }

    fn line(&mut self, topic: usize, write: impl FnOnce(&mut Vec<u8>)) {
        let lines = &mut self.topics[topic].lines;
        let before = lines.len();
        write(lines);
        lines.push(b'\n');
        self.bytes += lines.len() - before;
    }
}

/// One record's line, without its end.
pub(crate) fn write_record(key: &str, timestamp: TimestampMs, value: Option<&[u8]>, out: &mut Vec<u8>) {
    write_object(out, |out| {
        out.text("key", key);
        out.time("timestamp", timestamp.moment());
        out.json("value", value.unwrap_or(b"null"));
    });
}
