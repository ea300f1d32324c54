//! The connections of Diesel, and those of an r2d2 pool.

use std::time::Duration;

use diesel::ExpressionMethods;
use diesel::connection::{Connection, Instrumentation, SimpleConnection, TransactionManager};
use diesel::query_dsl::RunQueryDsl;
use diesel::query_dsl::methods::{FilterDsl as _, OrderDsl as _, SelectDsl as _};
use diesel::r2d2::{ConnectionManager, PooledConnection};
use diesel::result::QueryResult;
use diesel_locks::blocking::{LeaseDsl, ListDsl, LockDsl, LockSetDsl, TableDsl};
use diesel_locks::query::{locked, unlocked};
use diesel_locks::{
    Attempt, Forced, Lease, LeaseStatus, List, Lock, LockSet, Outcome, Record, Released, Result,
    Table, Wait,
};

use super::{Session, Work, answer, closure, host_jobs, implement, operations, session};
use crate::{Answer, Number};

macro_rules! blocking {
    ($connection:ty) => {
        session! { $connection, [] }
        session! { PooledConnection<ConnectionManager<$connection>>, [] }
    };
}

#[cfg(feature = "postgres")]
blocking! { diesel::PgConnection }
#[cfg(feature = "mysql")]
blocking! { diesel::MysqlConnection }
#[cfg(feature = "sqlite")]
blocking! { diesel::SqliteConnection }
