//! diesel-async's connections, and those of a bb8 pool.

use std::time::Duration;

use diesel::ExpressionMethods;
use diesel::connection::Instrumentation;
use diesel::query_dsl::methods::{FilterDsl as _, OrderDsl as _, SelectDsl as _};
use diesel::result::QueryResult;
use diesel_async::pooled_connection::AsyncDieselConnectionManager;
use diesel_async::pooled_connection::bb8::PooledConnection;
use diesel_async::{
    AsyncConnection as Connection, RunQueryDsl, SimpleAsyncConnection as SimpleConnection,
    TransactionManager,
};
use diesel_locks::asynchronous::{Bb8Connection, LeaseDsl, ListDsl, LockDsl, LockSetDsl, TableDsl};
use diesel_locks::query::{locked, unlocked};
use diesel_locks::{
    Attempt, Forced, Lease, List, Lock, LockSet, Outcome, Record, Result, Table, Wait,
};

use super::{Answer, Number, Session, Work, closure, host_jobs, session};

macro_rules! asynchronous {
    ($name:ident, $connection:ty) => {
        pub type $name = $connection;
        session! { $connection, [.await] }
        session! { PooledConnection<'static, $connection>, [.await] }
        session! { Bb8Connection<AsyncDieselConnectionManager<$connection>>, [.await] }
    };
}

#[cfg(feature = "postgres")]
asynchronous! { Postgres, diesel_async::AsyncPgConnection }
#[cfg(feature = "mysql")]
asynchronous! { Mysql, diesel_async::AsyncMysqlConnection }
#[cfg(feature = "sqlite")]
asynchronous! { Sqlite, diesel_async::sync_connection_wrapper::SyncConnectionWrapper<diesel::SqliteConnection> }
