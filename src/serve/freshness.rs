//! Whether what is served is what the log says: how long ago the fold was at the log's end.

use std::sync::Mutex;
use std::time::Duration;

use crate::clock::BootTime;
use crate::id::Offset;

/// Seen with the log's end. An engine's view would be too old long before; people read it, and nothing is released by it.
const CURRENT_FOR: Duration = Duration::from_secs(10);

/// How far the fold is, and how far it has to be.
#[derive(Debug, Default)]
pub(crate) struct Freshness(Mutex<FoldProgress>);

#[derive(Debug, Default)]
struct FoldProgress {
    position: NextOffset,
    /// The log's end as it was told last, and when it was asked for.
    end: Option<(Offset, BootTime)>,
    /// When the fold was last known to have all.
    current_at: Option<BootTime>,
    /// What is waited for.
    trouble: String,
}

/// The next offset that is folded.
#[derive(Debug)]
struct NextOffset(Offset);

impl Default for NextOffset {
    fn default() -> Self {
        Self(Offset(0))
    }
}

impl Freshness {
    /// The log is folded to before this offset.
    pub(super) fn folded(&self, position: Offset) {
        let mut progress = self.lock();
        progress.position.0 = position;
        progress.compare();
    }

    /// The log ended here when it was asked at this time.
    pub(super) fn ends(&self, end: Offset, asked: BootTime) {
        let mut progress = self.lock();
        progress.end = Some((end, asked));
        progress.trouble.clear();
        progress.compare();
    }

    /// The log's end as it was told last.
    pub(super) fn known_end(&self) -> Option<Offset> {
        self.lock().end.map(|(end, _)| end)
    }

    /// The log's end, if it was asked for after this time.
    pub(super) fn end_after(&self, time: BootTime) -> Option<Offset> {
        self.lock().end.filter(|(_, asked)| *asked >= time).map(|(end, _)| end)
    }

    /// Something is in the way.
    pub(super) fn trouble(&self, what: &str) {
        what.clone_into(&mut self.lock().trouble);
    }

    /// Whether the log was folded to its end once.
    pub(super) fn has_begun(&self) -> bool {
        self.lock().current_at.is_some()
    }

    /// Whether the log was folded to its end a moment ago; else why not.
    pub(super) fn check(&self, now: BootTime) -> Result<(), String> {
        let progress = self.lock();
        match progress.current_at {
            Some(at) if now.since(at) <= CURRENT_FOR => Ok(()),
            at => {
                let since = at.map_or("it was not read to its end yet".to_owned(), |at| {
                    format!("its end was reached {} s ago", now.since(at).as_secs())
                });
                let why = if progress.trouble.is_empty() { String::new() } else { format!(": {}", progress.trouble) };
                Err(format!("the control topic is folded to offset {}; {since}{why}", progress.position.0.0 - 1))
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, FoldProgress> {
        self.0.lock().expect("it is only set")
    }
}

impl FoldProgress {
    fn compare(&mut self) {
        if let Some((end, asked)) = self.end
            && self.position.0 >= end
        {
            self.current_at = Some(asked);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> BootTime {
        BootTime(Duration::from_secs(seconds))
    }

    #[test]
    fn it_is_current_as_long_as_the_end_is_reached_now_and_then() {
        let freshness = Freshness::default();
        assert!(freshness.check(at(1)).is_err() && !freshness.has_begun());
        freshness.ends(Offset(5), at(1));
        freshness.folded(Offset(4));
        assert!(freshness.check(at(1)).unwrap_err().contains("to offset 3"));
        freshness.folded(Offset(5));
        assert!(freshness.check(at(11)).is_ok() && freshness.has_begun());
        freshness.trouble("no broker");
        assert!(freshness.check(at(12)).unwrap_err().contains("11 s ago: no broker"));
        freshness.ends(Offset(5), at(12));
        assert!(freshness.check(at(13)).is_ok());
    }
}
