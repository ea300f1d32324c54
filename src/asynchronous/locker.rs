//! Locks on a pool of async connections.

use std::sync::Arc;
use std::time::Duration;

use super::connections::AsyncConnections;
use super::guard::Guard;
use super::pool::{AsyncPool, unless};
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
use crate::work::AsyncWork;

/// Locks on the application's pool: the async form of [`blocking::Locker`](crate::blocking::Locker). A `Locker` waits
/// for locks, extends their leases in the background, tells the work when a lease is lost, and releases the locks.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> diesel_locks::Result<()> {
/// # use diesel::{Connection, SqliteConnection};
/// # use diesel_async::{AsyncConnection, sync_connection_wrapper::SyncConnectionWrapper};
/// # let file = std::env::temp_dir().join(format!("diesel-locks-doc-async-{}", std::process::id()));
/// # let url = file.display().to_string();
/// # let mut conn = SqliteConnection::establish(&url).unwrap();
/// # diesel_locks::blocking::migrate(&mut conn).unwrap();
/// # let pool = move || { let url = url.clone(); async move {
/// #     SyncConnectionWrapper::<SqliteConnection>::establish(&url).await
/// # } };
/// use std::time::Duration;
/// use diesel_locks::asynchronous::Locker;
/// use diesel_locks::{Error, Wait};
///
/// let locker = Locker::new(pool).with_ttl(Duration::from_secs(30))?;
/// let guard = locker.acquire("nightly-report", Wait::up_to(Duration::from_secs(10))).await?;
/// guard.transaction(async |conn| {
///     // pinned: what is written here commits under this lock, or not at all
///     Ok::<_, Error>(())
/// }).await?;
/// guard.release().await?;
///
/// locker.run("nightly-report", Wait::never(), async |guard| {
///     // stopped at the next `await` when the lock is lost
/// }).await?;
/// # locker.close().await;
/// # let _ = std::fs::remove_file(file);
/// # Ok(()) }
/// ```
///
/// Poll a future of a `Locker`, or drop it. A future that is kept and not polled may keep its place in the queue, a
/// connection of the pool, and a lock until its ttl is over. Others who acquire or release at the same moment may be
/// served more slowly. This happens in `tokio::select!` with `&mut future`, while the code of another branch runs. If that
/// code takes a connection of the same pool, and the pool has no other, neither goes on.
pub type Locker<P> = locker::Locker<AsyncPool<P>>;

/// On a pool of async connections.
impl<P: AsyncConnections> Locker<P> {
    /// Makes a `Locker` on this pool. Nothing happens until the first lock is acquired.
    pub fn new(pool: P) -> Self {
        Self::on(AsyncPool::new(pool))
    }

    /// Gives this `Locker` a keeper of its own, which gets its connections from this second pool. Use it if the
    /// application may take all connections of its pool: then leases are still extended. One connection is enough.
    #[must_use]
    pub fn keep_with(self, pool: impl AsyncConnections) -> Self {
        self.kept_by(Arc::new(AsyncPool::new(pool)))
    }

    /// Tries once to acquire the lock: the async form of
    /// [`blocking::Locker::try_acquire`](crate::blocking::Locker::try_acquire).
    ///
    /// The future is cancel-safe. If it is dropped before the answer, a lock that it may have acquired is released in
    /// the background.
    ///
    /// # Errors
    /// The errors of the blocking form.
    #[doc(alias = "try_lock")]
    pub async fn try_acquire(&self, name: impl IntoLock + Send) -> Result<Attempt<Guard<P>>> {
        self.attempt_one(name, Wait::never()).await
    }

    /// Waits for the lock: the async form of [`blocking::Locker::acquire`](crate::blocking::Locker::acquire).
    ///
    /// The future is cancel-safe. If it is dropped during the wait, the waiter leaves the queue. If it is dropped
    /// before an answer, a lock that it may have acquired is released in the background.
    ///
    /// # Errors
    /// The errors of the blocking form.
    #[doc(alias = "lock")]
    #[doc(alias = "leader")]
    #[doc(alias = "leadership")]
    pub fn acquire(
        &self,
        name: impl IntoLock + Send,
        wait: Wait,
    ) -> impl Future<Output = Result<Guard<P>>> + Send {
        self.wait_for_one(name, wait)
    }

    /// Tries once to acquire all locks of the set: the async form of
    /// [`blocking::Locker::try_acquire_all`](crate::blocking::Locker::try_acquire_all).
    ///
    /// # Errors
    /// The errors of the blocking form.
    pub async fn try_acquire_all(&self, set: &LockSet) -> Result<Attempt<Vec<Guard<P>>>> {
        self.try_set(set, Choice::All).await
    }

    /// Waits for all locks of the set: the async form of
    /// [`blocking::Locker::acquire_all`](crate::blocking::Locker::acquire_all).
    ///
    /// # Errors
    /// The errors of the blocking form.
    pub async fn acquire_all(&self, set: &LockSet, wait: Wait) -> Result<Vec<Guard<P>>> {
        self.wait_for_set(set, Choice::All, wait).await
    }

    /// Tries once to acquire any one lock of the set: the async form of
    /// [`blocking::Locker::try_acquire_any`](crate::blocking::Locker::try_acquire_any).
    ///
    /// # Errors
    /// The errors of the blocking form.
    #[doc(alias = "semaphore")]
    pub async fn try_acquire_any(&self, set: &LockSet) -> Result<Attempt<Guard<P>>> {
        let attempt = self.try_set(set, Choice::Any).await?;
        Ok(attempt.map(one))
    }

    /// Waits for any one lock of the set: the async form of
    /// [`blocking::Locker::acquire_any`](crate::blocking::Locker::acquire_any).
    ///
    /// # Errors
    /// The errors of the blocking form.
    #[doc(alias = "semaphore")]
    pub async fn acquire_any(&self, set: &LockSet, wait: Wait) -> Result<Guard<P>> {
        self.wait_for_set(set, Choice::Any, wait).await.map(one)
    }

    /// Extends a lease that came from elsewhere, from now on in the background: the async form of
    /// [`blocking::Locker::adopt`](crate::blocking::Locker::adopt).
    ///
    /// # Errors
    /// The errors of the blocking form.
    pub async fn adopt(&self, lease: Lease) -> Result<Guard<P>> {
        self.adopt_lease(lease).await
    }

    /// Acquires the lock, does the work, and releases the lock, whatever the work does. Use it for a job that one
    /// process at a time may do.
    ///
    /// The lease is extended in the background during the work. If the lease is lost, the work is dropped at its next
    /// `await`. If the work panics, or this future is dropped, the lock is released in the background. See
    /// [`hold_at_least`](Self::hold_at_least) for very short jobs, and [`hold_at_most`](Self::hold_at_most) for jobs
    /// that may hang.
    ///
    /// Write the work as an async closure: `async |guard| { … }`. The compiler refuses `|guard| async move { … }`: it
    /// says that the implementation of `AsyncFnOnce` is not general enough. Boxed futures (`scope_boxed`, `Box::pin`)
    /// are not needed.
    ///
    /// # Errors
    /// The errors of [`try_acquire`](Self::try_acquire). An error of the work is part of [its result](Run::Done).
    pub async fn run<'a, T, N, F>(&'a self, name: N, wait: Wait, work: F) -> Result<Run<T>>
    where
        N: IntoLock + Send,
        T: Send,
        for<'r> F:
            AsyncFnOnce(&'r Guard<P>) -> T + AsyncWork<&'r Guard<P>, T, Future: Send> + Send + 'a,
    {
        let lock = self.lock(name)?;
        let key = lock.key().to_owned();
        let guard = match self.attempt_one(lock, wait).await? {
            Attempt::Acquired(guard) => guard,
            Attempt::Busy(holder) => return Ok(Run::Busy { key, holder }),
        };
        let lease = guard.lease();
        let work = span::around(&lease, work(&guard));
        let done = unless(guard.lost(), work).await;
        Ok(guard.conclude(done).await)
    }

    /// Does the work in a transaction in which the leases of all these guards are pinned: the async form of
    /// [`blocking::Locker::transaction`](crate::blocking::Locker::transaction).
    ///
    /// Write the work as an async closure: `async |conn| { … }`. The compiler refuses `|conn| async move { … }`.
    ///
    /// If the future is dropped, the connection is dropped, and with it the transaction.
    ///
    /// # Errors
    /// The errors of the blocking form.
    pub async fn transaction<'a, T, X, F>(
        &'a self,
        guards: &'a [&Guard<P>],
        work: F,
    ) -> Result<T, X>
    where
        T: Send,
        X: From<Error> + Send,
        for<'r> F: AsyncFnOnce(&'r mut P::Connection) -> Result<T, X>
            + AsyncWork<&'r mut P::Connection, Result<T, X>, Future: Send>
            + Send
            + 'a,
    {
        let mut guarded = self.open_transaction(guards).await?;
        let done = work(guarded.connection()).await;
        guarded.close(done).await
    }

    /// Reads the lock's row: the async form of [`blocking::Locker::inspect`](crate::blocking::Locker::inspect).
    ///
    /// # Errors
    /// Whatever the pool or the database says.
    pub async fn inspect(&self, name: impl IntoLock + Send) -> Result<Option<Record>> {
        let lock = self.lock(name)?;
        self.ask(None, async move |executor: &mut _| {
            protocol::inspect(executor, &lock).await
        })
        .await
    }

    /// Whether somebody holds the lock: the async form of
    /// [`blocking::Locker::is_held`](crate::blocking::Locker::is_held).
    ///
    /// # Errors
    /// Whatever the pool or the database says.
    pub async fn is_held(&self, name: impl IntoLock + Send) -> Result<bool> {
        let record = self.inspect(name).await?;
        Ok(record.is_some_and(|record| record.is_held()))
    }

    /// Reads a page of locks: the async form of [`blocking::Locker::list`](crate::blocking::Locker::list).
    ///
    /// # Errors
    /// Whatever the pool or the database says.
    pub async fn list(&self, list: &List) -> Result<Vec<Record>> {
        let list = self.listed(list);
        self.ask(None, async move |executor: &mut _| {
            protocol::list(executor, &list).await
        })
        .await
    }

    /// Takes the lock away from its holder: the async form of
    /// [`blocking::Locker::force_release`](crate::blocking::Locker::force_release), which also shows how to clear a
    /// whole group.
    ///
    /// # Errors
    /// Whatever the pool or the database says.
    #[doc(alias = "clear")]
    pub async fn force_release(&self, name: impl IntoLock + Send) -> Result<Forced> {
        self.take_away(self.lock(name)?).await
    }

    /// Removes the rows of locks that nobody uses any more: the async form of
    /// [`blocking::Locker::purge`](crate::blocking::Locker::purge).
    ///
    /// # Errors
    /// Whatever the pool or the database says.
    #[doc(alias = "clear")]
    pub async fn purge(&self, list: &List, age: Duration) -> Result<usize> {
        let list = self.listed(list);
        self.ask(None, async move |executor: &mut _| {
            protocol::purge(executor, &list, age).await
        })
        .await
    }

    /// Purges in the background, at once and after each interval: the async form of
    /// [`blocking::Locker::purge_every`](crate::blocking::Locker::purge_every).
    pub fn purge_every(&self, interval: Duration, list: &List, age: Duration) -> Purging {
        self.start_purging(interval, list, age)
    }

    /// Releases all locks, and acquires no more: the async form of
    /// [`blocking::Locker::close`](crate::blocking::Locker::close).
    pub async fn close(&self) {
        self.shut_down().await;
    }
}
