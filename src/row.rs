//! The rows that a statement answers with: the row of a lock, or the state of a lease.
//!
//! The state of a row is computed in SQL, and a token never comes back from the database.

use std::marker::PhantomData;
use std::time::Duration;

use chrono::DateTime;
use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, Queryable};
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::sql_types::{BigInt, Nullable, Text};

use crate::answer::Record;
use crate::dialect::Dialect;
use crate::holder::Holder;
use crate::lock::micros;
use crate::statement::Statement;

/// A type of rows, with the SQL types that Diesel has to know.
pub(crate) trait Row {
    type Sql;
}

/// A statement for Diesel to run, with the type of its rows; `()` where only the number of changed rows counts.
#[derive(Debug)]
pub(crate) struct Rows<R>(Statement, PhantomData<fn() -> R>);

impl<R> Rows<R> {
    pub(crate) fn of(statement: Statement) -> Self {
        Self(statement, PhantomData)
    }
}

impl<R: Row> Query for Rows<R> {
    type SqlType = R::Sql;
}

impl<R> QueryId for Rows<R> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<R, Conn> diesel::RunQueryDsl<Conn> for Rows<R> {}

impl<R, DB: Dialect> QueryFragment<DB> for Rows<R> {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.0.walk_ast(out)
    }
}

/// A lock's row as a statement saw it, and whether the statement acquired the lock. Times are microseconds since 1970.
#[derive(Clone, Debug, diesel::Queryable)]
pub struct LockRow {
    /// The database's clock.
    pub(crate) now: i64,
    /// The fence, if the statement acquired the lock.
    pub(crate) won: Option<i64>,
    /// MySQL and MariaDB: flags of the session and of the row that make a difference to acquiring. PostgreSQL: how many names
    /// were tried for the first time, or whether the lock is available and was left to others.
    pub(crate) session: i64,
    /// The key, or `None` where there is no row.
    pub(crate) name: Option<String>,
    pub(crate) owner: Option<String>,
    pub(crate) fence: Option<i64>,
    pub(crate) acquired_at: Option<i64>,
    pub(crate) expires_at: Option<i64>,
    pub(crate) data: Option<String>,
    /// 0: the row names no holder. 1: the row names a holder with another token than the statement's. 2: the row names
    /// the holder with the statement's token.
    state: Option<i64>,
}

pub(crate) type LockRowSql = (
    BigInt,
    Nullable<BigInt>,
    BigInt,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<BigInt>,
    Nullable<BigInt>,
    Nullable<BigInt>,
    Nullable<Text>,
    Nullable<BigInt>,
);

impl Row for LockRow {
    type Sql = LockRowSql;
}

impl LockRow {
    /// Whether there is a row, and it names no holder.
    pub(crate) fn is_free(&self) -> bool {
        self.name.is_some() && self.state == Some(0)
    }

    /// Whether the row names a holder. Its lease may have expired.
    pub(crate) fn names_holder(&self) -> bool {
        !matches!(self.state, None | Some(0))
    }

    /// Whether the row names the holder with the statement's token.
    pub(crate) fn is_mine(&self) -> bool {
        self.state == Some(2)
    }

    /// Whether the row names a holder with another token than the statement's.
    pub(crate) fn names_other(&self) -> bool {
        self.state == Some(1)
    }

    /// The other holder, while its lease has not expired.
    pub(crate) fn other_holder(&self) -> Option<Holder> {
        if self.names_other() {
            self.holder()
        } else {
            None
        }
    }

    /// The fence of the next acquisition.
    #[cfg(any(feature = "mysql", feature = "sqlite"))]
    pub(crate) fn next_fence(&self) -> i64 {
        self.now.max(self.fence.unwrap_or_default() + 1)
    }

    /// The holder, while its lease has not expired.
    pub(crate) fn holder(&self) -> Option<Holder> {
        Some(Holder {
            time_left: self.time_left()?,
            owner: self.owner.clone()?,
            fence: self.fence?,
            since: DateTime::from_timestamp_micros(self.acquired_at?)?,
            held_for: Duration::from_micros(
                self.now
                    .saturating_sub(self.acquired_at?)
                    .max(0)
                    .unsigned_abs(),
            ),
            data: self.data.clone(),
        })
    }

    /// The time until the lease expires; `None` where there is no lease, or it has expired.
    pub(crate) fn time_left(&self) -> Option<Duration> {
        let left = self.expires_at? - self.now;
        let is_held = self.names_holder() && left > 0;
        is_held.then(|| Duration::from_micros(left.unsigned_abs()))
    }

    pub(crate) fn record(self) -> Option<Record> {
        Some(Record {
            time_left: self.time_left(),
            key: self.name?,
            owner: self.owner?,
            fence: self.fence?,
            acquired_at: DateTime::from_timestamp_micros(self.acquired_at?)?,
            expires_at: DateTime::from_timestamp_micros(self.expires_at?)?,
            data: self.data,
        })
    }

    /// The key, if the end of the lease and the fence are both older than this age.
    pub(crate) fn key_if_older_than(self, age: Duration) -> Option<String> {
        let limit = self.now.saturating_sub(micros(age));
        let is_old = self.expires_at? < limit && self.fence? < limit;
        is_old.then_some(self.name).flatten()
    }
}

/// The state in which a statement found a lease. No row means that the lease is lost. Where the database does not
/// report the expiry, no row can also mean that the lease has expired: then the statement is to be run again for an
/// expired lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseState {
    Live,
    /// The lease had expired before the statement, and nobody has taken the lock over.
    Expired,
    /// The row names another holder, or none.
    Lost,
    /// The lease is live, and the transaction sees a snapshot: it goes on seeing what was there when it began.
    LiveInSnapshot,
}

impl Row for LeaseState {
    type Sql = BigInt;
}

impl<DB: Backend> Queryable<BigInt, DB> for LeaseState
where
    i64: FromSql<BigInt, DB>,
{
    type Row = i64;

    fn build(number: i64) -> deserialize::Result<Self> {
        match number {
            0 => Ok(Self::Live),
            1 => Ok(Self::Expired),
            2 => Ok(Self::Lost),
            3 => Ok(Self::LiveInSnapshot),
            other => Err(format!("{other} is not the state of a lease").into()),
        }
    }
}

/// A row that is one number.
impl Row for i64 {
    type Sql = BigInt;
}
