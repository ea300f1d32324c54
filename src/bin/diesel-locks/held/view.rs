//! The view of the held locks, on the engines that know rights. It is made for people, so its times must be converted.

use std::time::Duration;

use chrono::DateTime;
use diesel::result::QueryResult;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel::{QueryableByName, RunQueryDsl, sql_query};
use diesel_locks::Table;

use crate::record::Record;

#[cfg(feature = "cli-postgres")]
pub fn postgres(conn: &mut diesel::PgConnection, table: &Table) -> QueryResult<Vec<Record>> {
    let query = format!(
        "SELECT name, owner, fence, data, \
         (extract(epoch FROM acquired_at) * 1000000)::bigint AS acquired_at, \
         (extract(epoch FROM expires_at) * 1000000)::bigint AS expires_at, \
         (extract(epoch FROM time_left) * 1000000)::bigint AS time_left \
         FROM {} ORDER BY name",
        name(table, "\"")
    );
    let rows: Vec<Row> = sql_query(query).load(conn)?;
    Ok(rows.into_iter().filter_map(Row::record).collect())
}

#[cfg(feature = "cli-mysql")]
pub fn mysql(conn: &mut diesel::MysqlConnection, table: &Table) -> QueryResult<Vec<Record>> {
    let query = format!(
        "SELECT name, owner, fence, data, \
         TIMESTAMPDIFF(MICROSECOND, '1970-01-01', acquired_at) AS acquired_at, \
         TIMESTAMPDIFF(MICROSECOND, '1970-01-01', expires_at) AS expires_at, \
         CAST(seconds_left * 1000000 AS SIGNED) AS time_left \
         FROM {} ORDER BY name",
        name(table, "`")
    );
    let rows: Vec<Row> = sql_query(query).load(conn)?;
    Ok(rows.into_iter().filter_map(Row::record).collect())
}

/// The quoted name of the view. A quote inside a name is written twice.
fn name(table: &Table, quote: &str) -> String {
    let quoted = |name: &str| format!("{quote}{}{quote}", name.replace(quote, &quote.repeat(2)));
    let view = quoted(&format!("{}_held", table.name()));
    match table.schema() {
        Some(schema) => format!("{}.{view}", quoted(schema)),
        None => view,
    }
}

/// A row of the view. Times are microseconds, since 1970 or until the lease expires.
#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    owner: String,
    #[diesel(sql_type = BigInt)]
    fence: i64,
    #[diesel(sql_type = Nullable<Text>)]
    data: Option<String>,
    #[diesel(sql_type = BigInt)]
    acquired_at: i64,
    #[diesel(sql_type = BigInt)]
    expires_at: i64,
    #[diesel(sql_type = BigInt)]
    time_left: i64,
}

impl Row {
    /// `None` for a time that no calendar has.
    fn record(self) -> Option<Record> {
        let left = u64::try_from(self.time_left).unwrap_or_default();
        Some(Record {
            key: self.name,
            owner: self.owner,
            fence: self.fence,
            acquired_at: DateTime::from_timestamp_micros(self.acquired_at)?,
            expires_at: DateTime::from_timestamp_micros(self.expires_at)?,
            time_left: Some(Duration::from_micros(left)),
            data: self.data,
        })
    }
}

#[cfg(test)]
mod tests {
    use diesel_locks::Table;

    use super::name;

    #[test]
    fn names_are_quoted() {
        let table = Table::new("odd \"name").unwrap();
        assert_eq!(name(&table, "\""), "\"odd \"\"name_held\"");
        let table = table.in_schema("a`b").unwrap();
        assert_eq!(name(&table, "`"), "`a``b`.`odd \"name_held`");
    }
}
