//! Locks on a pool of blocking connections.

use std::sync::Arc;
use std::time::Duration;

use super::connection::ready;
use super::connections::Connections;
use super::guard::Guard;
use super::pool::BlockingPool;
use crate::answer::{Attempt, Forced, Record, Run};
use crate::error::Result;
use crate::lease::Lease;
use crate::list::List;
use crate::locker::{self, IntoLock};
use crate::managed::acquiring::one;
use crate::managed::purging::Purging;
use crate::managed::span;
use crate::protocol::{self, sets::Choice};
use crate::set::LockSet;
use crate::wait::Wait;

/// Locks on the application's pool that wait, keep alive, tell the work, and let go.
///
/// Make one when the application starts, and clone it to wherever locks are needed: a clone is cheap, and all of them
/// share the threads that extend leases, which live only while there are some. What can be set on it is at
/// [`locker::Locker`](crate::locker::Locker).
///
/// Use the traits of this module instead for locks on a connection or in a transaction of your own; nobody keeps
/// those alive.
///
/// ```
/// # use diesel::{Connection, SqliteConnection};
/// # let file = std::env::temp_dir().join(format!("diesel-locks-doc-{}", std::process::id()));
/// # let url = file.display().to_string();
/// # let mut conn = SqliteConnection::establish(&url).unwrap();
/// # diesel_locks::blocking::migrate(&mut conn).unwrap();
/// # let pool = move || SqliteConnection::establish(&url);
/// use std::time::Duration;
/// use diesel_locks::blocking::Locker;
/// use diesel_locks::{Error, Wait};
///
/// let locker = Locker::new(pool).with_ttl(Duration::from_secs(30))?;
/// let guard = locker.acquire("nightly-report", Wait::up_to(Duration::from_secs(10)))?;
/// guard.transaction(|conn| {
///     // pinned: what is written here commits under this lock, or not at all
///     Ok::<_, Error>(())
/// })?;
/// guard.release()?;
///
/// locker.run("nightly-report", Wait::never(), |guard| {
///     while guard.is_valid() {
///         // … the next piece of work …
/// #       break;
///     }
/// })?;
/// # locker.close();
/// # let _ = std::fs::remove_file(file);
/// # Ok::<(), Error>(())
/// ```
pub type Locker<P> = locker::Locker<BlockingPool<P>>;

impl<P: Connections> Locker<P> {
    /// Locks on this pool; nothing happens until the first is acquired.
    pub fn new(pool: P) -> Self {
        Self::on(BlockingPool::new(pool))
    }

    /// The same locks with a keeper of its own, which gets its connections from here: so that leases are extended
    /// although the pool is exhausted. One connection is enough.
    #[must_use]
    pub fn keep_with(self, pool: impl Connections) -> Self {
        self.kept_by(Arc::new(BlockingPool::new(pool)))
    }

    /// Tries once, without waiting for whoever holds the lock: a guard, or busy and with whom.
    ///
    /// # Errors
    /// [`Error::NoConnection`](crate::Error::NoConnection), [`Error::Closed`](crate::Error::Closed), and those of
    /// [`LockDsl::try_acquire`](super::LockDsl::try_acquire).
    pub fn try_acquire(&self, name: impl IntoLock) -> Result<Attempt<Guard<P>>> {
        ready(self.attempt_one(name, Wait::never()))
    }

    /// Waits for the lock: the guard, or an error when the wait is over.
    ///
    /// Those of a process who wait for the same lock get it in the order in which they came, and only the first of
    /// them asks the database. No connection is held meanwhile.
    ///
    /// # Errors
    /// [`Error::Busy`](crate::Error::Busy) when the wait is over, and those of [`try_acquire`](Self::try_acquire).
    pub fn acquire(&self, name: impl IntoLock, wait: Wait) -> Result<Guard<P>> {
        ready(self.wait_for_one(name, wait))
    }

    /// Tries once to acquire all locks of a set: the guards in the order of their keys, or busy and none.
    ///
    /// # Errors
    /// As [`try_acquire`](Self::try_acquire).
    pub fn try_acquire_all(&self, set: &LockSet) -> Result<Attempt<Vec<Guard<P>>>> {
        ready(self.try_set(set, Choice::All))
    }

    /// Waits for all locks of a set. Nothing is held meanwhile, and there is no order among those who wait.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    pub fn acquire_all(&self, set: &LockSet, wait: Wait) -> Result<Vec<Guard<P>>> {
        ready(self.wait_for_set(set, Choice::All, wait))
    }

    /// Tries once to acquire any lock of a set that is free.
    ///
    /// # Errors
    /// As [`try_acquire`](Self::try_acquire).
    pub fn try_acquire_any(&self, set: &LockSet) -> Result<Attempt<Guard<P>>> {
        let attempt = ready(self.try_set(set, Choice::Any))?;
        Ok(attempt.map(one))
    }

    /// Waits for any lock of a set. There is no order among those who wait.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    pub fn acquire_any(&self, set: &LockSet, wait: Wait) -> Result<Guard<P>> {
        ready(self.wait_for_set(set, Choice::Any, wait)).map(one)
    }

    /// Extends a lease from elsewhere, and keeps it alive from now on: one that another process handed over as text, or
    /// that was acquired on a connection.
    ///
    /// # Errors
    /// [`Error::Lost`](crate::Error::Lost) if the lock was taken over, and those of [`try_acquire`](Self::try_acquire).
    pub fn adopt(&self, lease: Lease) -> Result<Guard<P>> {
        ready(self.adopt_lease(lease))
    }

    /// Acquires the lock, does the work, and gives the lock back: whatever happens.
    ///
    /// The lock is kept alive meanwhile. A thread cannot be stopped from outside, so work that takes long asks the guard
    /// whether it [still holds](crate::locker::Guard::is_valid); when it panics, the lock is given back in the background. See
    /// [`hold_at_least`](Self::hold_at_least) and [`hold_at_most`](Self::hold_at_most) for jobs that are very short or may hang.
    ///
    /// # Errors
    /// As [`try_acquire`](Self::try_acquire). The work's own errors are what it [brought](Run::Done).
    pub fn run<T>(
        &self,
        name: impl IntoLock,
        wait: Wait,
        work: impl FnOnce(&Guard<P>) -> T,
    ) -> Result<Run<T>> {
        let guard = match ready(self.attempt_one(name, wait))? {
            Attempt::Acquired(guard) => guard,
            Attempt::Busy(holder) => return Ok(Run::Busy(holder)),
        };
        let done = span::within(&guard.lease(), || work(&guard));
        Ok(ready(guard.conclude(Some(done))))
    }

    /// Reads the lock's row; `None` if the lock was never used, or purged since.
    ///
    /// # Errors
    /// Whatever the pool or the database says.
    pub fn inspect(&self, name: impl IntoLock) -> Result<Option<Record>> {
        let lock = self.lock(name)?;
        ready(self.ask(None, async move |executor: &mut _| {
            protocol::inspect(executor, &lock).await
        }))
    }

    /// Reads a page of locks.
    ///
    /// # Errors
    /// Whatever the pool or the database says.
    pub fn list(&self, list: &List) -> Result<Vec<Record>> {
        let list = list.clone();
        ready(self.ask(None, async move |executor: &mut _| {
            protocol::list(executor, &list).await
        }))
    }

    /// Takes the lock away from whoever holds it: see [`LockDsl::force_release`](super::LockDsl::force_release).
    ///
    /// # Errors
    /// Whatever the pool or the database says.
    pub fn force_release(&self, name: impl IntoLock) -> Result<Forced> {
        ready(self.take_away(self.lock(name)?))
    }

    /// Removes the rows of locks that nobody has held for longer than `age`: see
    /// [`ListDsl::purge`](super::ListDsl::purge).
    ///
    /// # Errors
    /// Whatever the pool or the database says.
    pub fn purge(&self, list: &List, age: Duration) -> Result<usize> {
        let list = list.clone();
        ready(self.ask(None, async move |executor: &mut _| {
            protocol::purge(executor, &list, age).await
        }))
    }

    /// [Purges](Self::purge) now and after each interval, in the background, until the returned value is dropped. One
    /// process of many is enough, and more do no harm. What fails is tried again soon. (Async: call it within a runtime.)
    ///
    /// ```
    /// # use diesel::{Connection, SqliteConnection};
    /// # let file = std::env::temp_dir().join(format!("diesel-locks-doc-purge-{}", std::process::id()));
    /// # let url = file.display().to_string();
    /// # diesel_locks::blocking::migrate(&mut SqliteConnection::establish(&url).unwrap()).unwrap();
    /// # let open = move || {
    /// #     let mut conn = SqliteConnection::establish(&url)?;
    /// #     diesel::connection::SimpleConnection::batch_execute(&mut conn, "PRAGMA busy_timeout = 5000")?;
    /// #     Ok::<_, Box<dyn std::error::Error + Send + Sync>>(conn)
    /// # };
    /// # let locker = diesel_locks::blocking::Locker::new(open);
    /// # locker.acquire("invoice:42", diesel_locks::Wait::never())?.release()?;
    /// use std::time::Duration;
    /// use diesel_locks::List;
    ///
    /// let day = Duration::from_secs(24 * 60 * 60);
    /// let purging = locker.purge_every(day, List::all(), 7 * day);
    /// # // One that purges all at once, to see that it does, and that it ends.
    /// # assert!(locker.inspect("invoice:42")?.is_some());
    /// # let purging_now = locker.purge_every(day, List::all(), Duration::ZERO);
    /// # let began = std::time::Instant::now();
    /// # while locker.inspect("invoice:42")?.is_some() { assert!(began.elapsed() < Duration::from_secs(20)); }
    /// # purging_now.stop();
    /// // … when the application ends:
    /// purging.stop();
    /// # let _ = std::fs::remove_file(file);
    /// # Ok::<(), diesel_locks::Error>(())
    /// ```
    pub fn purge_every(&self, interval: Duration, list: List, age: Duration) -> Purging {
        self.start_purging(interval, list, age)
    }

    /// Gives all locks back, of all clones, acquires nothing any more, and returns when nothing goes on in the
    /// background, or after the time that [giving back](Self::release_within) may take. Work under a guard is told that
    /// the lock is lost. For the end of the process.
    pub fn close(&self) {
        ready(self.end());
    }
}
