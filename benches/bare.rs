//! The limit: the least work of a lock in a database, in statements that Diesel prepares once. They exclude others, but
//! they have no waiting, no takeover after a pause, and no answer about the holder.

use std::marker::PhantomData;

use diesel::backend::Backend;
use diesel::connection::{LoadConnection, SimpleConnection};
use diesel::mysql::Mysql;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::r2d2::{self, ConnectionManager, CustomizeConnection, Pool, R2D2Connection};
use diesel::result::QueryResult;
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, HasSqlType, Text};
use diesel::sqlite::Sqlite;
use diesel::{MysqlConnection, PgConnection, RunQueryDsl, SqliteConnection};
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
use diesel_async::{AsyncMysqlConnection, AsyncPgConnection};
use diesel_locks::blocking::{Connections, LockConnection};

use crate::asynchronous::AsyncBench;

/// The SQL of a statement on one backend, in parts: a value stands between each part and the next.
pub trait Sql<DB> {
    const PARTS: &'static [&'static str];
}

#[derive(Clone, Copy)]
pub struct Bare<'a, S> {
    values: &'a [&'a str],
    sql: PhantomData<S>,
}

impl<'a, S> Bare<'a, S> {
    pub fn new(values: &'a [&'a str]) -> Self {
        Self {
            values,
            sql: PhantomData,
        }
    }
}

impl<S: 'static> QueryId for Bare<'_, S> {
    type QueryId = S;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<S> Query for Bare<'_, S> {
    type SqlType = BigInt;
}

impl<S> diesel::query_dsl::RunQueryDsl<PgConnection> for Bare<'_, S> {}
impl<S> diesel::query_dsl::RunQueryDsl<MysqlConnection> for Bare<'_, S> {}
impl<S> diesel::query_dsl::RunQueryDsl<SqliteConnection> for Bare<'_, S> {}

impl<DB, S> QueryFragment<DB> for Bare<'_, S>
where
    DB: Backend + HasSqlType<Text>,
    str: ToSql<Text, DB>,
    S: Sql<DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        for (index, part) in S::PARTS.iter().enumerate() {
            out.push_sql(part);
            if let Some(value) = self.values.get(index) {
                out.push_bind_param::<Text, str>(value)?;
            }
        }
        Ok(())
    }
}

/// Statements, each with its SQL on PostgreSQL, on MySQL and MariaDB, and on SQLite.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident: $postgres:expr, $mysql:expr, $sqlite:expr;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $name;

        impl $crate::bare::Sql<diesel::pg::Pg> for $name {
            const PARTS: &'static [&'static str] = &$postgres;
        }
        impl $crate::bare::Sql<diesel::mysql::Mysql> for $name {
            const PARTS: &'static [&'static str] = &$mysql;
        }
        impl $crate::bare::Sql<diesel::sqlite::Sqlite> for $name {
            const PARTS: &'static [&'static str] = &$sqlite;
        }
    )+};
}
pub(crate) use statements;

/// The clock of each engine, in microseconds.
macro_rules! now {
    (postgres) => {
        "(date_part('epoch', clock_timestamp()) * 1000000)::bigint"
    };
    (mysql) => {
        "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))"
    };
    (sqlite) => {
        "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)"
    };
}
pub(crate) use now;

macro_rules! acquire {
    ($engine:ident) => {
        [
            "UPDATE bare SET token = ",
            concat!(
                ", fence = fence + 1, expires_at = ",
                now!($engine),
                " + 30000000 WHERE name = "
            ),
            concat!(" AND (token IS NULL OR expires_at <= ", now!($engine), ")"),
        ]
    };
}

const RELEASE: [&str; 3] = [
    "UPDATE bare SET token = NULL WHERE name = ",
    " AND token = ",
    "",
];
const LOOK: [&str; 2] = ["SELECT fence FROM bare WHERE name = ", ""];

statements! {
    /// Token, name.
    Acquire: acquire!(postgres), acquire!(mysql), acquire!(sqlite);
    /// Name, token.
    Release: RELEASE, RELEASE, RELEASE;
    /// Name.
    Look: LOOK, LOOK, LOOK;
    /// Name. Protects the row until the transaction ends. On SQLite, every writer does that.
    Pin: ["SELECT fence FROM bare WHERE name = ", " FOR KEY SHARE"],
        ["SELECT fence FROM bare WHERE name = ", " LOCK IN SHARE MODE"],
        ["UPDATE bare SET fence = fence WHERE name = ", " RETURNING fence"];
    /// Prefix. One UPDATE of as many rows as a keeper extends.
    ExtendAll: [concat!("UPDATE bare SET expires_at = ", now!(postgres), " + 30000000 WHERE name LIKE "), ""],
        [concat!("UPDATE bare SET expires_at = ", now!(mysql), " + 30000000 WHERE name LIKE "), ""],
        [concat!("UPDATE bare SET expires_at = ", now!(sqlite), " + 30000000 WHERE name LIKE "), ""];
}

/// The table of the limit. It copies the settings of the locks' own table that make it faster.
pub const POSTGRES: &str =
    "CREATE TABLE bare (name TEXT COLLATE \"C\" PRIMARY KEY, token TEXT, fence BIGINT NOT NULL,
expires_at BIGINT NOT NULL) WITH (fillfactor = 50)";
pub const MYSQL: &str =
    "CREATE TABLE bare (name VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY,
token VARCHAR(64), fence BIGINT NOT NULL, expires_at BIGINT NOT NULL) ENGINE = InnoDB";
pub const SQLITE: &str =
    "CREATE TABLE bare (name TEXT PRIMARY KEY, token TEXT, fence INTEGER NOT NULL,
expires_at INTEGER NOT NULL) WITHOUT ROWID";

/// The token of the holder of a bare lock.
pub const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// The limit in the table of results: `bare pair, 16 connections`.
pub fn label(clients: usize) -> String {
    let s = if clients == 1 { "" } else { "s" };
    format!("bare pair, {clients} connection{s}")
}

/// A connection for both the limit and the locks.
pub trait Bench:
    R2D2Connection + LockConnection + LoadConnection + SimpleConnection + Send + Sized + 'static
{
    const TABLE: &'static str;
    /// The first statements on every connection.
    const SETUP: &'static str;
    /// The statement that begins a transaction with writes.
    const BEGIN: &'static str;
    type Pool: Connections + Clone;
    type Async: AsyncBench;

    /// A pool of `size` connections. The pool does not test a connection before each use, because the limit has no such
    /// round trip.
    fn pool(url: &str, size: usize) -> Self::Pool;

    /// The number of rows that the statement changes.
    fn change<S: AllEngines>(&mut self, values: &[&str]) -> usize;
    /// The value that the statement finds.
    fn find<S: AllEngines>(&mut self, values: &[&str]) -> Option<i64>;

    fn open(url: &str) -> Self {
        let mut conn = Self::establish(url).unwrap_or_else(|error| panic!("{url}: {error}"));
        conn.batch_execute(Self::SETUP).unwrap();
        conn
    }

    /// Acquires the lock, and releases it.
    fn pair(&mut self, name: &str, token: &str) {
        assert_eq!(self.change::<Acquire>(&[token, name]), 1);
        assert_eq!(self.change::<Release>(&[name, token]), 1);
    }
}

pub trait AllEngines: Sql<Pg> + Sql<Mysql> + Sql<Sqlite> + 'static {}
impl<S: Sql<Pg> + Sql<Mysql> + Sql<Sqlite> + 'static> AllEngines for S {}

#[derive(Debug)]
struct SetUp;

impl<C: Bench> CustomizeConnection<C, r2d2::Error> for SetUp {
    fn on_acquire(&self, conn: &mut C) -> Result<(), r2d2::Error> {
        conn.batch_execute(C::SETUP)
            .map_err(r2d2::Error::QueryError)
    }
}

macro_rules! bench {
    ($connection:ty, $asynchronous:ty, $table:expr, $setup:expr, $begin:expr) => {
        impl Bench for $connection {
            const TABLE: &'static str = $table;
            const SETUP: &'static str = $setup;
            const BEGIN: &'static str = $begin;
            type Pool = Pool<ConnectionManager<Self>>;
            type Async = $asynchronous;

            fn pool(url: &str, size: usize) -> Self::Pool {
                let pool = Pool::builder().max_size(u32::try_from(size).unwrap());
                let pool = pool
                    .test_on_check_out(false)
                    .connection_customizer(Box::new(SetUp));
                pool.build(ConnectionManager::new(url)).unwrap()
            }

            fn change<S: AllEngines>(&mut self, values: &[&str]) -> usize {
                Bare::<S>::new(values).execute(self).unwrap()
            }

            fn find<S: AllEngines>(&mut self, values: &[&str]) -> Option<i64> {
                Bare::<S>::new(values).load(self).unwrap().pop()
            }
        }
    };
}

bench!(
    PgConnection,
    AsyncPgConnection,
    POSTGRES,
    "SELECT 1",
    "BEGIN"
);
bench!(
    MysqlConnection,
    AsyncMysqlConnection,
    MYSQL,
    "SELECT 1",
    "BEGIN"
);
bench!(
    SqliteConnection,
    SyncConnectionWrapper<SqliteConnection>,
    SQLITE,
    "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL",
    "BEGIN IMMEDIATE"
);
