//! Time in a world: the database's clock, and rows that are made older.

use std::time::Duration;

use diesel_locks::{Lease, Lock};

use super::{World, eventually, secs};
use crate::session::Session;

impl World {
    /// Moves time forward for a lock: its lease now began, and expires, earlier by this duration.
    pub async fn age(&self, conn: &mut dyn Session, lock: &Lock, by: Duration) {
        let (key, by) = (lock.key(), by.as_micros());
        let sql = format!(
            "UPDATE diesel_locks SET acquired_at = acquired_at - {by}, expires_at = expires_at - {by} \
             WHERE name = '{key}'"
        );
        assert_eq!(conn.sql(&sql).await.expect("time moves"), 1);
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
        let pins = self.is_mysql().then_some("diesel_locks_pins");
        for table in ["diesel_locks"].into_iter().chain(pins) {
            let key = lock.key();
            let sql = format!("UPDATE {table} SET fence = fence {what} WHERE name = '{key}'");
            assert_eq!(conn.sql(&sql).await.expect("another fence"), 1);
        }
    }

    /// The database's clock, in microseconds since 1970. The SQL differs from the crate's on purpose.
    pub async fn clock(&self, conn: &mut dyn Session) -> i64 {
        let sql = match self.engine.name() {
            "postgres" => {
                "SELECT (EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::bigint AS number"
            }
            "sqlite" => {
                "SELECT CAST(ROUND(unixepoch('subsec') * 1000) AS INTEGER) * 1000 AS number"
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
