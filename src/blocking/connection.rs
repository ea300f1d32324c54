//! A Diesel connection, and how the protocol runs on it.

use std::ops::DerefMut;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use diesel::connection::{Connection, LoadConnection, TransactionManager};
use diesel::deserialize::FromSqlRow;
use diesel::expression::QueryMetadata;
use diesel::query_dsl::RunQueryDsl;
use diesel::result::QueryResult;
use diesel::sql_types::BigInt;

use crate::dialect::Dialect;
use crate::error::{Error, Result};
use crate::fact::{Fact, FactSql};
use crate::protocol::{Executor, Transactions};
use crate::statement::{Late, Seen, SeenSql, Statement};

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
    fn load_facts(&mut self, statement: Statement<Fact>) -> QueryResult<Vec<Fact>>;
    #[doc(hidden)]
    fn batch(&mut self, sql: &str) -> QueryResult<()>;
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
    /// Keeps a pool from using it again.
    #[doc(hidden)]
    fn discard(&mut self);
}

impl<C> LockConnection for C
where
    C: Connection + LoadConnection,
    C::Backend: Dialect + QueryMetadata<SeenSql> + QueryMetadata<BigInt> + QueryMetadata<FactSql>,
    Seen: FromSqlRow<SeenSql, C::Backend>,
    Late: FromSqlRow<BigInt, C::Backend>,
    Fact: FromSqlRow<FactSql, C::Backend>,
{
    type Dialect = C::Backend;

    fn load_seen(&mut self, statement: Statement<Seen>) -> QueryResult<Vec<Seen>> {
        RunQueryDsl::load(statement, self)
    }

    fn load_late(&mut self, statement: Statement<Late>) -> QueryResult<Vec<Late>> {
        RunQueryDsl::load(statement, self)
    }

    fn load_facts(&mut self, statement: Statement<Fact>) -> QueryResult<Vec<Fact>> {
        RunQueryDsl::load(statement, self)
    }

    fn batch(&mut self, sql: &str) -> QueryResult<()> {
        self.batch_execute(sql)
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

    fn discard(&mut self) {
        C::TransactionManager::transaction_manager_status_mut(self).set_in_error();
    }
}

/// On a connection that is borrowed, or was fetched from a pool.
pub struct Blocking<C> {
    pub(super) conn: C,
    /// Whether there is a transaction that Diesel has not begun.
    open: bool,
}

impl<'c, C> Blocking<&'c mut C> {
    pub(crate) fn on(conn: &'c mut C) -> Self {
        Self::owning(conn)
    }
}

impl<C> Blocking<C> {
    pub(super) fn owning(conn: C) -> Self {
        Self { conn, open: false }
    }
}

impl<C> Blocking<C>
where
    C: DerefMut<Target: LockConnection> + Send,
{
    fn error(&mut self, error: diesel::result::Error) -> Error {
        Error::from_engine(
            error,
            <C::Target as LockConnection>::Dialect::ENGINE,
            self.in_transaction(),
        )
    }
}

impl<C> Executor for Blocking<C>
where
    C: DerefMut<Target: LockConnection> + Send,
{
    type Backend = <C::Target as LockConnection>::Dialect;

    async fn load(&mut self, statement: Statement<Seen>) -> Result<Vec<Seen>> {
        let answer = self.conn.load_seen(statement);
        answer.map_err(|error| self.error(error))
    }

    async fn ask(&mut self, statement: Statement<Late>) -> Result<Vec<Late>> {
        let answer = self.conn.load_late(statement);
        answer.map_err(|error| self.error(error))
    }

    async fn facts(&mut self, statement: Statement<Fact>) -> Result<Vec<Fact>> {
        let answer = self.conn.load_facts(statement);
        answer.map_err(|error| self.error(error))
    }

    async fn batch(&mut self, sql: &str) -> Result<()> {
        let answer = self.conn.batch(sql);
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

impl<C> Transactions for Blocking<C>
where
    C: DerefMut<Target: LockConnection> + Send,
{
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
pub(crate) fn at_once<T>(protocol: impl Future<Output = T>) -> T {
    match pin!(protocol).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => unreachable!("a blocking connection does not wait"),
    }
}
