//! This process's configuration held against the log's (docs/rules/events.md#configuration-of-the-log).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing::{info, warn};

use crate::clock::{BootTime, Clock};
use crate::id::{Epoch, Offset};
use crate::share::configuration::FoldConfiguration;
use crate::share::table::ShareTable;
use crate::share::table::configuration::first_event;
use crate::transport::{ConsumeError, ControlWriter};

/// Between two tries to name the configuration to a log that takes no writes.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Why the fold ends for good.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The control topic cannot be read.
    #[error(transparent)]
    Log(#[from] ConsumeError),
    /// This process is configured as the log forbids.
    #[error("{0}")]
    Configuration(String),
}

/// In what the local configuration differs from the log's while the process runs; none if in nothing.
pub type ConfigurationState = Arc<Mutex<Option<String>>>;

/// Looks once when the log was read to where it ended at the start, and then whenever the log names another configuration.
pub struct ConfigurationWatch {
    local: FoldConfiguration,
    /// The log's end when the process began.
    start: Offset,
    /// None of a process that names no configuration to an empty log.
    writer: Option<Box<dyn ControlWriter + Send>>,
    state: ConfigurationState,
    phase: Phase,
}

enum Phase {
    /// What the log had at the start is not known yet.
    Starting {
        /// The first configuration is not to be written before.
        not_before: Option<BootTime>,
        has_written: bool,
    },
    /// It was compared with the configuration that this event named.
    Running(Option<Epoch>),
}

impl ConfigurationWatch {
    /// Compares with `local`; to a log without events it is written by `writer`.
    pub fn new(local: FoldConfiguration, start: Offset, writer: Box<dyn ControlWriter + Send>, state: ConfigurationState) -> Self {
        Self { writer: Some(writer), state, ..Self::without_writer(local, start) }
    }

    /// Compares with `local`, and leaves a log without events as it is.
    pub fn without_writer(local: FoldConfiguration, start: Offset) -> Self {
        let phase = Phase::Starting { not_before: None, has_written: false };
        Self { local, start, writer: None, state: ConfigurationState::default(), phase }
    }

    /// Looks at what is folded up to `position`.
    pub fn look(&mut self, table: &ShareTable, position: Offset, clock: &dyn Clock) -> Result<(), ControlError> {
        match &self.phase {
            Phase::Starting { .. } if position < self.start => Ok(()),
            Phase::Starting { .. } if table.has_only_ticks() => {
                self.write_first(clock);
                Ok(())
            }
            Phase::Starting { .. } => self.start(table),
            Phase::Running(compared) if *compared != table.configured_at() => self.compare(table),
            Phase::Running(_) => Ok(()),
        }
    }

    /// Whoever writes first to a log names its configuration. Of several that begin at once the first one's counts.
    fn write_first(&mut self, clock: &dyn Clock) {
        let now = clock.boot();
        let (Phase::Starting { not_before, has_written: false }, Some(writer)) = (&self.phase, &mut self.writer) else { return };
        if not_before.is_some_and(|not_before| now < not_before) {
            return;
        }
        let has_written = match writer.append(&first_event(&self.local, clock.wall())) {
            Ok(offset) => {
                info!(offset = offset.0, "the control log is empty: this configuration was named to it");
                true
            }
            Err(error) => {
                warn!(%error, "this configuration could not be named to the empty control log; tried again");
                false
            }
        };
        self.phase = Phase::Starting { not_before: Some(clock.boot().after(TRY_AGAIN)), has_written };
    }

    fn start(&mut self, table: &ShareTable) -> Result<(), ControlError> {
        self.phase = Phase::Running(table.configured_at());
        if table.configured_at().is_none() {
            info!("the control log names no configuration: this one counts. `sharecast control configure -c FILE` names it");
            return Ok(());
        }
        check_start(table, &self.local)
    }

    fn compare(&mut self, table: &ShareTable) -> Result<(), ControlError> {
        self.phase = Phase::Running(table.configured_at());
        check_beginning(table)?;
        let gaps = table.configuration().gaps(&self.local);
        let words = (!gaps.is_empty()).then(|| in_words(&gaps));
        if let Some(words) = &words {
            if gaps.iter().any(|gap| gap.is_of_stream()) {
                return Err(ControlError::Configuration(words.clone()));
            }
            warn!("{words}");
        }
        *self.state.lock().expect("only replaced") = words;
        Ok(())
    }
}

/// Whether a process that is configured as `local` may begin by what the log says up to its end. One that names no configuration
/// allows every one.
pub fn check_start(table: &ShareTable, local: &FoldConfiguration) -> Result<(), ControlError> {
    if table.configured_at().is_none() {
        return Ok(());
    }
    check_beginning(table)?;
    let gaps = table.configuration().gaps(local);
    if gaps.is_empty() { Ok(()) } else { Err(ControlError::Configuration(in_words(&gaps))) }
}

fn in_words(gaps: &[impl ToString]) -> String {
    let gaps: Vec<String> = gaps.iter().map(ToString::to_string).collect();
    format!(
        "the configuration is not the control log's: it has {}. Correct it, or name it to the log with `sharecast control configure -c FILE`",
        gaps.join("; ")
    )
}

/// What came before the log's first configuration was judged by the local one.
fn check_beginning(table: &ShareTable) -> Result<(), ControlError> {
    let streams: Vec<&str> = table.misjudged_streams().iter().map(|stream| stream.as_str()).collect();
    if streams.is_empty() {
        return Ok(());
    }
    Err(ControlError::Configuration(format!(
        "events before the control log's first configuration name the stream {}, which the log has and this configuration lacks: what was \
         offered there cannot be judged here. Configure the stream",
        streams.join(", ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::share::configuration::PartnershipNeed;
    use crate::share::tests::fixture::{World, rules};
    use crate::transport::ProduceError;

    #[derive(Clone, Default)]
    struct Kept {
        events: Arc<Mutex<Vec<Vec<u8>>>>,
        is_closed: bool,
    }

    impl ControlWriter for Kept {
        fn append(&mut self, event: &[u8]) -> Result<Offset, ProduceError> {
            if self.is_closed {
                return Err(ProduceError::Abort("closed".into()));
            }
            self.events.lock().unwrap().push(event.to_vec());
            Ok(Offset(0))
        }
    }

    fn watch(start: i64, kept: &Kept) -> (ConfigurationWatch, ConfigurationState) {
        let state = ConfigurationState::default();
        let local = rules().configuration();
        (ConfigurationWatch::new(local, Offset(start), Box::new(kept.clone()), Arc::clone(&state)), state)
    }

    fn refused(looked: Result<(), ControlError>) -> String {
        match looked {
            Err(ControlError::Configuration(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    const OTHER: &str = r#"{"streams":{"telemetry":"append"},"partnerships":"required"}"#;

    #[test]
    fn an_empty_log_is_named_the_configuration_once_and_what_was_first_counts() {
        let kept = Kept::default();
        let (mut watch, _) = watch(1, &kept);
        let mut world = World::partners();
        world.table = world.table.emptied();
        let mut look = |world: &World, position| watch.look(&world.table, Offset(position), &SystemClock);
        look(&world, 0).unwrap();
        assert!(kept.events.lock().unwrap().is_empty(), "not read to where it ended");
        world.send("sharecast", "control.tick", "{}");
        look(&world, 1).unwrap();
        look(&world, 1).unwrap();
        let events = kept.events.lock().unwrap().clone();
        assert_eq!(events.len(), 1);
        world.send_as("configured-0", "sharecast", "control.configured", OTHER);
        world.fold(&events[0]);
        let why = refused(look(&world, 3));
        assert!(why.contains("the stream details, which the log does not name") && why.contains("sharecast control configure -c"), "{why}");
    }

    #[test]
    fn a_log_that_takes_no_writes_is_asked_again() {
        let kept = Kept { is_closed: true, ..Kept::default() };
        let (mut watch, _) = watch(0, &kept);
        let table = crate::share::table::ShareTable::new(rules());
        watch.look(&table, Offset(0), &SystemClock).unwrap();
        assert!(matches!(watch.phase, Phase::Starting { not_before: Some(_), has_written: false }));
    }

    #[test]
    fn a_log_that_has_events_is_named_nothing() {
        let kept = Kept::default();
        let (mut watch, state) = watch(0, &kept);
        let mut world = World::partners();
        watch.look(&world.table, Offset(3), &SystemClock).unwrap();
        assert!(kept.events.lock().unwrap().is_empty() && state.lock().unwrap().is_none());
        let same = String::from_utf8(rules().configuration().to_data()).unwrap();
        world.ok("operator", "control.configured", &same.replace("required", "open"));
        watch.look(&world.table, Offset(4), &SystemClock).unwrap();
        let differs = state.lock().unwrap().clone().unwrap();
        assert!(differs.contains("`partnerships: required`, where the log has `open`"), "{differs}");
        world.ok("operator", "control.configured", &same);
        watch.look(&world.table, Offset(5), &SystemClock).unwrap();
        assert_eq!(*state.lock().unwrap(), None, "mended");
        world.ok("operator", "control.configured", OTHER);
        assert!(refused(watch.look(&world.table, Offset(6), &SystemClock)).contains("the stream details"));
    }

    #[test]
    fn a_start_beside_another_configuration_is_refused() {
        let mut world = World::partners();
        let same = String::from_utf8(rules().configuration().to_data()).unwrap();
        world.ok("operator", "control.configured", &same);
        world.ok("operator", "control.configured", &same.replace("halt", "skip"));
        let (mut watch, _) = watch(4, &Kept::default());
        let why = refused(watch.look(&world.table, Offset(5), &SystemClock));
        assert!(why.contains("`control.unreadable: halt`, where the log has `skip`"), "{why}");
    }

    #[test]
    fn a_beginning_that_cannot_be_judged_is_refused() {
        let local =
            crate::share::table::FoldRules { partnerships: PartnershipNeed::Required, streams: rules().streams[..1].into(), ..rules() };
        let mut world = World::partners();
        world.table = crate::share::table::ShareTable::new(local.clone());
        world.offer("s1", "");
        let both = r#"{"streams":{"telemetry":"append","details":"upsert"},"partnerships":"required","unreadable":"halt"}"#;
        world.ok("operator", "control.configured", both);
        let mut watch = ConfigurationWatch::new(local.configuration(), Offset(0), Box::new(Kept::default()), Default::default());
        assert!(refused(watch.look(&world.table, Offset(5), &SystemClock)).contains("name the stream details"));
    }
}
