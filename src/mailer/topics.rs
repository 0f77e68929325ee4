//! What the mailer reads and writes in Kafka: invitations, and the notes of what was sent.

use std::cell::Cell;
use std::collections::HashSet;
use std::time::Duration;

use tracing::warn;

use crate::config::Config;
use crate::document::DocumentKind;
use crate::engine::topic::stored::{mail_key, mail_prefix, mail_value, read_mail_key, start_key, start_value};
use crate::id::Offset;
use crate::json::document::parse;
use crate::kafka::{ClientError, EventWriter, KafkaSettings, ReadRecord, TopicReader, WriteError};
use crate::share::event::invitation_code::CodeHash;
use crate::time::TimestampNs;
use crate::transport::{ConsumeError, LogBounds};

use super::pending::PendingMails;

/// The longest that one of the topics may take to be read to its end.
const READ: Duration = Duration::from_secs(60);

/// The invitations' one partition.
pub const PARTITION: i32 = 0;

/// Where the topics are.
#[derive(Debug, Clone)]
pub struct MailTopics {
    kafka: KafkaSettings,
    invitations: String,
    state: String,
}

impl MailTopics {
    /// Those of this configuration.
    pub fn of(config: &Config) -> Self {
        let kafka = KafkaSettings::of(&config.kafka);
        Self { kafka, invitations: config.topics.invitations.clone(), state: config.topics.state.clone() }
    }

    /// The topic of invitations.
    pub fn invitations(&self) -> &str {
        &self.invitations
    }

    /// The end of the invitations as it is now.
    ///
    /// # Errors
    /// The topic cannot be asked.
    pub fn end(&self) -> Result<Offset, ConsumeError> {
        let end = Cell::new(Offset(0));
        let at_end = |bounds: &LogBounds| {
            end.set(bounds.end);
            bounds.end
        };
        TopicReader::open_from(&self.kafka, &self.invitations, [PARTITION], at_end)?;
        Ok(end.get())
    }

    /// Reads the notes, and then all invitations: what is to be sent, and the reader that goes on from there. `first` is where this
    /// mailer begins if no note says where its group began; that is noted then.
    ///
    /// # Errors
    /// A topic cannot be read or written.
    pub fn restore(&self, first: Offset, sends_all: bool, notes: &mut NoteWriter) -> Result<(PendingMails, TopicReader), RestoreError> {
        let group = &self.kafka.group;
        let start = start_key(group, &self.invitations, PARTITION);
        let (mut began, mut sent) = (None, HashSet::new());
        let prefix = mail_prefix(group);
        TopicReader::open(&self.kafka, &self.state, [PARTITION])?.read_to_end(READ, |record| {
            let Some(key) = record.key().and_then(|key| std::str::from_utf8(key).ok()) else { return };
            if key == start {
                began = record.value().and_then(offset_of);
            } else if key.starts_with(&prefix)
                && let Some((share, hash)) = read_mail_key(group, key)
            {
                let note = (share.to_owned(), hash);
                // A later record of the key may take the note back.
                if record.value().is_some() {
                    sent.insert(note)
                } else {
                    sent.remove(&note)
                };
            }
        })?;
        let begin = match began {
            Some(began) => began,
            None => {
                notes.put(&start, Some(start_value(first).as_bytes()))?;
                first
            }
        };
        let mut mails = PendingMails::new(if sends_all { Offset(0) } else { begin });
        sent.iter().for_each(|(share, hash)| mails.note(share, *hash));
        let mut reader = TopicReader::open(&self.kafka, &self.invitations, [PARTITION])?;
        reader.read_to_end(READ, |record| take(&mut mails, record))?;
        Ok((mails, reader))
    }

    /// Opens the topic of notes for writing.
    ///
    /// # Errors
    /// No client can be made.
    pub fn notes(&self) -> Result<NoteWriter, ClientError> {
        Ok(NoteWriter { writer: EventWriter::open(&self.kafka, &self.state, Duration::from_secs(10))?, group: self.kafka.group.clone() })
    }
}

/// Why a mailer cannot begin with its partition.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// A topic cannot be read.
    #[error(transparent)]
    Input(#[from] ConsumeError),
    /// Where it began cannot be noted.
    #[error("where it began cannot be noted: {0}")]
    Note(#[from] WriteError),
}

/// Takes a record in; what is no mail is told and left.
pub fn take(mails: &mut PendingMails, record: ReadRecord<'_>) {
    if let Err(error) = mails.take(record.offset(), record.key(), record.value()) {
        warn!(offset = record.offset().0, %error, "a record of the invitations is left: nobody gets a mail of it");
    }
}

fn offset_of(value: &[u8]) -> Option<Offset> {
    let node = parse(value).ok()?;
    match &node.get("offset")?.kind {
        DocumentKind::Number(text) => text.parse().ok().map(Offset),
        _ => None,
    }
}

/// Writes notes.
pub struct NoteWriter {
    writer: EventWriter,
    group: String,
}

impl NoteWriter {
    /// Notes that the mail with this code was sent.
    ///
    /// # Errors
    /// It is not known to be noted: the mail may be sent once more.
    pub fn sent(&mut self, share: &str, code: CodeHash, at: TimestampNs) -> Result<(), WriteError> {
        let key = mail_key(&self.group, share, code);
        self.put(&key, Some(&mail_value(at)))
    }

    /// Takes a note back that nobody will ask for.
    ///
    /// # Errors
    /// It may be there still, which does no harm.
    pub fn forget(&mut self, share: &str, code: CodeHash) -> Result<(), WriteError> {
        let key = mail_key(&self.group, share, code);
        self.put(&key, None)
    }

    fn put(&mut self, key: &str, value: Option<&[u8]>) -> Result<(), WriteError> {
        self.writer.append_record(Some(key.as_bytes()), value, &[]).map(drop)
    }
}
