use super::*;

mod engine_keys;
mod kafka_keys;
mod merging;
mod reload;
mod sample;
mod stream_keys;

/// A configuration of one file called `c.yaml`.
fn load(text: &str) -> Result<Config, ConfigErrors> {
    Config::load(&[("c.yaml", text)], &ConfigEnv::none())
}

/// What is wrong with one file: line, column and what.
fn faults(text: &str) -> Vec<(u32, u32, String)> {
    let place = |d: &Diagnostic| d.place.map_or((0, 0), |place| (place.line, place.column));
    load(text).unwrap_err().0.iter().map(|d| (place(d).0, place(d).1, d.what.clone())).collect()
}

/// The one thing that is wrong, with its place.
#[track_caller]
fn fault(text: &str) -> (u32, u32, String) {
    let faults = faults(text);
    assert_eq!(faults.len(), 1, "{faults:?}");
    faults.into_iter().next().unwrap()
}

#[track_caller]
fn refuses(text: &str, what: &str) {
    let fault = fault(text);
    assert!(fault.2.contains(what), "{fault:?}");
}
