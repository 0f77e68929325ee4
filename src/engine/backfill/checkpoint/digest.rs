//! A digest of all of a configuration that decides what a job writes: whoever resumes a job must decide as it began
//! (docs/backfill.md#exactly-once).
//!
//! Its spelling is its own: another one would make every unfinished job another one.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::config::{Config, OutputTemplate, ProvenanceForm};
use crate::json::path::{Literal, Path, Segment};
use crate::record::mapping::{FieldSource, KeyPart, Stream};

/// What the secret keys instead of standing in the digest itself.
const SECRET_LABEL: &[u8] = b"sharecast backfill";

/// In lower-case hex.
pub fn of(config: &Config, stream: &Stream, template: &OutputTemplate) -> String {
    let mut spelled = Spelled::default();
    spelled.text(stream.name.as_str());
    let mapping = &stream.mapping;
    for source in [&mapping.tenant, &mapping.asset] {
        spelled.source(source);
    }
    for part in mapping.key_format.iter().flat_map(|format| &format.parts) {
        spelled.text(match part {
            KeyPart::Literal(text) => text,
            KeyPart::Tenant => "{tenant}",
            KeyPart::Asset => "{asset}",
        });
    }
    for (label, paths) in
        [("time", mapping.time.as_slice()), ("rewrite tenant", &mapping.rewrite_tenant), ("rewrite asset", &mapping.rewrite_asset)]
    {
        spelled.text(label);
        paths.iter().for_each(|path| spelled.path(path));
    }
    spelled.text(&template.topic("{tenant}", "{stream}"));
    spelled.text(match config.provenance {
        ProvenanceForm::Payload => "payload",
        ProvenanceForm::Headers => "headers",
        ProvenanceForm::Nowhere => "none",
    });
    spelled.number(u64::from(config.provenance_permission));
    spelled.number(config.late_grace.millis());
    spelled.number(config.max_future.millis());
    spelled.number(config.max_record_bytes as u64);
    config.output.headers.iter().for_each(|name| spelled.text(name));
    spelled.text("secret");
    if let Some(mut keyed) = config.mask_secret.as_ref().and_then(|secret| Hmac::<Sha256>::new_from_slice(secret.expose()).ok()) {
        keyed.update(SECRET_LABEL);
        spelled.bytes(&keyed.finalize().into_bytes());
    }
    spelled.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Each part after its length, so that no two run together.
#[derive(Default)]
struct Spelled(Sha256);

impl Spelled {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn number(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }

    fn source(&mut self, source: &FieldSource) {
        match source {
            FieldSource::Path(path) => {
                self.text("path");
                self.path(path);
            }
            FieldSource::Key => self.text("key"),
            FieldSource::KeyField => self.text("field of key"),
            FieldSource::Header(name) => {
                self.text("header");
                self.text(name);
            }
        }
    }

    fn path(&mut self, path: &Path) {
        self.number(path.segments.len() as u64);
        for segment in &path.segments {
            match segment {
                Segment::Name(name) => self.text(&format!(".{}", name.text)),
                Segment::Wildcard => self.text("[*]"),
                Segment::Filter(filter) => {
                    self.text(&format!("?{}", filter.key.text));
                    self.text(&match &filter.literal {
                        Literal::Null => "null".to_owned(),
                        Literal::True => "true".to_owned(),
                        Literal::False => "false".to_owned(),
                        Literal::Number(text) => format!("#{text}"),
                        Literal::String(text) => format!("\"{text}"),
                    });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigEnv;

    fn digest(text: &str) -> String {
        let config = Config::load(&[("c", text)], &ConfigEnv::none()).unwrap();
        of(&config, &config.streams[0], &config.output.topics)
    }

    #[test]
    fn what_decides_is_in_it_and_nothing_else() {
        let first = digest("");
        assert_eq!(digest("workers: 7\nlog: { level: debug }\nkafka: { bootstrap: 'b:1' }"), first);
        let others = [
            "mask: { secret: a }",
            "mask: { secret: b }",
            "provenance: headers",
            "provenance_permission: true",
            "late_grace: 1s",
            "output: { topic: 'to.{tenant}.{stream}' }",
            "output: { headers: [trace] }",
            "streams: { telemetry: { topic: telemetry.raw, tenant: $.tenant, asset: $.asset, time: $.at } }",
            "streams: { telemetry: { topic: telemetry.raw, tenant: $.tenant, asset: $.asset } }",
            "streams: { telemetry: { topic: telemetry.raw, tenant: key, asset: $.asset } }",
        ];
        let all: std::collections::BTreeSet<String> = others.iter().map(|text| digest(text)).chain([first]).collect();
        assert_eq!(all.len(), others.len() + 1);
    }

    /// As the version before has written it.
    #[test]
    fn it_is_spelled_as_it_was() {
        let config = "streams: { t: { topic: in, tenant: '$.a[?@.k==\"v\"].b[*]', asset: 'header:x', time: $.ts } }\nmask: { secret: s }";
        assert_eq!(digest(config), "c9fd708c1e15cf17f3b93140526e643bd948db9c406eaabc503b77fd841beae8");
    }
}
