//! A lock that is held and kept alive: what the guards of both modes have in common.

mod requests;
mod transaction;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Result;
use crate::lease::Lease;
use crate::lock::Lock;
use crate::locker::Locker;
use crate::managed::chore::Chore;
use crate::managed::event::EventKind;
use crate::managed::held_lease::HeldLease;
use crate::managed::pool::Pool;

/// A lock that is held, and kept alive in the background until it is released, dropped or lost.
///
/// Dropping it gives the lock back in the background. If that fails, or the process ends before, it is free after its ttl:
/// at the end of `main` release it, or [close](crate::blocking::Locker::close) its `Locker`.
///
/// This is [`blocking::Guard`](crate::blocking::Guard) or [`asynchronous::Guard`](crate::asynchronous::Guard), with the same
/// methods; see there.
#[must_use = "dropping the guard gives the lock back"]
pub struct Guard<P: Pool> {
    locker: Locker<P>,
    number: u64,
    held: Arc<HeldLease>,
    /// Whether nothing is left to give back.
    is_done: bool,
}

/// What it knows without asking the database.
impl<P: Pool> Guard<P> {
    /// The lock that is held.
    #[must_use]
    pub fn lock(&self) -> Lock {
        self.lease().lock().clone()
    }

    /// The number of this acquisition: larger than that of every earlier one of this name. Send it along to whatever
    /// outside the database the work touches, and have that refuse a smaller one than it has seen.
    #[must_use]
    pub fn fence(&self) -> i64 {
        self.lease().fence()
    }

    /// A copy of the lease as it is now: to pin it in a transaction of your own, or for its token. Nobody extends the
    /// copy; the row is extended for both.
    #[must_use]
    pub fn lease(&self) -> Lease {
        self.held.lease()
    }

    /// Whether the lock may still be relied on, by the clock: once it may not, it never may again. It is no proof, because
    /// a process can be paused right after it looked; what must not happen without the lock belongs in a
    /// transaction under it.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.held.goes_on()
    }

    /// How long the lock may be relied on if it is not extended again; zero once it is lost.
    #[must_use]
    pub fn trusted_for(&self) -> Duration {
        self.held.left()
    }

    /// An error once the lock is lost: for loops, with `?`.
    ///
    /// # Errors
    /// [`Error::Lost`](crate::Error::Lost).
    pub fn check(&self) -> Result<()> {
        if self.is_valid() {
            return Ok(());
        }
        Err(self.lease().lost())
    }

    /// Calls back once when the lock is lost, from the background; at once if it is. Let it be quick: set a flag, cancel a
    /// request.
    pub fn on_lost(&self, callback: impl FnOnce() + Send + 'static) {
        self.held.on_lost(Box::new(callback));
    }

    /// The lease, for another process or another `Locker` to [adopt](crate::asynchronous::Locker::adopt). Nobody
    /// extends it from here on.
    #[must_use]
    pub fn into_lease(mut self) -> Lease {
        self.end();
        self.lease()
    }
}

impl<P: Pool> Guard<P> {
    pub(crate) fn new(locker: Locker<P>, number: u64, held: Arc<HeldLease>) -> Self {
        Self {
            locker,
            number,
            held,
            is_done: false,
        }
    }

    pub(crate) fn tell(&self, what: EventKind<'_>) {
        self.held.tell(&self.lease(), what);
    }

    /// Nothing is left to give back.
    fn end(&mut self) {
        self.is_done = true;
        self.leave();
    }

    /// Keeps the lease alive no longer, and calls nothing that happens to it a loss. `false` if it is being given back
    /// already.
    fn leave(&self) -> bool {
        self.locker.keeper.leave(self.number);
        self.held.let_go()
    }
}

impl<P: Pool> Drop for Guard<P> {
    fn drop(&mut self) {
        if self.is_done || !self.leave() {
            return;
        }
        let chore = Chore::Release(self.held.clone(), self.locker.settings.release);
        self.locker.keeper.later(chore);
    }
}

impl<P: Pool> fmt::Debug for Guard<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Guard").field(&self.lease()).finish()
    }
}
