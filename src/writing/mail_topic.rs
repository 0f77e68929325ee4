//! The mailer's topic: what an invitation's mail needs, written once the offer is folded.

use std::time::Duration;

use crate::config::Config;
use crate::engine::topic::spec::TopicSpecs;
use crate::kafka::{Admin, AdminError, ClientError, EventWriter, KafkaSettings, ReadRecord, TopicReader, WriteError};
use crate::share::view::mail::Mail;
use crate::transport::ConsumeError;

/// Why the mailer could not be told.
#[derive(Debug, thiserror::Error)]
pub enum MailTopicError {
    /// The topic is missing, and somebody else makes topics.
    #[error("{0}")]
    Missing(String),
    /// It could not be made.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// A client could not be made, or the cluster does not answer.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// It could not be read.
    #[error(transparent)]
    Input(#[from] ConsumeError),
    /// It could not be written.
    #[error("the mail could not be written to {topic}: {error}")]
    Write {
        /// The topic.
        topic: String,
        /// Why.
        error: WriteError,
    },
}

/// The topic, as one process sees it.
#[derive(Debug, Clone, Copy)]
pub struct MailTopic<'c> {
    config: &'c Config,
    /// How long each answer of the cluster is waited for.
    patience: Duration,
}

impl<'c> MailTopic<'c> {
    /// The topic of this configuration.
    pub fn of(config: &'c Config, patience: Duration) -> Self {
        Self { config, patience }
    }

    /// Its name.
    pub fn name(&self) -> &'c str {
        &self.config.topics.invitations
    }

    /// Makes sure that it is there: an offer whose mail has no place to go to should not be made.
    ///
    /// # Errors
    /// It is not there and could not be made.
    pub fn make(&self) -> Result<(), MailTopicError> {
        let admin = Admin::open(&KafkaSettings::of(&self.config.kafka), self.patience)?;
        let topic = self.name();
        if admin.topic(topic)?.is_some() {
            return Ok(());
        }
        let specs = TopicSpecs::of(self.config);
        if !specs.are_made_by_engine() {
            let what = format!("the topic {topic} is missing and output.provision is manual: `sharecast provision` makes it");
            return Err(MailTopicError::Missing(what));
        }
        Ok(admin.create(&[specs.invitations()]).map(drop)?)
    }

    /// Whether the newest record of the share has this code.
    ///
    /// # Errors
    /// The topic cannot be read.
    pub fn is_told(&self, share: &str, code: &str) -> Result<bool, MailTopicError> {
        let kafka = KafkaSettings::of(&self.config.kafka);
        let mut reader = TopicReader::open_within(&kafka, self.name(), [0], self.patience)?;
        let mut is_told = false;
        let each = |record: ReadRecord<'_>| {
            if record.key() == Some(share.as_bytes()) {
                let mail = record.value().and_then(Mail::read);
                is_told = mail.is_some_and(|mail| mail.text("code") == Some(code));
            }
        };
        reader.read_to_end(self.patience, each)?;
        Ok(is_told)
    }

    /// Opens it for writing.
    ///
    /// # Errors
    /// No client can be made.
    pub fn writer(&self) -> Result<MailTopicWriter, MailTopicError> {
        let topic = self.name().to_owned();
        let writer = EventWriter::open(&KafkaSettings::of(&self.config.kafka), &topic, self.patience)?;
        Ok(MailTopicWriter { writer, topic })
    }
}

/// Writes mails.
pub struct MailTopicWriter {
    writer: EventWriter,
    topic: String,
}

impl MailTopicWriter {
    /// Writes a share's mail.
    ///
    /// # Errors
    /// It is not known to be written.
    pub fn put(&mut self, share: &str, mail: &[u8]) -> Result<(), MailTopicError> {
        self.append(share, Some(mail), &[("content-type", b"application/json")])
    }

    /// Takes a share's mail back: the invitation is not open any more.
    ///
    /// # Errors
    /// It is not known to be taken back.
    pub fn take_back(&mut self, share: &str) -> Result<(), MailTopicError> {
        self.append(share, None, &[])
    }

    fn append(&mut self, share: &str, value: Option<&[u8]>, headers: &[(&str, &[u8])]) -> Result<(), MailTopicError> {
        let written = self.writer.append_record(Some(share.as_bytes()), value, headers);
        written.map(drop).map_err(|error| MailTopicError::Write { topic: self.topic.clone(), error })
    }
}
