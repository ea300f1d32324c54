//! A blocking Diesel connection, and how the protocol runs on it.

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

use crate::connection::lock_connection;
use crate::dialect::{Dialect, Sql};
use crate::error::{Error, Result};
use crate::fact::{Fact, FactSql};
use crate::in_use::InUse;
use crate::protocol::{Executor, Transactions, Winning};
use crate::row::{LeaseState, LockRow, LockRowSql, Rows};
use crate::statement::Statement;

/// Returns the value itself: on a blocking connection there is no future to await.
macro_rules! at_once {
    ($value:expr) => {
        $value
    };
}

lock_connection! {
    /// A blocking Diesel connection on which locks work: `PgConnection`, `MysqlConnection`, `SqliteConnection`, and the
    /// pooled connections that r2d2 makes of them; and a [`Within`](super::Within), which finds one of them in an object of
    /// the application's own. Use it as a bound if your code is generic over connections.
    #[diagnostic::on_unimplemented(
        message = "locks do not work on `{Self}`",
        label = "not a Diesel connection to a database whose feature of diesel-locks is enabled",
        note = "enable the feature `postgres`, `mysql` or `sqlite` of diesel-locks",
        note = "for connections of diesel-async import the traits of `diesel_locks::asynchronous`",
        note = "for an enum of connections, or another type that contains one, use `diesel_locks::blocking::Within`",
        note = "if `cargo tree --duplicates` shows two versions of diesel, make them one with `cargo update --precise`"
    )]
    trait LockConnection over Connection, LoadConnection;
    struct Blocking;
    sleep std::thread::sleep;
    answer at_once;
}

/// The result of a future that never waits. The blocking executor never waits in a future, so its futures are ready at
/// the first poll, and so is every function of the protocol.
pub(crate) fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => unreachable!("a blocking connection does not wait"),
    }
}
