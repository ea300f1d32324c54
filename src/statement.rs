//! Every operation as a value that can be printed with [`diesel::debug_query`], to read or to log its SQL. The SQL comes
//! from the backend's [`Dialect`]; names, tokens and all other values are bound, and the table's identifiers are quoted
//! (I14).
//!
//! A statement cannot be run on its own, because an answer needs more than one statement on some engines, and has to be
//! interpreted. To run an operation, use [`blocking`](crate::blocking) or [`asynchronous`](crate::asynchronous).
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

#[cfg(all(test, feature = "postgres", feature = "mysql", feature = "sqlite"))]
mod snapshots;

use std::time::Duration;

use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::result::QueryResult;

use crate::batch::Batch;
use crate::clock::on_the_wall;
use crate::dialect::{Bound, Dialect, Operation, Part, Value};
use crate::error::Result;
use crate::lease::Lease;
use crate::list::List;
use crate::lock::{LONGEST_TTL, Lock};
use crate::name::Range;
use crate::set::LockSet;
use crate::table::Table;
use crate::token::Token;

/// A statement with its values.
///
/// Statements are cached by their text, because the table's name is only known at run time.
#[derive(Clone, Debug)]
pub struct Statement {
    operation: Operation,
    table: Table,
    /// The values that the SQL names, in no particular order. If a value is there twice, the last one counts.
    values: Vec<(Value, Bound)>,
}

/// Statements that acquire locks or read rows.
impl Statement {
    /// Acquires the lock, with the lock's own token or a random one. Some locks need other statements: on PostgreSQL, MySQL and
    /// MariaDB a lock that was never used, or for which another process waits; on MySQL and MariaDB also a lock whose lease
    /// has expired.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn acquire(lock: &Lock) -> Result<Self> {
        let token = match &lock.token {
            Some(token) => token.clone(),
            None => Token::random()?,
        };
        Ok(Self::acquire_with(lock, Some(token), on_the_wall()))
    }

    /// Acquires a lock with this fence, if the lock is free and the fence fits its row. MySQL and MariaDB.
    pub(crate) fn acquire_with(lock: &Lock, token: Option<Token>, next_fence: i64) -> Self {
        Self::acquire_as(lock, token).with(Value::NextFence, next_fence)
    }

    /// Acquires the lock with this token, which is new unless it is the lock's own.
    pub(crate) fn acquire_as(lock: &Lock, token: Option<Token>) -> Self {
        let operation = if lock.token.is_some() {
            Operation::AcquireAgain
        } else {
            Operation::Acquire
        };
        Self::acquiring(operation, lock, token)
    }

    /// This statement for a row with a mark. PostgreSQL.
    pub(crate) fn though_marked(mut self) -> Self {
        self.operation = Operation::AcquireAgain;
        self
    }

    /// Acquires a lock whose latest fence is known. Not PostgreSQL.
    pub(crate) fn acquire_after(
        lock: &Lock,
        token: Option<Token>,
        fence: i64,
        next_fence: i64,
    ) -> Self {
        Self::acquiring(Operation::AcquireAfter, lock, token)
            .with(Value::Fence, fence)
            .with(Value::NextFence, next_fence)
    }

    /// Acquires a lock that has no row. Not SQLite.
    pub(crate) fn create(lock: &Lock, token: Option<Token>) -> Self {
        Self::acquiring(Operation::Create, lock, token)
            .with(Value::QuotedTable, lock.table.quoted())
    }

    /// This statement for a process that has waited since this moment of the database's clock, if it takes turns with
    /// others.
    pub(crate) fn in_turn(self, since: Option<i64>) -> Self {
        self.with(Value::Since, since)
    }

    /// Reads the row of a lock.
    #[must_use]
    pub fn look(lock: &Lock) -> Self {
        Self::look_as(lock, lock.token.clone())
    }

    /// Reads the row of a lock, and whether this token holds the lock.
    pub(crate) fn look_as(lock: &Lock, token: Option<Token>) -> Self {
        Self::looking(Operation::Look, lock, token)
    }

    /// Reads the row of a lock that is presumably held, if there is no transaction. MySQL and MariaDB.
    pub(crate) fn look_outside(lock: &Lock, token: Option<Token>) -> Self {
        Self::looking(Operation::LookOutside, lock, token)
    }

    /// Reads the row and the session as the first step of acquiring. MySQL and MariaDB.
    pub(crate) fn look_to_acquire(lock: &Lock, token: Option<Token>, inside: bool) -> Self {
        Self::looking(Operation::LookToAcquire, lock, token).with(Value::Inside, inside)
    }

    /// Reads the identity of a lock's holder without ever waiting, and keeps it from changing until the end
    /// of the transaction. MySQL and MariaDB.
    pub(crate) fn peek(lock: &Lock, token: Option<Token>) -> Self {
        Self::looking(Operation::Peek, lock, token)
    }

    /// Peeks as [`peek`](Self::peek) does, but a row that another transaction has locked is an error. MySQL and
    /// MariaDB.
    pub(crate) fn peek_nowait(lock: &Lock, token: Option<Token>) -> Self {
        Self::looking(Operation::PeekNowait, lock, token)
    }

    /// Acquires all locks of a set or none, where all have a row. PostgreSQL and SQLite.
    pub(crate) fn acquire_all(set: &LockSet, token: &Token) -> Self {
        Self::acquiring_set(Operation::AcquireAll, set, token)
    }

    /// Acquires all locks of a set with this fence, or none, where all have a row and are free. MySQL and MariaDB.
    pub(crate) fn acquire_all_with(set: &LockSet, token: &Token, next_fence: i64) -> Self {
        Self::acquire_all(set, token)
            .with(Value::NextFence, next_fence)
            .with(Value::Limit, count(&set.locks))
    }

    /// Acquires any lock of a set. PostgreSQL and SQLite.
    pub(crate) fn acquire_any(set: &LockSet, token: &Token) -> Self {
        Self::acquiring_set(Operation::AcquireAny, set, token)
    }

    /// Acquires each of these locks with its token and its owner. All of them are in one table. PostgreSQL.
    pub(crate) fn acquire_each(tries: &[(Lock, Token)]) -> Self {
        Self::on(Operation::AcquireEach, &tries[0].0.table)
            .with(Value::Batch, Batch::of_tries(tries))
    }

    /// Acquires those of these locks that are free, with this fence. MySQL and MariaDB.
    pub(crate) fn acquire_each_with(tries: &[(Lock, Token)], next_fence: i64) -> Self {
        Self::acquire_each(tries)
            .with(Value::NextFence, next_fence)
            .with(Value::Limit, count(tries))
    }

    /// Reads the rows of these locks, and whether their tokens hold them. MySQL and MariaDB.
    pub(crate) fn look_each(tries: &[(Lock, Token)]) -> Self {
        Self::on(Operation::LookEach, &tries[0].0.table).with(Value::Batch, Batch::of_tries(tries))
    }

    /// Reads the rows of a set; on MySQL and MariaDB also the session. Not PostgreSQL.
    pub(crate) fn look_all(set: &LockSet, token: &Token, inside: bool) -> Self {
        Self::looking(Operation::LookAll, set.prototype(), Some(token.clone()))
            .with(Value::Names, set.keys())
            .with(Value::Inside, inside)
    }

    /// Reads a page of rows.
    #[must_use]
    pub fn list(list: &List) -> Self {
        Self::on(Operation::List, &list.table())
            .within(list.range())
            .with(Value::After, list.after.clone().unwrap_or_default())
            .with(Value::Held, list.held)
            .with(Value::Limit, list.limit)
    }

    /// Extends the leases of one table, each to its own ttl. A lease is left out if its row is locked.
    pub(crate) fn keep_alive(leases: &[&Lease]) -> Self {
        Self::of_batch(Operation::KeepAlive, leases)
    }

    /// Extends a lease, if it still belongs to its holder, while another transaction has the row of the holder locked. MySQL
    /// and MariaDB.
    pub(crate) fn keep_beat(lease: &Lease, ttl: Duration) -> Self {
        Self::of_lease(Operation::KeepBeat, lease).with(Value::Time, ttl)
    }

    /// Reads the rows of the leases that still belong to their holders.
    pub(crate) fn look_mine(leases: &[&Lease]) -> Self {
        Self::of_batch(Operation::LookMine, leases)
    }

    fn looking(operation: Operation, lock: &Lock, token: Option<Token>) -> Self {
        Self::of(operation, lock).with(Value::Token, token)
    }

    fn acquiring_set(operation: Operation, set: &LockSet, token: &Token) -> Self {
        Self::acquiring(operation, set.prototype(), Some(token.clone()))
            .with(Value::Names, set.keys())
            .with(Value::QuotedTable, set.prototype().table.quoted())
    }

    fn of_batch(operation: Operation, leases: &[&Lease]) -> Self {
        let table = leases.first().map(|lease| lease.lock.table.clone());
        Self::on(operation, &table.unwrap_or_default())
            .with(Value::Batch, Batch::of(leases))
            .with(Value::Limit, count(leases))
    }
}

fn count<T>(items: &[T]) -> i64 {
    i64::try_from(items.len()).unwrap_or(i64::MAX)
}

/// Statements about the table and the session.
impl Statement {
    /// Asks what the database knows about the table, the session and itself.
    #[must_use]
    pub fn facts(table: &Table) -> Self {
        Self::on(Operation::Facts, table)
            .with(Value::Name, table.name())
            .with(Value::Schema, table.schema().map(str::to_owned))
            .with(Value::QuotedTable, table.quoted())
    }

    /// Reads the numbers of the migrations that [`migrate`](crate::blocking::migrate) has run.
    pub(crate) fn steps(table: &Table) -> Self {
        Self::on(Operation::Steps, table)
    }

    /// Asks a connection to repeat this number, and whether the session is inside a transaction. MySQL and MariaDB.
    pub(crate) fn session(question: i64) -> Self {
        Self::on(Operation::Session, &Table::default()).with(Value::Question, question)
    }

    /// Asks whether this transaction sees a snapshot: whether it goes on seeing what was there when it began.
    pub(crate) fn snapshot() -> Self {
        Self::on(Operation::Snapshot, &Table::default())
    }
}

/// Statements of the holder of a lease.
impl Statement {
    /// Extends a lease to this ttl from now.
    #[must_use]
    pub fn extend(lease: &Lease, ttl: Duration) -> Self {
        Self::of_lease(Operation::Extend, lease).with(Value::Time, ttl)
    }

    /// Adds this time to what is left of a lease. A lease always has an end, however often time is added to it.
    #[must_use]
    pub fn extend_by(lease: &Lease, by: Duration) -> Self {
        Self::of_lease(Operation::ExtendBy, lease)
            .with(Value::Time, by)
            .with(Value::Longest, LONGEST_TTL)
    }

    /// Releases a lease.
    #[must_use]
    pub fn release(lease: &Lease) -> Self {
        Self::of_lease(Operation::Release, lease)
    }

    /// Releases a lease with a commit that does not wait for the disk: if the server crashes right then, the lock is free
    /// after the ttl. PostgreSQL.
    pub(crate) fn release_async(lease: &Lease) -> Self {
        Self::of_lease(Operation::ReleaseAsync, lease)
    }

    /// Releases each of these leases, whose locks are in one table; on MySQL and MariaDB all of them, or none. Not SQLite.
    pub(crate) fn release_each(leases: &[&Lease], durable: bool) -> Self {
        let operation = if durable {
            Operation::ReleaseEach
        } else {
            Operation::ReleaseEachAsync
        };
        Self::of_batch(operation, leases)
    }

    /// Releases a lease after its open pins have ended, because they are in the way. MySQL and MariaDB.
    pub(crate) fn release_waiting(lease: &Lease) -> Self {
        Self::of_lease(Operation::ReleaseWaiting, lease)
    }

    /// Lets a lease expire after this time, which may be sooner or later than it would expire otherwise.
    pub(crate) fn retire(lease: &Lease, rest: Duration) -> Self {
        Self::of_lease(Operation::Retire, lease).with(Value::Time, rest)
    }

    /// Pins a lease until the end of the transaction.
    #[must_use]
    pub fn pin(lease: &Lease) -> Self {
        Self::of_lease(Operation::Pin, lease)
    }

    /// Pins a lease, and answers "expired" if the end is over that the lease got at its acquisition. MySQL and MariaDB.
    pub(crate) fn pin_identity(lease: &Lease) -> Self {
        Self::of_lease(Operation::PinIdentity, lease)
    }

    /// Pins a lease with a write, where row locks are not enough: [`Lock::pin_by_writing`]. MySQL and MariaDB.
    pub(crate) fn pin_by_writing(lease: &Lease) -> Self {
        Self::of_lease(Operation::PinByWriting, lease)
    }

    /// Replaces the text that is kept with the lock.
    #[must_use]
    pub fn set_data(lease: &Lease, data: Option<&str>) -> Self {
        Self::of_lease(Operation::SetData, lease).with(Value::Data, data.map(str::to_owned))
    }

    /// Takes the lock away from its holder.
    #[must_use]
    pub fn force_release(lock: &Lock) -> Self {
        Self::of(Operation::ForceRelease, lock).with(Value::Expired, false)
    }

    /// This statement for a lease that has expired: see [`Sql::REPORTS_EXPIRY`](crate::dialect::Sql::REPORTS_EXPIRY).
    pub(crate) fn though_expired(self) -> Self {
        self.with(Value::Expired, true)
    }

    fn of_lease(operation: Operation, lease: &Lease) -> Self {
        Self::of(operation, &lease.lock)
            .with(Value::Token, Some(lease.token.clone()))
            .with(Value::Fence, lease.fence)
            .with(Value::Expired, false)
    }
}

/// Statements that create, remove or prepare rows.
impl Statement {
    /// Creates the row that keeps the end of a lock's leases since they were extended, and the text. MySQL and MariaDB.
    pub(crate) fn create_beat(lock: &Lock, data: Option<String>) -> Self {
        Self::of(Operation::CreateBeat, lock).with(Value::Data, data)
    }

    /// Extends the lease that this token acquired before. MySQL and MariaDB.
    pub(crate) fn renew(lock: &Lock, token: Option<Token>, fence: i64) -> Self {
        Self::acquiring(Operation::Renew, lock, token).with(Value::Fence, fence)
    }

    /// Creates the rows that are missing for a set. Their locks are free then. PostgreSQL.
    pub(crate) fn create_all(set: &LockSet) -> Self {
        Self::of(Operation::CreateAll, set.prototype())
            .with(Value::Names, set.keys())
            .with(Value::QuotedTable, set.prototype().table.quoted())
    }

    /// Marks the row: a process has waited for the lock since this moment.
    pub(crate) fn mark(lock: &Lock, since: i64) -> Self {
        Self::of(Operation::Mark, lock).in_turn(Some(since))
    }

    /// Marks the lock for the time of the holder with this fence, whose row is pinned. MySQL and MariaDB.
    pub(crate) fn mark_beat(lock: &Lock, since: i64, fence: i64) -> Self {
        Self::of(Operation::MarkBeat, lock)
            .in_turn(Some(since))
            .with(Value::Fence, fence)
    }

    /// Asks for a notification when the lock is released within this time. PostgreSQL.
    pub(crate) fn want(lock: &Lock, window: Duration) -> Self {
        Self::of(Operation::Want, lock).with(Value::Time, window)
    }

    /// Removes the rows of locks that nobody has held for longer than `age`. PostgreSQL and SQLite.
    pub(crate) fn purge(list: &List, age: Duration) -> Self {
        Self::on(Operation::Purge, &list.table())
            .within(list.range())
            .with(Value::Time, age)
    }

    /// Removes the row of one lock that nobody has held for longer than `age`. MySQL and MariaDB, where a scan would
    /// lock the rows that it passes.
    pub(crate) fn purge_one(table: &Table, key: String, age: Duration) -> Self {
        Self::on(Operation::PurgeOne, table)
            .with(Value::Name, key)
            .with(Value::Time, age)
    }
}

impl Statement {
    fn on(operation: Operation, table: &Table) -> Self {
        Self {
            operation,
            table: table.clone(),
            values: Vec::with_capacity(12),
        }
    }

    fn of(operation: Operation, lock: &Lock) -> Self {
        Self::on(operation, &lock.table).with(Value::Name, lock.key())
    }

    /// With a token, the statement acquires a lease of the lock's ttl. Without a token, it acquires the lock without a
    /// holder.
    fn acquiring(operation: Operation, lock: &Lock, token: Option<Token>) -> Self {
        let ttl = token.as_ref().map_or(Duration::ZERO, |_| lock.ttl);
        Self::of(operation, lock)
            .with(Value::Token, token)
            .with(Value::Owner, &*lock.owner)
            .with(Value::Data, lock.data.clone())
            .with(Value::Time, ttl)
            .with(Value::Local, on_the_wall())
            .in_turn(None)
    }

    fn within(self, range: Range) -> Self {
        self.with(Value::From, range.from)
            .with(Value::Until, range.until)
    }

    fn with(mut self, value: Value, bound: impl Into<Bound>) -> Self {
        self.values.push((value, bound.into()));
        self
    }

    fn bound(&self, value: Value) -> &Bound {
        let mut values = self.values.iter().rev();
        let found = values.find(|(it, _)| *it == value);
        let missing = || unreachable!("{:?} has no value for {value:?}", self.operation);
        found.map_or_else(missing, |(_, bound)| bound)
    }

    /// Whether this is the statement for a lease that has expired.
    pub(crate) fn is_for_expired(&self) -> bool {
        matches!(self.bound(Value::Expired), Bound::Number(1))
    }
}

impl QueryId for Statement {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<DB: Dialect> QueryFragment<DB> for Statement {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        for part in DB::templates().of::<DB>(self.operation, &self.table) {
            match part {
                Part::Sql(sql) => out.push_sql(sql),
                Part::Table(suffix) => self.table.push(suffix, &mut out)?,
                Part::Value(value) => DB::bind(self.bound(*value), &mut out)?,
            }
        }
        Ok(())
    }
}
