//! Acquiring a lock.

use std::borrow::Borrow;

use super::connection::{Blocking, LockConnection, ready};
use super::lease::run_guarded;
use crate::answer::{Attempt, Forced, Record};
use crate::error::{Error, Result};
use crate::lease::Lease;
use crate::lock::Lock;
use crate::protocol;
use crate::protocol::guarded::{self, End};
use crate::wait::Wait;

/// Acquiring a [`Lock`], and looking at one.
pub trait LockDsl: Borrow<Lock> {
    /// Tries once, without waiting for whoever holds the lock: the answer is the lease, or busy and with whom.
    ///
    /// In a transaction the lease is held once that commits, and a rollback leaves nothing. At REPEATABLE READ and
    /// above acquire before the transaction begins, so that it sees what the last holder wrote.
    ///
    /// # Errors
    /// Whatever the database says, but contention only where it has ended the caller's transaction; and
    /// [`Error::TooLate`].
    fn try_acquire<C: LockConnection>(&self, conn: &mut C) -> Result<Attempt> {
        ready(protocol::try_acquire(
            &mut Blocking::on(conn),
            self.borrow(),
        ))
    }

    /// Tries until the lock is acquired or the wait is over; then the answer is the last "busy". Not for the
    /// inside of a transaction, which would keep everything it has locked while it waits.
    ///
    /// # Errors
    /// As [`try_acquire`](Self::try_acquire).
    fn acquire<C: LockConnection>(&self, conn: &mut C, wait: Wait) -> Result<Attempt> {
        ready(protocol::acquire(
            &mut Blocking::on(conn),
            self.borrow(),
            wait,
        ))
    }

    /// Holds the lock for the length of this transaction: no ttl to guess, nothing to release, and it is gone with the
    /// commit, the rollback or a crash. It excludes leases, and others who hold; the answer is the fence, or busy.
    ///
    /// For exclusion within one transaction. It never waits, and it needs an open transaction; to work for longer than
    /// one, or outside the database, acquire a lease.
    ///
    /// ```
    /// # use diesel::prelude::*;
    /// # let mut conn = SqliteConnection::establish(":memory:").unwrap();
    /// # diesel_locks::blocking::migrate(&mut conn).unwrap();
    /// use diesel_locks::blocking::LockDsl;
    /// use diesel_locks::{Error, Lock};
    ///
    /// conn.immediate_transaction(|conn| {
    ///     if Lock::new("renumber")?.try_hold(conn)?.is_busy() {
    ///         return Ok(());
    ///     }
    ///     // … the writes …
    ///     Ok::<_, Error>(())
    /// })?;
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoTransaction`], and whatever the database says.
    fn try_hold<C: LockConnection>(&self, conn: &mut C) -> Result<Attempt<i64>> {
        ready(protocol::try_hold(&mut Blocking::on(conn), self.borrow()))
    }

    /// Acquires the lock, does the work in a transaction that is pinned, and releases the lock with its commit: acquire,
    /// BEGIN, pin, work, release, COMMIT. In this order the transaction sees what the last holder wrote, at
    /// every isolation level.
    ///
    /// The wait is for the lock; the work gets the lease for its [`fence`](Lease::fence). If it fails, the transaction
    /// is rolled back, the lock is released, and the work's own error comes back unchanged.
    ///
    /// ```
    /// # use diesel::prelude::*;
    /// # let mut conn = SqliteConnection::establish(":memory:").unwrap();
    /// # diesel_locks::blocking::migrate(&mut conn).unwrap();
    /// use diesel_locks::blocking::LockDsl;
    /// use diesel_locks::{Attempt, Error, Lock, Wait};
    ///
    /// let paid = Lock::new("invoice:42")?.transaction(&mut conn, Wait::never(), |conn, lease| {
    ///     // … pay it …
    ///     Ok::<_, Error>("paid")
    /// })?;
    /// assert!(matches!(paid, Attempt::Acquired("paid")));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`try_acquire`](Self::try_acquire) and [`LeaseDsl::transaction`](super::LeaseDsl::transaction).
    fn transaction<C, T, X>(
        &self,
        conn: &mut C,
        wait: Wait,
        work: impl FnOnce(&mut C, &Lease) -> Result<T, X>,
    ) -> Result<Attempt<T>, X>
    where
        C: LockConnection,
        X: From<Error>,
    {
        let mut lease = match self.acquire(conn, wait)? {
            Attempt::Acquired(lease) => lease,
            Attempt::Busy(holder) => return Ok(Attempt::Busy(holder)),
        };
        let copy = lease.clone();
        let done = run_guarded(&mut lease, conn, End::Release, |conn| work(conn, &copy));
        ready(guarded::finish(&mut Blocking::on(conn), &lease, done))
    }

    /// Reads the lock's row; `None` if the lock was never used, or purged since.
    ///
    /// # Errors
    /// Whatever the database says.
    fn inspect<C: LockConnection>(&self, conn: &mut C) -> Result<Option<Record>> {
        ready(protocol::inspect(&mut Blocking::on(conn), self.borrow()))
    }

    /// Whether somebody holds the lock. For people: to decide anything, try to acquire it.
    ///
    /// # Errors
    /// Whatever the database says.
    fn is_held<C: LockConnection>(&self, conn: &mut C) -> Result<bool> {
        ready(protocol::is_held(&mut Blocking::on(conn), self.borrow()))
    }

    /// Takes the lock away from whoever holds it. For people who know that the holder is gone, or want it to stop:
    /// its pins, extensions and releases will say lost. What it does outside the database goes on until it asks.
    ///
    /// # Errors
    /// Whatever the database says.
    fn force_release<C: LockConnection>(&self, conn: &mut C) -> Result<Forced> {
        ready(protocol::force_release(
            &mut Blocking::on(conn),
            self.borrow(),
        ))
    }
}

impl LockDsl for Lock {}
