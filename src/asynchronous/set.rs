//! Acquiring several locks on an async connection.

use std::borrow::Borrow;

use super::connection::{AsyncLockConnection, Asynchronous};
use crate::answer::Attempt;
use crate::error::Result;
use crate::lease::Lease;
use crate::protocol::sets;
use crate::set::LockSet;
use crate::wait::Wait;

/// Acquires the locks of a [`LockSet`]: the async form of [`blocking::LockSetDsl`](crate::blocking::LockSetDsl).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> diesel_locks::Result<()> {
/// # use diesel::{Connection, SqliteConnection};
/// # use diesel_async::{AsyncConnection, sync_connection_wrapper::SyncConnectionWrapper};
/// # let mut conn = SqliteConnection::establish(":memory:").unwrap();
/// # diesel_locks::blocking::migrate(&mut conn).unwrap();
/// # let mut conn: SyncConnectionWrapper<_> = SyncConnectionWrapper::new(conn);
/// use std::time::Duration;
/// use diesel_locks::asynchronous::{LeaseDsl, LockSetDsl};
/// use diesel_locks::{Attempt, Lock, LockSet, Wait};
///
/// // A semaphore with three permits.
/// let permits = LockSet::new(&Lock::in_group("printer", "1")?, ["2", "3"])?;
/// match permits.acquire_any(&mut conn, Wait::up_to(Duration::from_secs(5))).await? {
///     Attempt::Acquired(permit) => {
///         println!("prints with permit {}", permit.lock().name());
///         permit.release(&mut conn).await?;
///     }
///     Attempt::Busy(_) => println!("all three permits are in use"),
/// }
/// # Ok(()) }
/// ```
pub trait LockSetDsl: Borrow<LockSet> + Sync {
    /// Tries once to acquire all locks of the set: the async form of
    /// [`blocking::LockSetDsl::try_acquire_all`](crate::blocking::LockSetDsl::try_acquire_all).
    fn try_acquire_all<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
    ) -> impl Future<Output = Result<Attempt<Vec<Lease>>>> + Send {
        self.acquire_all(conn, Wait::never())
    }

    /// Waits for all locks of the set: the async form of
    /// [`blocking::LockSetDsl::acquire_all`](crate::blocking::LockSetDsl::acquire_all).
    fn acquire_all<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
        wait: Wait,
    ) -> impl Future<Output = Result<Attempt<Vec<Lease>>>> + Send {
        async move { sets::acquire_all(&mut Asynchronous::on(conn), self.borrow(), wait).await }
    }

    /// Tries once to acquire any one lock of the set: the async form of
    /// [`blocking::LockSetDsl::try_acquire_any`](crate::blocking::LockSetDsl::try_acquire_any).
    #[doc(alias = "semaphore")]
    fn try_acquire_any<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
    ) -> impl Future<Output = Result<Attempt<Lease>>> + Send {
        self.acquire_any(conn, Wait::never())
    }

    /// Waits for any one lock of the set: the async form of
    /// [`blocking::LockSetDsl::acquire_any`](crate::blocking::LockSetDsl::acquire_any).
    #[doc(alias = "semaphore")]
    fn acquire_any<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
        wait: Wait,
    ) -> impl Future<Output = Result<Attempt<Lease>>> + Send {
        async move { sets::acquire_any(&mut Asynchronous::on(conn), self.borrow(), wait).await }
    }
}

impl LockSetDsl for LockSet {}
