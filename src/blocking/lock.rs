//! Acquiring a lock on a blocking connection.

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

/// Acquires a [`Lock`], and reads its row. Import this trait for locks on a connection of your own, inside or outside a
/// transaction. To have the lease extended in the background, use a [`Locker`](super::Locker) instead.
///
/// ```
/// # use diesel::{Connection, SqliteConnection};
/// # let mut conn = SqliteConnection::establish(":memory:").unwrap();
/// # diesel_locks::blocking::migrate(&mut conn).unwrap();
/// use std::time::Duration;
/// use diesel_locks::blocking::{LeaseDsl, LockDsl};
/// use diesel_locks::{Attempt, Lock, Wait};
///
/// match Lock::new("report")?.acquire(&mut conn, Wait::up_to(Duration::from_secs(5)))? {
///     Attempt::Acquired(lease) => {
///         // … the work …
///         lease.release(&mut conn)?;
///     }
///     Attempt::Busy(holder) => println!("busy: {holder:?}"),
/// }
/// # Ok::<(), diesel_locks::Error>(())
/// ```
pub trait LockDsl: Borrow<Lock> {
    /// Tries once to acquire the lock, without waiting for its holder. The answer is the lease, or busy with the
    /// holder.
    ///
    /// In a transaction the lease is held when the transaction has committed, and a rollback leaves nothing. At
    /// REPEATABLE READ and above, acquire before the transaction begins: then the transaction sees what the last holder
    /// wrote.
    ///
    /// # Errors
    /// [`Error::TooLate`], and whatever the database says. Contention is an error only if it has ended the caller's
    /// transaction. Otherwise the answer is busy.
    #[doc(alias = "try_lock")]
    fn try_acquire<C: LockConnection>(&self, conn: &mut C) -> Result<Attempt> {
        ready(protocol::try_acquire(
            &mut Blocking::on(conn),
            self.borrow(),
        ))
    }

    /// Tries until the lock is acquired or the wait is over. If the wait is over, the answer is the last "busy". Do not
    /// wait inside a transaction: the transaction would keep all its row locks during the wait.
    ///
    /// # Errors
    /// The errors of [`try_acquire`](Self::try_acquire). [`Error::CannotWait`] in a transaction that could never see
    /// the release.
    #[doc(alias = "lock")]
    fn acquire<C: LockConnection>(&self, conn: &mut C, wait: Wait) -> Result<Attempt> {
        ready(protocol::acquire(
            &mut Blocking::on(conn),
            self.borrow(),
            wait,
        ))
    }

    /// Holds the lock until this transaction ends. There is no ttl to choose, and nothing to release: the lock is free
    /// after the commit, the rollback or a crash. The lock excludes leases and other transactions that hold it. The
    /// answer is the fence, or busy.
    ///
    /// Use it for exclusion within one transaction. It never waits, and it needs an open transaction. For work that
    /// takes several transactions, or happens outside the database, acquire a lease.
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

    /// Acquires the lock, does the work in a transaction that pins the lease, and releases the lock with the commit:
    /// acquire, BEGIN, pin, work, release, COMMIT. In this order the transaction sees what the last holder wrote, at
    /// every isolation level.
    ///
    /// Use it for a single transaction under a lock. For several transactions, acquire a lease and use
    /// [`LeaseDsl::transaction`](super::LeaseDsl::transaction).
    ///
    /// `wait` says how long to wait for the lock. The work gets the lease, for its [`fence`](Lease::fence). If the work
    /// fails, the transaction is rolled back, the lock is released, and the work's own error comes back unchanged.
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
    /// The errors of [`acquire`](Self::acquire) and of [`LeaseDsl::transaction`](super::LeaseDsl::transaction).
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
        ready(guarded::release_if_failed(
            &mut Blocking::on(conn),
            &lease,
            done,
        ))
    }

    /// Reads the lock's row. `None` if the lock was never used, or was purged since. Use it to tell people; to decide
    /// anything, try to acquire the lock.
    ///
    /// # Errors
    /// Whatever the database says.
    fn inspect<C: LockConnection>(&self, conn: &mut C) -> Result<Option<Record>> {
        ready(protocol::inspect(&mut Blocking::on(conn), self.borrow()))
    }

    /// Whether somebody holds the lock. Use it to tell people; to decide anything, try to acquire the lock.
    ///
    /// # Errors
    /// Whatever the database says.
    fn is_held<C: LockConnection>(&self, conn: &mut C) -> Result<bool> {
        ready(protocol::is_held(&mut Blocking::on(conn), self.borrow()))
    }

    /// Takes the lock away from its holder. Use it if a person knows that the holder is gone, or wants the holder to
    /// stop. The holder's pins, extensions and releases will find the lease lost. What the holder does outside the
    /// database goes on until it asks.
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
