//! Acquiring several locks on a blocking connection.

use std::borrow::Borrow;

use super::connection::{Blocking, LockConnection, ready};
use crate::answer::Attempt;
use crate::error::Result;
use crate::lease::Lease;
use crate::protocol::sets;
use crate::set::LockSet;
use crate::wait::Wait;

/// Acquires the locks of a [`LockSet`]. Import this trait for sets on a connection of your own; for sets whose leases
/// are extended in the background use a [`Locker`](super::Locker).
///
/// ```
/// # use diesel::{Connection, SqliteConnection};
/// # let mut conn = SqliteConnection::establish(":memory:").unwrap();
/// # diesel_locks::blocking::migrate(&mut conn).unwrap();
/// use std::time::Duration;
/// use diesel_locks::blocking::{LeaseDsl, LockSetDsl};
/// use diesel_locks::{Attempt, Error, Lock, LockSet, Wait};
///
/// let accounts = LockSet::new(&Lock::in_group("accounts", "alice")?, ["bob"])?;
/// match accounts.acquire_all(&mut conn, Wait::up_to(Duration::from_secs(5)))? {
///     Attempt::Acquired(leases) => conn.transaction(|conn| {
///         for lease in &leases {
///             lease.pin(conn)?;
///         }
///         // … move the money …
///         for lease in &leases {
///             lease.release(conn)?;
///         }
///         Ok::<_, Error>(())
///     })?,
///     Attempt::Busy(holder) => println!("an account is in use: {holder:?}"),
/// }
/// # Ok::<(), Error>(())
/// ```
pub trait LockSetDsl: Borrow<LockSet> {
    /// Tries once to acquire all locks of the set. The answer is the leases in the order of their keys, or busy; then
    /// none is acquired.
    ///
    /// One statement acquires the locks. PostgreSQL needs two more at the first use of a name. On MySQL and MariaDB this
    /// call acquires one lock after the other in four cases: if a name was never used, if a lease has expired, if a text is
    /// left with the locks, and inside a transaction. If a lock is busy then, it releases the others again.
    ///
    /// # Errors
    /// The errors of [`LockDsl::try_acquire`](super::LockDsl::try_acquire).
    fn try_acquire_all<C: LockConnection>(&self, conn: &mut C) -> Result<Attempt<Vec<Lease>>> {
        self.acquire_all(conn, Wait::never())
    }

    /// Tries until all locks of the set are acquired or the wait is over. No lock is held between two tries. So sets
    /// that share names cannot deadlock; but a large set can wait for a long time while smaller sets are acquired and
    /// released.
    ///
    /// # Errors
    /// The errors of [`LockDsl::acquire`](super::LockDsl::acquire).
    fn acquire_all<C: LockConnection>(
        &self,
        conn: &mut C,
        wait: Wait,
    ) -> Result<Attempt<Vec<Lease>>> {
        ready(sets::acquire_all(
            &mut Blocking::on(conn),
            self.borrow(),
            wait,
        ))
    }

    /// Tries once to acquire any one lock of the set that is free. The lease tells which lock. If all locks are busy,
    /// the answer names the holder whose lease expires first.
    ///
    /// # Errors
    /// The errors of [`LockDsl::try_acquire`](super::LockDsl::try_acquire).
    #[doc(alias = "semaphore")]
    fn try_acquire_any<C: LockConnection>(&self, conn: &mut C) -> Result<Attempt<Lease>> {
        self.acquire_any(conn, Wait::never())
    }

    /// Tries until one lock of the set is acquired or the wait is over.
    ///
    /// # Errors
    /// The errors of [`LockDsl::acquire`](super::LockDsl::acquire).
    #[doc(alias = "semaphore")]
    fn acquire_any<C: LockConnection>(&self, conn: &mut C, wait: Wait) -> Result<Attempt<Lease>> {
        ready(sets::acquire_any(
            &mut Blocking::on(conn),
            self.borrow(),
            wait,
        ))
    }
}

impl LockSetDsl for LockSet {}
