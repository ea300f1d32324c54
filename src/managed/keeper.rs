//! The background. It runs while there is something to do, and ends soon after (I12):
//! - *beats* extend the leases of all guards, many in one statement: see the module `beat`;
//! - the *watch* tells guards when their leases are lost. It never asks the database, so a database that hangs cannot
//!   keep the watch from telling the guards in time (I3);
//! - *chores* give back the leases of dropped guards and of cancelled requests.
//!
//! Each runtime that keeps a lease runs the beats and the watch, for all leases. A program may have several async
//! runtimes, and may stop driving one of them: then the others go on.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::bell::Bell;
use super::chore::Chore;
use super::held_lease::HeldLease;
use super::locked;
use super::pool::Runtime;
use super::queue::Queues;
use super::request::Database;
use super::schedule::Schedule;
use crate::clock::Moment;
use crate::lease::Lease;
use crate::lock::Lock;

/// How often the background looks at the clock. After a pause of the process, guards hear of a loss within this time.
const LOOK: Duration = Duration::from_millis(200);

/// How long the background stays when there is nothing left to do. A loop that acquires and releases does not start it
/// each time.
const STAYS: Duration = Duration::from_millis(200);

pub(crate) struct Keeper<R: Runtime> {
    pub(super) desk: Mutex<Desk<R>>,
    /// Rung when there may be something to do.
    pub(super) bell: Bell,
    /// Rung when work or the request of a beat has ended.
    pub(super) idle: Bell,
    pub(super) database: Arc<dyn Database>,
    queues: Arc<Queues>,
}

pub(super) struct Desk<R: Runtime> {
    pub(super) schedule: Schedule,
    chores: VecDeque<Chore>,
    running: Vec<Run<R::Place>>,
    /// The latest runtime on which work could run.
    latest: Option<R>,
    /// How many batches are under way. Each request has a connection, or waits for one.
    pub(super) asked: usize,
    closed: bool,
}

/// Work that runs, and where.
struct Run<L> {
    work: Work,
    place: L,
    /// When there last was something to do.
    needed: Moment,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    Beats,
    Watch,
    Chores,
}

impl<R: Runtime> Keeper<R> {
    pub(crate) fn new(database: Arc<dyn Database>, queues: Arc<Queues>) -> Self {
        Self {
            desk: Mutex::new(Desk {
                schedule: Schedule::default(),
                chores: VecDeque::new(),
                running: Vec::new(),
                latest: None,
                asked: 0,
                closed: false,
            }),
            bell: Bell::default(),
            idle: Bell::default(),
            database,
            queues,
        }
    }

    /// Keeps a lease alive, and returns its number; `None` once the keeper is closed.
    pub(crate) fn keep(self: &Arc<Self>, held: Arc<HeldLease>, every: Duration) -> Option<u64> {
        let mut desk = locked(&self.desk);
        if desk.closed {
            return None;
        }
        let number = desk.schedule.add(held, every, Moment::now());
        let has_chores = !desk.chores.is_empty();
        drop(desk);
        self.start(&[Work::Beats, Work::Watch]);
        if has_chores {
            self.start(&[Work::Chores]); // left behind by a runtime that is gone
        }
        if every < LOOK {
            self.bell.ring();
        }
        Some(number)
    }

    /// Stops keeping a lease alive.
    pub(crate) fn leave(&self, number: u64) {
        locked(&self.desk).schedule.remove(number);
    }

    pub(crate) fn change(self: &Arc<Self>, number: u64, every: Duration) {
        locked(&self.desk)
            .schedule
            .change(number, every, Moment::now());
        self.go_on();
    }

    /// Extends the leases of this lock at once. A lease that is lost is found then.
    pub(crate) fn ask_about(&self, lock: &Lock) {
        locked(&self.desk).schedule.hurry(lock, Moment::now());
        self.bell.ring();
    }

    /// Notes that a guarded transaction has ended.
    pub(crate) fn unpinned(self: &Arc<Self>, number: u64, held: &HeldLease, lease: &Lease) {
        held.unpinned(lease);
        locked(&self.desk).schedule.unpinned(number, Moment::now());
        self.go_on();
    }

    /// Lets the background look at the schedule. The caller's runtime is alive, so the background runs there, too: the
    /// runtime on which the guard was acquired may be gone.
    fn go_on(self: &Arc<Self>) {
        if !locked(&self.desk).schedule.is_empty() {
            self.start(&[Work::Beats, Work::Watch]);
            self.bell.ring();
        }
    }

    pub(crate) fn later(self: &Arc<Self>, chore: Chore) {
        locked(&self.desk).chores.push_back(chore);
        self.start(&[Work::Chores]);
        self.bell.ring();
    }

    pub(crate) fn is_closed(&self) -> bool {
        locked(&self.desk).closed
    }

    /// Takes all leases out, and accepts no new ones.
    pub(crate) fn close(&self) -> Vec<Arc<HeldLease>> {
        let mut desk = locked(&self.desk);
        desk.closed = true;
        desk.schedule.remove_all()
    }

    /// Waits until nothing runs in the background, but not longer than this time.
    pub(crate) async fn join(&self, at_most: Duration) {
        let began = Moment::now();
        while Moment::now().since(began) < at_most {
            let seen = self.idle.rings();
            if locked(&self.desk).is_idle() {
                return;
            }
            self.bell.ring();
            R::wait(&self.idle, seen, LOOK).await;
        }
    }

    /// Starts each work on the caller's runtime if it does not run there. If it runs there, it stays.
    fn start(self: &Arc<Self>, all: &[Work]) {
        let runtime = locked(&self.desk).runtime();
        if let Some(runtime) = runtime {
            for work in all {
                self.start_on(&runtime, *work);
            }
        }
    }

    fn start_on(self: &Arc<Self>, runtime: &R, work: Work) {
        if !locked(&self.desk).must_start(work, runtime.place()) {
            return;
        }
        let running = Running {
            keeper: self.clone(),
            work,
            place: runtime.place(),
            ended: false,
        };
        runtime.spawn(running.run());
    }

    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let runtime = locked(&self.desk).runtime();
        if let Some(runtime) = runtime {
            runtime.spawn(work);
        }
    }

    /// Tells the guards whose leases are lost. Returns the time until the next deadline, or `None` when there is no
    /// lease left to watch.
    fn watch(&self, place: R::Place) -> Option<Duration> {
        let (ended, rest) = {
            let mut desk = locked(&self.desk);
            let now = Moment::now();
            let ended = desk.schedule.ended(now);
            if ended.is_empty() && desk.ends(Work::Watch, place) {
                return None;
            }
            (ended, desk.schedule.until_end(now))
        };
        for held in ended {
            held.tell_if_over();
        }
        Some(rest)
    }

    async fn do_chore(&self, place: R::Place) -> Option<Duration> {
        let chore = {
            let mut desk = locked(&self.desk);
            if desk.ends(Work::Chores, place) {
                return None;
            }
            desk.chores.pop_front()
        };
        let Some(chore) = chore else {
            return Some(STAYS);
        };
        chore.run::<R>(&*self.database, &self.queues).await;
        Some(Duration::ZERO)
    }
}

impl<R: Runtime> Desk<R> {
    /// The caller's runtime, or the latest runtime that there was. Without a runtime, work is dropped, and its locks are
    /// free after their ttl.
    fn runtime(&mut self) -> Option<R> {
        if let Some(here) = R::here() {
            self.latest = Some(here);
        }
        self.latest.clone()
    }

    /// Notes that there is something to do for this work. Returns whether it must be started here: from then on it
    /// counts as running.
    fn must_start(&mut self, work: Work, place: R::Place) -> bool {
        let needed = Moment::now();
        if let Some(run) = self.run(work, place) {
            run.needed = needed;
            return false;
        }
        self.running.push(Run {
            work,
            place,
            needed,
        });
        true
    }

    /// Whether nothing has been left to do for this work for a while. If so, the work counts as ended.
    pub(super) fn ends(&mut self, work: Work, place: R::Place) -> bool {
        let has_nothing_to_do = match work {
            Work::Beats | Work::Watch => self.schedule.is_empty(),
            Work::Chores => self.chores.is_empty(),
        };
        let (now, closed) = (Moment::now(), self.closed);
        let ends = self.run(work, place).is_none_or(|run| {
            if !has_nothing_to_do {
                run.needed = now;
            }
            has_nothing_to_do && (closed || now.since(run.needed) >= STAYS)
        });
        if ends {
            self.ended(work, place);
        }
        ends
    }

    fn run(&mut self, work: Work, place: R::Place) -> Option<&mut Run<R::Place>> {
        let is_it = |run: &&mut Run<R::Place>| run.work == work && run.place == place;
        self.running.iter_mut().find(is_it)
    }

    fn ended(&mut self, work: Work, place: R::Place) {
        self.running
            .retain(|run| run.work != work || run.place != place);
    }

    /// Another runtime than this one, on which the work may go on.
    fn elsewhere(&self, place: R::Place) -> Option<R> {
        let latest = self.latest.as_ref();
        latest.filter(|runtime| runtime.place() != place).cloned()
    }

    fn is_idle(&self) -> bool {
        self.running.is_empty() && self.asked == 0
    }
}

/// Work that is running. If it is dropped before its end, because its runtime was shut down, it goes on on another
/// runtime.
struct Running<R: Runtime> {
    keeper: Arc<Keeper<R>>,
    work: Work,
    place: R::Place,
    ended: bool,
}

impl<R: Runtime> Running<R> {
    async fn run(mut self) {
        loop {
            let seen = self.keeper.bell.rings();
            let rest = match self.work {
                Work::Beats => self.keeper.beat(self.place),
                Work::Watch => self.keeper.watch(self.place),
                Work::Chores => self.keeper.do_chore(self.place).await,
            };
            let Some(rest) = rest else {
                self.ended = true;
                return;
            };
            if !rest.is_zero() {
                R::wait(&self.keeper.bell, seen, rest.min(LOOK)).await;
            }
        }
    }
}

impl<R: Runtime> Drop for Running<R> {
    fn drop(&mut self) {
        if !self.ended {
            let mut desk = locked(&self.keeper.desk);
            desk.ended(self.work, self.place);
            let elsewhere = desk.elsewhere(self.place);
            drop(desk);
            if let Some(runtime) = elsewhere {
                self.keeper.start_on(&runtime, self.work);
            }
        }
        self.keeper.idle.ring();
    }
}
