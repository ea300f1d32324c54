//! What can go wrong. Not getting a lock is no error ([`Attempt::Busy`](crate::Attempt::Busy)), and
//! neither is having lost one ([`Outcome::Lost`](crate::Outcome::Lost)): both are values. Only who waits for a guard, and
//! wants nothing else, is told so as an error.
//!
//! Neither Diesel nor diesel-async hands on an engine's error code, so texts are all there is to read.
//! They are read here and nowhere else, and what is not recognised counts as not worth a retry.

use std::time::Duration;

use diesel::result::{DatabaseErrorKind, Error as DieselError};

use crate::answer::Holder;

/// The result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation could not be carried out.
///
/// It converts from [`diesel::result::Error`], so it serves as the error type of a Diesel transaction
/// that also takes locks.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name, label, duration or other input that cannot be used; the text says what can.
    #[error("{what} {value:?} cannot be used: {remedy}")]
    Invalid {
        /// Which input.
        what: &'static str,
        /// What was given.
        value: String,
        /// What to do instead.
        remedy: &'static str,
    },

    /// The table of the locks is not there.
    #[error(
        "the table of the locks is missing: write this crate's migrations into yours with \
         `diesel-locks migrations write {engine}` and apply them with `diesel migration run`, or see \
         `diesel_locks::migrations` for other ways; or name the right table with `Lock::in_table`"
    )]
    TableMissing {
        /// The engine whose migrations are to be run: `postgres`, `mysql` or `sqlite`.
        engine: &'static str,
        /// What the database said.
        source: DieselError,
    },

    /// The table, the connection or a folder is not as it has to be: found while migrating, verifying or writing
    /// migrations.
    #[error("{found}: {remedy}")]
    Setup {
        /// What was found.
        found: String,
        /// What to do about it.
        remedy: &'static str,
    },

    /// A pin found that the lease belongs to somebody else by now, or to nobody: do not go on with the work.
    #[error("the lease on {name:?} is lost: it was taken over, released or removed")]
    Lost {
        /// The name of the lock.
        name: String,
    },

    /// A pin found that the lease's time is over, although nobody has taken it over.
    #[error("the lease on {name:?} has run out: extend it, and begin the transaction again")]
    RunOut {
        /// The name of the lock.
        name: String,
    },

    /// The lock was won, but the answer took so long that the lease could not be trusted any more.
    /// It has been given back, unless the token was the caller's own.
    #[error(
        "the database took {took:?} to say that {name:?} was acquired, too long for a ttl of {ttl:?}: \
         it is not acquired; use a longer ttl"
    )]
    TooLate {
        /// The name of the lock.
        name: String,
        /// How long the answer took.
        took: Duration,
        /// The ttl asked for.
        ttl: Duration,
    },

    /// An SQLite transaction that has only read so far cannot become the writer.
    #[error(
        "this SQLite transaction cannot write: another connection does, or has done so since this \
         transaction first read; begin it with `immediate_transaction`"
    )]
    CannotWrite {
        /// What the database said.
        source: DieselError,
    },

    /// A lock was to be held for the length of a transaction, and there is none.
    #[error(
        "there is no transaction for whose length {name:?} could be held: begin one with Diesel, or \
         acquire the lock"
    )]
    NoTransaction {
        /// The name of the lock.
        name: String,
    },

    /// Waiting for a lock inside a transaction that goes on seeing what was there when it began, or on SQLite keeps
    /// everybody else from writing: it could never succeed.
    #[error(
        "waiting for {name:?} inside this transaction could never succeed, because it would not see the \
         release: acquire the lock before the transaction begins"
    )]
    CannotWait {
        /// The name of the lock.
        name: String,
    },

    /// A wait for a lock was over before the lock was free.
    #[error("{name:?} is busy{}", held_by(.holder.as_deref()))]
    Busy {
        /// The name of the lock.
        name: String,
        /// Who holds it, if the database could tell.
        holder: Option<Box<Holder>>,
    },

    /// The pool gave no connection.
    #[error(
        "no connection for the locks: {source}; a larger pool, or one for the keeper alone, may help"
    )]
    NoConnection {
        /// What the pool said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },

    /// The database did not answer in time. What it was asked to do may still happen.
    #[error("the database did not answer within {within:?}")]
    NoAnswer {
        /// How long it was waited for.
        within: Duration,
    },

    /// The `Locker` was closed, and acquires nothing any more.
    #[error("these locks were closed: make a new `Locker`")]
    Closed,

    /// Anything else that the database or the connection said.
    #[error(transparent)]
    Database(DieselError),
}

impl Error {
    /// Whether the same operation, or the same transaction from its beginning, may succeed when it is
    /// tried again: serialization failures, deadlocks, timeouts of row locks, a busy SQLite database,
    /// and an answer that came too late.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::TooLate { .. }
            | Self::CannotWrite { .. }
            | Self::Busy { .. }
            | Self::NoConnection { .. }
            | Self::NoAnswer { .. } => true,
            Self::Database(source) => is_contention(source),
            _ => false,
        }
    }

    /// Whether the connection to the database broke, so that it is unknown what the operation did.
    /// Acquiring again with the same token finds out.
    #[must_use]
    pub fn is_connection(&self) -> bool {
        match self {
            Self::NoAnswer { .. } | Self::Database(DieselError::BrokenTransactionManager) => true,
            Self::Database(DieselError::DatabaseError(kind, info)) => {
                matches!(kind, DatabaseErrorKind::ClosedConnection)
                    || mentions(info.message(), &CONNECTION)
            }
            _ => false,
        }
    }

    /// Whether a pin found the lease gone or run out, so that the work must not go on.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        matches!(self, Self::Lost { .. } | Self::RunOut { .. })
    }

    /// What an engine's error means; `in_transaction` tells a busy SQLite database from a
    /// transaction that never will write.
    pub(crate) fn from_engine(
        source: DieselError,
        engine: &'static str,
        in_transaction: bool,
    ) -> Self {
        if is_table_missing(&source) {
            Self::TableMissing { engine, source }
        } else if in_transaction && is_sqlite_busy(&source) {
            Self::CannotWrite { source }
        } else {
            Self::Database(source)
        }
    }

    /// Whether a transaction was refused because of another one, and not just kept waiting for it.
    pub(crate) fn is_serialization(&self) -> bool {
        matches!(self, Self::Database(source) if is_serialization(source))
    }

    /// Whether an SQLite database had another writer for longer than the connection's `busy_timeout`.
    pub(crate) fn is_busy_database(&self) -> bool {
        matches!(self, Self::Database(source) if is_sqlite_busy(source))
    }
}

fn held_by(holder: Option<&Holder>) -> String {
    holder.map_or_else(String::new, |holder| {
        format!(
            ": {} holds it for {:?} more",
            holder.owner, holder.time_left
        )
    })
}

impl From<DieselError> for Error {
    fn from(source: DieselError) -> Self {
        Self::Database(source)
    }
}

const TABLE_MISSING: [&str; 3] = [
    "no such table",    // SQLite
    "doesn't exist",    // MySQL, MariaDB 1146
    "Unknown database", // MySQL 1049
];

const SQLITE_BUSY: [&str; 3] = [
    "database is locked",
    "database table is locked",
    "database schema is locked",
];

/// Refused because of another transaction: to be tried again at once.
const SERIALIZATION: [&str; 4] = [
    "Deadlock found",                     // MySQL, MariaDB 1213
    "Record has changed since last read", // MariaDB 1020
    "could not serialize access",         // PostgreSQL 40001
    "deadlock detected",                  // PostgreSQL 40P01
];

/// Kept waiting for another transaction, or not willing to.
const TIMEOUT: [&str; 4] = [
    "Lock wait timeout exceeded",              // MySQL, MariaDB 1205
    "NOWAIT is set",                           // MySQL 3572
    "canceling statement due to lock timeout", // PostgreSQL 55P03
    "could not obtain lock",                   // PostgreSQL 55P03
];

const CONNECTION: [&str; 12] = [
    "server closed the connection",
    "connection closed",
    "Lost connection",
    "server has gone away",
    "Server has gone away", // MariaDB's client library
    "terminating connection",
    "Connection to the server",
    "no connection to the server",         // libpq
    "could not receive data from server",  // libpq
    "could not send data to server",       // libpq
    "error communicating with the server", // tokio-postgres
    "Input/output error",                  // mysql_async
];

fn is_table_missing(error: &DieselError) -> bool {
    // PostgreSQL 42P01, and not: column "…" of relation "…", prepared statement "…" (PgBouncer)
    let is_relation =
        |text: &str| text.starts_with("relation ") && text.ends_with(" does not exist");
    says(error, &TABLE_MISSING)
        || matches!(error, DieselError::DatabaseError(_, info) if is_relation(info.message()))
}

fn is_serialization(error: &DieselError) -> bool {
    matches!(
        error,
        DieselError::DatabaseError(DatabaseErrorKind::SerializationFailure, _)
    ) || says(error, &SERIALIZATION)
}

fn is_contention(error: &DieselError) -> bool {
    is_serialization(error) || says(error, &TIMEOUT) || is_sqlite_busy(error)
}

fn is_sqlite_busy(error: &DieselError) -> bool {
    says(error, &SQLITE_BUSY)
}

fn says(error: &DieselError, texts: &[&str]) -> bool {
    matches!(error, DieselError::DatabaseError(_, info) if mentions(info.message(), texts))
}

fn mentions(message: &str, texts: &[&str]) -> bool {
    texts.iter().any(|text| message.contains(text))
}
