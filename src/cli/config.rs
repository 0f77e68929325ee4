//! From the files of `-c` and the environment to a configuration.

use std::path::{Path, PathBuf};

use crate::cli::exit::{Exit, Failure};
use crate::config::{Config, ConfigEnv, OwnStreams};

/// Reads the files and the environment; whatever is wrong with them is exit 78. No file at all is the standard
/// configuration.
pub fn load(files: &[PathBuf]) -> Result<Config, Failure> {
    load_with(files, None)
}

/// The same with other streams, where they are given, in place of those that the files name.
pub fn load_with(files: &[PathBuf], streams: Option<OwnStreams<'_>>) -> Result<Config, Failure> {
    let texts = files.iter().map(|file| Ok((name_of(file), read(file)?))).collect::<Result<Vec<_>, Failure>>()?;
    let files: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let env: Vec<_> = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect();
    let around = ConfigEnv {
        env: &env,
        read_file: &|path| std::fs::read_to_string(path).map_err(|e| e.to_string()),
        host_name: &host_name(),
        takes_setting: &takes_setting,
    };
    Config::load_with(&files, streams, &around).map_err(|errors| Failure::new(Exit::Configuration, errors))
}

#[cfg(feature = "io")]
use crate::kafka::takes_setting;

#[cfg(not(feature = "io"))]
fn takes_setting(_: &str, _: &str) -> crate::config::Taken {
    crate::config::Taken::Yes
}

fn read(file: &Path) -> Result<String, Failure> {
    let fault = |what: String| Failure::new(Exit::Configuration, format!("{}: {what}", file.display()));
    let bytes = std::fs::read(file).map_err(|e| fault(format!("the configuration cannot be read: {e}")))?;
    String::from_utf8(bytes).map_err(|e| fault(format!("the configuration is not UTF-8, from byte {} on", e.utf8_error().valid_up_to())))
}

/// A file's name as errors show it.
pub fn name_of(file: &Path) -> String {
    file.display().to_string()
}

fn host_name() -> String {
    let known = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().or_else(|| std::env::var("HOSTNAME").ok());
    known.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).unwrap_or_else(|| "localhost".into())
}
