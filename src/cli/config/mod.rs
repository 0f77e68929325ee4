//! From the files of `-c` and the environment to a configuration.

#[cfg(feature = "io")]
pub mod show;

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use crate::cli::exit::{Exit, Failure, tell};
use crate::config::{Config, ConfigEnv, ConfigErrors, OwnStreams};

/// The file to read where the command line names none.
const VARIABLE: &str = "SHARECAST_CONFIG";

/// Where a file is looked for that nobody names.
const PLACES: [&str; 2] = ["sharecast.yaml", "/etc/sharecast/sharecast.yaml"];

/// Reads the files and the environment; whatever is wrong with them is exit 78. A file that the command line does not name is told on
/// stderr. No file at all is the standard configuration.
pub fn load(files: &[PathBuf]) -> Result<Config, Failure> {
    tell_found(files);
    read(files).map(|read| read.config)
}

fn tell_found(files: &[PathBuf]) {
    if let (true, [file]) = (files.is_empty(), &found(files)[..]) {
        tell!("configuration: {}", file.display());
    }
}

/// A configuration, and what it was read from.
pub struct ReadConfig {
    /// The configuration.
    pub config: Config,
    /// Its files, and those that its values are from (`${file:PATH}`).
    pub files: Vec<PathBuf>,
}

/// The same as `load`, without a word on stderr.
pub fn read(files: &[PathBuf]) -> Result<ReadConfig, Failure> {
    let mut read = RefCell::new(found(files));
    let config = with_texts(files, |files, around| {
        let note = |path: &str| {
            read.borrow_mut().push(path.into());
            (around.read_file)(path)
        };
        Config::load(files, &ConfigEnv { read_file: &note, ..*around })
    })?;
    Ok(ReadConfig { config, files: std::mem::take(read.get_mut()) })
}

/// As `load`, with other streams, where they are given, in place of those that the files name.
pub fn load_with(files: &[PathBuf], streams: Option<OwnStreams<'_>>) -> Result<Config, Failure> {
    tell_found(files);
    with_texts(files, |files, around| Config::load_with(files, streams, around))
}

/// Every key as it counts.
#[cfg(feature = "io")]
pub fn shown(files: &[PathBuf]) -> Result<Vec<crate::config::shown::ShownKey>, Failure> {
    tell_found(files);
    with_texts(files, crate::config::shown::shown)
}

/// The files that are read: those that are named, else that of `SHARECAST_CONFIG`, else the first that is there of
/// `./sharecast.yaml` and `/etc/sharecast/sharecast.yaml`.
pub fn found(files: &[PathBuf]) -> Vec<PathBuf> {
    if !files.is_empty() {
        return files.to_vec();
    }
    let named = std::env::var_os(VARIABLE).filter(|name| !name.is_empty()).map(PathBuf::from);
    named.or_else(|| PLACES.iter().map(PathBuf::from).find(|file| file.exists())).into_iter().collect()
}

fn with_texts<T>(
    files: &[PathBuf],
    read_as: impl FnOnce(&[(&str, &str)], &ConfigEnv<'_>) -> Result<T, ConfigErrors>,
) -> Result<T, Failure> {
    let files = found(files);
    let texts = files.iter().map(|file| Ok((name_of(file), text_of(file)?))).collect::<Result<Vec<_>, Failure>>()?;
    let files: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let env: Vec<_> = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect();
    let around = ConfigEnv {
        env: &env,
        read_file: &|path| std::fs::read_to_string(path).map_err(|e| e.to_string()),
        host_name: &host_name(),
        takes_setting: &takes_setting,
    };
    read_as(&files, &around).map_err(|errors| Failure::new(Exit::Configuration, errors))
}

#[cfg(feature = "io")]
use crate::kafka::takes_setting;

#[cfg(not(feature = "io"))]
fn takes_setting(_: &str, _: &str) -> crate::config::Taken {
    crate::config::Taken::Yes
}

fn text_of(file: &Path) -> Result<String, Failure> {
    let fault = |what: String| Failure::new(Exit::Configuration, format!("{}: {what}", file.display()));
    let bytes = std::fs::read(file).map_err(|e| fault(format!("the configuration cannot be read: {e}")))?;
    String::from_utf8(bytes).map_err(|e| fault(format!("the configuration is not UTF-8, from byte {} on", e.utf8_error().valid_up_to())))
}

/// A file's name as errors show it.
pub fn name_of(file: &Path) -> String {
    file.display().to_string()
}

/// The files' names, as logs show them.
pub fn names_of(files: &[PathBuf]) -> String {
    let names: Vec<String> = files.iter().map(|file| name_of(file)).collect();
    if names.is_empty() { "defaults".to_owned() } else { names.join(", ") }
}

fn host_name() -> String {
    let known = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().or_else(|| std::env::var("HOSTNAME").ok());
    known.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).unwrap_or_else(|| "localhost".into())
}
