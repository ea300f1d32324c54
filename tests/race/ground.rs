//! The surroundings of a race: the connections of an engine, and tables that no other race uses.

use std::time::Duration;

use diesel::connection::{Connection, SimpleConnection};
use diesel::result::QueryResult;
use diesel_locks::blocking::LockConnection;
use diesel_locks::migrations::Migrations;
use diesel_locks::{Dialect, Lock, Result, Table};
use diesel_locks_tests::{Engine, establish, shared, unique};

use crate::ledger::{Ledger, Row};

/// A connection, set up as a host does it.
pub trait Racing: Connection<Backend: Dialect> + LockConnection + SimpleConnection {
    /// Whether the engine itself refuses the write of a transaction that has read, if others have written since.
    const REFUSES_BY_ITSELF: bool = false;
    /// The settings of racers with an even and with an odd number: two isolation levels, if the engine has them.
    const SETTINGS: [&str; 2];

    fn rows(&mut self, sql: &str) -> QueryResult<Vec<Row>>;

    /// Runs the work in a transaction that is going to write.
    fn writing<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.transaction(work)
    }
}

macro_rules! rows {
    () => {
        fn rows(&mut self, sql: &str) -> QueryResult<Vec<Row>> {
            diesel::RunQueryDsl::load(diesel::sql_query(sql), self)
        }
    };
}

#[cfg(feature = "postgres")]
impl Racing for diesel::PgConnection {
    const SETTINGS: [&str; 2] = [
        "SET lock_timeout = '20s'",
        "SET lock_timeout = '20s'; SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    ];
    rows!();
}

#[cfg(feature = "mysql")]
impl Racing for diesel::MysqlConnection {
    const SETTINGS: [&str; 2] = [
        "SET SESSION innodb_lock_wait_timeout = 20",
        "SET SESSION innodb_lock_wait_timeout = 20; SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    ];
    rows!();
}

#[cfg(feature = "sqlite")]
impl Racing for diesel::SqliteConnection {
    const REFUSES_BY_ITSELF: bool = true;
    const SETTINGS: [&str; 2] = ["PRAGMA busy_timeout = 20000;
        PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL"; 2];
    rows!();

    fn writing<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.immediate_transaction(work)
    }
}

/// The values that the referee and the racers of a race share.
#[derive(Clone, Debug)]
pub struct Ground {
    pub url: String,
    /// A part of the names of the tables.
    scope: String,
}

impl Ground {
    pub fn new(engine: Engine) -> Self {
        let scope = format!("race_{}", unique());
        let url = engine.url(&scope);
        Self { url, scope }
    }

    /// Reads the values of [`variables`](Self::variables) from the environment of a racer. `None` in the referee.
    pub fn of_racer() -> Option<(Self, usize)> {
        let [url, scope, number] = VARIABLES.map(|name| std::env::var(name).ok());
        let (url, scope) = (url?, scope?);
        Some((Self { url, scope }, number?.parse().ok()?))
    }

    pub fn variables(&self, number: usize) -> impl Iterator<Item = (&'static str, String)> {
        let values = [self.url.clone(), self.scope.clone(), number.to_string()];
        VARIABLES.into_iter().zip(values)
    }

    pub fn prepare<C: Racing>(&self) {
        let mut conn = self.connect::<C>(0);
        let sql = self.migrations().up_sql::<C::Backend>();
        conn.batch_execute(&sql).expect("a table of locks");
        self.ledger().create(&mut conn).expect("a ledger");
    }

    /// Removes the tables. This is done only after a successful race: after a failure, people want to look at them.
    pub fn clear<C: Racing>(&self) {
        let mut conn = self.connect::<C>(0);
        let sql = self.migrations().down_sql::<C::Backend>();
        conn.batch_execute(&sql).expect("a table to be dropped");
        self.ledger()
            .drop(&mut conn)
            .expect("a table to be dropped");
        drop(conn);
        shared::clear(&self.scope);
    }

    pub fn connect<C: Racing>(&self, number: usize) -> C {
        let mut conn = establish::<C>(&self.url);
        conn.batch_execute(C::SETTINGS[number % 2])
            .expect("settings");
        conn
    }

    /// The only lock of the race.
    pub fn lock(&self, ttl: Duration) -> Lock {
        let lock = Lock::new("the lock").and_then(|lock| lock.with_ttl(ttl));
        lock.expect("a valid lock").in_table(self.table())
    }

    pub fn ledger(&self) -> Ledger {
        let table = format!("{}_ledger", self.scope);
        Ledger { table }
    }

    fn table(&self) -> Table {
        Table::new(&self.scope).expect("a valid name")
    }

    fn migrations(&self) -> Migrations {
        Migrations::for_table(self.table())
    }
}

const VARIABLES: [&str; 3] = [
    "DIESEL_LOCKS_RACE_URL",
    "DIESEL_LOCKS_RACE_SCOPE",
    "DIESEL_LOCKS_RACER",
];
