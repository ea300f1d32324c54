//! An async connection, and how the protocol runs on it.

use std::ops::DerefMut;
use std::time::Duration;

use diesel::deserialize::FromSqlRow;
use diesel::expression::QueryMetadata;
use diesel::result::QueryResult;
use diesel::sql_types::BigInt;
use diesel_async::{AsyncConnection, RunQueryDsl, TransactionManager};

use crate::connection::lock_connection;
use crate::dialect::{Dialect, Sql};
use crate::error::{Error, Result};
use crate::fact::{Fact, FactSql};
use crate::in_use::InUse;
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
    ///
    /// # Dropped calls
    /// The future of a call can be dropped before its answer: by `select!`, by a timeout, by a request handler whose
    /// client is gone. `AsyncMysqlConnection` then takes the answer for the answer to the next call. So after a dropped
    /// call of this crate, the connection counts as broken there: every later call of this crate on it is
    /// [`Error::BrokenConnection`](crate::Error::BrokenConnection), and bb8 closes it (deadpool does when the connection is
    /// next asked for; mobc never does). On every database a connection counts as broken if a guarded transaction or a
    /// migration on it was dropped. A single dropped call does no harm on PostgreSQL and SQLite.
    ///
    /// Your own queries on such a connection are not refused, and may read a wrong answer. And this crate cannot see calls
    /// of *yours* that were dropped. On MySQL and MariaDB, close a connection on which you have dropped a call. A
    /// [`Locker`](super::Locker) checks each connection that its pool gives, and works on a connection of its own, so its
    /// futures can be dropped at any time.
    #[diagnostic::on_unimplemented(
        message = "locks do not work on `{Self}`",
        label = "not a diesel-async connection to a database whose feature of diesel-locks is enabled",
        note = "enable the feature `postgres`, `mysql` or `sqlite` of diesel-locks",
        note = "for Diesel's blocking connections import the traits of `diesel_locks::blocking`",
        note = "a shared connection such as `&AsyncPgConnection` cannot have a transaction of its own: pass `&mut AsyncPgConnection`",
        note = "if `cargo tree --duplicates` shows two versions of diesel-async, make them one with `cargo update --precise`"
    )]
    trait AsyncLockConnection over AsyncConnection;
    struct Asynchronous;
    sleep tokio::time::sleep;
    answer awaited;
}
