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
use crate::managed::event::EventKind;
use crate::managed::held_lease::HeldLease;
use crate::managed::pool::Pool;

/// A lock that is held, and kept alive in the background until it is released, dropped or lost.
///
/// Dropping the guard gives the lock back in the background. If that fails, or the process ends before, the lock is
/// free after its ttl. So at the end of `main` release the guard, or [close](crate::blocking::Locker::close) its
/// `Locker`.
///
/// This is [`blocking::Guard`](crate::blocking::Guard) or [`asynchronous::Guard`](crate::asynchronous::Guard). Both
/// have the same methods, except how they wait for a loss: see their pages.
///
/// ```
/// # use diesel::{Connection, SqliteConnection};
/// # let file = std::env::temp_dir().join(format!("diesel-locks-doc-shared-guard-{}", std::process::id()));
/// # let url = file.display().to_string();
/// # diesel_locks::blocking::migrate(&mut SqliteConnection::establish(&url).unwrap()).unwrap();
/// # let locker = diesel_locks::blocking::Locker::new(move || SqliteConnection::establish(&url));
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicBool, Ordering};
/// use diesel_locks::Wait;
///
/// let guard = locker.acquire("import", Wait::forever())?;
///
/// let stop = Arc::new(AtomicBool::new(false));
/// let flag = stop.clone();
/// guard.on_lost(move || flag.store(true, Ordering::Relaxed));    // called from the background
///
/// for page in 0..3 {
///     if stop.load(Ordering::Relaxed) {                          // or `guard.check()?`, or `guard.is_valid()`
///         break;
///     }
///     println!("page {page} under fence {}", guard.fence());
/// }
/// guard.release()?;
/// # let _ = std::fs::remove_file(file);
/// # Ok::<(), diesel_locks::Error>(())
/// ```
#[must_use = "dropping the guard gives the lock back"]
pub struct Guard<P: Pool> {
    pub(crate) locker: Locker<P>,
    number: u64,
    held: Arc<HeldLease>,
}

/// The questions that the guard answers without asking the database.
impl<P: Pool> Guard<P> {
    /// The lock that is held.
    #[must_use]
    pub fn lock(&self) -> &Lock {
        self.held.lock()
    }

    /// The number of this acquisition. It is larger than the number of every earlier acquisition of this name. If the
    /// work changes something outside the database, send the number along, and let the receiver refuse a number that is
    /// smaller than one it has seen.
    #[must_use]
    pub fn fence(&self) -> i64 {
        self.held.fence()
    }

    /// A copy of the lease as it is now: to pin it in a transaction of your own, or for its token. The row is extended
    /// for both, but nobody updates the copy.
    #[must_use]
    pub fn lease(&self) -> Lease {
        self.held.lease()
    }

    /// Whether the lock may still be relied on, by the clock. Once the answer is `false`, it stays `false`. The answer
    /// `true` is no proof, because a process can be paused right after it asked. Work that must not happen without the
    /// lock belongs in a transaction under the guard.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.held.goes_on()
    }

    /// How long the lock may be relied on if it is not extended again; zero once it is lost.
    #[must_use]
    pub fn trusted_for(&self) -> Duration {
        self.held.left()
    }

    /// Returns an error once the lock is lost: for loops, with `?`.
    ///
    /// # Errors
    /// [`Error::Lost`](crate::Error::Lost).
    pub fn check(&self) -> Result<()> {
        if self.is_valid() {
            return Ok(());
        }
        Err(self.lease().lost())
    }

    /// Calls the callback once, from the background, when the lock is lost. If the lock is lost already, calls it at
    /// once. The callback must be quick: it may set a flag, or cancel a request.
    pub fn on_lost(&self, callback: impl FnOnce() + Send + 'static) {
        self.held.on_lost(Box::new(callback));
    }

    /// Turns the guard into its lease, for another process or another `Locker` to
    /// [adopt](crate::asynchronous::Locker::adopt). From here on nobody extends the lease until it is adopted.
    #[must_use]
    pub fn into_lease(self) -> Lease {
        let lease = self.lease();
        self.leave();
        lease
    }
}

impl<P: Pool> Guard<P> {
    pub(crate) fn new(locker: Locker<P>, number: u64, held: Arc<HeldLease>) -> Self {
        Self {
            locker,
            number,
            held,
        }
    }

    pub(crate) fn tell(&self, what: EventKind<'_>) {
        self.held.tell(what);
    }

    /// Stops keeping the lease alive. Whatever happens to the lease from here on is no loss, and the drop of the guard does
    /// nothing. `false` if the lease was left already: it is given back, or is being given back.
    fn leave(&self) -> bool {
        self.locker.keeper.leave(self.number);
        self.held.let_go()
    }
}

impl<P: Pool> Drop for Guard<P> {
    fn drop(&mut self) {
        let until = self.held.stays_until();
        if self.leave() {
            self.locker.give_back_later(self.held.clone(), until);
        }
    }
}

impl<P: Pool> fmt::Debug for Guard<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Guard").field(&self.lease()).finish()
    }
}
