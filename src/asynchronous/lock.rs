//! Acquiring a lock on an async connection.

use std::borrow::Borrow;
use std::slice;

use super::connection::{AsyncLockConnection, Asynchronous, in_use};
use crate::answer::{Attempt, Forced, Record};
use crate::error::{Error, Result};
use crate::lease::Lease;
use crate::lock::Lock;
use crate::protocol;
use crate::protocol::guarded::{self, End};
use crate::wait::Wait;
use crate::work::AsyncLeasedWork;

/// Acquires a [`Lock`], and reads its row: the async form of [`blocking::LockDsl`](crate::blocking::LockDsl).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> diesel_locks::Result<()> {
/// # use diesel::{Connection, SqliteConnection};
/// # use diesel_async::{AsyncConnection, sync_connection_wrapper::SyncConnectionWrapper};
/// # let mut conn = SqliteConnection::establish(":memory:").unwrap();
/// # diesel_locks::blocking::migrate(&mut conn).unwrap();
/// # let mut conn: SyncConnectionWrapper<_> = SyncConnectionWrapper::new(conn);
/// use std::time::Duration;
/// use diesel_locks::asynchronous::{LeaseDsl, LockDsl};
/// use diesel_locks::{Attempt, Lock, Wait};
///
/// match Lock::new("report")?.acquire(&mut conn, Wait::up_to(Duration::from_secs(5))).await? {
///     Attempt::Acquired(lease) => {
///         // … the work …
///         lease.release(&mut conn).await?;
///     }
///     Attempt::Busy(holder) => println!("busy: {holder:?}"),
/// }
/// # Ok(()) }
/// ```
pub trait LockDsl: Borrow<Lock> + Sync {
    /// Tries once to acquire the lock: the async form of
    /// [`blocking::LockDsl::try_acquire`](crate::blocking::LockDsl::try_acquire).
    #[doc(alias = "try_lock")]
    fn try_acquire<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
    ) -> impl Future<Output = Result<Attempt>> + Send {
        async move { protocol::try_acquire(&mut Asynchronous::on(conn), self.borrow()).await }
    }

    /// Waits for the lock: the async form of [`blocking::LockDsl::acquire`](crate::blocking::LockDsl::acquire).
    ///
    /// The future is cancel-safe between two tries. If it is dropped while the database is asked, the lock may have
    /// been acquired all the same. Then the lock is free after its ttl, or acquiring with the same [`Lock::with_token`]
    /// finds the acquisition. On MySQL and MariaDB the connection cannot be used any more then: see
    /// [`AsyncLockConnection`].
    #[doc(alias = "lock")]
    fn acquire<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
        wait: Wait,
    ) -> impl Future<Output = Result<Attempt>> + Send {
        async move { protocol::acquire(&mut Asynchronous::on(conn), self.borrow(), wait).await }
    }

    /// Holds the lock until this transaction ends: the async form of
    /// [`blocking::LockDsl::try_hold`](crate::blocking::LockDsl::try_hold).
    fn try_hold<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
    ) -> impl Future<Output = Result<Attempt<i64>>> + Send {
        async move { protocol::try_hold(&mut Asynchronous::on(conn), self.borrow()).await }
    }

    /// Does the work in a transaction that pins the lease: the async form of
    /// [`blocking::LockDsl::transaction`](crate::blocking::LockDsl::transaction).
    ///
    /// Write the work as an async closure: `async |conn, lease| { … }`. The compiler refuses a closure that returns an
    /// async block (`|conn, lease| async move { … }`): it says that the implementation of `AsyncFnOnce` is not general
    /// enough. Boxed futures (`scope_boxed`, `Box::pin`) are not needed.
    ///
    /// If the future is dropped, nothing is committed, the connection cannot be used any more (see
    /// [`AsyncLockConnection`]), and the lock stays held until its ttl is over.
    fn transaction<'a, C, T, X, F>(
        &'a self,
        conn: &'a mut C,
        wait: Wait,
        work: F,
    ) -> impl Future<Output = Result<Attempt<T>, X>> + Send + 'a
    where
        C: AsyncLockConnection,
        T: Send + 'a,
        X: From<Error> + Send + 'a,
        for<'r, 's> F: AsyncFnOnce(&'r mut C, &'s Lease) -> Result<T, X>
            + AsyncLeasedWork<&'r mut C, &'s Lease, Result<T, X>, Future: Send>
            + Send
            + 'a,
    {
        async move {
            let mut lease = match self.acquire(conn, wait).await? {
                Attempt::Acquired(lease) => lease,
                Attempt::Busy(holder) => return Ok(Attempt::Busy(holder)),
            };
            let mut transaction = in_use(conn);
            let on = &mut Asynchronous::on(&mut **transaction);
            let opened = guarded::open(on, slice::from_mut(&mut lease)).await;
            let done = match opened {
                Ok(opened) => {
                    let done = work(&mut **transaction, &lease).await;
                    let leases = slice::from_mut(&mut lease);
                    let on = &mut Asynchronous::on(&mut **transaction);
                    let closed = guarded::close(on, leases, opened, End::Release, done).await;
                    closed.map(|closed| closed.value)
                }
                Err(error) => Err(error.into()),
            };
            let on = &mut Asynchronous::on(&mut **transaction);
            let done = guarded::release_if_failed(on, &lease, done).await;
            transaction.done();
            done
        }
    }

    /// Reads the lock's row: the async form of [`blocking::LockDsl::inspect`](crate::blocking::LockDsl::inspect).
    fn inspect<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
    ) -> impl Future<Output = Result<Option<Record>>> + Send {
        async move { protocol::inspect(&mut Asynchronous::on(conn), self.borrow()).await }
    }

    /// Whether somebody holds the lock: the async form of
    /// [`blocking::LockDsl::is_held`](crate::blocking::LockDsl::is_held).
    fn is_held<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
    ) -> impl Future<Output = Result<bool>> + Send {
        async move { protocol::is_held(&mut Asynchronous::on(conn), self.borrow()).await }
    }

    /// Takes the lock away from its holder: the async form of
    /// [`blocking::LockDsl::force_release`](crate::blocking::LockDsl::force_release).
    fn force_release<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
    ) -> impl Future<Output = Result<Forced>> + Send {
        async move { protocol::force_release(&mut Asynchronous::on(conn), self.borrow()).await }
    }
}

impl LockDsl for Lock {}
