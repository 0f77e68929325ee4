//! `sharecast check`: is what people wrote right, before an engine reads it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::exit::{Exit, Failure};
use crate::cli::config;
use crate::cli::config::name_of;
use crate::cli::replay::read_input;
use crate::cli::sample::hold_against_samples;
use crate::config::diagnostic::{Diagnostic, Secrets};
use crate::config::{Config, profile_text};
use crate::disclosure;
use crate::document::Node;
#[cfg(feature = "io")]
use crate::kafka::KafkaSettings;
use crate::profile::spec::ProfileSpec;

/// What to check besides the configuration.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A sharing profile, as YAML or JSON
    #[arg(long = "profile", value_name = "FILE")]
    profiles: Vec<PathBuf>,
    /// Hold the profiles against records of a stream, one a line as `replay` reads them: paths that never match, members that no path
    /// includes, values that a transform drops
    #[arg(long = "sample", value_name = "STREAM=FILE", value_parser = read_input, requires = "profiles")]
    samples: Vec<(String, PathBuf)>,
}

/// Checks the configuration (exit 78) and the profiles (exit 1); what it finds goes to stdout.
pub fn run(files: &[PathBuf], args: &Args) -> Result<Exit, Failure> {
    let mut out = io::stdout().lock();
    let config = config::load(files);
    let (text, mut exit) = match &config {
        Ok(config) => match try_out(config) {
            Ok(()) => (describe(config), Exit::Ok),
            Err(failure) => (format!("{failure}\n"), failure.exit),
        },
        Err(failure) => (format!("{failure}\n"), failure.exit),
    };
    print(&mut out, &text)?;
    for file in &args.profiles {
        match load_profile(file, config.as_ref().ok()).map(|written| written.spec) {
            Ok(spec) => {
                let doubts = config.as_ref().map(|config| profile_doubts(file, config)).unwrap_or_default();
                print(&mut out, &doubts.iter().map(|doubt| format!("warning: {doubt}\n")).collect::<String>())?;
                let critical = config.as_ref().map(|config| disclosure::of_profile(config, &spec)).unwrap_or_default();
                let name = name_of(file);
                print(
                    &mut out,
                    &critical.iter().map(|line| format!("critical: {name}: {}\n", super::exit::shown(line))).collect::<String>(),
                )?;
                let sections: Vec<_> = spec.sections().iter().map(|section| section.stream.clone()).collect();
                print(&mut out, &describe_profile(&name, &sections, config.as_ref().ok()))?;
                if let Ok(config) = &config {
                    print(&mut out, &hold_against_samples(config, &name, &spec, &args.samples)?)?;
                }
            }
            Err(what) => {
                print(&mut out, &format!("{what}\n"))?;
                exit = if exit == Exit::Ok { Exit::Failed } else { exit };
            }
        }
    }
    Ok(exit)
}

fn print(out: &mut impl Write, text: &str) -> Result<(), Failure> {
    match out.write_all(text.as_bytes()) {
        // Nobody reads on, and the exit still says what was found.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|error| Failure::new(Exit::Failed, format!("stdout: {error}"))),
    }
}

/// Has librdkafka look at its settings all together, without a broker.
#[cfg(feature = "io")]
fn try_out(config: &Config) -> Result<(), Failure> {
    KafkaSettings::of(&config.kafka).try_out().map_err(|error| Failure::new(Exit::Configuration, format!("kafka: {error}")))
}

#[cfg(not(feature = "io"))]
fn try_out(_: &Config) -> Result<(), Failure> {
    Ok(())
}

#[cfg(feature = "io")]
fn snapshot_doubt(config: &Config) -> Option<String> {
    let path = &config.snapshot.path;
    let error = crate::engine::control::snapshot::cannot_write(path)?;
    Some(format!("snapshot.path: {}: no snapshot can be written from here: {error}", path.display()))
}

#[cfg(not(feature = "io"))]
fn snapshot_doubt(_: &Config) -> Option<String> {
    None
}

fn describe(config: &Config) -> String {
    let mut text = String::new();
    for warning in config.warnings.iter().map(ToString::to_string).chain(snapshot_doubt(config)) {
        text += &format!("warning: {warning}\n");
    }
    let streams: Vec<_> = config.streams.iter().map(|stream| format!("{} <- {}", stream.name, stream.topic)).collect();
    text + &format!("configuration: ok ({})\n", streams.join(", "))
}

/// A section of a stream that is not configured is allowed (docs/rules/profiles.md#publishing), and often a slip.
fn describe_profile(name: &str, sections: &[String], config: Option<&Config>) -> String {
    let mut text = String::new();
    for section in sections.iter().filter(|section| config.is_some_and(|config| config.stream(section).is_none())) {
        text += &format!("warning: {name}: no stream `{section}` is configured: nothing uses its section\n");
    }
    text + &format!("{name}: ok ({})\n", sections.join(", "))
}

/// A profile's file.
#[derive(Debug)]
pub struct WrittenProfile {
    /// Its text.
    pub text: String,
    /// As it is written.
    pub node: Node,
    /// As it is understood.
    pub spec: ProfileSpec,
}

/// A profile's file as it is written and as it is understood, or what is wrong with it; with a configuration also for its streams.
pub fn load_profile(file: &Path, config: Option<&Config>) -> Result<WrittenProfile, String> {
    let name = name_of(file);
    let bytes = std::fs::read(file).map_err(|e| format!("{name}: the profile cannot be read: {e}"))?;
    let text =
        String::from_utf8(bytes).map_err(|e| format!("{name}: the profile is not UTF-8, from byte {} on", e.utf8_error().valid_up_to()))?;
    let (node, spec) = profile_text::read(&name, &text, config).map_err(|diagnostic| diagnostic.to_string())?;
    Ok(WrittenProfile { text, node, spec })
}

/// What a profile's file says and hardly means, each with its line; of a file that can be read.
pub fn profile_doubts(file: &Path, config: &Config) -> Vec<String> {
    let name = name_of(file);
    let Ok(text) = std::fs::read_to_string(file) else { return Vec::new() };
    let Ok((_, spec)) = profile_text::read(&name, &text, None) else { return Vec::new() };
    let doubts = spec.doubts(&config.streams, config.mask_secret.is_some());
    let shown = |doubt: crate::profile::doubt::Doubt| {
        Diagnostic::in_text(&name, &text, doubt.place, &Secrets::default(), doubt.what, String::new()).to_string()
    };
    doubts.into_iter().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wrong with it as it is shown, if something is.
    fn read_shown(name: &str, text: &str, config: Option<&Config>) -> Result<(), String> {
        profile_text::read(name, text, config).map(drop).map_err(|diagnostic| diagnostic.to_string())
    }

    #[test]
    fn the_profiles_that_come_with_it_are_right() {
        for (name, text) in [
            ("hire-partner", include_str!("../../config/profiles/hire-partner.yaml")),
            ("workshop", include_str!("../../config/profiles/workshop.yaml")),
            ("insurer", include_str!("../../config/profiles/insurer.yaml")),
        ] {
            let (_, spec) = profile_text::read(name, text, None).unwrap();
            let streams: Vec<_> = spec.sections().iter().map(|section| section.stream.as_str()).collect();
            assert_eq!(streams, ["telemetry", "details"]);
        }
    }

    #[test]
    fn a_wrong_path_is_shown_with_its_character() {
        for (include, shown) in
            [("[$.a, $.b..c]", "p.yaml:2:21: "), ("[$.a, '$.b..c']", "p.yaml:2:22: "), ("[$.a, \"$.\\x62..c\"]", "p.yaml:2:25: ")]
        {
            let what = read_shown("p.yaml", &format!("t:\n  include: {include}\n"), None).unwrap_err();
            assert!(what.starts_with(shown), "{what}");
            let (line, caret) = (what.lines().nth(1).unwrap(), what.lines().nth(2).unwrap());
            assert_eq!(&line[caret.find('^').unwrap()..][..3], "..c", "{what}");
        }
    }

    #[test]
    fn other_faults_are_shown_where_they_stand() {
        let what = read_shown("p.yaml", "t:\n  when: record.speed > 1 &&& record.x\n", None).unwrap_err();
        assert!(what.starts_with("p.yaml:2:28: when, character 20: "), "{what}");
        let config = Config::load(&[], &crate::config::ConfigEnv::none()).unwrap();
        let sampled = "telemetry: { sample: { every: 30s } }\ndetails: { sample: { every: 30s } }\n";
        let what = read_shown("p.yaml", sampled, Some(&config)).unwrap_err();
        assert!(what.starts_with("p.yaml:2:20: details is an upsert stream"), "{what}");
        assert!(read_shown("p.yaml", sampled, None).is_ok());
        let what = read_shown("p.yaml", "t:\n  inculde: []\n", None).unwrap_err();
        assert!(what.starts_with("p.yaml:2:3: unknown key `inculde`") && what.ends_with("\n    inculde: []\n    ^"), "{what}");
        let what = read_shown("p.yaml", "t:\n  transform:\n    - { path: $.a, mask: hush }\n", None).unwrap_err();
        assert!(what.starts_with("p.yaml:3:26: "), "{what}");
        assert!(read_shown("p.yaml", "t: [\n", None).unwrap_err().starts_with("p.yaml:"));
    }

    #[test]
    fn a_section_of_a_stream_that_is_not_configured_is_named() {
        let config = Config::load(&[], &crate::config::ConfigEnv::none()).unwrap();
        assert_eq!(describe_profile("p", &["telemetry".into()], Some(&config)), "p: ok (telemetry)\n");
        assert!(describe_profile("p", &["telemtry".into()], Some(&config)).starts_with("warning: p: no stream `telemtry` is configured"));
        assert_eq!(describe_profile("p", &["telemtry".into()], None), "p: ok (telemtry)\n");
    }
}
