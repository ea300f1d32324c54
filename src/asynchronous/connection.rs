//! An async connection, and how the protocol runs on it.

use std::ops::DerefMut;
use std::time::Duration;

use diesel::deserialize::FromSqlRow;
use diesel::expression::QueryMetadata;
use diesel::result::QueryResult;
use diesel::sql_types::BigInt;
use diesel_async::{AsyncConnection, RunQueryDsl, SimpleAsyncConnection, TransactionManager};

use crate::dialect::Dialect;
use crate::error::{Error, Result};
use crate::fact::{Fact, FactSql};
use crate::protocol::{Executor, Transactions};
use crate::statement::{Late, Seen, SeenSql, Statement};

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
    fn load_facts(
        &mut self,
        statement: Statement<Fact>,
    ) -> impl Future<Output = QueryResult<Vec<Fact>>> + Send;
    #[doc(hidden)]
    fn batch(&mut self, sql: &str) -> impl Future<Output = QueryResult<()>> + Send;
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
    /// Keeps a pool from using it again.
    #[doc(hidden)]
    fn discard(&mut self);
}

impl<C> AsyncLockConnection for C
where
    C: AsyncConnection,
    C::Backend: Dialect + QueryMetadata<SeenSql> + QueryMetadata<BigInt> + QueryMetadata<FactSql>,
    Seen: FromSqlRow<SeenSql, C::Backend>,
    Late: FromSqlRow<BigInt, C::Backend>,
    Fact: FromSqlRow<FactSql, C::Backend>,
{
    type Dialect = C::Backend;

    async fn load_seen(&mut self, statement: Statement<Seen>) -> QueryResult<Vec<Seen>> {
        RunQueryDsl::load(statement, self).await
    }

    async fn load_late(&mut self, statement: Statement<Late>) -> QueryResult<Vec<Late>> {
        RunQueryDsl::load(statement, self).await
    }

    async fn load_facts(&mut self, statement: Statement<Fact>) -> QueryResult<Vec<Fact>> {
        RunQueryDsl::load(statement, self).await
    }

    async fn batch(&mut self, sql: &str) -> QueryResult<()> {
        SimpleAsyncConnection::batch_execute(self, sql).await
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

    fn discard(&mut self) {
        C::TransactionManager::transaction_manager_status_mut(self).set_in_error();
    }
}

/// On a connection that is borrowed, or was fetched from a pool.
pub struct Asynchronous<C> {
    pub(super) conn: C,
    /// Whether there is a transaction that Diesel has not begun.
    open: bool,
}

impl<'c, C> Asynchronous<&'c mut C> {
    pub(super) fn on(conn: &'c mut C) -> Self {
        Self::owning(conn)
    }
}

impl<C> Asynchronous<C> {
    pub(super) fn owning(conn: C) -> Self {
        Self { conn, open: false }
    }
}

impl<C> Asynchronous<C>
where
    C: DerefMut<Target: AsyncLockConnection> + Send,
{
    fn error(&mut self, error: diesel::result::Error) -> Error {
        Error::from_engine(
            error,
            <C::Target as AsyncLockConnection>::Dialect::ENGINE,
            self.in_transaction(),
        )
    }
}

impl<C> Executor for Asynchronous<C>
where
    C: DerefMut<Target: AsyncLockConnection> + Send,
{
    type Backend = <C::Target as AsyncLockConnection>::Dialect;

    async fn load(&mut self, statement: Statement<Seen>) -> Result<Vec<Seen>> {
        let answer = self.conn.load_seen(statement).await;
        answer.map_err(|error| self.error(error))
    }

    async fn ask(&mut self, statement: Statement<Late>) -> Result<Vec<Late>> {
        let answer = self.conn.load_late(statement).await;
        answer.map_err(|error| self.error(error))
    }

    async fn facts(&mut self, statement: Statement<Fact>) -> Result<Vec<Fact>> {
        let answer = self.conn.load_facts(statement).await;
        answer.map_err(|error| self.error(error))
    }

    async fn batch(&mut self, sql: &str) -> Result<()> {
        let answer = self.conn.batch(sql).await;
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

impl<C> Transactions for Asynchronous<C>
where
    C: DerefMut<Target: AsyncLockConnection> + Send,
{
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
