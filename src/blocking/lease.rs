//! What the holder of a lease can do on a blocking connection.

use std::borrow::BorrowMut;
use std::time::Duration;

use super::connection::{Blocking, LockConnection, ready};
use crate::answer::{LeaseStatus, Outcome, Pin, Released};
use crate::error::{Error, Result};
use crate::lease::Lease;
use crate::protocol::guarded::{self, End};
use crate::protocol::{self, Extension};

/// What the holder of a [`Lease`] can do with it. Import this trait for leases on a connection of your own. Nothing
/// extends such a lease in the background; for that, use a [`Locker`](super::Locker).
///
/// ```
/// # use diesel::{Connection, SqliteConnection};
/// # let mut conn = SqliteConnection::establish(":memory:").unwrap();
/// # diesel_locks::blocking::migrate(&mut conn).unwrap();
/// use diesel_locks::blocking::{LeaseDsl, LockDsl};
/// use diesel_locks::{Error, Lock};
///
/// let mut lease = Lock::new("import")?.try_acquire(&mut conn)?.acquired().expect("nobody else imports");
/// for page in 0..3 {
///     lease.extend(&mut conn)?;                 // an error if the lease is lost: the work must stop
///     lease.transaction(&mut conn, |conn| {
///         // … write the page: this commits under the lease, or not at all …
///         Ok::<_, Error>(())
///     })?;
/// }
/// lease.release(&mut conn)?;
/// # Ok::<(), Error>(())
/// ```
pub trait LeaseDsl: BorrowMut<Lease> {
    /// Proves that the lease is still held, and keeps every other process from taking the lock over until the
    /// transaction ends: a stale holder cannot commit. Call it inside a transaction, as its first statement.
    ///
    /// Many transactions can pin one lease at once, and a heartbeat of the lease does not wait for them. (On SQLite,
    /// which has one writer, they take turns.) Outside a transaction a pin proves nothing. Pin at the outermost level:
    /// a pin in a savepoint ends when the savepoint is rolled back.
    ///
    /// ```
    /// # use diesel::prelude::*;
    /// # let mut conn = SqliteConnection::establish(":memory:").unwrap();
    /// # diesel_locks::blocking::migrate(&mut conn).unwrap();
    /// # use diesel_locks::{Lock, blocking::{LeaseDsl, LockDsl}};
    /// # let lease = Lock::new("invoice:42")?.try_acquire(&mut conn)?.acquired().unwrap();
    /// conn.immediate_transaction(|conn| {
    ///     lease.pin(conn)?;          // until the commit nobody can take the lock over
    ///     // … the writes …
    ///     lease.release(conn)        // takes effect with the commit
    /// })?;
    /// # Ok::<(), diesel_locks::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Lost`] and [`Error::Expired`], which the transaction must return; and whatever the database says.
    fn pin<C: LockConnection>(&self, conn: &mut C) -> Result<()> {
        ready(protocol::pin(&mut Blocking::on(conn), self.borrow()))
    }

    /// Pins like [`pin`](Self::pin), but returns all three answers as a value. Use it if the transaction has something
    /// else to do when the lease is lost. Do not ignore the answer.
    ///
    /// # Errors
    /// Whatever the database says.
    fn try_pin<C: LockConnection>(&self, conn: &mut C) -> Result<Pin> {
        ready(protocol::try_pin(&mut Blocking::on(conn), self.borrow()))
    }

    /// Does the work in a transaction that pins the lease: BEGIN, pin, work, COMMIT. In an open transaction it uses a
    /// savepoint.
    ///
    /// The work is not begun unless the lease is held, and nobody can take the lock over before the transaction ends.
    /// If less than half of the ttl is left to trust, the lease is extended, before the transaction and at its end. So
    /// a transaction that takes longer than the ttl commits, and leaves the lease held. If the work fails, the
    /// transaction is rolled back, and the work's own error comes back unchanged.
    ///
    /// Use it for several transactions under one lease. For the last one use [`finish`](Self::finish). For a single
    /// transaction use [`LockDsl::transaction`](super::LockDsl::transaction).
    ///
    /// ```
    /// # use diesel::prelude::*;
    /// # let mut conn = SqliteConnection::establish(":memory:").unwrap();
    /// # diesel_locks::blocking::migrate(&mut conn).unwrap();
    /// # use diesel_locks::{Error, Lock, blocking::{LeaseDsl, LockDsl}};
    /// let mut lease = Lock::new("import")?.try_acquire(&mut conn)?.acquired().expect("nobody else imports");
    /// for chunk in 0..3 {
    ///     lease.transaction(&mut conn, |conn| {
    ///         // … write the chunk …
    ///         Ok::<_, Error>(())
    ///     })?;
    /// }
    /// lease.release(&mut conn)?;
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Lost`] if the lease is lost, the work's own errors, and whatever the database says.
    fn transaction<C, T, X>(
        &mut self,
        conn: &mut C,
        work: impl FnOnce(&mut C) -> Result<T, X>,
    ) -> Result<T, X>
    where
        C: LockConnection,
        X: From<Error>,
    {
        run_guarded(self.borrow_mut(), conn, End::Keep, work)
    }

    /// Does the work in a transaction like [`transaction`](Self::transaction), and releases the lock with the commit.
    /// Use it for the last transaction under a lease.
    ///
    /// # Errors
    /// The errors of [`transaction`](Self::transaction). After an error the lease is not released.
    fn finish<C, T, X>(
        &mut self,
        conn: &mut C,
        work: impl FnOnce(&mut C) -> Result<T, X>,
    ) -> Result<T, X>
    where
        C: LockConnection,
        X: From<Error>,
    {
        run_guarded(self.borrow_mut(), conn, End::Release, work)
    }

    /// Releases the lock. In a transaction the release takes effect with the commit, and should be the last statement.
    ///
    /// The answer tells whether the lease was still held. It may be ignored.
    ///
    /// # Errors
    /// Whatever the database says. After an error the lock is free when the ttl is over.
    #[doc(alias = "unlock")]
    fn release<C: LockConnection>(&self, conn: &mut C) -> Result<Released> {
        let outcome = ready(protocol::release(&mut Blocking::on(conn), self.borrow()));
        outcome.map(Into::into)
    }

    /// Extends the lease, so that it lasts the lock's ttl from now on. Call it well before [`Lease::trusted_for`] is
    /// zero: for example after each third of the ttl.
    ///
    /// If the lease has expired, but nobody has taken the lock over, it is extended all the same. Extending never makes
    /// a lease shorter, because another copy of the lease may trust the longer time.
    ///
    /// ```
    /// # use diesel::Connection;
    /// # let mut conn = diesel::SqliteConnection::establish(":memory:").unwrap();
    /// # diesel_locks::blocking::migrate(&mut conn).unwrap();
    /// # use diesel_locks::{Lock, blocking::{LeaseDsl, LockDsl}};
    /// # let mut lease = Lock::new("import")?.try_acquire(&mut conn)?.acquired().unwrap();
    /// for page in 0..3 {
    ///     lease.extend(&mut conn)?; // an error if the lease is lost: then the work must stop
    ///     // … import the page …
    /// }
    /// # Ok::<(), diesel_locks::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Lost`], and whatever the database says. After another error than `Lost` it is unknown whether the
    /// lease was extended: it is trusted only as long as before. Try again while it is trusted.
    #[doc(alias = "renew")]
    #[doc(alias = "refresh")]
    #[doc(alias = "keep_alive")]
    fn extend<C: LockConnection>(&mut self, conn: &mut C) -> Result<()> {
        let outcome = self.try_extend(conn)?;
        outcome.or_lost(self.borrow_mut())
    }

    /// Extends the lease like [`extend`](Self::extend), but a lost lease is an answer, and not an error. The answer
    /// also tells whether the lease had expired.
    ///
    /// # Errors
    /// Whatever the database says.
    fn try_extend<C: LockConnection>(&mut self, conn: &mut C) -> Result<Outcome> {
        let ttl = self.borrow_mut().lock.ttl;
        self.try_extend_to(conn, ttl)
    }

    /// Extends the lease like [`extend`](Self::extend), but to this ttl instead of the lock's.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a ttl out of bounds, and the errors of [`extend`](Self::extend).
    fn extend_to<C: LockConnection>(&mut self, conn: &mut C, ttl: Duration) -> Result<()> {
        let outcome = self.try_extend_to(conn, ttl)?;
        outcome.or_lost(self.borrow_mut())
    }

    /// Extends the lease to this ttl. A lost lease is an answer: see [`try_extend`](Self::try_extend).
    ///
    /// # Errors
    /// [`Error::Invalid`] for a ttl out of bounds, and whatever the database says.
    fn try_extend_to<C: LockConnection>(&mut self, conn: &mut C, ttl: Duration) -> Result<Outcome> {
        let how = Extension::To(ttl);
        ready(protocol::extend_for(
            &mut Blocking::on(conn),
            self.borrow_mut(),
            how,
        ))
    }

    /// Adds this time to the time that is left of the lease. If the lease has expired, the time counts from now on. Two
    /// calls of `extend_by` add the time twice. Two calls of [`extend`](Self::extend) or [`extend_to`](Self::extend_to)
    /// do not.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a time out of the bounds of a ttl, and the errors of [`extend`](Self::extend).
    fn extend_by<C: LockConnection>(&mut self, conn: &mut C, time: Duration) -> Result<()> {
        let outcome = self.try_extend_by(conn, time)?;
        outcome.or_lost(self.borrow_mut())
    }

    /// Adds this time to the lease. A lost lease is an answer: see [`try_extend`](Self::try_extend).
    ///
    /// # Errors
    /// [`Error::Invalid`] for a time out of the bounds of a ttl, and whatever the database says.
    fn try_extend_by<C: LockConnection>(
        &mut self,
        conn: &mut C,
        time: Duration,
    ) -> Result<Outcome> {
        let how = Extension::By(time);
        ready(protocol::extend_for(
            &mut Blocking::on(conn),
            self.borrow_mut(),
            how,
        ))
    }

    /// Reads what has become of the lease: held, and for how long; expired; or lost, and to whom. Use it to tell
    /// people. To protect a write, use [`pin`](Self::pin).
    ///
    /// # Errors
    /// Whatever the database says.
    #[doc(alias = "is_mine")]
    #[doc(alias = "time_left")]
    #[doc(alias = "ttl")]
    fn status<C: LockConnection>(&self, conn: &mut C) -> Result<LeaseStatus> {
        ready(protocol::status(&mut Blocking::on(conn), self.borrow()))
    }

    /// Replaces the text that is left with the lock, or removes it with `None`.
    ///
    /// # Errors
    /// [`Error::Lost`], [`Error::Invalid`] for more than 4,096 bytes, and whatever the database says.
    fn set_data<C: LockConnection>(&self, conn: &mut C, data: Option<&str>) -> Result<()> {
        self.try_set_data(conn, data)?.or_lost(self.borrow())
    }

    /// Replaces the text that is left with the lock. A lost lease is an answer: see [`try_extend`](Self::try_extend).
    ///
    /// # Errors
    /// [`Error::Invalid`] for more than 4,096 bytes, and whatever the database says.
    fn try_set_data<C: LockConnection>(&self, conn: &mut C, data: Option<&str>) -> Result<Outcome> {
        ready(protocol::set_data(
            &mut Blocking::on(conn),
            self.borrow(),
            data,
        ))
    }
}

impl LeaseDsl for Lease {}

pub(super) fn run_guarded<C, T, X>(
    lease: &mut Lease,
    conn: &mut C,
    end: End,
    work: impl FnOnce(&mut C) -> Result<T, X>,
) -> Result<T, X>
where
    C: LockConnection,
    X: From<Error>,
{
    let leases = std::slice::from_mut(lease);
    let opened = ready(guarded::open(&mut Blocking::on(conn), leases))?;
    let done = work(conn);
    let on = &mut Blocking::on(conn);
    let closed = ready(guarded::close(on, leases, opened, end, done));
    closed.map(|closed| closed.value)
}
