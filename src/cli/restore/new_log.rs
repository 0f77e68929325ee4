//! The new control topic: made, filled, held against what was meant, and only then such that an engine takes it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cli::control_fold::{ControlFold, StartFrom};
use crate::cli::exit::{Exit, Failure, admin_failure, client_failure, input_failure, tell};
use crate::cli::trial::Until;
use crate::config::Config;
use crate::id::Offset;
use crate::kafka::{Admin, BulkRecord, BulkWriter, KafkaEndProbe, KafkaSettings, WriteError, control_topic};
use crate::replay::BadLine;
use crate::replay::dump_records::{DumpRecord, DumpRecordForm};
use crate::share::snapshot;
use crate::share::table::ShareTable;
use crate::time::TimestampMs;
use crate::transport::{EndProbe, LogBounds};

/// What decides whether a record keeps its own time.
const TIMESTAMP_TYPE: &str = "message.timestamp.type";
/// What Kafka would refuse a time for, however old or far ahead.
const TIMESTAMP_LIMITS: [&str; 2] = ["message.timestamp.before.max.ms", "message.timestamp.after.max.ms"];
/// The largest record that topics take by default, with room for what is around it.
const USUAL_BYTES: usize = 900_000;
/// So many records are in memory on their way.
const WRITTEN_AT_ONCE: usize = 5_000;
/// Progress is told this often.
const TOLD_EVERY: i64 = 100_000;
/// Between two looks at a setting.
const LOOK: Duration = Duration::from_millis(50);

/// A topic on its way to be the control topic.
pub(super) struct NewLog {
    admin: Admin,
    kafka: KafkaSettings,
    topic: String,
    is_there: bool,
    patience: Duration,
}

impl NewLog {
    /// Looks at the topic; one that holds anything, or ever did, is refused.
    pub(super) fn look(config: &Config, topic: &str, patience: Duration) -> Result<Self, Failure> {
        let kafka = KafkaSettings::of(&config.kafka);
        let admin = Admin::open(&kafka, patience).map_err(client_failure)?;
        let shape = admin.topic(topic).map_err(client_failure)?;
        if let Some(shape) = &shape {
            if shape.partitions != 1 {
                let what = format!("{topic} is there with {} partitions, and needs exactly 1: name another topic", shape.partitions);
                return Err(Failure::new(Exit::Configuration, what));
            }
            let bounds = KafkaEndProbe::open(&kafka, topic, patience).map_err(client_failure)?.ask().map_err(input_failure)?;
            if bounds != (LogBounds { start: Offset(0), end: Offset(0) }) {
                let what = format!(
                    "{topic} is not empty, its end is {}: name another topic. If it is what an interrupted restore has left, delete it \
                     (kafka-topics.sh --delete --topic {topic}) and run this again",
                    bounds.end
                );
                return Err(Failure::new(Exit::Failed, what));
            }
        }
        Ok(Self { admin, kafka, topic: topic.to_owned(), is_there: shape.is_some(), patience })
    }

    /// Makes the topic, for records that keep their own time, the largest of so many bytes.
    pub(super) fn make(&self, largest: usize) -> Result<(), Failure> {
        let mut spec = control_topic(&self.topic, self.admin.brokers().map_err(client_failure)?);
        spec.config.insert(TIMESTAMP_TYPE.to_owned(), "CreateTime".to_owned());
        spec.config.extend(TIMESTAMP_LIMITS.map(|limit| (limit.to_owned(), i64::MAX.to_string())));
        if largest > USUAL_BYTES {
            spec.config.insert("max.message.bytes".to_owned(), (largest * 2).to_string());
        }
        if !self.is_there {
            self.admin.create(std::slice::from_ref(&spec)).map_err(admin_failure)?;
            return Ok(());
        }
        let settings: Vec<(&str, Option<&str>)> = spec.config.iter().map(|(key, value)| (key.as_str(), Some(value.as_str()))).collect();
        self.set(&settings, &spec.config)
    }

    /// Changes settings and reads them back until `wanted` is what there is.
    fn set(&self, changes: &[(&str, Option<&str>)], wanted: &BTreeMap<String, String>) -> Result<(), Failure> {
        self.admin.alter_topic(&self.topic, changes).map_err(client_failure)?;
        let until = Until::after(self.patience);
        loop {
            let found = self.admin.topic_config(&self.topic).map_err(client_failure)?;
            let Some((key, value)) = wanted.iter().find(|(key, value)| found.get(*key) != Some(value)) else { return Ok(()) };
            if until.left().is_zero() {
                let found = found.get(key).map_or("nothing", String::as_str);
                let what = format!("{} has {key}={found} although it was set to {value}", self.topic);
                return Err(Failure::new(Exit::Configuration, what));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Writes every record at its offset; returns the end. Each acknowledgement is held against it.
    pub(super) fn write<'r>(&self, records: impl Iterator<Item = Result<DumpRecord<'r>, BadLine>>) -> Result<Offset, Failure> {
        let mut writer = BulkWriter::open(&self.kafka, &self.topic, self.patience).map_err(client_failure)?;
        let (mut waiting, mut end) = (Vec::with_capacity(WRITTEN_AT_ONCE), Offset(0));
        for record in records {
            waiting.push(record.map_err(|bad| Failure::new(Exit::BadData, bad))?);
            if waiting.len() == WRITTEN_AT_ONCE {
                end = self.write_some(&mut writer, &waiting, end)?;
                waiting.clear();
                if end.0 % TOLD_EVERY == 0 {
                    tell!("{}: {end} records are written", self.topic);
                }
            }
        }
        self.write_some(&mut writer, &waiting, end)
    }

    /// Appends events from `first` on with this time.
    pub(super) fn append(&self, events: &[Vec<u8>], first: Offset, time: TimestampMs) -> Result<Offset, Failure> {
        let mut writer = BulkWriter::open(&self.kafka, &self.topic, self.patience).map_err(client_failure)?;
        let record =
            |(at, event)| DumpRecord { offset: Offset(at), time, value: Vec::as_slice(event).into(), form: DumpRecordForm::Structured };
        let records: Vec<DumpRecord<'_>> = (first.0..).zip(events).map(record).collect();
        self.write_some(&mut writer, &records, first)
    }

    fn write_some(&self, writer: &mut BulkWriter, records: &[DumpRecord<'_>], end: Offset) -> Result<Offset, Failure> {
        let bulk: Vec<BulkRecord<'_>> = records
            .iter()
            .map(|record| BulkRecord {
                key: None,
                value: Some(&record.value),
                timestamp: Some(record.time),
                headers: record.form.headers(),
            })
            .collect();
        let offsets = writer.append_records(&bulk).map_err(|unwritten| {
            let at = records.get(unwritten.written).map_or(end, |record| record.offset);
            let exit = match unwritten.error {
                WriteError::Refused(_) => Exit::Configuration,
                WriteError::Unknown(_) | WriteError::Fatal(_) => Exit::Unavailable,
            };
            Failure::new(exit, format!("the record of offset {at} is not written: {}", unwritten.error))
        })?;
        match records.iter().zip(&offsets).find(|(record, offset)| record.offset != **offset) {
            Some((record, offset)) => {
                let what =
                    format!("the record of offset {} went to offset {offset}: somebody else writes to {}", record.offset, self.topic);
                Err(Failure::new(Exit::Failed, what))
            }
            None => Ok(records.last().map_or(end, |last| Offset(last.offset.0 + 1))),
        }
    }

    /// Folds the topic as an engine will and holds the table against each digest: after the record of that offset it must have it.
    pub(super) fn check(&self, config: &Config, digests: &[(Offset, [u8; 32])]) -> Result<(), Failure> {
        let mut config = config.clone();
        config.control.topic.clone_from(&self.topic);
        let mut table = ShareTable::for_documents(config.fold_rules());
        let mut left = digests.iter();
        let mut next = left.next();
        let mut fold = ControlFold::open(&config, self.patience, StartFrom::Oldest)?;
        fold.read_to_end(|_, record| {
            record.fold(&mut table);
            if let Some((at, digest)) = next
                && *at == record.record.offset
            {
                if snapshot::digest(&table) != *digest {
                    let what = format!("{} does not lead to what the dump leads to, at offset {at}", self.topic);
                    return Err(Failure::new(Exit::Failed, what));
                }
                next = left.next();
            }
            Ok(())
        })?;
        match next {
            None => Ok(()),
            Some((at, _)) => Err(Failure::new(Exit::Failed, format!("{} has no record of offset {at}", self.topic))),
        }
    }

    /// Makes it a control topic: from here on an engine takes it.
    pub(super) fn finish(&self) -> Result<(), Failure> {
        let mut changes = vec![(TIMESTAMP_TYPE, Some("LogAppendTime"))];
        changes.extend(TIMESTAMP_LIMITS.map(|limit| (limit, None)));
        self.set(&changes, &[(TIMESTAMP_TYPE.to_owned(), "LogAppendTime".to_owned())].into())?;
        let check = self.admin.check_control_topic(&self.topic).map_err(client_failure)?.unwrap_or_default();
        check.warnings.iter().for_each(|warning| tell!("warning: {warning}"));
        if check.faults.is_empty() { Ok(()) } else { Err(Failure::new(Exit::Configuration, check.faults.join("; "))) }
    }
}
