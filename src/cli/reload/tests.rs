use super::*;
use crate::cli::logging;
use crate::clock::SystemClock;
use crate::config::{LogLevel, TenantLabels};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Notes what was taken; refuses what has this many routes.
struct Notes {
    taken: Arc<Mutex<Vec<usize>>>,
    also: Arc<Mutex<Vec<String>>>,
}

const REFUSED: usize = 13;

impl TakesConfig for Notes {
    fn prepare(&mut self, read: &Config) -> Result<PreparedReload, String> {
        let (taken, routes) = (Arc::clone(&self.taken), read.batch.max_routes);
        if routes == REFUSED {
            return Err("a file of tokens cannot be read".to_owned());
        }
        let also = std::mem::take(&mut *self.also.lock().unwrap());
        Ok(PreparedReload { also, take: Box::new(move || taken.lock().unwrap().push(routes)) })
    }
}

struct ReloadBench {
    reloader: Reloader<Notes>,
    taken: Arc<Mutex<Vec<usize>>>,
    also: Arc<Mutex<Vec<String>>>,
    file: PathBuf,
    _folder: tempfile::TempDir,
}

fn bench(text: &str) -> ReloadBench {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.yaml");
    std::fs::write(&file, text).unwrap();
    let read = config::read(std::slice::from_ref(&file)).unwrap();
    let (taken, also) = (Arc::default(), Arc::default());
    let takes = Notes { taken: Arc::clone(&taken), also: Arc::clone(&also) };
    let level = logging::init(&read.config.log);
    let reloader = Reloader::new(std::slice::from_ref(&file), &read, true, level, takes, Box::new(SystemClock));
    ReloadBench { reloader, taken, also, file, _folder: folder }
}

impl ReloadBench {
    fn reload(&mut self, text: &str) -> ReloadResult {
        std::fs::write(&self.file, text).unwrap();
        self.reloader.attempt()
    }

    fn taken(&self) -> Vec<usize> {
        self.taken.lock().unwrap().clone()
    }
}

#[test]
fn all_that_differs_is_taken_or_nothing() {
    let mut bench = bench("workers: 3\n");
    assert_eq!(bench.reload("workers: 3\nbatch: { max_routes: 7 }\nmetrics: { tenants: off }\n"), ReloadResult::Taken);
    assert_eq!(bench.taken(), [7]);
    assert_eq!(bench.reloader.in_force.tenant_labels, TenantLabels::Off);
    for (text, result) in [
        ("workers: 3\nbatch: { max_routes: 7 }\nmetrics: { tenants: off } # as before\n", ReloadResult::Unchanged),
        ("workers: 4\nbatch: { max_routes: 8 }\nmetrics: { tenants: off }\n", ReloadResult::NeedsRestart),
        ("workers: 3\nbatch: { max_routes: 0 }\n", ReloadResult::Invalid),
        ("workers: [", ReloadResult::Invalid),
        ("workers: 3\nbatch: { max_routes: 13 }\nlog: { level: debug }\n", ReloadResult::Invalid),
    ] {
        assert_eq!(bench.reload(text), result, "{text}");
        assert_eq!((bench.taken(), bench.reloader.in_force.log.level), (vec![7], LogLevel::Info), "{text}");
    }
    // Once it is mended it is taken, also what an attempt before was refused with.
    assert_eq!(bench.reload("workers: 3\nbatch: { max_routes: 8 }\nlog: { level: debug }\n"), ReloadResult::Taken);
    assert_eq!((bench.taken(), bench.reloader.in_force.log.level), (vec![7, 8], LogLevel::Debug));
}

#[test]
fn what_the_configuration_names_may_have_changed_alone() {
    let mut bench = bench("workers: 3\n");
    assert_eq!(bench.reload("workers: 3\n"), ReloadResult::Unchanged);
    bench.also.lock().unwrap().push("api.auth.tokens".to_owned());
    assert_eq!(bench.reload("workers: 3\n"), ReloadResult::Taken);
    assert_eq!(bench.taken().len(), 1);
}

#[test]
fn a_pipe_is_not_read_again() {
    let mut bench = bench("batch: { max_routes: 7 }\n");
    bench.reloader.files = vec![Path::new("/dev/null").to_owned()];
    assert_eq!(bench.reloader.attempt(), ReloadResult::Invalid);
    assert_eq!(bench.reloader.in_force.batch.max_routes, 7);
}

#[test]
fn a_value_from_another_file_is_watched_with_the_files_of_before_and_of_now() {
    let mut bench = bench("workers: 3\n");
    let routes = bench.file.with_file_name("routes");
    std::fs::write(&routes, "7").unwrap();
    assert_eq!(bench.reload(&format!("workers: 3\nbatch: {{ max_routes: '${{file:{}}}' }}\n", routes.display())), ReloadResult::Taken);
    std::fs::write(&routes, "8").unwrap();
    let watched = bench.reloader.watched.as_mut().unwrap();
    assert_eq!([watched.has_changed(), watched.has_changed()], [false, true]);
    assert_eq!((bench.reloader.attempt(), bench.taken()), (ReloadResult::Taken, vec![7, 8]));
}
