//! The connections of diesel-async, and those of a bb8 pool.

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
    Attempt, Forced, Lease, LeaseStatus, List, Lock, LockSet, Outcome, Record, Released, Result,
    Table, Wait,
};

use super::{Session, Work, answer, closure, host_jobs, implement, operations, session};
use crate::{Answer, Number, connections};

macro_rules! asynchronous {
    ($connection:ty) => {
        session! { $connection, [.await] }
        session! { PooledConnection<'static, $connection>, [.await] }
        session! { Bb8Connection<AsyncDieselConnectionManager<$connection>>, [.await] }
    };
}

#[cfg(feature = "postgres")]
asynchronous! { connections::AsyncPostgres }
#[cfg(feature = "mysql")]
asynchronous! { connections::AsyncMysql }
#[cfg(feature = "sqlite")]
asynchronous! { connections::AsyncSqlite }
