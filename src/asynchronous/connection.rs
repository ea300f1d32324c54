//! An async connection, and how the protocol runs on it.

use std::ops::DerefMut;
use std::time::Duration;

use diesel::deserialize::FromSqlRow;
use diesel::expression::QueryMetadata;
use diesel::result::QueryResult;
use diesel::sql_types::BigInt;
use diesel_async::{AsyncConnection, RunQueryDsl, TransactionManager};

use crate::connection::lock_connection;
use crate::dialect::Dialect;
use crate::error::{Error, Result};
use crate::fact::{Fact, FactSql};
use crate::protocol::{Executor, Transactions, Winning};
use crate::row::{LeaseState, LockRow, LockRowSql, Rows};
use crate::statement::Statement;

macro_rules! awaited {
    ($future:expr) => {
        $future.await
    };
}

lock_connection! {
    /// An async connection on which locks work: `AsyncPgConnection`, `AsyncMysqlConnection`,
    /// `SyncConnectionWrapper<SqliteConnection>`, and the pooled connections of bb8, deadpool and mobc. Use it as a
    /// bound if your code is generic over connections.
    #[diagnostic::on_unimplemented(
        message = "locks do not work on `{Self}`",
        label = "not a diesel-async connection to a database whose feature of diesel-locks is enabled",
        note = "enable the feature `postgres`, `mysql` or `sqlite` of diesel-locks",
        note = "for Diesel's blocking connections import the traits of `diesel_locks::blocking`"
    )]
    trait AsyncLockConnection over AsyncConnection;
    struct Asynchronous;
    sleep tokio::time::sleep;
    answer awaited;
}
