//! Files that are looked at again and again: whether what is in them has changed.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

/// What is in each file; none where it cannot be read. A file that another one replaces, by its name or by that of a link on its way, has
/// other content: nothing else counts.
type Contents = BTreeMap<PathBuf, Option<u64>>;

/// The files of a configuration, and what was in them when it was last read.
#[derive(Debug)]
pub(super) struct WatchedFile {
    attempted: Contents,
    /// What was seen at the last look. A file may be half written: what is seen twice counts.
    seen: Contents,
}

impl WatchedFile {
    pub(super) fn new(files: &[PathBuf]) -> Self {
        let contents = contents(files.iter());
        Self { seen: contents.clone(), attempted: contents }
    }

    /// Looks. Returns whether there is something else than was last read, and no longer changes.
    pub(super) fn has_changed(&mut self) -> bool {
        let now = contents(self.attempted.keys());
        let is_at_rest = now == self.seen;
        self.seen = now;
        is_at_rest && self.seen != self.attempted
    }

    /// The configuration was read, from these files.
    pub(super) fn was_read(&mut self, files: &[PathBuf]) {
        *self = Self::new(files);
    }

    /// These files cannot be read: the one to mend may be among those of before.
    pub(super) fn was_refused(&mut self, files: &[PathBuf]) {
        let files: Vec<PathBuf> = files.iter().chain(self.attempted.keys()).cloned().collect();
        *self = Self::new(&files);
    }
}

fn contents<'f>(files: impl Iterator<Item = &'f PathBuf>) -> Contents {
    files.map(|file| (file.clone(), content(file))).collect()
}

fn content(file: &Path) -> Option<u64> {
    // A pipe would be emptied by a look.
    let bytes = file.is_file().then(|| std::fs::read(file).ok())??;
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    Some(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(watched: &mut WatchedFile) -> [bool; 3] {
        std::array::from_fn(|_| watched.has_changed())
    }

    #[test]
    fn a_change_counts_once_it_is_at_rest_until_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let (file, secret) = (folder.path().join("c.yaml"), folder.path().join("secret"));
        std::fs::write(&file, "a").unwrap();
        std::fs::write(&secret, "s").unwrap();
        let files = [file.clone(), secret.clone()];
        let mut watched = WatchedFile::new(&files);
        assert_eq!(looks(&mut watched), [false; 3]);
        std::fs::write(&file, "ab").unwrap();
        assert!(!watched.has_changed());
        std::fs::write(&file, "abc").unwrap();
        assert_eq!(looks(&mut watched), [false, true, true]);
        watched.was_read(&files);
        assert_eq!(looks(&mut watched), [false; 3]);
        std::fs::write(&secret, "t").unwrap();
        assert_eq!(looks(&mut watched), [false, true, true]);
        watched.was_read(&files);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(looks(&mut watched), [false, true, true]);
    }

    #[test]
    fn a_link_that_leads_elsewhere_and_a_renamed_file_are_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for (version, text) in [("v1", "one"), ("v2", "two")] {
            std::fs::create_dir(path(version)).unwrap();
            std::fs::write(path(version).join("c.yaml"), text).unwrap();
        }
        // As Kubernetes mounts a ConfigMap: c.yaml -> ..data/c.yaml, ..data -> v1.
        std::os::unix::fs::symlink("v1", path("..data")).unwrap();
        std::os::unix::fs::symlink("..data/c.yaml", path("c.yaml")).unwrap();
        let files = [path("c.yaml")];
        let mut watched = WatchedFile::new(&files);
        std::os::unix::fs::symlink("v2", path("..new")).unwrap();
        std::fs::rename(path("..new"), path("..data")).unwrap();
        assert_eq!(looks(&mut watched), [false, true, true]);
        watched.was_read(&files);
        std::fs::write(path("other"), "three").unwrap();
        std::fs::rename(path("other"), path("c.yaml")).unwrap();
        assert_eq!(looks(&mut watched), [false, true, true]);
    }
}
