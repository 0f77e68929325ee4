//! Who writes which events where appends fail, wait, or are acknowledged late.

use std::sync::mpsc::{Sender, channel};

use crate::clock::BootTime;
use crate::engine::control::timers::*;
use crate::engine::fence::FenceLimits;
use crate::id::ShareId;
use crate::share::state::ExpiryCause;
use crate::share::table::query::Due;
use crate::time::TimestampMs;
use crate::transport::ProduceError;

/// Stands still unless somebody moves it.
#[derive(Default)]
struct Hand(Mutex<Duration>);

impl Hand {
    fn forward(&self, by: Duration) {
        *self.0.lock().unwrap() += by;
    }
}

impl Clock for Hand {
    fn wall(&self) -> TimestampMs {
        TimestampMs(self.0.lock().unwrap().as_millis() as i64)
    }

    fn boot(&self) -> BootTime {
        BootTime(*self.0.lock().unwrap())
    }

    fn sleep(&self, by: Duration) {
        self.forward(by);
    }
}

/// A log that takes writes, or takes them and never says so.
#[derive(Default)]
struct Log {
    /// Ids, in order.
    events: Mutex<Vec<String>>,
    is_silent: AtomicBool,
}

struct Appender(Arc<Log>, Arc<Hand>);

impl ControlWriter for Appender {
    fn append(&mut self, event: &[u8]) -> Result<Offset, ProduceError> {
        let text = std::str::from_utf8(event).unwrap();
        let id = text.split(r#""id":""#).nth(1).unwrap().split('"').next().unwrap().to_owned();
        let mut events = self.0.events.lock().unwrap();
        events.push(id);
        if self.0.is_silent.load(Ordering::Relaxed) {
            self.1.forward(Duration::from_secs(10));
            return Err(ProduceError::Abort("timed out".into()));
        }
        Ok(Offset(events.len() as i64 - 1))
    }
}

struct Bench {
    timers: Timers<Appender>,
    course: Course,
    log: Arc<Log>,
    hand: Arc<Hand>,
    _news: Sender<DueShares>,
}

impl Bench {
    fn new() -> Self {
        let (log, hand) = (Arc::<Log>::default(), Arc::<Hand>::default());
        let limits = FenceLimits {
            is_enabled: true,
            max_view_age: Duration::from_secs(1),
            max_tick_age: Duration::from_secs(60),
            max_clock_skew: Duration::from_secs(1),
        };
        let (news, heard) = channel();
        let timers = Timers {
            writer: Appender(Arc::clone(&log), Arc::clone(&hand)),
            is_elected: Arc::new(AtomicBool::new(true)),
            news: heard,
            fence: Arc::new(Mutex::new(Fence::new(limits, BootTime::default()))),
            clock: Arc::clone(&hand) as Arc<dyn Clock>,
            instance: "a".into(),
            stop: Arc::default(),
        };
        let pace = TickPace::new(limits.max_tick_age, "a", BootTime::default());
        let course = Course { pace, book: ExpiryBook::default(), term: None };
        Self { timers, course, log, hand, _news: news }
    }

    /// One look with this list.
    fn look(&mut self, due: &[Due], position: i64) {
        self.timers.look_at_election(&mut self.course);
        self.timers.tick(&mut self.course);
        let shares = DueShares { due: due.to_vec(), is_whole: true, position: Offset(position) };
        self.timers.expire(&shares, &mut self.course);
    }

    fn expired(&self) -> Vec<String> {
        self.log.events.lock().unwrap().iter().filter(|id| id.starts_with("exp-")).cloned().collect()
    }
}

fn due(share: &str, revision: u32) -> Due {
    Due { share: ShareId::parse(share).unwrap(), cause: ExpiryCause::Access, revision }
}

#[test]
fn nothing_is_written_by_a_list_from_before_the_term() {
    let mut bench = Bench::new();
    bench.look(&[due("s", 2)], 0);
    assert!(bench.expired().is_empty(), "what the writer before this one has written may not be folded yet");
    bench.look(&[due("s", 2)], 1);
    assert_eq!(bench.expired().len(), 1, "its own first tick is");
}

#[test]
fn an_append_that_times_out_is_never_followed_by_another_id() {
    let mut bench = Bench::new();
    bench.look(&[], 0);
    bench.log.is_silent.store(true, Ordering::Relaxed);
    // Paused and suspended while the brokers are away: the revision rises.
    for revision in 2..6 {
        bench.look(&[due("s", revision), due("t", 1)], 1);
        bench.hand.forward(Duration::from_secs(6));
    }
    bench.log.is_silent.store(false, Ordering::Relaxed);
    // Another term of the same process, whose first tick is folded.
    bench.timers.is_elected.store(false, Ordering::Relaxed);
    bench.timers.look_at_election(&mut bench.course);
    bench.timers.is_elected.store(true, Ordering::Relaxed);
    bench.look(&[due("s", 6), due("t", 1)], 1);
    bench.look(&[due("s", 6), due("t", 1)], 1_000);
    let expired = bench.expired();
    let of_s = expired.iter().filter(|id| **id == expired[0]).count();
    assert!(of_s >= 3, "{expired:?}");
    let mut ids = expired.clone();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 2, "one id for each share: {expired:?}");
}

#[test]
fn a_log_that_takes_no_writes_is_tried_once_a_round_and_no_tick_is_forgotten() {
    let mut bench = Bench::new();
    bench.look(&[], 0);
    bench.log.is_silent.store(true, Ordering::Relaxed);
    let many: Vec<Due> = (0..100).map(|n| due(&format!("s{n}"), 1)).collect();
    bench.look(&many, 1);
    assert_eq!(bench.expired().len(), 1);
    bench.log.is_silent.store(false, Ordering::Relaxed);
    bench.hand.forward(Duration::from_secs(6));
    bench.look(&many, 1);
    assert_eq!(bench.expired().len(), 101);
    let ticks = bench.log.events.lock().unwrap().iter().filter(|id| id.starts_with("tick-")).count();
    assert!(ticks >= 2, "ticks go on between them");
}

#[test]
fn who_is_not_elected_ticks_when_nobody_else_does() {
    let mut bench = Bench::new();
    bench.timers.is_elected.store(false, Ordering::Relaxed);
    let ticks = |bench: &Bench| bench.log.events.lock().unwrap().len();
    for seconds in 0..=26 {
        bench.look(&[due("s", 1)], 1);
        assert_eq!(ticks(&bench), if seconds < 20 { 1 } else { ticks(&bench) }, "after {seconds} s");
        bench.hand.forward(Duration::from_secs(1));
    }
    assert_eq!(ticks(&bench), 2);
    assert!(bench.expired().is_empty(), "ends are the status writer's to write");
}
