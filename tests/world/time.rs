//! Time in a world: the database's clock, and rows that are made older.

use std::time::Duration;

use diesel_locks::{Lease, Lock};

use super::{World, eventually, secs};
use crate::session::Session;

/// The tables in which a lock has rows: the second is only on MySQL and MariaDB.
pub const TABLES: [&str; 2] = ["diesel_locks", "diesel_locks_beats"];

impl World {
    /// Moves time forward for a lock: its lease now began, and expires, earlier by this duration.
    pub async fn age(&self, conn: &mut dyn Session, lock: &Lock, by: Duration) {
        let (key, by) = (lock.key(), by.as_micros());
        let earlier = format!("acquired_at = acquired_at - {by}, expires_at = expires_at - {by}");
        if !self.is_mysql() {
            let sql = format!("UPDATE diesel_locks SET {earlier} WHERE name = '{key}'");
            assert_eq!(conn.sql(&sql).await.expect("time moves"), 1);
            return;
        }
        // A pin locks the row of the acquisition, and then the lease ends earlier only as if it had been extended.
        let row = conn.row(lock).await;
        let (fence, ends) = (row.fence, self.end(conn, lock).await);
        let sql = format!(
            "UPDATE diesel_locks_beats SET fence = {fence}, expires_at = {ends} - {by} WHERE name = '{key}'"
        );
        assert_eq!(conn.sql(&sql).await.expect("time moves"), 1);
        let sql = format!(
            "UPDATE (SELECT name FROM diesel_locks WHERE name = '{key}' LIMIT 1 FOR UPDATE SKIP LOCKED) unlocked
             JOIN diesel_locks USING (name) SET {earlier}"
        );
        conn.sql(&sql).await.expect("time moves");
    }

    /// Moves time forward so that the lease has been expired for a second.
    pub async fn let_run_out(&self, conn: &mut dyn Session, lease: &Lease) {
        let left = conn.time_left(lease.lock()).await.expect("an answer");
        self.age(conn, lease.lock(), left + secs(1)).await;
    }

    /// Moves time forward as if the lock had not been used for this duration. The fence is a time, so it changes, too.
    pub async fn grow_old(&self, conn: &mut dyn Session, lock: &Lock, by: Duration) {
        self.age(conn, lock, by).await;
        self.add_to_fence(conn, lock, &format!("- {}", by.as_micros()))
            .await;
    }

    /// Changes the fence of a lock in every table that stores it.
    pub async fn add_to_fence(&self, conn: &mut dyn Session, lock: &Lock, what: &str) {
        for table in self.tables() {
            let key = lock.key();
            let sql = format!("UPDATE {table} SET fence = fence {what} WHERE name = '{key}'");
            assert_eq!(conn.sql(&sql).await.expect("another fence"), 1);
        }
    }

    /// The tables in which a lock has rows here.
    pub fn tables(&self) -> impl Iterator<Item = &'static str> {
        let tables = if self.is_mysql() { 2 } else { 1 };
        TABLES.into_iter().take(tables)
    }

    /// The table that has the column `expires_at` as it is now, and the name: on MySQL and MariaDB, since a lease was last
    /// extended.
    pub fn ends(&self) -> &'static str {
        if self.is_mysql() {
            "(SELECT l.name, COALESCE(b.expires_at, l.expires_at) AS expires_at FROM diesel_locks l
              LEFT JOIN diesel_locks_beats b ON b.name = l.name AND b.fence = l.fence) ends"
        } else {
            "diesel_locks"
        }
    }

    /// A statement that locks the row that a heartbeat writes.
    pub fn touch_beat(&self, lock: &Lock) -> String {
        let (table, key) = (self.tables().last().expect("a table"), lock.key());
        format!("UPDATE {table} SET fence = fence WHERE name = '{key}'")
    }

    /// When the lease ends, in microseconds since 1970.
    pub async fn end(&self, conn: &mut dyn Session, lock: &Lock) -> i64 {
        let (ends, key) = (self.ends(), lock.key());
        let sql = format!("SELECT expires_at AS number FROM {ends} WHERE name = '{key}'");
        conn.number(&sql).await.expect("a row")
    }

    /// The database's clock, in microseconds since 1970. The SQL differs from the crate's on purpose.
    pub async fn clock(&self, conn: &mut dyn Session) -> i64 {
        let sql = match self.engine.name() {
            "postgres" => {
                "SELECT (EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::bigint AS number"
            }
            "sqlite" => {
                "SELECT CAST(strftime('%s', 'now') AS INTEGER) * 1000000
                    + CAST(substr(strftime('%f', 'now'), 4) AS INTEGER) * 1000 AS number"
            }
            _ => "SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED) AS number",
        };
        conn.number(sql).await.expect("a clock")
    }

    /// Waits until the database's clock shows a later time.
    pub async fn pass(&self, conn: &mut dyn Session, time: i64) {
        eventually("a tick", async || self.clock(&mut *conn).await > time).await;
    }

    /// The value of a numeric column in the lock's row.
    pub async fn column(&self, conn: &mut dyn Session, lock: &Lock, column: &str) -> i64 {
        let sql = format!(
            "SELECT {column} AS number FROM diesel_locks WHERE name = '{}'",
            lock.key()
        );
        conn.number(&sql).await.expect("a row")
    }
}
