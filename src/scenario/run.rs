//! Runs a test: its world and its records go through `replay`, and what comes out is held against what is expected.

use std::collections::BTreeMap;

use super::compare::{ActualOutput, Mismatch, OutputComparison, RecordFate};
use super::world::WorldLog;
use super::{Expectation, Scenario, ScenarioError, ScenarioRecord, why};
use crate::document::{Node, TextPosition};
use crate::id::TenantId;
use crate::json::document;
use crate::record::mapping::Stream;
use crate::replay::{Control, Input, ReplayStep, Settings, StepCause, replay_steps};

impl Scenario {
    /// Returns all that is not as expected; nothing if the test passes.
    ///
    /// # Errors
    /// What is wrong with the test file itself.
    pub fn run(&self, settings: &Settings) -> Result<Vec<Mismatch>, ScenarioError> {
        let streams = &settings.fold.streams;
        let log = WorldLog::of(&self.facts, &settings.fold)?;
        let inputs = self.records.iter().map(|record| input(record, streams)).collect::<Result<Vec<_>, _>>()?;
        self.check_expected_streams(streams)?;
        let mut seen = Seen { topics: topics(&log, settings), outputs: BTreeMap::new(), fates: Vec::new(), dead_letters: Vec::new() };
        seen.fates.resize_with(self.records.len(), RecordFate::default);
        let control = Control { file: "world", bytes: &log.lines };
        let until = self.now.map(|now| now.moment());
        replay_steps(settings, control, &inputs, until, &mut |step| seen.take(step, &settings.own.dead_letters))
            .map_err(|bad| self.bad_line(bad.what))?;
        let found = self.compare(&seen);
        if found.is_empty() {
            return Ok(found);
        }
        for (record, fate) in self.records.iter().zip(&mut seen.fates) {
            fate.explained = why::explained(&self.facts, record, settings);
        }
        Ok(self.compare(&seen))
    }

    /// What `replay` refuses of a line was checked before; a record that is left is the first that it can be about.
    fn bad_line(&self, what: &str) -> ScenarioError {
        ScenarioError { what: what.to_owned(), place: self.records.first().map(|record| record.place).unwrap_or_default() }
    }

    fn check_expected_streams(&self, streams: &[Stream]) -> Result<(), ScenarioError> {
        for output in self.expectations.iter().flat_map(|expectation| &expectation.outputs) {
            stream_of(&output.stream, output.place, streams)?;
        }
        Ok(())
    }

    fn compare(&self, seen: &Seen) -> Vec<Mismatch> {
        let nothing = Vec::new();
        let mut found = Vec::new();
        let mut routes: BTreeMap<(&str, &str), Vec<&super::ExpectedOutput>> = BTreeMap::new();
        for Expectation { tenant, outputs, .. } in &self.expectations {
            outputs.iter().for_each(|output| routes.entry((tenant.as_str(), output.stream.as_str())).or_default().push(output));
        }
        for (tenant, stream) in seen.outputs.keys() {
            routes.entry((tenant.as_str(), stream.as_str())).or_default();
        }
        for ((tenant, stream), expected) in routes {
            let expectation = self.expectations.iter().find(|expectation| expectation.tenant == tenant);
            let outputs = seen.outputs.get(&(tenant.to_owned(), stream.to_owned())).unwrap_or(&nothing);
            let comparison = OutputComparison {
                scenario: self,
                tenant,
                stream,
                place: expectation.map(|expectation| expectation.place),
                is_open: expectation.is_some_and(|expectation| expectation.is_open),
                fates: &seen.fates,
            };
            comparison.run(&expected, outputs, &mut found);
        }
        self.compare_dead_letters(seen, &mut found);
        found.sort_by_key(|mismatch| mismatch.place);
        found
    }

    fn compare_dead_letters(&self, seen: &Seen, found: &mut Vec<Mismatch>) {
        for at in 0..seen.dead_letters.len().max(self.dead_letters.len()) {
            let (what, place) = match (seen.dead_letters.get(at), self.dead_letters.get(at)) {
                (Some((record, reason, message)), expected) if expected.is_none_or(|(expected, _)| expected != reason) => {
                    let place = record.and_then(|record| self.records.get(record)).map(|record| record.place).unwrap_or_default();
                    (
                        format!("this record is a dead letter: {reason}: {message}; name the reason in dead_letters if it is to be one"),
                        place,
                    )
                }
                (None, Some((reason, place))) => (format!("no dead letter came for {reason}"), *place),
                _ => continue,
            };
            found.push(Mismatch { place, what, diff: Vec::new(), why: Vec::new() });
        }
    }
}

fn stream_of<'s>(name: &str, place: TextPosition, streams: &'s [Stream]) -> Result<&'s Stream, ScenarioError> {
    streams.iter().find(|stream| stream.name.as_str() == name).ok_or_else(|| {
        let known: Vec<&str> = streams.iter().map(|stream| stream.name.as_str()).collect();
        ScenarioError { what: crate::profile::spec::unknown("stream", name, &known), place }
    })
}

/// Each record is an input of its own: at one time they are decided in the order in which they are written.
fn input<'s>(record: &'s ScenarioRecord, streams: &[Stream]) -> Result<Input<'s>, ScenarioError> {
    let stream = stream_of(&record.stream, record.place, streams)?;
    Ok(Input { stream: stream.index, file: "records", bytes: &record.line })
}

/// The topics that records of the world's tenants go to.
fn topics(log: &WorldLog, settings: &Settings) -> BTreeMap<String, (String, String)> {
    let mut topics = BTreeMap::new();
    let targets = log.table.shares().filter_map(|share| share.document().target_tenant.map(str::to_owned));
    for tenant in targets.filter_map(|tenant| TenantId::parse(&tenant).ok()) {
        for stream in settings.fold.streams.iter() {
            topics.insert((settings.topics)(&tenant, &stream.name), (tenant.to_string(), stream.name.to_string()));
        }
    }
    topics
}

/// What came out.
struct Seen {
    /// Tenant and stream of each topic.
    topics: BTreeMap<String, (String, String)>,
    outputs: BTreeMap<(String, String), Vec<ActualOutput>>,
    fates: Vec<RecordFate>,
    /// The record, the reason and the message of each.
    dead_letters: Vec<(Option<usize>, String, String)>,
}

impl Seen {
    fn take(&mut self, step: ReplayStep<'_>, dead_letters: &str) {
        let record = match step.cause {
            StepCause::Record(record) => Some(record),
            StepCause::Time | StepCause::Control | StepCause::End => None,
        };
        if let Some(record) = record {
            let words = |(reason, count): &(crate::release::Suppressed, u32)| {
                format!("{} ({count} {})", reason.as_str(), if *count == 1 { "share" } else { "shares" })
            };
            self.fates[record].withheld.extend(step.suppressed.iter().map(words));
        }
        for (topic, bytes) in &step.lines {
            let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            for line in lines.filter_map(|line| document::parse(line).ok()) {
                match self.topics.get(topic) {
                    Some(route) => {
                        if let Some(record) = record {
                            self.fates[record].outputs += 1;
                        }
                        let route = route.clone();
                        self.outputs.entry(route).or_default().push(ActualOutput::of(&line, step.cause));
                    }
                    None if topic == dead_letters => self.dead_letter(record, &line),
                    None => {}
                }
            }
        }
    }

    fn dead_letter(&mut self, record: Option<usize>, line: &Node) {
        let header = |name: &str| {
            let headers = line.get("headers");
            headers.and_then(|headers| headers.get(&format!("__sharecast.errors.{name}"))).and_then(Node::as_str).unwrap_or("").to_owned()
        };
        let (reason, message) = (header("reason"), header("message"));
        if let Some(record) = record {
            self.fates[record].dead = Some(format!("{reason}: {message}"));
        }
        self.dead_letters.push((record, reason, message));
    }
}
