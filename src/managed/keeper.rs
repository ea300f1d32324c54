//! What goes on in the background, while there is something to do and not longer (I12):
//! - *beats* extend the leases of all guards, many in one statement;
//! - the *watch* tells guards when their leases are lost. It never asks the database, so a database that hangs
//!   cannot keep it from telling in time (I3);
//! - *chores* give back what guards left behind.
//!
//! An answer that does not come leaves a lease unknown, not lost: it is asked for again while there is time, on another
//! connection, and counts when it comes after all. Nothing waits for an answer but the request itself. A row that
//! is locked in somebody's open transaction is skipped, and tried again without the others.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::asking::KeepAlive;
use super::bell::Bell;
use super::chore::Chore;
use super::event::What;
use super::ground::{Database, Mode};
use super::kept::Kept;
use super::line::Lines;
use super::locked;
use super::roster::{Due, Roster};
use crate::clock::Moment;
use crate::error::{Error, Result};
use crate::lease::Lease;
use crate::protocol;
use crate::wait::jittered;

/// So many leases are extended by one statement.
const BATCH: usize = 1_000;
/// The background looks at the clock so often: a process that was stopped is told this long after waking, and
/// with nothing left to do the background is gone this long after the last lease.
const LOOK: Duration = Duration::from_millis(200);
/// Work that has not looked for so long is on a runtime that nobody drives any more.
const DEAD: Duration = Duration::from_secs(2);

pub(crate) struct Keeper<M> {
    desk: Mutex<Desk>,
    bell: Bell,
    idle: Bell,
    database: Arc<dyn Database>,
    lines: Arc<Lines>,
    /// Where the background was last seen to be able to run.
    mode: Mutex<Option<M>>,
}

#[derive(Default)]
struct Desk {
    roster: Roster,
    chores: VecDeque<Chore>,
    /// When each work was last seen alive, while it runs.
    running: [Option<Moment>; 3],
    /// So many beats are under way: each has a connection, or waits for one.
    asked: usize,
    closed: bool,
}

#[derive(Clone, Copy)]
enum Work {
    Beats,
    Watch,
    Chores,
}

impl<M: Mode> Keeper<M> {
    pub(crate) fn new(database: Arc<dyn Database>, lines: Arc<Lines>) -> Self {
        Self {
            desk: Mutex::default(),
            bell: Bell::default(),
            idle: Bell::default(),
            database,
            lines,
            mode: Mutex::new(None),
        }
    }

    /// Keeps a lease alive; `None` once closed.
    pub(crate) fn keep(self: &Arc<Self>, kept: Arc<Kept>, every: Duration) -> Option<u64> {
        let mut desk = locked(&self.desk);
        if desk.closed {
            return None;
        }
        let number = desk.roster.add(kept, every, Moment::now());
        let has_chores = !desk.chores.is_empty();
        drop(desk);
        self.start(Work::Beats);
        self.start(Work::Watch);
        if has_chores {
            self.start(Work::Chores); // left behind by a runtime that is gone
        }
        if every < LOOK {
            self.bell.ring();
        }
        Some(number)
    }

    /// Keeps it no longer.
    pub(crate) fn leave(&self, number: u64) {
        locked(&self.desk).roster.remove(number);
    }

    pub(crate) fn change(&self, number: u64, every: Duration) {
        let mut desk = locked(&self.desk);
        desk.roster.change(number, every, Moment::now());
        drop(desk);
        self.bell.ring();
    }

    /// A guarded transaction has ended.
    pub(crate) fn unpinned(&self, number: u64, kept: &Kept, lease: &Lease) {
        kept.unpinned(lease);
        locked(&self.desk).roster.unpinned(number, Moment::now());
        self.bell.ring();
    }

    pub(crate) fn later(self: &Arc<Self>, chore: Chore) {
        locked(&self.desk).chores.push_back(chore);
        self.start(Work::Chores);
    }

    pub(crate) fn is_closed(&self) -> bool {
        locked(&self.desk).closed
    }

    /// Takes all leases out, and takes no more.
    pub(crate) fn close(&self) -> Vec<Arc<Kept>> {
        let mut desk = locked(&self.desk);
        desk.closed = true;
        desk.roster.remove_all()
    }

    /// Until nothing goes on in the background, for so long at most.
    pub(crate) async fn join(&self, at_most: Duration) {
        let began = Moment::now();
        while Moment::now().since(began) < at_most {
            let seen = self.idle.rings();
            if locked(&self.desk).is_idle() {
                return;
            }
            self.bell.ring();
            M::wait(&self.idle, seen, LOOK).await;
        }
    }

    /// Starts it if it isn't running.
    fn start(self: &Arc<Self>, work: Work) {
        let now = Moment::now();
        let mut desk = locked(&self.desk);
        if desk.running[work as usize].is_some_and(|seen| now.since(seen) < DEAD) {
            return;
        }
        desk.running[work as usize] = Some(now);
        drop(desk);
        let running = Running {
            keeper: self.clone(),
            work,
            ended: false,
        };
        self.spawn(running.run());
    }

    /// Runs it here, or where something could run before. Where nothing can it is dropped, and what is left of its
    /// leases is free after their ttl.
    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut mode = locked(&self.mode);
        *mode = M::here().or(mode.take());
        if let Some(mode) = &*mode {
            mode.spawn(work);
        }
    }

    /// Tells those whose leases are lost; `None` when there is nothing left to watch.
    fn watch(&self) -> Option<Duration> {
        let (ended, rest) = {
            let mut desk = locked(&self.desk);
            let now = Moment::now();
            let ended = desk.roster.ended(now);
            if ended.is_empty() && desk.ends(Work::Watch) {
                return None;
            }
            (ended, desk.roster.until_end(now))
        };
        for kept in ended {
            kept.tell_if_over();
        }
        Some(rest)
    }

    /// Extends what is due; `None` when there is nothing left to keep.
    fn beat(self: &Arc<Self>) -> Option<Duration> {
        let (beat, rest) = {
            let mut desk = locked(&self.desk);
            if desk.ends(Work::Beats) {
                return None;
            }
            let now = Moment::now();
            (desk.roster.beat(now), desk.roster.until_beat(now))
        };
        if !beat.unanswered.is_empty() {
            let within = beat.patience;
            self.try_again(&beat.unanswered, Some(&Error::NoAnswer { within }));
        }
        for batch in batches(beat.due) {
            self.spawn(Asked::new(self, batch).extend(beat.patience));
        }
        Some(rest)
    }

    async fn do_chore(&self) -> Option<Duration> {
        let chore = {
            let mut desk = locked(&self.desk);
            if desk.ends(Work::Chores) {
                return None;
            }
            desk.chores.pop_front()?
        };
        chore.run::<M>(&*self.database, &self.lines).await;
        Some(Duration::ZERO)
    }

    fn note(&self, due: &Due, sent: Moment, answer: protocol::Kept) {
        match answer {
            protocol::Kept::Until(until) => {
                if due.kept.extended(until) {
                    locked(&self.desk).roster.extended(due.number, sent);
                    let took = Moment::now().since(sent);
                    due.kept.tell(&due.kept.lease(), What::Renewed { took });
                }
            }
            protocol::Kept::Locked(until) => {
                if let Some(until) = until {
                    due.kept.extended(until);
                }
                self.try_again(std::slice::from_ref(due), None);
            }
            protocol::Kept::Lost => {
                self.leave(due.number);
                due.kept.gone();
            }
        }
    }

    fn try_again(&self, batch: &[Due], error: Option<&Error>) {
        for due in batch {
            let trusted_for = due.kept.left();
            let is_kept = {
                let mut desk = locked(&self.desk);
                // Nothing ends what is pinned, so there is no hurry.
                let pause = if due.kept.is_pinned() {
                    desk.roster.every(due.number)
                } else {
                    pause(trusted_for)
                };
                desk.roster.again(due.number, Moment::now().after(pause))
            };
            if is_kept {
                let late = What::Late { trusted_for, error };
                due.kept.tell(&due.kept.lease(), late);
            }
        }
    }
}

impl Desk {
    /// Whether there is nothing to do any more; then it has ended.
    fn ends(&mut self, work: Work) -> bool {
        let ends = match work {
            Work::Beats | Work::Watch => self.roster.is_empty(),
            Work::Chores => self.chores.is_empty(),
        };
        self.running[work as usize] = (!ends).then(Moment::now);
        ends
    }

    fn is_idle(&self) -> bool {
        self.running == [None; 3] && self.asked == 0
    }
}

/// Work that is going on. Dropped before its end, because the runtime was shut down, it can be started again elsewhere.
struct Running<M: Mode> {
    keeper: Arc<Keeper<M>>,
    work: Work,
    ended: bool,
}

impl<M: Mode> Running<M> {
    async fn run(mut self) {
        loop {
            let seen = self.keeper.bell.rings();
            let rest = match self.work {
                Work::Beats => self.keeper.beat(),
                Work::Watch => self.keeper.watch(),
                Work::Chores => self.keeper.do_chore().await,
            };
            let Some(rest) = rest else {
                self.ended = true;
                return;
            };
            if !rest.is_zero() {
                M::wait(&self.keeper.bell, seen, rest.min(LOOK)).await;
            }
        }
    }
}

impl<M: Mode> Drop for Running<M> {
    fn drop(&mut self) {
        if !self.ended {
            locked(&self.keeper.desk).running[self.work as usize] = None;
        }
        self.keeper.idle.ring();
    }
}

/// A batch whose answer is under way. Dropped before it came, it counts as not answered.
struct Asked<M: Mode> {
    keeper: Arc<Keeper<M>>,
    batch: Vec<Due>,
    sent: Moment,
}

impl<M: Mode> Asked<M> {
    fn new(keeper: &Arc<Keeper<M>>, batch: Vec<Due>) -> Self {
        locked(&keeper.desk).asked += 1;
        Self {
            keeper: keeper.clone(),
            batch,
            sent: Moment::now(),
        }
    }

    async fn extend(mut self, patience: Duration) {
        let asked = self.batch.iter();
        let asked = asked.map(|due| (due.kept.lease(), due.kept.is_pinned()));
        let request = KeepAlive(asked.collect());
        let answer = self.keeper.database.keep_alive(request, patience).await;
        self.settle(answer);
    }

    fn settle(&mut self, answer: Result<Vec<protocol::Kept>>) {
        let batch = std::mem::take(&mut self.batch);
        match answer {
            Ok(answers) => {
                for (due, answer) in batch.iter().zip(answers) {
                    self.keeper.note(due, self.sent, answer);
                }
            }
            Err(error) => self.keeper.try_again(&batch, Some(&error)),
        }
        self.keeper.bell.ring();
    }
}

impl<M: Mode> Drop for Asked<M> {
    fn drop(&mut self) {
        if !self.batch.is_empty() {
            let within = Moment::now().since(self.sent);
            self.settle(Err(Error::NoAnswer { within }));
        }
        locked(&self.keeper.desk).asked -= 1;
        self.keeper.idle.ring();
    }
}

/// Of one table each, and not too large.
fn batches(mut due: Vec<Due>) -> Vec<Vec<Due>> {
    due.sort_by(|one, other| one.kept.table.cmp(&other.kept.table));
    let mut batches: Vec<Vec<Due>> = Vec::new();
    for due in due {
        match batches.last_mut() {
            Some(batch) if batch.len() < BATCH && batch[0].kept.table == due.kept.table => {
                batch.push(due);
            }
            _ => batches.push(vec![due]),
        }
    }
    batches
}

/// How long to wait before asking again: more often the less time is left.
fn pause(left: Duration) -> Duration {
    const SHORTEST: Duration = Duration::from_millis(10);
    const LONGEST: Duration = Duration::from_secs(5);
    jittered((left / 4).clamp(SHORTEST, LONGEST))
}
