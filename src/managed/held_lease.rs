//! A lease that is kept alive: what a guard and the keeper share.
//!
//! No callback and no observer runs while the state is locked, because a callback may ask about the lease.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::Duration;

use super::bell::Bell;
use super::event::{EventKind, Observer};
use super::locked;
use super::trust::Trust;
use super::turn::Turn;
use crate::clock::Moment;
use crate::dialect::Sql;
use crate::lease::Lease;
use crate::lock::{Lock, micros};
use crate::token::Token;

pub(crate) struct HeldLease {
    /// The lock as it was acquired. Its ttl may have changed since.
    lock: Lock,
    token: Token,
    fence: i64,
    state: Mutex<State>,
    /// Rung when the lease is over.
    pub(crate) bell: Bell,
    observer: Observer,
    acquired: Moment,
    /// How long the lock is held at least.
    at_least: Duration,
    /// Whether its pins are writes.
    pins_write: bool,
    /// The turn of this process, if the lock was waited for in a queue.
    pub(crate) turn: Option<Turn>,
}

/// What the pins of a lease are like on its database.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pinning {
    /// Whether a pin is trusted as long as it lasts.
    pub(crate) are_trusted: bool,
    pub(crate) are_writes: bool,
}

impl Pinning {
    pub(crate) fn of<DB: Sql>(lock: &Lock) -> Self {
        Self {
            are_trusted: !DB::PIN_ENDS_UNSEEN,
            are_writes: DB::PINS_BY_WRITING && lock.pins_by_writing,
        }
    }
}

struct State {
    /// In microseconds, which takes half the memory.
    ttl: i64,
    trust: Trust,
    /// Whether the guard was told that the lease is over, or need not be told.
    told: bool,
    /// Whether the observer was told that the lease is lost, or need not be told.
    lost_told: bool,
    /// Whether the lease was given back or handed over, or is about to be.
    let_go: bool,
    on_lost: Vec<Box<dyn FnOnce() + Send>>,
}

impl State {
    fn ttl(&self) -> Duration {
        Duration::from_micros(self.ttl.unsigned_abs())
    }
}

impl HeldLease {
    /// A lease that is kept alive until `ends` at the latest.
    pub(crate) fn new(
        lease: Lease,
        at_least: Duration,
        ends: Option<Moment>,
        pins: Pinning,
        observer: Observer,
    ) -> Self {
        Self {
            state: Mutex::new(State {
                ttl: micros(lease.lock.ttl),
                trust: Trust::new(lease.trusted_until(), ends, pins.are_trusted),
                told: false,
                lost_told: false,
                let_go: false,
                on_lost: Vec::new(),
            }),
            bell: Bell::default(),
            observer,
            acquired: Moment::now(),
            lock: lease.lock,
            token: lease.token,
            fence: lease.fence,
            at_least,
            pins_write: pins.are_writes,
            turn: None,
        }
    }

    pub(crate) fn in_turn(self, turn: Option<Turn>) -> Self {
        Self { turn, ..self }
    }

    pub(crate) fn lock(&self) -> &Lock {
        &self.lock
    }

    pub(crate) fn fence(&self) -> i64 {
        self.fence
    }

    /// A copy of the lease as it is now. A copy of a lost lease is not trusted.
    pub(crate) fn lease(&self) -> Lease {
        let mut state = locked(&self.state);
        let lock = Lock {
            ttl: state.ttl(),
            ..self.lock.clone()
        };
        let until = if state.trust.goes_on(Moment::now()) {
            state.trust.until()
        } else {
            Moment::default()
        };
        let mut lease = Lease::trusted_until_then(lock, self.token.clone(), self.fence, until);
        // A lock that is held for a least time may be given back with an earlier end.
        let first_end = self.acquired.after(self.lock.ttl);
        lease.first_end = self.at_least.is_zero().then_some(first_end);
        lease.was_pinned = state.trust.was_pinned();
        lease
    }

    pub(crate) fn goes_on(&self) -> bool {
        locked(&self.state).trust.goes_on(Moment::now())
    }

    pub(crate) fn left(&self) -> Duration {
        locked(&self.state).trust.left(Moment::now())
    }

    pub(crate) fn held_for(&self) -> Duration {
        Moment::now().since(self.acquired)
    }

    /// Until when the lock stays held if it is given back sooner. A moment in the past if the lease is lost.
    pub(crate) fn stays_until(&self) -> Moment {
        if self.goes_on() {
            self.at_least_until()
        } else {
            Moment::default()
        }
    }

    /// Until when the lock is to be held, if it is held.
    pub(crate) fn at_least_until(&self) -> Moment {
        self.acquired.after(self.at_least)
    }

    /// Whether the lease was given back or handed over, or is about to be.
    pub(crate) fn is_let_go(&self) -> bool {
        locked(&self.state).let_go
    }

    /// Whether the lease has certainly expired in the database.
    pub(crate) fn has_expired(&self) -> bool {
        let state = locked(&self.state);
        Moment::now().since(state.trust.until()) > state.ttl()
    }

    pub(crate) fn deadline(&self) -> Option<Moment> {
        locked(&self.state).trust.deadline()
    }

    /// Notes that the database has extended the lease; `false` if the answer came too late.
    pub(crate) fn extended(&self, until: Moment) -> bool {
        locked(&self.state).trust.extended(Moment::now(), until)
    }

    /// From now on the lease is extended to this ttl.
    pub(crate) fn change_ttl(&self, ttl: Duration) {
        locked(&self.state).ttl = micros(ttl);
    }

    pub(crate) fn pinned(&self) -> bool {
        locked(&self.state).trust.pinned(Moment::now())
    }

    pub(crate) fn unpinned(&self, lease: &Lease) {
        locked(&self.state)
            .trust
            .unpinned(Moment::now(), lease.trusted_until());
    }

    pub(crate) fn is_pinned(&self) -> bool {
        locked(&self.state).trust.is_pinned()
    }

    /// Whether an open transaction has written the row of the lease. An extension could not write the row before that
    /// transaction ends; on a cluster with several primaries it could, and would make that transaction fail.
    pub(crate) fn is_pinned_by_writing(&self) -> bool {
        self.pins_write && self.is_pinned()
    }

    /// Whether the lease is left out of the beats while it is pinned.
    pub(crate) fn pins_by_writing(&self) -> bool {
        self.pins_write
    }

    /// Ends the trust, because the row names another holder, or none.
    pub(crate) fn gone(&self) {
        locked(&self.state).trust.end();
        self.tell_if_over();
    }

    /// If the lease is over, tells the guard, its callbacks and the observer once.
    pub(crate) fn tell_if_over(&self) {
        if self.call_back_if_over() {
            self.tell_lost();
        }
    }

    /// Tells the observer once that the lease was lost. Tells nothing after `close`, which is no loss.
    pub(crate) fn tell_lost(&self) {
        let mut state = locked(&self.state);
        if !std::mem::replace(&mut state.lost_told, true) {
            drop(state);
            self.tell(EventKind::Lost {
                held: self.held_for(),
            });
        }
    }

    /// Tells the work to stop, because the `Locker` is closed; `false` if the lease is given back already.
    pub(crate) fn close(&self) -> bool {
        let was_let_go = {
            let mut state = locked(&self.state);
            state.trust.end();
            state.lost_told = true;
            std::mem::replace(&mut state.let_go, true)
        };
        self.call_back_if_over();
        !was_let_go
    }

    fn call_back_if_over(&self) -> bool {
        let mut state = locked(&self.state);
        if state.told || state.trust.goes_on(Moment::now()) {
            return false;
        }
        state.told = true;
        let on_lost = std::mem::take(&mut state.on_lost);
        drop(state);
        self.bell.ring();
        for callback in on_lost {
            let _ = catch_unwind(AssertUnwindSafe(callback));
        }
        true
    }

    /// Calls back when the lease is lost; at once if it is lost already.
    pub(crate) fn on_lost(&self, callback: Box<dyn FnOnce() + Send>) {
        let mut state = locked(&self.state);
        if state.told || !state.trust.goes_on(Moment::now()) {
            drop(state);
            callback();
        } else {
            state.on_lost.push(callback);
        }
    }

    /// Notes that the lease is about to be given back or handed over: from here on its end is no loss. `false` if this
    /// was noted before.
    pub(crate) fn let_go(&self) -> bool {
        let mut state = locked(&self.state);
        state.trust.end();
        state.told = true;
        state.on_lost.clear();
        !std::mem::replace(&mut state.let_go, true)
    }

    pub(crate) fn tell(&self, what: EventKind<'_>) {
        self.observer.tell(self.lock(), Some(self.fence()), what);
    }
}

impl fmt::Debug for HeldLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lease().fmt(f)
    }
}
