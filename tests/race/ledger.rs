//! The table for the racers' writes. Each row has what its transaction saw of the earlier holders' rows. So the rows
//! alone show the order of the commits.

use diesel::QueryableByName;
use diesel::result::QueryResult;
use diesel::sql_types::BigInt;

use crate::ground::Racing;

#[derive(Clone, Debug)]
pub struct Ledger {
    pub table: String,
}

/// The part of the ledger that the holder of a fence has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, QueryableByName)]
pub struct Seen {
    /// The largest fence in the ledger below the holder's own fence, or 0.
    #[diesel(sql_type = BigInt)]
    pub previous: i64,
    /// The number of rows with that previous fence.
    #[diesel(sql_type = BigInt)]
    pub previous_rows: i64,
    /// The number of rows with a fence above the holder's own.
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

    /// Counts only the rows of the last holder that wrote. Those rows have what that holder saw of the holder before
    /// it.
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
