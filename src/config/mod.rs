//! The configuration: read as it was written, then resolved once into types that cannot be wrong.
//!
//! Nothing here reads the environment, a file or a clock: what they say is passed in.

pub mod api;
pub mod diagnostic;
mod engine;
pub mod kafka;
pub mod mail;
pub mod keys;
pub mod output;
pub mod profile_text;
mod overrides;
pub mod reload;
mod resolve;
mod secrets;
mod shape;
pub mod shown;
mod streams;
mod substitute;
mod text;
mod topics;
mod written;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

pub use api::{ApiConfig, ApiLimits, AuthConfig, DirectoryConfig, JwtConfig};
pub use diagnostic::{ConfigErrors, Diagnostic};
pub use engine::{BatchConfig, ControlConfig, Delivery, FenceConfig, LogConfig, LogFormat, LogLevel, SnapshotConfig, TenantLabels};
pub use kafka::spelling::Taken;
pub use kafka::{BACKFILL_INSTANCE, DataPlane, KafkaConfig, Properties};
pub use mail::{MailConfig, SmtpConfig, SmtpTls};
pub use output::{OnRouteFailure, OutputConfig, OutputTemplate};
pub use text::read_document;

use crate::decide::ReleaseRules;
use crate::document::Node;
use crate::id::StreamIndex;
use crate::profile::critical::CriticalPath;
use crate::record::decode::ReadRules;
use crate::record::mapping::Stream;
use crate::share::configuration::PartnershipNeed;
use crate::share::table::FoldRules;
use crate::time::Period;
use crate::topic::OwnTopics;
use crate::transport::Start;

/// A whole configuration that breaks no rule. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct Config {
    /// The streams in the order they were written; a `StreamIndex` is a place in it.
    pub streams: Arc<[Stream]>,
    /// Where each stream's partitions begin the first time, by `StreamIndex`.
    pub starts: Arc<[Start]>,
    /// `streams.X.critical`, by `StreamIndex`.
    pub critical: Arc<[Vec<CriticalPath>]>,
    /// `partnerships`: whether an offer needs a partnership.
    pub partnerships: PartnershipNeed,
    /// How long after its natural end a share still releases records from inside its window.
    pub late_grace: Period,
    /// How far ahead of the engine's clock an event time may lie.
    pub max_future: Period,
    /// The longest value that is read, in bytes.
    pub max_record_bytes: usize,
    /// Where outputs say which share released them.
    pub provenance: ProvenanceForm,
    /// Whether they also say what the target may do.
    pub provenance_permission: bool,
    /// How sure delivery is.
    pub delivery: Delivery,
    /// Keys `mask: hash`; without it hashed members are dropped (docs/rules/profiles.md#masks).
    pub mask_secret: Option<Secret>,
    /// How the cluster is reached.
    pub kafka: KafkaConfig,
    /// Worker threads.
    pub workers: usize,
    /// When a batch ends.
    pub batch: BatchConfig,
    /// The control topic.
    pub control: ControlConfig,
    /// Own topics and tenants' status topics.
    pub topics: OwnTopics,
    /// The fence (docs/rules/fence.md).
    pub fence: FenceConfig,
    /// Tenant topics.
    pub output: OutputConfig,
    /// Local snapshots of the folded table.
    pub snapshot: SnapshotConfig,
    /// Where `/metrics`, `/livez` and `/readyz` are served.
    pub http_listen: std::net::SocketAddr,
    /// The API and the console.
    pub api: ApiConfig,
    /// Mails to those who are invited.
    pub mail: MailConfig,
    /// Which tenants have a metric label of their own.
    pub tenant_labels: TenantLabels,
    /// Logs.
    pub log: LogConfig,
    /// What is allowed, and should still be looked at.
    pub warnings: Vec<Diagnostic>,
}

/// `provenance`: where outputs say which share released them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProvenanceForm {
    /// A member `_share`, last in the object.
    Payload,
    /// CloudEvents binary headers.
    Headers,
    /// Nowhere.
    Nowhere,
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Its bytes, for use as a key.
    pub fn expose(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What a configuration may look at besides its files.
pub struct ConfigEnv<'a> {
    /// The environment: `SHARECAST__…` overrides keys, `${env:NAME}` looks names up.
    pub env: &'a [(String, String)],
    /// Reads a file for `${file:PATH}`; the error is shown.
    pub read_file: &'a dyn Fn(&str) -> Result<String, String>,
    /// What `kafka.instance` is where it is not written.
    pub host_name: &'a str,
    /// Whether librdkafka takes a setting, by its name and its value. A build without it takes all.
    pub takes_setting: &'a dyn Fn(&str, &str) -> Taken,
}

impl ConfigEnv<'_> {
    /// An empty environment, no files, and the host name `localhost`.
    pub fn none() -> Self {
        Self { env: &[], read_file: &|_| Err("no files here".into()), host_name: "localhost", takes_setting: &|_, _| Taken::Yes }
    }
}

/// The section `streams` of a file that is no configuration.
#[derive(Debug, Clone, Copy)]
pub struct OwnStreams<'a> {
    /// The file's name, for errors.
    pub file: &'a str,
    /// Its whole text.
    pub text: &'a str,
    /// The value of its key.
    pub streams: &'a Node,
}

impl Config {
    /// Reads the files, each a name and a text, later ones over earlier ones and the environment over all.
    ///
    /// # Errors
    /// Everything that is wrong, with its place and what to write instead.
    pub fn load(files: &[(&str, &str)], around: &ConfigEnv<'_>) -> Result<Self, ConfigErrors> {
        Self::load_with(files, None, around)
    }

    /// The same with other streams, where they are given, in place of those that the files name.
    pub fn load_with(files: &[(&str, &str)], streams: Option<OwnStreams<'_>>, around: &ConfigEnv<'_>) -> Result<Self, ConfigErrors> {
        let mut findings = written::Findings::default();
        let mut root = Self::merged(files, streams, around, &mut findings);
        shape::check(&mut root, &mut findings);
        let resolved = resolve::resolve(&root, around, &mut findings);
        let warnings = findings.finish()?;
        // Whatever keeps a value from being resolved has been noted as an error, so that this is never reached without one.
        let missing = || ConfigErrors(vec![Diagnostic::without_place("the configuration", "cannot be resolved".into(), String::new())]);
        resolved.map(|config| Self { warnings, ..config }).ok_or_else(missing)
    }

    /// All files and the environment in one tree, as they were written.
    fn merged(
        files: &[(&str, &str)],
        streams: Option<OwnStreams<'_>>,
        around: &ConfigEnv<'_>,
        findings: &mut written::Findings,
    ) -> written::ConfigValue {
        let mut root = written::ConfigValue::empty(findings.add_source("the configuration".into(), None, Default::default()));
        for (name, text) in files {
            if let Some(mut value) = text::read_source(name, text, around, findings) {
                kafka::spelling::fold_names(&mut value, findings);
                root.merge(value);
            }
        }
        if let Some(OwnStreams { file, text, streams }) = streams {
            let source = findings.add_source(file.to_owned(), Some(text.to_owned()), Default::default());
            root.replace("streams", written::ConfigValue::from_node(streams.clone(), source));
        }
        overrides::apply(&mut root, around.env, findings);
        substitute::substitute(&mut root, around, findings);
        root
    }

    /// What the fold depends on.
    pub fn fold_rules(&self) -> FoldRules {
        FoldRules {
            streams: Arc::clone(&self.streams),
            partnerships: self.partnerships,
            late_grace: self.late_grace,
            halts_on_unreadable: self.control.halts_on_unreadable,
        }
    }

    /// What is read and released.
    pub fn release_rules(&self) -> ReleaseRules {
        ReleaseRules {
            read: ReadRules { max_record_bytes: self.max_record_bytes, max_future: self.max_future },
            late_grace: self.late_grace,
            shows_provenance: self.provenance == ProvenanceForm::Payload,
            shows_permission: self.shows_permission(),
        }
    }

    /// Whether outputs say what the target may do; where they do not say which share released them, they do not.
    pub fn shows_permission(&self) -> bool {
        self.provenance_permission && self.provenance != ProvenanceForm::Nowhere
    }

    /// Reads the output template of a backfill of one stream; the error says what is wrong with it.
    pub fn job_template(&self, text: &str, stream: &Stream) -> Result<output::OutputTemplate, String> {
        topics::job_template(text, stream, &topics::NamedTopics { own: &self.topics, control: &self.control.topic, streams: &self.streams })
    }

    /// The stream of this name.
    pub fn stream(&self, name: &str) -> Option<&Stream> {
        self.streams.iter().find(|stream| stream.name.as_str() == name)
    }

    /// The members of the stream that deserve a second look before they leave.
    pub fn critical(&self, stream: StreamIndex) -> &[CriticalPath] {
        &self.critical[usize::from(stream.0)]
    }

    /// Where a partition of the stream begins the first time.
    pub fn start(&self, stream: StreamIndex) -> Start {
        self.starts[usize::from(stream.0)]
    }
}
