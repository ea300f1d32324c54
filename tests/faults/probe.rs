//! A connection to the database that no proxy disturbs.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::result::QueryResult;
use diesel_locks::blocking::LockDsl;
use diesel_locks::{Lock, Record};
use diesel_locks_tests::{Engine, Number, establish, with_connection_types};

pub trait Probe: Send {
    fn row(&mut self, lock: &Lock) -> Option<Record>;
    fn batch(&mut self, sql: &str) -> QueryResult<()>;
    /// The number of rows in the ledger with this scope and fence.
    fn written(&mut self, scope: &str, fence: i64) -> i64;
}

impl dyn Probe + '_ {
    /// The fence of the holder. `None` if nobody holds the lock.
    pub fn holder(&mut self, lock: &Lock) -> Option<i64> {
        let row = self.row(lock)?;
        row.is_held().then_some(row.fence)
    }

    pub fn time_left(&mut self, lock: &Lock) -> Duration {
        let row = self.row(lock).and_then(|row| row.time_left);
        row.unwrap_or_default()
    }
}

/// Opens a connection for reading.
pub fn of(engine: Engine, url: &str) -> Box<dyn Probe> {
    macro_rules! probe {
        ($blocking:ty, $asynchronous:ty) => {
            Box::new(establish::<$blocking>(url))
        };
    }
    let mut probe: Box<dyn Probe> = with_connection_types!(engine, probe);
    if engine.is_sqlite() {
        probe
            .batch("PRAGMA busy_timeout = 5000")
            .expect("a setting");
    }
    probe
}

/// The table for the writes under a lock.
pub const LEDGER: &str =
    "CREATE TABLE IF NOT EXISTS faults_ledger (scope VARCHAR(255) NOT NULL, fence BIGINT NOT NULL)";

/// The SQL of a write under a lock, and the SQL that counts the rows with a larger fence.
pub fn write_sql(scope: &str, fence: i64) -> [String; 2] {
    let write = format!("INSERT INTO faults_ledger (scope, fence) VALUES ('{scope}', {fence})");
    let look = format!(
        "SELECT COUNT(*) AS number FROM faults_ledger WHERE scope = '{scope}' AND fence > {fence}"
    );
    [write, look]
}

macro_rules! probe {
    ($feature:literal, $connection:ident) => {
        #[cfg(feature = $feature)]
        impl Probe for diesel::$connection {
            fn row(&mut self, lock: &Lock) -> Option<Record> {
                lock.inspect(self).expect("a look at the row")
            }

            fn batch(&mut self, sql: &str) -> QueryResult<()> {
                self.batch_execute(sql)
            }

            fn written(&mut self, scope: &str, fence: i64) -> i64 {
                let sql = format!(
                    "SELECT COUNT(*) AS number FROM faults_ledger WHERE scope = '{scope}' AND fence = {fence}"
                );
                let rows: QueryResult<Vec<Number>> =
                    diesel::RunQueryDsl::load(diesel::sql_query(sql), self);
                rows.expect("a look at the ledger")[0].number
            }
        }
    };
}

probe!("postgres", PgConnection);
probe!("mysql", MysqlConnection);
probe!("sqlite", SqliteConnection);
