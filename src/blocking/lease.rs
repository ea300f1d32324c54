//! What the holder of a lease can do.

use std::borrow::BorrowMut;
use std::time::Duration;

use super::connection::{Blocking, LockConnection, ready};
use crate::answer::{Outcome, Pin};
use crate::error::{Error, Result};
use crate::lease::Lease;
use crate::protocol;
use crate::protocol::guarded::{self, End};

/// What the holder of a [`Lease`] can do with it.
pub trait LeaseDsl: BorrowMut<Lease> {
    /// Proves, inside a transaction and as its first statement, that the lease is still held, and keeps everybody
    /// from taking the lock over until the transaction ends: a stale holder does not get to commit.
    ///
    /// Heartbeats of the lease are not in the way, and many transactions can pin it at once. Outside a transaction
    /// it proves nothing. Pin at the outermost level: a pin taken in a savepoint ends when that is rolled back.
    ///
    /// ```
    /// # use diesel::prelude::*;
    /// # let mut conn = SqliteConnection::establish(":memory:").unwrap();
    /// # diesel_locks::blocking::migrate(&mut conn).unwrap();
    /// # use diesel_locks::{Lock, blocking::{LeaseDsl, LockDsl}};
    /// # let lease = Lock::new("invoice:42")?.try_acquire(&mut conn)?.acquired().unwrap();
    /// conn.immediate_transaction(|conn| {
    ///     lease.pin(conn)?;          // from here on nobody can take it from us
    ///     // … the writes …
    ///     lease.release(conn)        // takes effect with the commit
    /// })?;
    /// # Ok::<(), diesel_locks::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Lost`] and [`Error::RunOut`], for the transaction to return; and whatever the database says.
    fn pin<C: LockConnection>(&self, conn: &mut C) -> Result<()> {
        ready(protocol::pin(&mut Blocking::on(conn), self.borrow()))
    }

    /// The same as [`pin`](Self::pin), with all three answers as a value.
    ///
    /// # Errors
    /// Whatever the database says.
    fn try_pin<C: LockConnection>(&self, conn: &mut C) -> Result<Pin> {
        ready(protocol::try_pin(&mut Blocking::on(conn), self.borrow()))
    }

    /// Does the work in a transaction that is pinned: BEGIN, pin, work, COMMIT. In an open transaction it is a savepoint.
    ///
    /// The work is not begun unless the lease is held, and nobody takes the lock over before the end. When less than
    /// half of the ttl is left to trust, the lease is extended, before the transaction and at its end: one
    /// that takes longer than the ttl commits and leaves the lease held. The work's own errors roll back and come
    /// back unchanged.
    ///
    /// For several transactions under one lease; for the last one use [`finish`](Self::finish), and for a single
    /// one [`LockDsl::transaction`](super::LockDsl::transaction).
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
    /// [`Error::Lost`] if the lock was taken over, the work's own errors, and whatever the database says.
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

    /// The same as [`transaction`](Self::transaction), and releases the lock with the commit: the last transaction under
    /// a lease.
    ///
    /// # Errors
    /// As [`transaction`](Self::transaction). The lease is not released then.
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

    /// Gives the lock back. In a transaction it takes effect with the commit, and should be the last statement.
    ///
    /// # Errors
    /// Whatever the database says.
    fn release<C: LockConnection>(&self, conn: &mut C) -> Result<Outcome> {
        ready(protocol::release(&mut Blocking::on(conn), self.borrow()))
    }

    /// Extends the lease to the lock's ttl from now on. Do it well before [`Lease::trusted_for`] is zero: at a
    /// third of the ttl, say.
    ///
    /// A lease that ran out, but was not taken over, lives on; see [`Outcome::DoneLate`]. Extending never shortens a
    /// lease, because another copy of it may trust the longer time.
    ///
    /// # Errors
    /// Whatever the database says. Then the lease is neither extended nor lost: try again while it is trusted.
    fn extend<C: LockConnection>(&mut self, conn: &mut C) -> Result<Outcome> {
        ready(protocol::extend(&mut Blocking::on(conn), self.borrow_mut()))
    }

    /// The same as [`extend`](Self::extend), to this ttl instead of the lock's.
    ///
    /// # Errors
    /// As [`extend`](Self::extend).
    fn extend_to<C: LockConnection>(&mut self, conn: &mut C, ttl: Duration) -> Result<Outcome> {
        ready(protocol::extend_to(
            &mut Blocking::on(conn),
            self.borrow_mut(),
            ttl,
        ))
    }

    /// Adds so much to what is left of the lease, or to now if it ran out. Unlike the other two it adds twice when
    /// it is done twice.
    ///
    /// # Errors
    /// As [`extend`](Self::extend).
    fn extend_by<C: LockConnection>(&mut self, conn: &mut C, by: Duration) -> Result<Outcome> {
        ready(protocol::extend_by(
            &mut Blocking::on(conn),
            self.borrow_mut(),
            by,
        ))
    }

    /// Whether the row still names this lease, and it has not run out. For people: to protect a write,
    /// [`pin`](Self::pin).
    ///
    /// # Errors
    /// Whatever the database says.
    fn is_mine<C: LockConnection>(&self, conn: &mut C) -> Result<bool> {
        ready(protocol::is_mine(&mut Blocking::on(conn), self.borrow()))
    }

    /// Replaces the text left with the lock, or removes it with `None`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for more than 4,096 bytes, and whatever the database says.
    fn set_data<C: LockConnection>(&self, conn: &mut C, data: Option<&str>) -> Result<Outcome> {
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
    let guarded = ready(guarded::open(&mut Blocking::on(conn), lease))?;
    let done = work(conn);
    ready(guarded::close(
        &mut Blocking::on(conn),
        lease,
        guarded,
        end,
        done,
    ))
}
