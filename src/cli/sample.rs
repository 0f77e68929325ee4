//! `check --sample`: a profile's file held against records.

use std::path::PathBuf;

use crate::cli::config::name_of;
use crate::cli::exit::{Exit, Failure};
use crate::config::{Config, Secret};
use crate::explain::members::ProfileText;
use crate::explain::record::WholeRecord;
use crate::explain::sample::ProfileSample;
use crate::profile::compile::Profile;
use crate::profile::spec::ProfileSpec;
use crate::replay::input::{InputLine, InputReader};
use crate::replay::line::lines;

/// What the samples of the streams that a profile has sections for show of it, a line each. A line that cannot be read is exit 65; what
/// is found is a hint and no failure.
pub(super) fn hold_against_samples(
    config: &Config,
    name: &str,
    spec: &ProfileSpec,
    samples: &[(String, PathBuf)],
) -> Result<String, Failure> {
    let mut found = String::new();
    let profile = Profile::compile(spec, &config.streams);
    let text = ProfileText::of_file(spec.clone());
    for (stream, sample) in samples {
        let stream = config
            .stream(stream)
            .ok_or_else(|| Failure::new(Exit::Usage, format!("--sample {stream}: no stream of this name is configured")))?;
        let (Some(section), Some(projection)) = (spec.section(stream.name.as_str()), profile.section(stream.index)) else {
            found += &format!("{name}: no section for {}: nothing of {} was looked at\n", stream.name, name_of(sample));
            continue;
        };
        let secret = config.mask_secret.as_ref().map(Secret::expose);
        let mut seen = ProfileSample::new(stream, section, projection, &text, config.release_rules().read, secret);
        let bytes = std::fs::read(sample).map_err(|error| Failure::new(Exit::Usage, format!("{}: {error}", sample.display())))?;
        let mut reader = InputReader::new(stream);
        for (number, line) in lines(&bytes).enumerate() {
            let bad = |what: &str| Failure::new(Exit::BadData, format!("{}:{}: {what}", name_of(sample), number + 1));
            seen.look_at(&whole(&reader.line(line).map_err(bad)?));
        }
        for finding in seen.findings() {
            let place = finding.place.map_or_else(String::new, |place| format!(":{}:{}", place.line, place.column));
            found += &format!("{name}{place}: {}: {}\n", stream.name, finding.what);
        }
    }
    Ok(found)
}

/// A line as a record.
pub(super) fn whole(line: &InputLine<'_>) -> WholeRecord {
    WholeRecord {
        key: line.key.as_deref().map(|key| key.as_bytes().to_vec()),
        headers: line
            .headers
            .iter()
            .map(|(name, value)| (name.as_bytes().to_vec(), value.as_deref().map(|value| value.as_bytes().to_vec())))
            .collect(),
        timestamp: line.timestamp,
        value: line.value.as_deref().map(<[u8]>::to_vec),
    }
}
