//! The isolation levels of an engine.

use super::World;
use crate::session::Session;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level(&'static str);

impl Level {
    /// Returns whether all statements of a transaction see the same snapshot.
    pub fn sees_snapshot(self) -> bool {
        matches!(self.0, "REPEATABLE READ" | "SERIALIZABLE")
    }

    pub fn is_serializable(self) -> bool {
        self.0 == "SERIALIZABLE"
    }
}

impl World {
    /// SQLite has only one level.
    pub fn levels(&self) -> Vec<Level> {
        let levels = [
            "READ UNCOMMITTED",
            "READ COMMITTED",
            "REPEATABLE READ",
            "SERIALIZABLE",
        ];
        let skip = if self.is_sqlite() { 3 } else { 0 };
        levels.into_iter().skip(skip).map(Level).collect()
    }

    /// Sets the level for all later transactions of the connection.
    pub async fn set_level(&self, conn: &mut dyn Session, level: Level) {
        let sql = if self.is_postgres() {
            format!(
                "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL {}",
                level.0
            )
        } else if self.is_mysql() {
            format!("SET SESSION TRANSACTION ISOLATION LEVEL {}", level.0)
        } else {
            return;
        };
        conn.batch(&sql).await.expect("a level that can be set");
    }

    /// Opens a transaction that is going to write. On SQLite it becomes a writer only with its first write.
    pub async fn begin_at(&self, conn: &mut dyn Session, level: Level) {
        self.set_level(conn, level).await;
        conn.begin().await.expect("a transaction");
    }
}
