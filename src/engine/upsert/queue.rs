//! Shares to be looked at, in the order of their causes: what the fold told, and profiles that changed, slice by slice.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, sync_channel};

use crate::engine::feed::{ChangeReceiver, ControlCommand, ProfileChange, Work};
use crate::id::{Epoch, ShareId, StreamIndex, StreamSet};
use crate::share::graph::ProfileSlot;
use crate::share::table::Touched;
use crate::sink_state::cause::Gone;
use crate::time::TimestampMs;

/// Shares of a profile that are asked for at a time.
const SLICE: usize = 1_000;
/// No further slice is asked for while more than this waits.
const MUCH_TO_DO: usize = 2_000;
/// Shares looked at in one transaction.
const MOST_AT_ONCE: usize = 2_000;

/// A profile that changed: its shares are worked off in slices.
#[derive(Debug)]
struct Sweep {
    change: ProfileChange,
    after: Option<ShareId>,
    answer: Option<Receiver<Vec<Touched>>>,
}

/// What is to be done for shares, and how much of it the transaction under way does.
pub(super) struct WorkQueue {
    hearing: ChangeReceiver,
    commands: Sender<ControlCommand>,
    todo: VecDeque<Work>,
    sweeps: VecDeque<Sweep>,
    /// Shares that were over when a partition was read and whose documents were found: the fold knows when each ended.
    undated: VecDeque<Work>,
    /// How many of the first of them it was asked for.
    dates: Option<(usize, Receiver<Vec<Option<TimestampMs>>>)>,
    /// Moments up to here were announced.
    announced: TimestampMs,
    /// All changes up to this epoch have been heard. The view may be ahead of it: it is published before anybody is told.
    through: Epoch,
    /// How many of the first of `todo` the transaction under way takes.
    taken: usize,
}

impl WorkQueue {
    /// Nothing is to be done.
    pub(super) fn new(hearing: ChangeReceiver, commands: Sender<ControlCommand>) -> Self {
        Self {
            hearing,
            commands,
            todo: VecDeque::new(),
            sweeps: VecDeque::new(),
            undated: VecDeque::new(),
            dates: None,
            announced: TimestampMs(i64::MIN),
            through: Epoch::NONE,
            taken: 0,
        }
    }

    /// Takes in what the fold has told. Returns whether something was missed.
    pub(super) fn hear(&mut self) -> bool {
        while let Some(changes) = self.hearing.next() {
            self.todo.extend(changes.touched.iter().cloned());
            self.sweeps.extend(changes.profiles.iter().map(|&change| Sweep { change, after: None, answer: None }));
            self.announced = self.announced.max(changes.now.unwrap_or(self.announced));
            self.through = self.through.max(changes.through);
        }
        // After the last that was heard: what was told after something missed must not pass for all there was.
        self.hearing.overflowed()
    }

    /// Asks for the next slice of a changed profile's shares.
    pub(super) fn sweep(&mut self) {
        while self.todo.len() < MUCH_TO_DO {
            let Some(sweep) = self.sweeps.front_mut() else { return };
            let Some(answer) = &sweep.answer else {
                let (reply, answer) = sync_channel(1);
                let command =
                    ControlCommand::SharesOfProfile { profile: sweep.change.profile, after: sweep.after.clone(), limit: SLICE, reply };
                // The fold's thread ends before a worker only with the process.
                if self.commands.send(command).is_err() {
                    return;
                }
                sweep.answer = Some(answer);
                return;
            };
            let Ok(slice) = answer.try_recv() else { return };
            sweep.answer = None;
            sweep.after = slice.last().map(|touched| touched.share.clone());
            let is_over = slice.len() < SLICE;
            let ProfileChange { cause, shown, .. } = sweep.change;
            self.todo.extend(slice.into_iter().map(|touched| Work::of(touched, cause, shown)));
            if is_over {
                self.sweeps.pop_front();
            }
        }
    }

    /// Asks the fold when the next of the shares ended that were over before their documents were found.
    pub(super) fn date(&mut self) {
        if let Some((count, answer)) = &self.dates {
            let Ok(ends) = answer.try_recv() else { return };
            let dated = self.undated.drain(..*count).zip(ends);
            self.todo.extend(dated.map(|(work, end)| Work { cause: end.map_or(work.cause, |end| end.min(work.cause)), ..work }));
            self.dates = None;
        }
        let shares: Vec<ShareId> = self.undated.iter().take(SLICE).map(|work| work.share.clone()).collect();
        if shares.is_empty() {
            return;
        }
        let (count, (reply, answer)) = (shares.len(), sync_channel(1));
        // The fold's thread ends before a worker only with the process.
        if self.commands.send(ControlCommand::Ends { shares, reply }).is_ok() {
            self.dates = Some((count, answer));
        }
    }

    /// Adds to what is to be done, once it is known when its share ended.
    pub(super) fn push_undated(&mut self, work: Work) {
        self.undated.push_back(work);
    }

    /// Whether something that is over is not worked off because nobody has said when it ended.
    pub(super) fn awaits_dates(&self) -> bool {
        !self.undated.is_empty()
    }

    /// Adds before everything else: its cause came before what is told now.
    pub(super) fn extend_front(&mut self, works: impl IntoIterator<Item = Work>) {
        works.into_iter().for_each(|work| self.todo.push_front(work));
    }

    /// Adds to what is to be done.
    pub(super) fn extend(&mut self, works: impl IntoIterator<Item = Work>) {
        self.todo.extend(works);
    }

    /// Nothing that was told is of use any more.
    pub(super) fn clear(&mut self) {
        self.todo.clear();
        self.sweeps.clear();
        self.undated.clear();
        self.dates = None;
    }

    /// Whether nothing is to be done at the moment.
    pub(super) fn is_empty(&self) -> bool {
        self.todo.is_empty()
    }

    /// Nothing is decided at an earlier time.
    pub(super) fn announced(&self) -> TimestampMs {
        self.announced
    }

    /// All changes up to this epoch have been heard.
    pub(super) fn through(&self) -> Epoch {
        self.through
    }

    /// A transaction begins.
    pub(super) fn begin(&mut self) {
        self.taken = 0;
    }

    /// The next that the transaction may take.
    pub(super) fn next(&self) -> Option<&Work> {
        self.todo.get(self.taken).filter(|_| self.taken < MOST_AT_ONCE)
    }

    /// The next was taken.
    pub(super) fn took(&mut self) {
        self.taken += 1;
    }

    /// The time of the first change, told and not carried out, that may have taken away a document of this share: what comes after
    /// may find its effects in the view.
    pub(super) fn first_cause(
        &self,
        gone: Gone,
        share: &ShareId,
        profile: Option<ProfileSlot>,
        stream: StreamIndex,
    ) -> Option<TimestampMs> {
        let withholds = |shown: StreamSet| gone == Gone::Place || !shown.contains(stream);
        let mut of_share = self.todo.iter().skip(self.taken).filter(|work| work.share == *share);
        let of_profile = self.sweeps.iter().map(|sweep| &sweep.change).filter(|change| Some(change.profile) == profile);
        let swept = of_profile.filter(|change| gone == Gone::Share && withholds(change.shown)).map(|change| change.cause).next();
        of_share.find(|work| withholds(work.shown)).map(|work| work.cause).into_iter().chain(swept).min()
    }

    /// Whether the transaction does all there is to do.
    pub(super) fn is_taken(&self) -> bool {
        self.taken == self.todo.len() && self.undated.is_empty()
    }

    /// The transaction was committed.
    pub(super) fn commit(&mut self) {
        self.todo.drain(..self.taken);
        self.taken = 0;
    }
}
