//! Locks on Diesel's connections.
//!
//! ```
//! # use diesel::Connection;
//! # let mut conn = diesel::SqliteConnection::establish(":memory:").unwrap();
//! # diesel_locks::migrations::run(&mut conn).unwrap();
//! use std::time::Duration;
//! use diesel_locks::blocking::{LeaseDsl, LockDsl};
//! use diesel_locks::{Attempt, Lock, Wait};
//!
//! let lock = Lock::new("nightly-report")?.ttl(Duration::from_secs(60))?;
//! match lock.acquire(&mut conn, Wait::up_to(Duration::from_secs(5)))? {
//!     Attempt::Acquired(lease) => {
//!         // … the work …
//!         lease.release(&mut conn)?;
//!     }
//!     Attempt::Busy(holder) => println!("somebody else is at it: {holder:?}"),
//! }
//! # Ok::<(), diesel_locks::Error>(())
//! ```

use std::borrow::{Borrow, BorrowMut};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use diesel::connection::{Connection, LoadConnection, TransactionManager};
use diesel::deserialize::FromSqlRow;
use diesel::expression::QueryMetadata;
use diesel::query_dsl::RunQueryDsl;
use diesel::result::QueryResult;
use diesel::sql_types::BigInt;

use crate::answer::{Attempt, Forced, Outcome, Pin, Record};
use crate::dialect::Dialect;
use crate::error::{Error, Result};
use crate::lease::Lease;
use crate::list::List;
use crate::lock::Lock;
use crate::protocol::guarded::{self, End};
use crate::protocol::several;
use crate::protocol::{self, Executor, Transactions};
use crate::set::LockSet;
use crate::statement::{Late, Seen, SeenSql, Statement};
use crate::wait::Wait;

/// A blocking Diesel connection on which locks work: `PgConnection`, `MysqlConnection`, `SqliteConnection`, and
/// what r2d2 makes of them. Write it as a bound where your code is generic over connections.
#[diagnostic::on_unimplemented(
    message = "locks do not work on `{Self}`",
    label = "not a Diesel connection to a database whose feature of diesel-locks is enabled",
    note = "enable the feature `postgres`, `mysql` or `sqlite` of diesel-locks",
    note = "for connections of diesel-async import the traits of `diesel_locks::asynchronous`"
)]
pub trait LockConnection: Send {
    #[doc(hidden)]
    type Dialect: Dialect;
    #[doc(hidden)]
    fn load_seen(&mut self, statement: Statement<Seen>) -> QueryResult<Vec<Seen>>;
    #[doc(hidden)]
    fn load_late(&mut self, statement: Statement<Late>) -> QueryResult<Vec<Late>>;
    #[doc(hidden)]
    fn count(&mut self, statement: Statement<()>) -> QueryResult<usize>;
    #[doc(hidden)]
    fn is_in_transaction(&mut self) -> bool;
    #[doc(hidden)]
    fn begin(&mut self) -> QueryResult<()>;
    #[doc(hidden)]
    fn commit(&mut self) -> QueryResult<()>;
    #[doc(hidden)]
    fn rollback(&mut self) -> QueryResult<()>;
}

impl<C> LockConnection for C
where
    C: Connection + LoadConnection,
    C::Backend: Dialect + QueryMetadata<SeenSql> + QueryMetadata<BigInt>,
    Seen: FromSqlRow<SeenSql, C::Backend>,
    Late: FromSqlRow<BigInt, C::Backend>,
{
    type Dialect = C::Backend;

    fn load_seen(&mut self, statement: Statement<Seen>) -> QueryResult<Vec<Seen>> {
        RunQueryDsl::load(statement, self)
    }

    fn load_late(&mut self, statement: Statement<Late>) -> QueryResult<Vec<Late>> {
        RunQueryDsl::load(statement, self)
    }

    fn count(&mut self, statement: Statement<()>) -> QueryResult<usize> {
        RunQueryDsl::execute(statement, self)
    }

    fn is_in_transaction(&mut self) -> bool {
        let status = C::TransactionManager::transaction_manager_status_mut(self);
        !matches!(status.transaction_depth(), Ok(None))
    }

    fn begin(&mut self) -> QueryResult<()> {
        C::TransactionManager::begin_transaction(self)
    }

    fn commit(&mut self) -> QueryResult<()> {
        C::TransactionManager::commit_transaction(self)
    }

    fn rollback(&mut self) -> QueryResult<()> {
        C::TransactionManager::rollback_transaction(self)
    }
}

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
        at_once(protocol::try_acquire(
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
        at_once(protocol::acquire(
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
    /// # diesel_locks::migrations::run(&mut conn).unwrap();
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
        at_once(protocol::try_hold(&mut Blocking::on(conn), self.borrow()))
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
    /// # diesel_locks::migrations::run(&mut conn).unwrap();
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
    /// Those of [`try_acquire`](Self::try_acquire) and [`LeaseDsl::transaction`].
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
        let done = guard(&mut lease, conn, End::Release, |conn| work(conn, &copy));
        at_once(guarded::finish(&mut Blocking::on(conn), &lease, done))
    }

    /// Reads the lock's row; `None` if the lock was never used, or purged since.
    ///
    /// # Errors
    /// Whatever the database says.
    fn inspect<C: LockConnection>(&self, conn: &mut C) -> Result<Option<Record>> {
        at_once(protocol::inspect(&mut Blocking::on(conn), self.borrow()))
    }

    /// Whether somebody holds the lock. For people: to decide anything, try to acquire it.
    ///
    /// # Errors
    /// Whatever the database says.
    fn is_held<C: LockConnection>(&self, conn: &mut C) -> Result<bool> {
        at_once(protocol::is_held(&mut Blocking::on(conn), self.borrow()))
    }

    /// The label of who holds the lock, if somebody does.
    ///
    /// # Errors
    /// Whatever the database says.
    fn current_owner<C: LockConnection>(&self, conn: &mut C) -> Result<Option<String>> {
        at_once(protocol::current_owner(
            &mut Blocking::on(conn),
            self.borrow(),
        ))
    }

    /// How long the lease of whoever holds the lock lives unless it is extended; zero if nobody does.
    ///
    /// # Errors
    /// Whatever the database says.
    fn time_left<C: LockConnection>(&self, conn: &mut C) -> Result<Duration> {
        at_once(protocol::time_left(&mut Blocking::on(conn), self.borrow()))
    }

    /// The text that the holder, or the last one, left with the lock.
    ///
    /// # Errors
    /// Whatever the database says.
    fn read_data<C: LockConnection>(&self, conn: &mut C) -> Result<Option<String>> {
        at_once(protocol::read_data(&mut Blocking::on(conn), self.borrow()))
    }

    /// Takes the lock away from whoever holds it. For people who know that the holder is gone, or want it to stop:
    /// its pins, extensions and releases will say lost. What it does outside the database goes on until it asks.
    ///
    /// # Errors
    /// Whatever the database says.
    fn force_release<C: LockConnection>(&self, conn: &mut C) -> Result<Forced> {
        at_once(protocol::force_release(
            &mut Blocking::on(conn),
            self.borrow(),
        ))
    }
}

impl LockDsl for Lock {}

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
    /// # diesel_locks::migrations::run(&mut conn).unwrap();
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
        at_once(protocol::pin(&mut Blocking::on(conn), self.borrow()))
    }

    /// The same as [`pin`](Self::pin), with all three answers as a value.
    ///
    /// # Errors
    /// Whatever the database says.
    fn try_pin<C: LockConnection>(&self, conn: &mut C) -> Result<Pin> {
        at_once(protocol::try_pin(&mut Blocking::on(conn), self.borrow()))
    }

    /// Does the work in a transaction that is pinned: BEGIN, pin, work, COMMIT. In an open transaction it is a savepoint.
    ///
    /// The work is not begun unless the lease is held, and nobody takes the lock over before the end. When less than
    /// half of the ttl is left to trust, the lease is extended, before the transaction and at its end: one
    /// that takes longer than the ttl commits and leaves the lease held. The work's own errors roll back and come
    /// back unchanged.
    ///
    /// For several transactions under one lease; for the last one use [`finish`](Self::finish), and for a single
    /// one [`LockDsl::transaction`].
    ///
    /// ```
    /// # use diesel::prelude::*;
    /// # let mut conn = SqliteConnection::establish(":memory:").unwrap();
    /// # diesel_locks::migrations::run(&mut conn).unwrap();
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
        guard(self.borrow_mut(), conn, End::Keep, work)
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
        guard(self.borrow_mut(), conn, End::Release, work)
    }

    /// Gives the lock back. In a transaction it takes effect with the commit, and should be the last statement.
    ///
    /// # Errors
    /// Whatever the database says.
    fn release<C: LockConnection>(&self, conn: &mut C) -> Result<Outcome> {
        at_once(protocol::release(&mut Blocking::on(conn), self.borrow()))
    }

    /// Extends the lease to the lock's ttl from now on. Do it well before [`Lease::trusted_for`] is zero: at a
    /// third of the ttl, say.
    ///
    /// A lease that ran out, but was not taken over, lives on; see [`Outcome::DoneLate`]. Extending never shortens a
    /// lease, because another copy of it may trust the longer time.
    ///
    /// # Errors
    /// Whatever the database says. Then the lease is neither extended nor lost: try again while it is trusted.
    #[must_use = "a lost lease must not be worked under any longer"]
    fn extend<C: LockConnection>(&mut self, conn: &mut C) -> Result<Outcome> {
        at_once(protocol::extend(&mut Blocking::on(conn), self.borrow_mut()))
    }

    /// The same as [`extend`](Self::extend), to this ttl instead of the lock's.
    ///
    /// # Errors
    /// As [`extend`](Self::extend).
    #[must_use = "a lost lease must not be worked under any longer"]
    fn extend_to<C: LockConnection>(&mut self, conn: &mut C, ttl: Duration) -> Result<Outcome> {
        at_once(protocol::extend_to(
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
    #[must_use = "a lost lease must not be worked under any longer"]
    fn extend_by<C: LockConnection>(&mut self, conn: &mut C, by: Duration) -> Result<Outcome> {
        at_once(protocol::extend_by(
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
        at_once(protocol::is_mine(&mut Blocking::on(conn), self.borrow()))
    }

    /// Replaces the text left with the lock, or removes it with `None`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for more than 4,096 bytes, and whatever the database says.
    fn set_data<C: LockConnection>(&self, conn: &mut C, data: Option<&str>) -> Result<Outcome> {
        at_once(protocol::set_data(
            &mut Blocking::on(conn),
            self.borrow(),
            data,
        ))
    }
}

impl LeaseDsl for Lease {}

/// Acquiring the locks of a [`LockSet`].
pub trait LockSetDsl: Borrow<LockSet> {
    /// Tries once to acquire all of them: the leases in the order of their keys, or busy and none.
    ///
    /// On PostgreSQL and SQLite in one statement; on MySQL and MariaDB one after the other, and back if one is busy.
    /// At the first use of a name PostgreSQL needs two more.
    ///
    /// # Errors
    /// As [`LockDsl::try_acquire`].
    fn try_acquire_all<C: LockConnection>(&self, conn: &mut C) -> Result<Attempt<Vec<Lease>>> {
        self.acquire_all(conn, Wait::never())
    }

    /// Tries until all of them are acquired or the wait is over. Nothing is held between two tries, so that sets that
    /// share names cannot deadlock, and a large set can wait for long while small ones come and go.
    ///
    /// # Errors
    /// As [`LockDsl::acquire`].
    fn acquire_all<C: LockConnection>(
        &self,
        conn: &mut C,
        wait: Wait,
    ) -> Result<Attempt<Vec<Lease>>> {
        at_once(several::acquire_all(
            &mut Blocking::on(conn),
            self.borrow(),
            wait,
        ))
    }

    /// Tries once to acquire any one of them that is free; which one, the lease tells. Busy is busy with the holder
    /// whose lease ends the soonest.
    ///
    /// # Errors
    /// As [`LockDsl::try_acquire`].
    fn try_acquire_any<C: LockConnection>(&self, conn: &mut C) -> Result<Attempt<Lease>> {
        self.acquire_any(conn, Wait::never())
    }

    /// Tries until one of them is acquired or the wait is over.
    ///
    /// # Errors
    /// As [`LockDsl::acquire`].
    fn acquire_any<C: LockConnection>(&self, conn: &mut C, wait: Wait) -> Result<Attempt<Lease>> {
        at_once(several::acquire_any(
            &mut Blocking::on(conn),
            self.borrow(),
            wait,
        ))
    }
}

impl LockSetDsl for LockSet {}

/// Reading and tidying the rows of a [`List`].
pub trait ListDsl: Borrow<List> {
    /// Reads the page.
    ///
    /// # Errors
    /// Whatever the database says.
    fn load<C: LockConnection>(&self, conn: &mut C) -> Result<Vec<Record>> {
        at_once(protocol::list(&mut Blocking::on(conn), self.borrow()))
    }

    /// Removes the rows of all locks within the list's group and prefix that nobody has held for longer than
    /// `age`, and counts them. A held lock is never removed. Fences go on growing, as long as the database's clock
    /// is not set back by more than `age`: a day, say.
    ///
    /// # Errors
    /// Whatever the database says.
    fn purge<C: LockConnection>(&self, conn: &mut C, age: Duration) -> Result<usize> {
        at_once(protocol::purge(&mut Blocking::on(conn), self.borrow(), age))
    }
}

impl ListDsl for List {}

fn guard<C, T, X>(
    lease: &mut Lease,
    conn: &mut C,
    end: End,
    work: impl FnOnce(&mut C) -> Result<T, X>,
) -> Result<T, X>
where
    C: LockConnection,
    X: From<Error>,
{
    let guarded = at_once(guarded::open(&mut Blocking::on(conn), lease))?;
    let done = work(conn);
    at_once(guarded::close(
        &mut Blocking::on(conn),
        lease,
        guarded,
        end,
        done,
    ))
}

struct Blocking<'c, C> {
    conn: &'c mut C,
    /// Whether there is a transaction that Diesel has not begun.
    open: bool,
}

impl<'c, C> Blocking<'c, C> {
    fn on(conn: &'c mut C) -> Self {
        Self { conn, open: false }
    }
}

impl<C: LockConnection> Blocking<'_, C> {
    fn error(&mut self, error: diesel::result::Error) -> Error {
        Error::from_engine(error, C::Dialect::ENGINE, self.in_transaction())
    }
}

impl<C: LockConnection> Executor for Blocking<'_, C> {
    type Backend = C::Dialect;

    async fn load(&mut self, statement: Statement<Seen>) -> Result<Vec<Seen>> {
        let answer = self.conn.load_seen(statement);
        answer.map_err(|error| self.error(error))
    }

    async fn ask(&mut self, statement: Statement<Late>) -> Result<Vec<Late>> {
        let answer = self.conn.load_late(statement);
        answer.map_err(|error| self.error(error))
    }

    async fn run(&mut self, statement: Statement<()>) -> Result<usize> {
        let answer = self.conn.count(statement);
        answer.map_err(|error| self.error(error))
    }

    fn in_transaction(&mut self) -> bool {
        self.open || self.conn.is_in_transaction()
    }

    fn note_transaction(&mut self) {
        self.open = true;
    }

    async fn sleep(&mut self, pause: Duration) {
        std::thread::sleep(pause);
    }
}

impl<C: LockConnection> Transactions for Blocking<'_, C> {
    async fn begin(&mut self) -> Result<()> {
        self.conn.begin().map_err(|error| self.error(error))
    }

    async fn commit(&mut self) -> Result<()> {
        self.conn.commit().map_err(|error| self.error(error))
    }

    async fn rollback(&mut self) -> Result<()> {
        self.conn.rollback().map_err(|error| self.error(error))
    }
}

/// Nothing in a blocking executor waits, so its futures are ready at the first poll, and so is every protocol.
fn at_once<T>(protocol: impl Future<Output = T>) -> T {
    match pin!(protocol).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => unreachable!("a blocking connection does not wait"),
    }
}
