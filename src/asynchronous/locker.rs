//! Locks on a pool of async connections.

use std::sync::Arc;
use std::time::Duration;

use super::connections::AsyncConnections;
use super::guard::Guard;
use super::pool::{AsyncPool, unless};
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
use crate::work::AsyncWork;

/// [`blocking::Locker`](crate::blocking::Locker), async: locks on the application's pool that wait, keep alive, tell the work,
/// and let go.
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
pub type Locker<P> = locker::Locker<AsyncPool<P>>;

impl<P: AsyncConnections> Locker<P> {
    /// Locks on this pool; nothing happens until the first is acquired.
    pub fn new(pool: P) -> Self {
        Self::on(AsyncPool::new(pool))
    }

    /// The same locks with a keeper of its own, which gets its connections from here: so that leases are extended
    /// although the pool is exhausted. One connection is enough.
    #[must_use]
    pub fn keep_with(self, pool: impl AsyncConnections) -> Self {
        self.kept_by(Arc::new(AsyncPool::new(pool)))
    }

    /// [`blocking::Locker::try_acquire`](crate::blocking::Locker::try_acquire), async.
    ///
    /// Cancel-safe: dropped before the answer, what it may have acquired is given back in the background.
    ///
    /// # Errors
    /// As there.
    pub async fn try_acquire(&self, name: impl IntoLock + Send) -> Result<Attempt<Guard<P>>> {
        self.attempt_one(name, Wait::never()).await
    }

    /// [`blocking::Locker::acquire`](crate::blocking::Locker::acquire), async.
    ///
    /// Cancel-safe: dropped while it waits it leaves the line, and dropped before an answer, what it may have acquired is
    /// given back in the background.
    ///
    /// # Errors
    /// As there.
    pub fn acquire(
        &self,
        name: impl IntoLock + Send,
        wait: Wait,
    ) -> impl Future<Output = Result<Guard<P>>> + Send {
        self.wait_for_one(name, wait)
    }

    /// [`blocking::Locker::try_acquire_all`](crate::blocking::Locker::try_acquire_all), async.
    ///
    /// # Errors
    /// As there.
    pub async fn try_acquire_all(&self, set: &LockSet) -> Result<Attempt<Vec<Guard<P>>>> {
        self.try_set(set, Choice::All).await
    }

    /// [`blocking::Locker::acquire_all`](crate::blocking::Locker::acquire_all), async.
    ///
    /// # Errors
    /// As there.
    pub async fn acquire_all(&self, set: &LockSet, wait: Wait) -> Result<Vec<Guard<P>>> {
        self.wait_for_set(set, Choice::All, wait).await
    }

    /// [`blocking::Locker::try_acquire_any`](crate::blocking::Locker::try_acquire_any), async.
    ///
    /// # Errors
    /// As there.
    pub async fn try_acquire_any(&self, set: &LockSet) -> Result<Attempt<Guard<P>>> {
        let attempt = self.try_set(set, Choice::Any).await?;
        Ok(attempt.map(one))
    }

    /// [`blocking::Locker::acquire_any`](crate::blocking::Locker::acquire_any), async.
    ///
    /// # Errors
    /// As there.
    pub async fn acquire_any(&self, set: &LockSet, wait: Wait) -> Result<Guard<P>> {
        self.wait_for_set(set, Choice::Any, wait).await.map(one)
    }

    /// [`blocking::Locker::adopt`](crate::blocking::Locker::adopt), async.
    ///
    /// # Errors
    /// As there.
    pub async fn adopt(&self, lease: Lease) -> Result<Guard<P>> {
        self.adopt_lease(lease).await
    }

    /// Acquires the lock, does the work, and gives the lock back: whatever happens.
    ///
    /// The lock is kept alive meanwhile. When it is lost the work is dropped at its next `await`; when it panics, or this
    /// future is dropped, the lock is given back in the background. See [`hold_at_least`](Self::hold_at_least) and
    /// [`hold_at_most`](Self::hold_at_most) for jobs that are very short or may hang.
    ///
    /// # Errors
    /// As [`try_acquire`](Self::try_acquire). The work's own errors are what it [brought](Run::Done).
    pub async fn run<'a, T, N, F>(&'a self, name: N, wait: Wait, work: F) -> Result<Run<T>>
    where
        N: IntoLock + Send,
        T: Send,
        for<'r> F:
            AsyncFnOnce(&'r Guard<P>) -> T + AsyncWork<&'r Guard<P>, T, Future: Send> + Send + 'a,
    {
        let guard = match self.attempt_one(name, wait).await? {
            Attempt::Acquired(guard) => guard,
            Attempt::Busy(holder) => return Ok(Run::Busy(holder)),
        };
        let lease = guard.lease();
        let work = span::around(&lease, work(&guard));
        let done = unless(guard.lost(), work).await;
        Ok(guard.conclude(done).await)
    }

    /// [`blocking::Locker::inspect`](crate::blocking::Locker::inspect), async.
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

    /// [`blocking::Locker::list`](crate::blocking::Locker::list), async.
    ///
    /// # Errors
    /// Whatever the pool or the database says.
    pub async fn list(&self, list: &List) -> Result<Vec<Record>> {
        let list = list.clone();
        self.ask(None, async move |executor: &mut _| {
            protocol::list(executor, &list).await
        })
        .await
    }

    /// [`blocking::Locker::force_release`](crate::blocking::Locker::force_release), async.
    ///
    /// # Errors
    /// Whatever the pool or the database says.
    pub async fn force_release(&self, name: impl IntoLock + Send) -> Result<Forced> {
        self.take_away(self.lock(name)?).await
    }

    /// [`blocking::Locker::purge`](crate::blocking::Locker::purge), async.
    ///
    /// # Errors
    /// Whatever the pool or the database says.
    pub async fn purge(&self, list: &List, age: Duration) -> Result<usize> {
        let list = list.clone();
        self.ask(None, async move |executor: &mut _| {
            protocol::purge(executor, &list, age).await
        })
        .await
    }

    /// [`blocking::Locker::purge_every`](crate::blocking::Locker::purge_every), async.
    pub fn purge_every(&self, interval: Duration, list: List, age: Duration) -> Purging {
        self.start_purging(interval, list, age)
    }

    /// [`blocking::Locker::close`](crate::blocking::Locker::close), async.
    pub async fn close(&self) {
        self.end().await;
    }
}
