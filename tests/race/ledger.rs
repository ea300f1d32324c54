//! The table that the racers write to. Each row says what its transaction saw of the earlier holders' rows, so that
//! the rows alone tell the order of the commits.

use diesel::QueryableByName;
use diesel::result::QueryResult;
use diesel::sql_types::BigInt;

use crate::ground::Racing;

#[derive(Clone, Debug)]
pub struct Ledger {
    pub table: String,
}

/// What a look at the ledger shows to the holder of a fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, QueryableByName)]
pub struct Seen {
    /// The largest fence below that one, or 0.
    #[diesel(sql_type = BigInt)]
    pub previous: i64,
    /// How many rows have that fence.
    #[diesel(sql_type = BigInt)]
    pub previous_rows: i64,
    /// How many rows have a fence above that one.
    #[diesel(sql_type = BigInt)]
    pub later: i64,
}

#[derive(Clone, Copy, Debug, QueryableByName)]
pub struct Row {
    #[diesel(sql_type = BigInt)]
    pub fence: i64,
    #[diesel(embed)]
    pub seen: Seen,
}

impl Ledger {
    pub fn create<C: Racing>(&self, conn: &mut C) -> QueryResult<()> {
        let table = &self.table;
        conn.batch_execute(&format!(
            "CREATE TABLE {table} (fence BIGINT NOT NULL, previous BIGINT NOT NULL,
             previous_rows BIGINT NOT NULL, later BIGINT NOT NULL);
             CREATE INDEX {table}_fence ON {table} (fence)"
        ))
    }

    pub fn drop<C: Racing>(&self, conn: &mut C) -> QueryResult<()> {
        conn.batch_execute(&format!("DROP TABLE {}", self.table))
    }

    /// Only the holder right before is counted: whoever wrote last has seen all of those before it.
    pub fn look<C: Racing>(&self, conn: &mut C, fence: i64) -> QueryResult<Seen> {
        let table = &self.table;
        let rows = conn.rows(&format!(
            "SELECT p.fence AS fence, p.fence AS previous, (SELECT COUNT(*) FROM {table} WHERE fence = p.fence) AS previous_rows,
             (SELECT COUNT(*) FROM {table} WHERE fence > {fence}) AS later
             FROM (SELECT COALESCE(MAX(fence), 0) AS fence FROM {table} WHERE fence < {fence}) p"
        ))?;
        Ok(rows[0].seen)
    }

    pub fn write<C: Racing>(&self, conn: &mut C, fence: i64, seen: Seen) -> QueryResult<()> {
        let (table, previous, rows, later) =
            (&self.table, seen.previous, seen.previous_rows, seen.later);
        conn.batch_execute(&format!(
            "INSERT INTO {table} (fence, previous, previous_rows, later) VALUES ({fence}, {previous}, {rows}, {later})"
        ))
    }

    pub fn read<C: Racing>(&self, conn: &mut C) -> QueryResult<Vec<Row>> {
        conn.rows(&format!(
            "SELECT fence, previous, previous_rows, later FROM {}",
            self.table
        ))
    }
}
