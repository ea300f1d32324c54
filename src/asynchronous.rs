//! Locks on diesel-async's connections: the same operations as in [`blocking`](crate::blocking), in the same
//! words. What each does, and when to use it, is said there.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> diesel_locks::Result<()> {
//! # use diesel::{Connection, SqliteConnection};
//! # use diesel_async::{AsyncConnection, sync_connection_wrapper::SyncConnectionWrapper};
//! # let mut conn = SqliteConnection::establish(":memory:").unwrap();
//! # diesel_locks::migrations::run(&mut conn).unwrap();
//! # let mut conn: SyncConnectionWrapper<_> = SyncConnectionWrapper::new(conn);
//! use std::time::Duration;
//! use diesel_locks::asynchronous::{LeaseDsl, LockDsl};
//! use diesel_locks::{Attempt, Lock, Wait};
//!
//! let lock = Lock::new("nightly-report")?.ttl(Duration::from_secs(60))?;
//! match lock.acquire(&mut conn, Wait::up_to(Duration::from_secs(5))).await? {
//!     Attempt::Acquired(lease) => {
//!         // … the work …
//!         lease.release(&mut conn).await?;
//!     }
//!     Attempt::Busy(holder) => println!("somebody else is at it: {holder:?}"),
//! }
//! # Ok(()) }
//! ```

use std::borrow::{Borrow, BorrowMut};
use std::time::Duration;

use diesel::deserialize::FromSqlRow;
use diesel::expression::QueryMetadata;
use diesel::result::QueryResult;
use diesel::sql_types::BigInt;
use diesel_async::{AsyncConnection, RunQueryDsl, TransactionManager};

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

/// An async connection on which locks work: `AsyncPgConnection`, `AsyncMysqlConnection`,
/// `SyncConnectionWrapper<SqliteConnection>`, and the objects of bb8, deadpool and mobc. Write it as a bound where
/// your code is generic over connections.
#[diagnostic::on_unimplemented(
    message = "locks do not work on `{Self}`",
    label = "not a diesel-async connection to a database whose feature of diesel-locks is enabled",
    note = "enable the feature `postgres`, `mysql` or `sqlite` of diesel-locks",
    note = "for Diesel's blocking connections import the traits of `diesel_locks::blocking`"
)]
pub trait AsyncLockConnection: Send {
    #[doc(hidden)]
    type Dialect: Dialect;
    #[doc(hidden)]
    fn load_seen(
        &mut self,
        statement: Statement<Seen>,
    ) -> impl Future<Output = QueryResult<Vec<Seen>>> + Send;
    #[doc(hidden)]
    fn load_late(
        &mut self,
        statement: Statement<Late>,
    ) -> impl Future<Output = QueryResult<Vec<Late>>> + Send;
    #[doc(hidden)]
    fn count(
        &mut self,
        statement: Statement<()>,
    ) -> impl Future<Output = QueryResult<usize>> + Send;
    #[doc(hidden)]
    fn is_in_transaction(&mut self) -> bool;
    #[doc(hidden)]
    fn begin(&mut self) -> impl Future<Output = QueryResult<()>> + Send;
    #[doc(hidden)]
    fn commit(&mut self) -> impl Future<Output = QueryResult<()>> + Send;
    #[doc(hidden)]
    fn rollback(&mut self) -> impl Future<Output = QueryResult<()>> + Send;
}

impl<C> AsyncLockConnection for C
where
    C: AsyncConnection,
    C::Backend: Dialect + QueryMetadata<SeenSql> + QueryMetadata<BigInt>,
    Seen: FromSqlRow<SeenSql, C::Backend>,
    Late: FromSqlRow<BigInt, C::Backend>,
{
    type Dialect = C::Backend;

    async fn load_seen(&mut self, statement: Statement<Seen>) -> QueryResult<Vec<Seen>> {
        RunQueryDsl::load(statement, self).await
    }

    async fn load_late(&mut self, statement: Statement<Late>) -> QueryResult<Vec<Late>> {
        RunQueryDsl::load(statement, self).await
    }

    async fn count(&mut self, statement: Statement<()>) -> QueryResult<usize> {
        RunQueryDsl::execute(statement, self).await
    }

    fn is_in_transaction(&mut self) -> bool {
        let status = C::TransactionManager::transaction_manager_status_mut(self);
        !matches!(status.transaction_depth(), Ok(None))
    }

    async fn begin(&mut self) -> QueryResult<()> {
        C::TransactionManager::begin_transaction(self).await
    }

    async fn commit(&mut self) -> QueryResult<()> {
        C::TransactionManager::commit_transaction(self).await
    }

    async fn rollback(&mut self) -> QueryResult<()> {
        C::TransactionManager::rollback_transaction(self).await
    }
}

/// Acquiring a [`Lock`], and looking at one: [`blocking::LockDsl`](crate::blocking::LockDsl), async.
pub trait LockDsl: Borrow<Lock> + Sync {
    /// [`blocking::LockDsl::try_acquire`](crate::blocking::LockDsl::try_acquire), async.
    fn try_acquire<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
    ) -> impl Future<Output = Result<Attempt>> + Send {
        async move { protocol::try_acquire(&mut Asynchronous::on(conn), self.borrow()).await }
    }

    /// [`blocking::LockDsl::acquire`](crate::blocking::LockDsl::acquire), async.
    ///
    /// Cancel-safe while it waits. Cancelled while the database is being asked, the lock may have been acquired all
    /// the same: it is free after its ttl, or found again by acquiring with the same [`Lock::token`].
    fn acquire<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
        wait: Wait,
    ) -> impl Future<Output = Result<Attempt>> + Send {
        async move { protocol::acquire(&mut Asynchronous::on(conn), self.borrow(), wait).await }
    }

    /// [`blocking::LockDsl::try_hold`](crate::blocking::LockDsl::try_hold), async.
    fn try_hold<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
    ) -> impl Future<Output = Result<Attempt<i64>>> + Send {
        async move { protocol::try_hold(&mut Asynchronous::on(conn), self.borrow()).await }
    }

    /// [`blocking::LockDsl::transaction`](crate::blocking::LockDsl::transaction), async.
    ///
    /// Dropping the future leaves the connection inside the transaction, as with diesel-async's own, and the lock held
    /// for its ttl; a pool discards such a connection, and with it the transaction.
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
            let guarded = guarded::open(&mut Asynchronous::on(conn), &mut lease).await;
            let done = match guarded {
                Ok(guarded) => {
                    let done = work(conn, &lease).await;
                    let end = End::Release;
                    guarded::close(&mut Asynchronous::on(conn), &mut lease, guarded, end, done)
                        .await
                }
                Err(error) => Err(error.into()),
            };
            guarded::finish(&mut Asynchronous::on(conn), &lease, done).await
        }
    }

    /// [`blocking::LockDsl::inspect`](crate::blocking::LockDsl::inspect), async.
    fn inspect<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
    ) -> impl Future<Output = Result<Option<Record>>> + Send {
        async move { protocol::inspect(&mut Asynchronous::on(conn), self.borrow()).await }
    }

    /// [`blocking::LockDsl::is_held`](crate::blocking::LockDsl::is_held), async.
    fn is_held<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
    ) -> impl Future<Output = Result<bool>> + Send {
        async move { protocol::is_held(&mut Asynchronous::on(conn), self.borrow()).await }
    }

    /// [`blocking::LockDsl::current_owner`](crate::blocking::LockDsl::current_owner), async.
    fn current_owner<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
    ) -> impl Future<Output = Result<Option<String>>> + Send {
        async move { protocol::current_owner(&mut Asynchronous::on(conn), self.borrow()).await }
    }

    /// [`blocking::LockDsl::time_left`](crate::blocking::LockDsl::time_left), async.
    fn time_left<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
    ) -> impl Future<Output = Result<Duration>> + Send {
        async move { protocol::time_left(&mut Asynchronous::on(conn), self.borrow()).await }
    }

    /// [`blocking::LockDsl::read_data`](crate::blocking::LockDsl::read_data), async.
    fn read_data<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
    ) -> impl Future<Output = Result<Option<String>>> + Send {
        async move { protocol::read_data(&mut Asynchronous::on(conn), self.borrow()).await }
    }

    /// [`blocking::LockDsl::force_release`](crate::blocking::LockDsl::force_release), async.
    fn force_release<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
    ) -> impl Future<Output = Result<Forced>> + Send {
        async move { protocol::force_release(&mut Asynchronous::on(conn), self.borrow()).await }
    }
}

impl LockDsl for Lock {}

/// What the holder of a [`Lease`] can do with it: [`blocking::LeaseDsl`](crate::blocking::LeaseDsl), async.
pub trait LeaseDsl: BorrowMut<Lease> + Send + Sync {
    /// [`blocking::LeaseDsl::pin`](crate::blocking::LeaseDsl::pin), async.
    fn pin<C: AsyncLockConnection>(&self, conn: &mut C) -> impl Future<Output = Result<()>> + Send {
        async move { protocol::pin(&mut Asynchronous::on(conn), self.borrow()).await }
    }

    /// [`blocking::LeaseDsl::try_pin`](crate::blocking::LeaseDsl::try_pin), async.
    fn try_pin<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
    ) -> impl Future<Output = Result<Pin>> + Send {
        async move { protocol::try_pin(&mut Asynchronous::on(conn), self.borrow()).await }
    }

    /// [`blocking::LeaseDsl::transaction`](crate::blocking::LeaseDsl::transaction), async.
    ///
    /// As with diesel-async's own transactions, dropping the future leaves the connection inside the transaction; a
    /// pool discards such a connection, and with it the transaction.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> diesel_locks::Result<()> {
    /// # use diesel::{Connection, SqliteConnection};
    /// # use diesel_async::{AsyncConnection, sync_connection_wrapper::SyncConnectionWrapper};
    /// # let mut conn = SqliteConnection::establish(":memory:").unwrap();
    /// # diesel_locks::migrations::run(&mut conn).unwrap();
    /// # let mut conn: SyncConnectionWrapper<_> = SyncConnectionWrapper::new(conn);
    /// # use diesel_locks::asynchronous::{LeaseDsl, LockDsl};
    /// # use diesel_locks::{Error, Lock};
    /// # let mut lease = Lock::new("import")?.try_acquire(&mut conn).await?.acquired().unwrap();
    /// lease.transaction(&mut conn, async |conn| {
    ///     // … the writes …
    ///     Ok::<_, Error>(())
    /// }).await?;
    /// # Ok(()) }
    /// ```
    fn transaction<'a, C, T, X, F>(
        &'a mut self,
        conn: &'a mut C,
        work: F,
    ) -> impl Future<Output = Result<T, X>> + Send + 'a
    where
        C: AsyncLockConnection,
        T: Send + 'a,
        X: From<Error> + Send + 'a,
        for<'r> F: AsyncFnOnce(&'r mut C) -> Result<T, X>
            + AsyncWork<&'r mut C, Result<T, X>, Future: Send>
            + Send
            + 'a,
    {
        guard(self.borrow_mut(), conn, End::Keep, work)
    }

    /// [`blocking::LeaseDsl::finish`](crate::blocking::LeaseDsl::finish), async; see [`transaction`](Self::transaction).
    fn finish<'a, C, T, X, F>(
        &'a mut self,
        conn: &'a mut C,
        work: F,
    ) -> impl Future<Output = Result<T, X>> + Send + 'a
    where
        C: AsyncLockConnection,
        T: Send + 'a,
        X: From<Error> + Send + 'a,
        for<'r> F: AsyncFnOnce(&'r mut C) -> Result<T, X>
            + AsyncWork<&'r mut C, Result<T, X>, Future: Send>
            + Send
            + 'a,
    {
        guard(self.borrow_mut(), conn, End::Release, work)
    }

    /// [`blocking::LeaseDsl::release`](crate::blocking::LeaseDsl::release), async.
    fn release<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
    ) -> impl Future<Output = Result<Outcome>> + Send {
        async move { protocol::release(&mut Asynchronous::on(conn), self.borrow()).await }
    }

    /// [`blocking::LeaseDsl::extend`](crate::blocking::LeaseDsl::extend), async.
    #[must_use = "a lost lease must not be worked under any longer"]
    fn extend<C: AsyncLockConnection>(
        &mut self,
        conn: &mut C,
    ) -> impl Future<Output = Result<Outcome>> + Send {
        async move { protocol::extend(&mut Asynchronous::on(conn), self.borrow_mut()).await }
    }

    /// [`blocking::LeaseDsl::extend_to`](crate::blocking::LeaseDsl::extend_to), async.
    #[must_use = "a lost lease must not be worked under any longer"]
    fn extend_to<C: AsyncLockConnection>(
        &mut self,
        conn: &mut C,
        ttl: Duration,
    ) -> impl Future<Output = Result<Outcome>> + Send {
        async move { protocol::extend_to(&mut Asynchronous::on(conn), self.borrow_mut(), ttl).await }
    }

    /// [`blocking::LeaseDsl::extend_by`](crate::blocking::LeaseDsl::extend_by), async.
    #[must_use = "a lost lease must not be worked under any longer"]
    fn extend_by<C: AsyncLockConnection>(
        &mut self,
        conn: &mut C,
        by: Duration,
    ) -> impl Future<Output = Result<Outcome>> + Send {
        async move { protocol::extend_by(&mut Asynchronous::on(conn), self.borrow_mut(), by).await }
    }

    /// [`blocking::LeaseDsl::is_mine`](crate::blocking::LeaseDsl::is_mine), async.
    fn is_mine<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
    ) -> impl Future<Output = Result<bool>> + Send {
        async move { protocol::is_mine(&mut Asynchronous::on(conn), self.borrow()).await }
    }

    /// [`blocking::LeaseDsl::set_data`](crate::blocking::LeaseDsl::set_data), async.
    fn set_data<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
        data: Option<&str>,
    ) -> impl Future<Output = Result<Outcome>> + Send {
        async move { protocol::set_data(&mut Asynchronous::on(conn), self.borrow(), data).await }
    }
}

impl LeaseDsl for Lease {}

/// Acquiring the locks of a [`LockSet`]: [`blocking::LockSetDsl`](crate::blocking::LockSetDsl), async.
pub trait LockSetDsl: Borrow<LockSet> + Sync {
    /// [`blocking::LockSetDsl::try_acquire_all`](crate::blocking::LockSetDsl::try_acquire_all), async.
    fn try_acquire_all<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
    ) -> impl Future<Output = Result<Attempt<Vec<Lease>>>> + Send {
        self.acquire_all(conn, Wait::never())
    }

    /// [`blocking::LockSetDsl::acquire_all`](crate::blocking::LockSetDsl::acquire_all), async.
    fn acquire_all<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
        wait: Wait,
    ) -> impl Future<Output = Result<Attempt<Vec<Lease>>>> + Send {
        async move { several::acquire_all(&mut Asynchronous::on(conn), self.borrow(), wait).await }
    }

    /// [`blocking::LockSetDsl::try_acquire_any`](crate::blocking::LockSetDsl::try_acquire_any), async.
    fn try_acquire_any<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
    ) -> impl Future<Output = Result<Attempt<Lease>>> + Send {
        self.acquire_any(conn, Wait::never())
    }

    /// [`blocking::LockSetDsl::acquire_any`](crate::blocking::LockSetDsl::acquire_any), async.
    fn acquire_any<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
        wait: Wait,
    ) -> impl Future<Output = Result<Attempt<Lease>>> + Send {
        async move { several::acquire_any(&mut Asynchronous::on(conn), self.borrow(), wait).await }
    }
}

impl LockSetDsl for LockSet {}

/// Reading and tidying the rows of a [`List`]: [`blocking::ListDsl`](crate::blocking::ListDsl), async.
pub trait ListDsl: Borrow<List> + Sync {
    /// [`blocking::ListDsl::load`](crate::blocking::ListDsl::load), async.
    fn load<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
    ) -> impl Future<Output = Result<Vec<Record>>> + Send {
        async move { protocol::list(&mut Asynchronous::on(conn), self.borrow()).await }
    }

    /// [`blocking::ListDsl::purge`](crate::blocking::ListDsl::purge), async.
    fn purge<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
        age: Duration,
    ) -> impl Future<Output = Result<usize>> + Send {
        async move { protocol::purge(&mut Asynchronous::on(conn), self.borrow(), age).await }
    }
}

impl ListDsl for List {}

async fn guard<'a, C, T, X, F>(
    lease: &'a mut Lease,
    conn: &'a mut C,
    end: End,
    work: F,
) -> Result<T, X>
where
    C: AsyncLockConnection,
    T: Send,
    X: From<Error> + Send,
    for<'r> F: AsyncFnOnce(&'r mut C) -> Result<T, X>
        + AsyncWork<&'r mut C, Result<T, X>, Future: Send>
        + Send
        + 'a,
{
    let guarded = guarded::open(&mut Asynchronous::on(conn), lease).await?;
    let done = work(conn).await;
    guarded::close(&mut Asynchronous::on(conn), lease, guarded, end, done).await
}

/// An async closure whose future can be named, to say that it is `Send`. Every async closure is one.
#[doc(hidden)]
pub trait AsyncWork<A, R>:
    AsyncFnOnce(A) -> R + FnOnce(A) -> <Self as AsyncWork<A, R>>::Future
{
    type Future: Future<Output = R>;
}

impl<F, A, R, W> AsyncWork<A, R> for F
where
    F: AsyncFnOnce(A) -> R + FnOnce(A) -> W,
    W: Future<Output = R>,
{
    type Future = W;
}

/// The same for two arguments.
#[doc(hidden)]
pub trait AsyncLeasedWork<A, B, R>:
    AsyncFnOnce(A, B) -> R + FnOnce(A, B) -> <Self as AsyncLeasedWork<A, B, R>>::Future
{
    type Future: Future<Output = R>;
}

impl<F, A, B, R, W> AsyncLeasedWork<A, B, R> for F
where
    F: AsyncFnOnce(A, B) -> R + FnOnce(A, B) -> W,
    W: Future<Output = R>,
{
    type Future = W;
}

struct Asynchronous<'c, C> {
    conn: &'c mut C,
    /// Whether there is a transaction that Diesel has not begun.
    open: bool,
}

impl<'c, C> Asynchronous<'c, C> {
    fn on(conn: &'c mut C) -> Self {
        Self { conn, open: false }
    }
}

impl<C: AsyncLockConnection> Asynchronous<'_, C> {
    fn error(&mut self, error: diesel::result::Error) -> Error {
        Error::from_engine(error, C::Dialect::ENGINE, self.in_transaction())
    }
}

impl<C: AsyncLockConnection> Executor for Asynchronous<'_, C> {
    type Backend = C::Dialect;

    async fn load(&mut self, statement: Statement<Seen>) -> Result<Vec<Seen>> {
        let answer = self.conn.load_seen(statement).await;
        answer.map_err(|error| self.error(error))
    }

    async fn ask(&mut self, statement: Statement<Late>) -> Result<Vec<Late>> {
        let answer = self.conn.load_late(statement).await;
        answer.map_err(|error| self.error(error))
    }

    async fn run(&mut self, statement: Statement<()>) -> Result<usize> {
        let answer = self.conn.count(statement).await;
        answer.map_err(|error| self.error(error))
    }

    fn in_transaction(&mut self) -> bool {
        self.open || self.conn.is_in_transaction()
    }

    fn note_transaction(&mut self) {
        self.open = true;
    }

    async fn sleep(&mut self, pause: Duration) {
        tokio::time::sleep(pause).await;
    }
}

impl<C: AsyncLockConnection> Transactions for Asynchronous<'_, C> {
    async fn begin(&mut self) -> Result<()> {
        let answer = self.conn.begin().await;
        answer.map_err(|error| self.error(error))
    }

    async fn commit(&mut self) -> Result<()> {
        let answer = self.conn.commit().await;
        answer.map_err(|error| self.error(error))
    }

    async fn rollback(&mut self) -> Result<()> {
        let answer = self.conn.rollback().await;
        answer.map_err(|error| self.error(error))
    }
}
