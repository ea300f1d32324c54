//! A lock that is held and kept alive: what the guards of both modes have in common.

use std::fmt;
use std::time::Duration;

use crate::error::Result;
use crate::lease::Lease;
use crate::lock::Lock;
use crate::managed::ground::Ground;
use crate::managed::hold::Hold;

/// A lock that is held, and kept alive in the background until it is released, dropped or lost.
///
/// Dropping it gives the lock back in the background. If that fails, or the process ends before, it is free after its ttl:
/// at the end of `main` release it, or [close](crate::blocking::Locks::close) its `Locks`.
///
/// This is [`blocking::Guard`](crate::blocking::Guard) or [`asynchronous::Guard`](crate::asynchronous::Guard), with the same
/// methods; see there.
#[must_use = "dropping the guard gives the lock back"]
pub struct Guard<G: Ground> {
    pub(crate) hold: Hold<G>,
}

/// What it knows without asking the database.
impl<G: Ground> Guard<G> {
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
        self.hold.lease()
    }

    /// Whether the lock may still be relied on, by the clock: once it may not, it never may again. It is no proof, because
    /// a process can be paused right after it looked; what must not happen without the lock belongs in a
    /// transaction under it.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.hold.kept().goes_on()
    }

    /// How long the lock may be relied on if it is not extended again; zero once it is lost.
    #[must_use]
    pub fn trusted_for(&self) -> Duration {
        self.hold.kept().left()
    }

    /// An error once the lock is lost: for loops, with `?`.
    ///
    /// # Errors
    /// [`Error::Lost`](crate::Error::Lost).
    pub fn check(&self) -> Result<()> {
        self.hold.check()
    }

    /// Calls back once when the lock is lost, from the background; at once if it is. Let it be quick: set a flag, cancel a
    /// request.
    pub fn on_lost(&self, callback: impl FnOnce() + Send + 'static) {
        self.hold.kept().on_lost(Box::new(callback));
    }

    /// The lease, for another process or another `Locks` to [adopt](crate::asynchronous::Locks::adopt). Nobody
    /// extends it from here on.
    #[must_use]
    pub fn into_lease(self) -> Lease {
        self.hold.into_lease()
    }
}

impl<G: Ground> fmt::Debug for Guard<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Guard").field(&self.lease()).finish()
    }
}
