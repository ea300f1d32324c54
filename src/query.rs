//! Locks as conditions in the application's own queries.
//!
//! ```
//! # use diesel::prelude::*;
//! # let mut conn = SqliteConnection::establish(":memory:")?;
//! # diesel_locks::blocking::migrate(&mut conn).unwrap();
//! # use diesel::connection::SimpleConnection;
//! # conn.batch_execute("CREATE TABLE jobs (id INTEGER PRIMARY KEY, name TEXT NOT NULL, fence BIGINT NOT NULL DEFAULT 0);
//! #     INSERT INTO jobs (name) VALUES ('a'), ('b')")?;
//! use diesel_locks::query::unlocked;
//! use diesel_locks::{Lock, blocking::LockDsl};
//!
//! diesel::table! {
//!     jobs (id) { id -> Integer, name -> Text, fence -> BigInt, }
//! }
//!
//! let lease = Lock::in_group("jobs", "a")?.try_acquire(&mut conn)?.acquired().unwrap();
//!
//! // The next ten jobs whose lock is free. They are candidates: acquire the lock of each before you work on it.
//! let free: Vec<String> = jobs::table
//!     .filter(unlocked(jobs::name).in_group("jobs")?)
//!     .select(jobs::name)
//!     .limit(10)
//!     .load(&mut conn)?;
//! assert_eq!(free, ["b"]);
//!
//! // A fenced write needs nothing of this crate: an earlier holder cannot write after a later holder has written.
//! let written = diesel::update(jobs::table.filter(jobs::name.eq("a")).filter(jobs::fence.le(lease.fence())))
//!     .set(jobs::fence.eq(lease.fence()))
//!     .execute(&mut conn)?;
//! assert_eq!(written, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use diesel::expression::{
    AppearsOnTable, Expression, SelectableExpression, ValidGrouping, is_aggregate,
};
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::sql_types::{Bool, Text};

use crate::dialect::{Bound, Dialect};
use crate::error::Result;
use crate::name::valid_group;
use crate::table::Table;

/// True for the rows whose lock nobody holds. The expression gives the name of the lock.
///
/// Use it to choose candidates. Another process may acquire a lock right after this query, so acquire each lock before
/// you work on its row. If you need the rows only for one transaction, `FOR UPDATE SKIP LOCKED` of PostgreSQL and MySQL
/// is shorter.
#[must_use]
pub fn unlocked<K: Expression<SqlType = Text>>(key: K) -> LockTerm<K> {
    LockTerm::new(key, "NOT EXISTS")
}

/// True for the rows whose lock somebody holds: the opposite of [`unlocked`]. Use it for lists and counts. Another
/// process may release a lock right after this query.
#[must_use]
pub fn locked<K: Expression<SqlType = Text>>(key: K) -> LockTerm<K> {
    LockTerm::new(key, "EXISTS")
}

/// The condition that [`unlocked`] and [`locked`] make.
#[derive(Clone, Debug)]
pub struct LockTerm<K> {
    key: K,
    exists: &'static str,
    prefix: Option<Bound>,
    table: Table,
}

impl<K> LockTerm<K> {
    fn new(key: K, exists: &'static str) -> Self {
        Self {
            key,
            exists,
            prefix: None,
            table: Table::default(),
        }
    }

    /// The expression gives names within this group. Without this call it gives whole keys, such as `jobs|42`.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for a group that no lock can be in.
    pub fn in_group(mut self, group: impl AsRef<str>) -> Result<Self> {
        self.prefix = Some(format!("{}|", valid_group(group.as_ref())?).into());
        Ok(self)
    }

    /// The locks are in this table, if they aren't in `diesel_locks`.
    #[must_use]
    pub fn in_table(mut self, table: Table) -> Self {
        self.table = table;
        self
    }
}

impl<K: Expression> Expression for LockTerm<K> {
    type SqlType = Bool;
}

impl<K: AppearsOnTable<QS>, QS> AppearsOnTable<QS> for LockTerm<K> {}

impl<K: SelectableExpression<QS>, QS> SelectableExpression<QS> for LockTerm<K> {}

impl<K, G> ValidGrouping<G> for LockTerm<K> {
    type IsAggregate = is_aggregate::No;
}

impl<K> QueryId for LockTerm<K> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<K: QueryFragment<DB>, DB: Dialect> QueryFragment<DB> for LockTerm<K> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql(self.exists);
        out.push_sql(" (SELECT 1 FROM ");
        self.table.push("", &mut out)?;
        out.push_sql(" held_lock");
        if DB::KEEPS_BEATS {
            out.push_sql(" LEFT JOIN ");
            self.table.push("_beats", &mut out)?;
            out.push_sql(" held_beat ON held_beat.name = held_lock.name AND held_beat.fence = held_lock.fence");
        }
        out.push_sql(" WHERE held_lock.token IS NOT NULL AND ");
        out.push_sql(if DB::KEEPS_BEATS {
            "COALESCE(held_beat.expires_at, held_lock.expires_at) > "
        } else {
            "held_lock.expires_at > "
        });
        out.push_sql(DB::NOW);
        out.push_sql(" AND held_lock.name = ");
        self.push_key(&mut out)?;
        out.push_sql(")");
        Ok(())
    }
}

impl<K> LockTerm<K> {
    fn push_key<'b, DB: Dialect>(&'b self, out: &mut AstPass<'_, 'b, DB>) -> QueryResult<()>
    where
        K: QueryFragment<DB>,
    {
        let [open, between, close] = DB::CONCATENATION;
        out.push_sql(open);
        if let Some(prefix) = &self.prefix {
            DB::bind(prefix, out)?;
            out.push_sql(between);
        }
        self.key.walk_ast(out.reborrow())?;
        out.push_sql(close);
        Ok(())
    }
}
