//! Locks on a pool of blocking connections.

use std::sync::Arc;
use std::time::Duration;

use super::connection::ready;
use super::connections::Connections;
use super::guard::Guard;
use super::pool::BlockingPool;
use crate::answer::{Attempt, Forced, Record, Run};
use crate::error::{Error, Result};
use crate::lease::Lease;
use crate::list::List;
use crate::locker::{self, IntoLock};
use crate::managed::purging::Purging;
use crate::managed::span;
use crate::managed::waiting::one;
use crate::protocol::{self, sets::Choice};
use crate::set::LockSet;
use crate::wait::Wait;

/// Locks on the application's pool. A `Locker` waits for locks, extends their leases in the background, tells the work
/// when a lease is lost, and releases the locks.
///
/// Make one `Locker` when the application starts, and clone it to each place that needs locks. A clone is cheap. All
/// clones share the threads that extend leases; these threads run only while there are leases. The settings are at
/// [`locker::Locker`](crate::locker::Locker).
///
/// For locks on a connection or in a transaction of your own, use the traits of this module instead. Nothing extends
/// such leases in the background.
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
///     // the lease is pinned: what is written here commits under this lock, or not at all
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

/// On a pool of blocking connections.
impl<P: Connections> Locker<P> {
    /// Makes a `Locker` on this pool. Nothing happens until the first lock is acquired.
    pub fn new(pool: P) -> Self {
        Self::on(BlockingPool::new(pool))
    }

    /// Gives this `Locker` a keeper of its own, which gets its connections from this second pool. Use it if the
    /// application may take all connections of its pool: then leases are still extended. One connection is enough.
    #[must_use]
    pub fn keep_with(self, pool: impl Connections) -> Self {
        self.kept_by(Arc::new(BlockingPool::new(pool)))
    }

    /// Tries once to acquire the lock, without waiting for its holder. The answer is a guard, or busy with the holder.
    /// Use it if the work can be skipped while somebody else does it.
    ///
    /// # Errors
    /// [`Error::NoConnection`], [`Error::Closed`], and the errors of
    /// [`LockDsl::try_acquire`](super::LockDsl::try_acquire).
    #[doc(alias = "try_lock")]
    pub fn try_acquire(&self, name: impl IntoLock) -> Result<Attempt<Guard<P>>> {
        ready(self.attempt_one(name, Wait::never()))
    }

    /// Waits for the lock. The answer is the guard. If the wait is over before the lock is acquired, that is an error.
    ///
    /// Within a process, waiters for a lock are served first come, first served, and only the first waiter polls the
    /// database. A waiter holds no connection between two polls. Processes that want the same lock take turns.
    ///
    /// # Errors
    /// [`Error::Busy`] if the wait is over, and the errors of [`try_acquire`](Self::try_acquire).
    /// On a database or pool that is overloaded, a wait may also end with
    /// [`Error::NoConnection`] or [`Error::NoAnswer`] instead of
    /// `Busy`. All of these are [transient](crate::Error::is_transient): not acquired, try later.
    #[doc(alias = "lock")]
    #[doc(alias = "leader")]
    #[doc(alias = "leadership")]
    pub fn acquire(&self, name: impl IntoLock, wait: Wait) -> Result<Guard<P>> {
        ready(self.wait_for_one(name, wait))
    }

    /// Tries once to acquire all locks of a set. The answer is the guards in the order of their keys, or busy; then
    /// none is acquired.
    ///
    /// # Errors
    /// The errors of [`try_acquire`](Self::try_acquire).
    pub fn try_acquire_all(&self, set: &LockSet) -> Result<Attempt<Vec<Guard<P>>>> {
        ready(self.try_set(set, Choice::All))
    }

    /// Waits for all locks of a set. No lock of the set is held during the wait. Waiters for sets do not queue: no
    /// order is kept among them.
    ///
    /// # Errors
    /// The errors of [`acquire`](Self::acquire).
    pub fn acquire_all(&self, set: &LockSet, wait: Wait) -> Result<Vec<Guard<P>>> {
        ready(self.wait_for_set(set, Choice::All, wait))
    }

    /// Tries once to acquire any one lock of a set that is free. The guard tells which lock.
    ///
    /// # Errors
    /// The errors of [`try_acquire`](Self::try_acquire).
    #[doc(alias = "semaphore")]
    pub fn try_acquire_any(&self, set: &LockSet) -> Result<Attempt<Guard<P>>> {
        let attempt = ready(self.try_set(set, Choice::Any))?;
        Ok(attempt.map(one))
    }

    /// Waits for any one lock of a set. Waiters for sets do not queue: no order is kept among them.
    ///
    /// # Errors
    /// The errors of [`acquire`](Self::acquire).
    #[doc(alias = "semaphore")]
    pub fn acquire_any(&self, set: &LockSet, wait: Wait) -> Result<Guard<P>> {
        ready(self.wait_for_set(set, Choice::Any, wait)).map(one)
    }

    /// Extends a lease that came from elsewhere, and then extends it in the background. The lease may come from another
    /// process as text, or from a connection of your own.
    ///
    /// # Errors
    /// [`Error::Lost`] if the lease is lost, and the errors of [`try_acquire`](Self::try_acquire).
    pub fn adopt(&self, lease: Lease) -> Result<Guard<P>> {
        ready(self.adopt_lease(lease))
    }

    /// Acquires the lock, does the work, and releases the lock, whatever the work does. Use it for a job that one
    /// process at a time may do.
    ///
    /// The lease is extended in the background during the work. A thread cannot be stopped from outside. So work that
    /// takes long must ask the guard whether it [still holds the lock](crate::locker::Guard::is_valid). If the work
    /// panics, the lock is released in the background. See [`hold_at_least`](Self::hold_at_least) for very short jobs,
    /// and [`hold_at_most`](Self::hold_at_most) for jobs that may hang.
    ///
    /// # Errors
    /// The errors of [`try_acquire`](Self::try_acquire). An error of the work is part of [its result](Run::Done).
    pub fn run<T>(
        &self,
        name: impl IntoLock,
        wait: Wait,
        work: impl FnOnce(&Guard<P>) -> T,
    ) -> Result<Run<T>> {
        let lock = self.lock(name)?;
        let key = lock.key().to_owned();
        let guard = match ready(self.attempt_one(lock, wait))? {
            Attempt::Acquired(guard) => guard,
            Attempt::Busy(holder) => return Ok(Run::Busy { key, holder }),
        };
        let done = span::within(&guard.lease(), || work(&guard));
        Ok(ready(guard.conclude(Some(done))))
    }

    /// Does the work in a transaction in which the leases of all these guards are pinned: what the work writes commits
    /// under all of the locks, or not at all. All guards must be of locks in the database of this `Locker`. For one guard use
    /// [`Guard::transaction`](super::Guard::transaction).
    ///
    /// ```
    /// # use diesel::{Connection, SqliteConnection};
    /// # let file = std::env::temp_dir().join(format!("diesel-locks-doc-several-{}", std::process::id()));
    /// # let url = file.display().to_string();
    /// # diesel_locks::blocking::migrate(&mut SqliteConnection::establish(&url).unwrap()).unwrap();
    /// # let locker = diesel_locks::blocking::Locker::new(move || SqliteConnection::establish(&url));
    /// use diesel_locks::{Error, Wait};
    ///
    /// let from = locker.acquire(("accounts", "alice"), Wait::never())?;
    /// let to = locker.acquire(("accounts", "bob"), Wait::never())?;
    /// locker.transaction(&[&from, &to], |conn| {
    ///     // … move the money …
    ///     Ok::<_, Error>(())
    /// })?;
    /// # drop((from, to));
    /// # locker.close();
    /// # let _ = std::fs::remove_file(file);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Lost`] if one of the locks is lost, the work's own errors, and whatever the pool or
    /// the database says.
    pub fn transaction<T, X>(
        &self,
        guards: &[&Guard<P>],
        work: impl FnOnce(&mut P::Connection) -> Result<T, X>,
    ) -> Result<T, X>
    where
        X: From<Error>,
    {
        let mut guarded = ready(self.open_transaction(guards))?;
        let done = work(guarded.connection());
        ready(guarded.close(done))
    }

    /// Reads the lock's row. `None` if the lock was never used, or was purged since. Use it to tell people; to decide
    /// anything, try to acquire the lock.
    ///
    /// # Errors
    /// Whatever the pool or the database says.
    pub fn inspect(&self, name: impl IntoLock) -> Result<Option<Record>> {
        let lock = self.lock(name)?;
        ready(self.ask(None, async move |executor: &mut _| {
            protocol::inspect(executor, &lock).await
        }))
    }

    /// Whether somebody holds the lock. Use it to tell people; to decide anything, try to acquire the lock.
    ///
    /// # Errors
    /// Whatever the pool or the database says.
    pub fn is_held(&self, name: impl IntoLock) -> Result<bool> {
        Ok(self.inspect(name)?.is_some_and(|record| record.is_held()))
    }

    /// Reads a page of locks. Use it for people and dashboards.
    ///
    /// # Errors
    /// Whatever the pool or the database says.
    pub fn list(&self, list: &List) -> Result<Vec<Record>> {
        let list = self.listed(list);
        ready(self.ask(None, async move |executor: &mut _| {
            protocol::list(executor, &list).await
        }))
    }

    /// Takes the lock away from its holder. [`LockDsl::force_release`](super::LockDsl::force_release) says when to use
    /// it.
    ///
    /// # Clear a whole group
    ///
    /// A [`List`] reads the held locks of a group, page by page. Each record of a page names its lock:
    ///
    /// ```
    /// # use diesel::{Connection, SqliteConnection};
    /// # let file = std::env::temp_dir().join(format!("diesel-locks-doc-clear-{}", std::process::id()));
    /// # let url = file.display().to_string();
    /// # diesel_locks::blocking::migrate(&mut SqliteConnection::establish(&url).unwrap()).unwrap();
    /// # let open = move || {
    /// #     let mut conn = SqliteConnection::establish(&url)?;
    /// #     diesel::connection::SimpleConnection::batch_execute(&mut conn, "PRAGMA busy_timeout = 5000")?;
    /// #     Ok::<_, Box<dyn std::error::Error + Send + Sync>>(conn)
    /// # };
    /// # let locker = diesel_locks::blocking::Locker::new(open);
    /// # let one = locker.acquire(("invoices", "41"), diesel_locks::Wait::never())?;
    /// # let other = locker.acquire(("invoices", "42"), diesel_locks::Wait::never())?;
    /// use diesel_locks::{Forced, List};
    ///
    /// let mut page = List::all().in_group("invoices")?.held();
    /// loop {
    ///     let records = locker.list(&page)?;
    ///     for record in &records {
    ///         if locker.force_release(record)? == Forced::InUse {
    ///             println!("a transaction uses {}: try again when it has ended", record.key);
    ///         }
    ///     }
    ///     let Some(last) = records.last() else { break };
    ///     page = page.after(&last.key);
    /// }
    /// # assert!(!locker.is_held(("invoices", "41"))? && !locker.is_held(("invoices", "42"))?);
    /// # drop((one, other));
    /// # locker.close();
    /// # let _ = std::fs::remove_file(file);
    /// # Ok::<(), diesel_locks::Error>(())
    /// ```
    ///
    /// # Errors
    /// Whatever the pool or the database says.
    #[doc(alias = "clear")]
    pub fn force_release(&self, name: impl IntoLock) -> Result<Forced> {
        ready(self.take_away(self.lock(name)?))
    }

    /// Removes the rows of locks that nobody has held for longer than `age`. [`ListDsl::purge`](super::ListDsl::purge)
    /// says how to choose `age`.
    ///
    /// # Errors
    /// Whatever the pool or the database says.
    #[doc(alias = "clear")]
    pub fn purge(&self, list: &List, age: Duration) -> Result<usize> {
        let list = self.listed(list);
        ready(self.ask(None, async move |executor: &mut _| {
            protocol::purge(executor, &list, age).await
        }))
    }

    /// [Purges](Self::purge) now and after each interval, in the background, until the returned value is dropped. It is
    /// enough if one of several processes does this, and it does no harm if more do. A purge that fails is tried again
    /// soon. (In async mode call this within a runtime.)
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
    /// let purging = locker.purge_every(day, &List::all(), 7 * day);
    /// # // One that purges all at once, to see that it does, and that it ends.
    /// # assert!(locker.inspect("invoice:42")?.is_some());
    /// # let purging_now = locker.purge_every(day, &List::all(), Duration::ZERO);
    /// # let began = std::time::Instant::now();
    /// # while locker.inspect("invoice:42")?.is_some() { assert!(began.elapsed() < Duration::from_secs(20)); }
    /// # purging_now.stop();
    /// // … when the application ends:
    /// purging.stop();
    /// # let _ = std::fs::remove_file(file);
    /// # Ok::<(), diesel_locks::Error>(())
    /// ```
    pub fn purge_every(&self, interval: Duration, list: &List, age: Duration) -> Purging {
        self.start_purging(interval, list, age)
    }

    /// Releases all locks of this `Locker` and its clones, and acquires no more. Work under a guard is told that the
    /// lock is lost. The call returns when nothing runs in the background any more, or after the longest time that [a
    /// release](Self::release_within) may take. Use it at the end of the process.
    ///
    /// A lock whose acquisition is under way at that moment is given back when its answer comes, which may be after this
    /// call. If the process ends before, that lock is free when its ttl is over.
    pub fn close(&self) {
        ready(self.shut_down());
    }
}
