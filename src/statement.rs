//! Every operation as a value: it can be printed with [`diesel::debug_query`] and run by anybody on any
//! Diesel connection. The SQL comes from the backend's [`Dialect`]; names, tokens and all other values
//! are bound, and the table's identifiers are quoted (I14).
//!
//! You need this module to read or log the SQL, or to run a statement your own way; for everything else
//! use [`blocking`](crate::blocking) or [`asynchronous`](crate::asynchronous), which know what to do with
//! the answers.
//!
//! ```
//! # #[cfg(feature = "sqlite")] {
//! use diesel::sqlite::Sqlite;
//! use diesel_locks::{Lock, statement::Statement};
//!
//! let look = Statement::look(&Lock::new("invoice:42")?);
//! let sql = diesel::debug_query::<Sqlite, _>(&look).to_string();
//! assert!(sql.contains("FROM `diesel_locks`") && sql.ends_with(r#"binds: [None, "invoice:42"]"#));
//! # }
//! # Ok::<(), diesel_locks::Error>(())
//! ```

mod batch;
#[cfg(all(test, feature = "postgres", feature = "mysql", feature = "sqlite"))]
mod snapshots;

use std::marker::PhantomData;
use std::time::Duration;

use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::sql_types::{BigInt, Nullable, Text};

use crate::clock::on_the_wall;
use crate::dialect::{Dialect, Operation, Part, Value};
use crate::error::Result;
use crate::lease::Lease;
use crate::list::List;
use crate::lock::{LONGEST_TTL, Lock, micros};
use crate::name::Range;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
use crate::set::LockSet;
use crate::table::Table;
use crate::token::Token;

pub use crate::fact::{Fact, FactSql};
pub use batch::Batch;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) use batch::{array, quoted};

/// A statement whose rows are `R`: [`Seen`], [`Late`], [`Fact`], or `()` where only the number of rows counts.
///
/// Statements are cached by their text, because the table's name is only known at run time.
#[derive(Clone, Debug)]
pub struct Statement<R> {
    pub(crate) operation: Operation,
    pub(crate) table: Table,
    pub(crate) binds: Binds,
    rows: PhantomData<fn() -> R>,
}

/// The values of a statement; each uses a few of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Binds {
    pub(crate) name: String,
    pub(crate) token: Option<Token>,
    pub(crate) owner: String,
    pub(crate) data: Option<String>,
    pub(crate) fence: i64,
    pub(crate) next_fence: i64,
    /// Microseconds: a ttl, an increment, an age or a window.
    pub(crate) time: i64,
    /// Microseconds since 1970 by the clock of this process, where that is the database's too. SQLite.
    pub(crate) local: i64,
    /// Microseconds: no lease is without an end, however often something is added to it.
    pub(crate) longest: i64,
    /// Whether the lease may have run out (1), or must not (0): see [`Dialect::TELLS_LATE`].
    pub(crate) late: i64,
    pub(crate) from: String,
    pub(crate) until: String,
    pub(crate) after: String,
    pub(crate) held: i64,
    /// Whether it runs inside a transaction.
    pub(crate) inside: i64,
    pub(crate) limit: i64,
    /// The keys of a set, as a JSON array.
    pub(crate) names: String,
    pub(crate) batch: Batch,
    /// The table's schema, where its facts are asked for.
    pub(crate) schema: Option<String>,
    /// The table, as PostgreSQL finds it: what tells the advisory locks of its names from those of another's.
    pub(crate) gate: String,
}

/// What a statement saw of a lock's row, and whether it won it. Never the token itself.
#[derive(Clone, Debug, diesel::Queryable)]
#[non_exhaustive]
pub struct Seen {
    /// The database's clock, in microseconds since 1970.
    pub now: i64,
    /// The fence, if this statement acquired the lock.
    pub won: Option<i64>,
    /// On MySQL and MariaDB: what about the session makes a difference to acquiring.
    pub session: i64,
    /// The key, or `None` where there is no row.
    pub name: Option<String>,
    /// The label of the holder, or of the last one.
    pub owner: Option<String>,
    /// The number of the latest acquisition.
    pub fence: Option<i64>,
    /// When it was, in microseconds since 1970.
    pub acquired_at: Option<i64>,
    /// When its lease ends or ended, in microseconds since 1970.
    pub expires_at: Option<i64>,
    /// The text left with the lock.
    pub data: Option<String>,
    /// 0: released; 1: the row names a holder; 2: and the token is the one asked with.
    pub state: Option<i64>,
}

/// The SQL type of [`Seen`].
pub type SeenSql = (
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

/// The row of a lease that is still its holder's: 1 if it had run out before the statement, otherwise 0.
/// No row: the lease is lost; or, on MySQL, MariaDB and SQLite, it has run out, and the statement has to be run for that
/// case: the operations do.
pub type Late = i64;

/// What a type of rows is to Diesel.
pub trait Rows {
    /// Its SQL type.
    type Sql;
}

impl Rows for Seen {
    type Sql = SeenSql;
}

impl Rows for Fact {
    type Sql = FactSql;
}

impl Rows for Late {
    type Sql = BigInt;
}

impl Statement<Seen> {
    /// Acquires the lock, with the lock's own token or a random one. PostgreSQL and SQLite.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn acquire(lock: &Lock) -> Result<Self> {
        let token = match &lock.token {
            Some(token) => token.clone(),
            None => Token::random()?,
        };
        Ok(Self::acquire_as(lock, Some(token)))
    }

    /// Acquires it with this token, which nobody has used before unless it is the lock's own.
    pub(crate) fn acquire_as(lock: &Lock, token: Option<Token>) -> Self {
        let operation = if lock.token.is_some() {
            Operation::AcquireAgain
        } else {
            Operation::Acquire
        };
        Self::of(operation, lock, acquisition(lock, token))
    }

    /// Reads the row of a lock.
    #[must_use]
    pub fn look(lock: &Lock) -> Self {
        Self::look_as(lock, lock.token.clone())
    }

    /// Reads the row of a lock, and whether this token is its holder's.
    pub(crate) fn look_as(lock: &Lock, token: Option<Token>) -> Self {
        let binds = Binds {
            token,
            ..named(lock)
        };
        Self::of(Operation::Look, lock, binds)
    }

    /// The same as the first step of acquiring. MySQL and MariaDB.
    #[cfg(feature = "mysql")]
    pub(crate) fn look_to_acquire(lock: &Lock, token: Option<Token>, inside: bool) -> Self {
        let mut query = Self::look_as(lock, token);
        query.operation = Operation::LookToAcquire;
        query.binds.inside = i64::from(inside);
        query
    }

    /// Acquires all locks of a set or none, where all have a row. PostgreSQL and SQLite.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) fn acquire_all(set: &LockSet, token: &Token) -> Self {
        Self::of_set(Operation::AcquireAll, set, token)
    }

    /// Acquires any lock of a set. PostgreSQL and SQLite.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) fn acquire_any(set: &LockSet, token: &Token) -> Self {
        Self::of_set(Operation::AcquireAny, set, token)
    }

    /// Reads the rows of a set. SQLite.
    #[cfg(feature = "sqlite")]
    pub(crate) fn look_all(set: &LockSet, token: &Token) -> Self {
        Self::of_set(Operation::LookAll, set, token)
    }

    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    fn of_set(operation: Operation, set: &LockSet, token: &Token) -> Self {
        let binds = Binds {
            names: set.keys(),
            ..acquisition(set.pattern(), Some(token.clone()))
        };
        Self::of(operation, set.pattern(), binds)
    }

    /// Reads a page of rows.
    #[must_use]
    pub fn list(list: &List) -> Self {
        let binds = Binds {
            after: list.after.clone().unwrap_or_default(),
            held: i64::from(list.held),
            limit: list.limit,
            ..within(list.range())
        };
        Self::new(Operation::List, list.table.clone(), binds)
    }
}

impl Statement<Fact> {
    /// Asks what the database knows about the table, the session and itself.
    #[must_use]
    pub fn facts(table: &Table) -> Self {
        let binds = Binds {
            name: table.name().to_owned(),
            schema: table.schema().map(str::to_owned),
            gate: table.quoted(),
            ..Binds::default()
        };
        Self::new(Operation::Facts, table.clone(), binds)
    }
}

impl Statement<Late> {
    /// Reads which migrations [`migrate`](crate::blocking::migrate) has run, by their numbers.
    pub(crate) fn steps(table: &Table) -> Self {
        Self::new(Operation::Steps, table.clone(), Binds::default())
    }

    /// Asks whether this transaction goes on seeing what was there when it began.
    pub(crate) fn snapshot() -> Self {
        Self::new(Operation::Snapshot, Table::default(), Binds::default())
    }

    /// Extends a lease to this ttl from now.
    #[must_use]
    pub fn extend(lease: &Lease, ttl: Duration) -> Self {
        Self::of_lease(Operation::Extend, lease, ttl)
    }

    /// Adds so much to what is left of a lease.
    #[must_use]
    pub fn extend_by(lease: &Lease, by: Duration) -> Self {
        Self::of_lease(Operation::ExtendBy, lease, by)
    }

    /// Releases a lease.
    #[must_use]
    pub fn release(lease: &Lease) -> Self {
        Self::of_lease(Operation::Release, lease, Duration::ZERO)
    }

    /// The same with a commit that does not wait for the disk, which costs the ttl if the server crashes right then.
    /// PostgreSQL.
    pub(crate) fn release_soon(lease: &Lease) -> Self {
        Self::of_lease(Operation::ReleaseSoon, lease, Duration::ZERO)
    }

    /// The same, after the pins of the lease that are open. MySQL and MariaDB, where they would be in the way.
    pub(crate) fn release_waiting(lease: &Lease) -> Self {
        Self::of_lease(Operation::ReleaseWaiting, lease, Duration::ZERO)
    }

    /// Lets a lease run out after so long, be that sooner or later than it would.
    pub(crate) fn retire(lease: &Lease, rest: Duration) -> Self {
        Self::of_lease(Operation::Retire, lease, rest)
    }

    /// Pins a lease until the end of the transaction.
    #[must_use]
    pub fn pin(lease: &Lease) -> Self {
        Self::of_lease(Operation::Pin, lease, Duration::ZERO)
    }

    /// Pins a lease with a write, where row locks are not enough: [`Lock::pin_by_writing`]. MySQL and MariaDB.
    pub(crate) fn pin_by_writing(lease: &Lease) -> Self {
        Self::of_lease(Operation::PinByWriting, lease, Duration::ZERO)
    }

    /// Replaces the text left with the lock.
    #[must_use]
    pub fn set_data(lease: &Lease, data: Option<&str>) -> Self {
        let mut statement = Self::of_lease(Operation::SetData, lease, Duration::ZERO);
        statement.binds.data = data.map(str::to_owned);
        statement
    }

    /// Takes the lock away from its holder.
    #[must_use]
    pub fn force_release(lock: &Lock) -> Self {
        Self::of(Operation::ForceRelease, lock, named(lock))
    }

    /// The same, where the lease has run out: see [`Dialect::TELLS_LATE`].
    pub(crate) fn though_late(mut self) -> Self {
        self.binds.late = 1;
        self
    }

    fn of_lease(operation: Operation, lease: &Lease, time: Duration) -> Self {
        let binds = Binds {
            token: Some(lease.token.clone()),
            fence: lease.fence,
            time: micros(time),
            longest: micros(LONGEST_TTL),
            ..named(&lease.lock)
        };
        Self::of(operation, &lease.lock, binds)
    }
}

impl Statement<()> {
    /// Makes the rows that a set has not got yet, free. PostgreSQL.
    #[cfg(feature = "postgres")]
    pub(crate) fn create_all(set: &LockSet) -> Self {
        let binds = Binds {
            names: set.keys(),
            ..acquisition(set.pattern(), None)
        };
        Self::of(Operation::CreateAll, set.pattern(), binds)
    }

    /// Asks for a notification when the lock is released within this time. PostgreSQL.
    pub(crate) fn want(lock: &Lock, window: Duration) -> Self {
        let binds = Binds {
            time: micros(window),
            ..named(lock)
        };
        Self::of(Operation::Want, lock, binds)
    }

    /// Removes the rows of locks that nobody has held for longer than `age`. PostgreSQL and SQLite.
    pub(crate) fn purge(list: &List, age: Duration) -> Self {
        let binds = Binds {
            time: micros(age),
            ..within(list.range())
        };
        Self::new(Operation::Purge, list.table.clone(), binds)
    }

    /// Removes one such row. MySQL and MariaDB, where a scan would lock the rows it passes.
    pub(crate) fn purge_one(table: &Table, key: String, age: Duration) -> Self {
        let binds = Binds {
            name: key,
            time: micros(age),
            ..Binds::default()
        };
        Self::new(Operation::PurgeOne, table.clone(), binds)
    }
}

impl<R> Statement<R> {
    pub(crate) fn of(operation: Operation, lock: &Lock, binds: Binds) -> Self {
        Self::new(operation, lock.table.clone(), binds)
    }

    fn new(operation: Operation, table: Table, binds: Binds) -> Self {
        Self {
            operation,
            table,
            binds,
            rows: PhantomData,
        }
    }

    /// The same statement with other rows, for a database that answers with their number instead.
    pub(crate) fn counted(self) -> Statement<()> {
        Statement::new(self.operation, self.table, self.binds)
    }
}

pub(crate) fn named(lock: &Lock) -> Binds {
    Binds {
        name: lock.key().to_owned(),
        ..Binds::default()
    }
}

pub(crate) fn acquisition(lock: &Lock, token: Option<Token>) -> Binds {
    Binds {
        local: on_the_wall(),
        time: token.as_ref().map_or(0, |_| micros(lock.ttl)),
        token,
        owner: lock.owner.to_string(),
        data: lock.data.clone(),
        gate: lock.table.quoted(),
        ..named(lock)
    }
}

fn within(range: Range) -> Binds {
    Binds {
        from: range.from,
        until: range.until,
        ..Binds::default()
    }
}

impl<R: Rows> Query for Statement<R> {
    type SqlType = R::Sql;
}

impl<R> QueryId for Statement<R> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<R, Conn> diesel::RunQueryDsl<Conn> for Statement<R> {}

impl<R, DB: Dialect> QueryFragment<DB> for Statement<R> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        for part in DB::templates().of::<DB>(self.operation) {
            match part {
                Part::Sql(sql) => out.push_sql(sql),
                Part::Table(suffix) => self.table.push(suffix, &mut out)?,
                Part::Value(value) => self.bind(*value, &mut out)?,
            }
        }
        Ok(())
    }
}

impl<R> Statement<R> {
    fn bind<'b, DB: Dialect>(
        &'b self,
        value: Value,
        out: &mut AstPass<'_, 'b, DB>,
    ) -> QueryResult<()> {
        let binds = &self.binds;
        match value {
            Value::Name => DB::text(&binds.name, out),
            Value::Token => DB::token(&binds.token, out),
            Value::Owner => DB::text(&binds.owner, out),
            Value::Data => DB::nullable_text(&binds.data, out),
            Value::Fence => DB::number(&binds.fence, out),
            Value::NextFence => DB::number(&binds.next_fence, out),
            Value::Time => DB::number(&binds.time, out),
            Value::Local => DB::number(&binds.local, out),
            Value::Longest => DB::number(&binds.longest, out),
            Value::Late => DB::number(&binds.late, out),
            Value::From => DB::text(&binds.from, out),
            Value::Until => DB::text(&binds.until, out),
            Value::After => DB::text(&binds.after, out),
            Value::Inside => DB::number(&binds.inside, out),
            Value::Held => DB::number(&binds.held, out),
            Value::Limit => DB::number(&binds.limit, out),
            Value::Names => DB::text(&binds.names, out),
            Value::Batch => DB::batch(&binds.batch, out),
            Value::Gate => DB::text(&binds.gate, out),
            Value::Schema => DB::nullable_text(&binds.schema, out),
        }
    }
}
