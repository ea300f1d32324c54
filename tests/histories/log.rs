//! The database's own record of a history, in one table with one order.
//!
//! - A trigger on the table of the locks writes each version of each row: so also what was done for a client that had no
//!   answer. It writes in the transaction of the change, while that transaction has the row locked. So the numbers of the
//!   record are in the order in which the versions of a row came. On MySQL and MariaDB an extension writes another row:
//!   a trigger there writes the new end, and the reader makes a version of it, if the lock has the same fence then.
//! - Each transaction under a lease writes two rows: one after its pin, and one before its commit. The second has the
//!   number of the rows of smaller fences that the transaction saw. What is rolled back is not in the record.

use std::collections::HashMap;

use diesel::sql_types::{BigInt, Nullable, Text};
use diesel::{QueryableByName, RunQueryDsl, sql_query};
use diesel_locks::Result;
use diesel_locks_tests::Engine;
use diesel_locks_tests::clock::{Time, now};
use diesel_locks_tests::database::{Database, Number, with_connection};
use diesel_locks_tests::session::Session;

use crate::operation::Client;

/// A version of a lock's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub sequence: i64,
    pub token: Option<String>,
    /// The client whose label the row has.
    pub owner: Option<Client>,
    pub fence: i64,
    pub acquired_at: Time,
    pub expires_at: Time,
    /// When the trigger wrote this.
    pub at: Time,
    /// The number of the transaction, on PostgreSQL. On MySQL and MariaDB, when its statement began.
    pub transaction: Option<i64>,
}

/// A row that a transaction under a lease wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    pub sequence: i64,
    pub fence: i64,
    /// The operation that ran the transaction.
    pub operation: i64,
    /// How many rows of smaller fences the transaction saw.
    pub seen: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    Change(Change),
    Write(Write),
}

#[derive(Clone, QueryableByName)]
struct Row {
    #[diesel(sql_type = BigInt)]
    sequence: i64,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Nullable<Text>)]
    token: Option<String>,
    #[diesel(sql_type = Text)]
    owner: String,
    #[diesel(sql_type = BigInt)]
    fence: i64,
    #[diesel(sql_type = BigInt)]
    acquired_at: i64,
    #[diesel(sql_type = BigInt)]
    expires_at: i64,
    #[diesel(sql_type = BigInt)]
    at: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    txid: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    operation: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    seen: Option<i64>,
}

/// How much the database's clock is ahead of ours, and how wrong that may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ahead {
    pub by: Time,
    pub unsure: Time,
}

const TABLE: &str = "
CREATE TABLE histories_log (
    sequence {SEQUENCE},
    name VARCHAR(100) NOT NULL,
    token VARCHAR(128),
    owner VARCHAR(100) NOT NULL DEFAULT '',
    fence BIGINT NOT NULL,
    acquired_at BIGINT NOT NULL DEFAULT 0,
    expires_at BIGINT NOT NULL DEFAULT 0,
    at BIGINT NOT NULL DEFAULT 0,
    txid BIGINT {TXID},
    operation BIGINT,
    seen BIGINT
);
CREATE INDEX histories_log_name ON histories_log (name, fence, operation);";

const NOTE: &str = "\
INSERT INTO histories_log (name, token, owner, fence, acquired_at, expires_at, at)
VALUES (NEW.name, NEW.token, NEW.owner, NEW.fence, NEW.acquired_at, NEW.expires_at, {NOW});";

/// Stands in the place of the token where only the end has changed.
const EXTENDED: &str = "extended";

const END: &str = "\
INSERT INTO histories_log (name, token, fence, expires_at, at)
VALUES (NEW.name, 'extended', NEW.fence, NEW.expires_at, {NOW});";

/// A server's clock at the very moment, in microseconds. On MySQL, `UTC_TIMESTAMP` would be the start of the statement.
pub fn clock(engine: Engine) -> &'static str {
    match engine.name() {
        "postgres" => "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)",
        "sqlite" => "CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000",
        _ => "CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS SIGNED)",
    }
}

/// Creates the table and the triggers.
pub fn create(database: &Database) {
    let engine = database.engine;
    let txid = match engine.name() {
        "postgres" => "DEFAULT txid_current()",
        "sqlite" => "",
        _ => "DEFAULT (CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED))",
    };
    let (sequence, triggers) = match engine.name() {
        "postgres" => (
            "BIGSERIAL PRIMARY KEY",
            "CREATE FUNCTION histories_note() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN {NOTE} RETURN NULL; END $$;
             CREATE TRIGGER histories_changed AFTER INSERT OR UPDATE ON diesel_locks
             FOR EACH ROW EXECUTE FUNCTION histories_note();",
        ),
        "sqlite" => (
            "INTEGER PRIMARY KEY AUTOINCREMENT",
            "CREATE TRIGGER histories_born AFTER INSERT ON diesel_locks BEGIN {NOTE} END;
             CREATE TRIGGER histories_changed AFTER UPDATE ON diesel_locks BEGIN {NOTE} END;",
        ),
        _ => (
            "BIGINT AUTO_INCREMENT PRIMARY KEY",
            "CREATE TRIGGER histories_born AFTER INSERT ON diesel_locks FOR EACH ROW {NOTE}
             CREATE TRIGGER histories_changed AFTER UPDATE ON diesel_locks FOR EACH ROW {NOTE}
             CREATE TRIGGER histories_extended AFTER UPDATE ON diesel_locks_beats FOR EACH ROW {END}",
        ),
    };
    let sql = format!("{TABLE}\n{triggers}")
        .replace("{SEQUENCE}", sequence)
        .replace("{TXID}", txid)
        .replace("{NOTE}", NOTE)
        .replace("{END}", END)
        .replace("{NOW}", clock(engine));
    database.batch(&sql);
}

/// The protected work: writes the two rows. Between them it does this.
pub async fn write(
    conn: &mut dyn Session,
    (name, fence, operation): (&str, i64, i64),
    meanwhile: impl Future<Output = ()> + Send,
) -> Result<()> {
    let row = |seen: &str| {
        format!(
            "INSERT INTO histories_log (name, fence, operation, seen)
             VALUES ('{name}', {fence}, {operation}, {seen})"
        )
    };
    conn.batch(&row("NULL")).await?;
    let look = format!(
        "SELECT COUNT(*) AS number FROM histories_log
         WHERE name = '{name}' AND fence < {fence} AND operation IS NOT NULL"
    );
    let seen = conn.number(&look).await?;
    meanwhile.await;
    conn.batch(&row(&seen.to_string())).await?;
    Ok(())
}

/// The whole record: names and entries, in their order. The times are translated to our clock.
pub fn read(database: &Database, ahead: Ahead) -> Vec<(String, Entry)> {
    let sql = "SELECT * FROM histories_log ORDER BY sequence";
    let rows: diesel::QueryResult<Vec<Row>> =
        with_connection!(database.engine, &database.url, conn => sql_query(sql).load(conn));
    let mut versions = Versions::of(database.engine);
    let rows = rows.expect("the record").into_iter();
    rows.filter_map(|row| versions.complete(row))
        .map(|row| entry(row, ahead.by))
        .collect()
}

/// The latest version of each lock's row.
struct Versions {
    latest: HashMap<String, Row>,
    /// Whether the end of an extended lease is in another row.
    ends_are_apart: bool,
}

impl Versions {
    fn of(engine: Engine) -> Self {
        Self {
            latest: HashMap::new(),
            ends_are_apart: !matches!(engine.name(), "postgres" | "sqlite"),
        }
    }

    /// Makes a version of a new end, and gives each version of the row the end that its lease has then. `None` if it is not
    /// the end of the lease that has the lock.
    fn complete(&mut self, mut row: Row) -> Option<Row> {
        if row.operation.is_some() || !self.ends_are_apart {
            return Some(row);
        }
        let latest = self.latest.get(&row.name);
        let held = latest.filter(|held| held.token.is_some() && held.fence == row.fence);
        if row.token.as_deref() == Some(EXTENDED) {
            let held = held?;
            row.token.clone_from(&held.token);
            row.owner.clone_from(&held.owner);
            row.acquired_at = held.acquired_at;
        } else if let Some(held) = held.filter(|held| held.token == row.token) {
            row.expires_at = held.expires_at;
        }
        self.latest.insert(row.name.clone(), row.clone());
        Some(row)
    }
}

fn entry(row: Row, ahead: Time) -> (String, Entry) {
    let entry = match row.operation {
        Some(operation) => Entry::Write(Write {
            sequence: row.sequence,
            fence: row.fence,
            operation,
            seen: row.seen,
        }),
        None => Entry::Change(Change {
            sequence: row.sequence,
            token: row.token,
            owner: Client::read(&row.owner),
            fence: row.fence,
            acquired_at: row.acquired_at - ahead,
            expires_at: row.expires_at - ahead,
            at: row.at - ahead,
            transaction: row.txid,
        }),
    };
    (row.name, entry)
}

/// Whether the transactions of new sessions see a snapshot, whose rows they cannot write any more once others have.
pub fn sees_snapshots(database: &Database) -> bool {
    if database.engine.name() != "mariadb" {
        return false;
    }
    // `innodb_snapshot_isolation`, which MariaDB has by default from 11.6.
    let sql = "SELECT @@innodb_snapshot_isolation AND @@tx_isolation <> 'READ-COMMITTED' AS number";
    let answer: Number = with_connection!(database.engine, &database.url, conn => {
        sql_query(sql).get_result(conn).expect("an answer")
    });
    answer.number == 1
}

impl Ahead {
    /// Asks the database several times. The quickest answer is the most exact one.
    pub fn ask(database: &Database) -> Self {
        let sql = format!("SELECT {} AS number", clock(database.engine));
        let answers: Vec<Self> = with_connection!(database.engine, &database.url, conn => {
            let ask = |_| {
                let before = now();
                let there: Number = sql_query(&sql).get_result(conn).expect("the time");
                let after = now();
                Self { by: there.number - (before + after) / 2, unsure: (after - before) / 2 }
            };
            (0..20).map(ask).collect()
        });
        let best = answers.into_iter().min_by_key(|it| it.unsure);
        best.expect("twenty answers")
    }

    /// How wrong this is in the end, if the second is of the end.
    pub fn wrong_by(self, end: Self) -> Time {
        self.unsure + end.unsure + (self.by - end.by).abs()
    }
}
