//! What can go wrong.
//!
//! A busy lock is a value ([`Attempt::Busy`](crate::Attempt::Busy)), and an error only for a caller that waits for a
//! guard: such a caller has nothing to do without the guard. A lost lease is an error. The forms with `try_` return it
//! as a value ([`Outcome::Lost`](crate::Outcome::Lost)).
//!
//! What an error of a database means is decided in `meaning`, and nowhere else: by the few kinds that Diesel knows, and
//! otherwise by the text ([`texts`]).

mod texts;

use std::time::Duration;

use diesel::result::{DatabaseErrorKind, Error as DieselError};

use crate::holder::Holder;
use texts::Meaning;

/// The result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation could not be carried out.
///
/// A request handler mostly needs one distinction: an error that a later try may not meet
/// ([`is_transient`](Self::is_transient)), and any other. The transient errors of `acquire` mean "not acquired, try
/// later":
///
/// ```
/// use diesel_locks::Error;
///
/// /// The status of a response.
/// fn status(error: &Error) -> u16 {
///     match error {
///         Error::Busy { .. } => 409,                   // another holder has the lock
///         error if error.is_stale() => 409,            // this holder has lost the lock
///         error if error.is_transient() => 503,        // no connection, no answer in time, contention
///         _ => 500,
///     }
/// }
/// # let busy = diesel_locks::Run::<()>::Busy { key: "x".into(), holder: None }.into_result();
/// # assert_eq!(status(&busy.unwrap_err()), 409);
/// ```
///
/// It converts from [`diesel::result::Error`]. So it can be the error type of a Diesel transaction that also acquires
/// locks.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name, label, duration or other input cannot be used. The text says what can be used instead.
    #[error("{what} {value:?} cannot be used: {remedy}")]
    #[non_exhaustive]
    Invalid {
        /// The kind of input.
        what: &'static str,
        /// The input.
        value: String,
        /// What to do instead.
        remedy: &'static str,
    },

    /// The table of the locks does not exist.
    #[error(
        "the table of the locks is missing: write this crate's migrations into yours with \
         `diesel-locks migrations write {engine}` and apply them with `diesel migration run`, or see \
         `diesel_locks::migrations` for other ways; or name the right table with `Lock::in_table`"
    )]
    #[non_exhaustive]
    TableMissing {
        /// The engine whose migrations must be run: `postgres`, `mysql` or `sqlite`.
        engine: &'static str,
        /// What the database said.
        source: DieselError,
    },

    /// The table, the connection or a folder is not as it has to be. Migrating, verifying, or writing migrations found
    /// this.
    #[error("{found}: {remedy}")]
    #[non_exhaustive]
    Setup {
        /// What was found.
        found: String,
        /// What to do about it.
        remedy: &'static str,
    },

    /// A lease is lost: another process has taken the lock over, or the lock was released or removed. A guard is also
    /// lost if its lease was not extended in time, if its longest time is over, or if its `Locker` was closed. Do not go
    /// on with the work.
    #[error(
        "the lease on {key:?} is lost: it was taken over, released or removed, or its time was over"
    )]
    #[non_exhaustive]
    Lost {
        /// The key of the lock: `group|name`, or the name alone.
        key: String,
    },

    /// A pin found that the lease has expired, although nobody has taken the lock over.
    #[error("the lease on {key:?} has expired: extend it, and begin the transaction again")]
    #[non_exhaustive]
    Expired {
        /// The key of the lock: `group|name`, or the name alone.
        key: String,
    },

    /// The lock was acquired, but the answer took too long: the lease could not be trusted any more. The lock has been
    /// released again, unless the token was the caller's own.
    #[error(
        "the database took {took:?} to say that {key:?} was acquired, too long for a ttl of {ttl:?}: \
         it is not acquired; use a longer ttl"
    )]
    #[non_exhaustive]
    TooLate {
        /// The key of the lock: `group|name`, or the name alone.
        key: String,
        /// How long the answer took.
        took: Duration,
        /// The ttl of the lock.
        ttl: Duration,
    },

    /// An SQLite transaction that has only read until now cannot begin to write.
    #[error(
        "this SQLite transaction cannot write: another connection does, or has done so since this \
         transaction first read; begin it with `immediate_transaction`"
    )]
    #[non_exhaustive]
    CannotWrite {
        /// What the database said.
        source: DieselError,
    },

    /// The caller wants to hold a lock until the transaction ends, but no transaction is open.
    #[error(
        "there is no transaction for whose length {key:?} could be held: begin one with Diesel, or \
         acquire the lock"
    )]
    #[non_exhaustive]
    NoTransaction {
        /// The key of the lock: `group|name`, or the name alone.
        key: String,
    },

    /// A wait for a lock inside this transaction could never succeed. Either the transaction only sees what was there
    /// when it began, so it never sees the release; or, on SQLite, it keeps every other connection from writing.
    #[error(
        "waiting for {key:?} inside this transaction could never succeed, because it would not see the \
         release: acquire the lock before the transaction begins"
    )]
    #[non_exhaustive]
    CannotWait {
        /// The key of the lock: `group|name`, or the name alone.
        key: String,
    },

    /// The wait for a lock ended before the lock was free.
    #[error("{key:?} is busy{}", held_by(.holder.as_deref()))]
    #[non_exhaustive]
    Busy {
        /// The key of the lock: `group|name`, or the name alone.
        key: String,
        /// The holder, if the database could tell.
        holder: Option<Box<Holder>>,
    },

    /// The pool gave no connection, or none that can be used.
    #[error(
        "no connection for the locks: {source}; if the pool is exhausted, make it larger, or give the keeper a pool of \
         its own with `keep_with`; otherwise check the address of the database"
    )]
    #[non_exhaustive]
    NoConnection {
        /// What the pool said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },

    /// The database did not answer in time. It may still do what it was asked to do.
    #[error("the database did not answer within {within:?}")]
    #[non_exhaustive]
    NoAnswer {
        /// How long this crate waited for the answer.
        within: Duration,
    },

    /// The connection cannot be used any more: a call on it was dropped before its answer came, or one of its transactions
    /// failed half way. The call that returns this error has done nothing. Close the connection and open another one; r2d2
    /// and bb8 do both by themselves.
    #[error(
        "this connection cannot be used any more, because a call on it was dropped before its answer came, or one of its \
         transactions failed half way: close it and open another one"
    )]
    BrokenConnection,

    /// The `Locker` was closed. It cannot acquire a lock any more.
    #[error("this `Locker` was closed: make a new one")]
    Closed,

    /// Anything else that the database or the connection said.
    #[error(transparent)]
    Database(DieselError),
}

impl Error {
    /// Whether a retry of the same operation, or of the same transaction from its beginning, may succeed. For a request
    /// to acquire a lock it means: not acquired, try later. It is so
    /// after a serialization failure, a deadlock, a timeout of a row lock, a busy lock, a busy SQLite database, a pool
    /// that gave no connection, a missing answer, and an answer that came too late.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::TooLate { .. }
            | Self::CannotWrite { .. }
            | Self::Busy { .. }
            | Self::NoConnection { .. }
            | Self::NoAnswer { .. } => true,
            Self::Database(source) => matches!(
                meaning(source),
                Some(Meaning::Serialization | Meaning::Timeout | Meaning::SqliteBusy)
            ),
            _ => false,
        }
    }

    /// Whether the connection to the database broke, so that nobody knows what the operation did. To find out, acquire
    /// again with the same token.
    #[must_use]
    pub fn is_connection(&self) -> bool {
        match self {
            Self::NoAnswer { .. } | Self::BrokenConnection => true,
            Self::Database(source) => meaning(source) == Some(Meaning::Ended),
            _ => false,
        }
    }

    /// Whether the lease is lost or has expired, so that the work must not go on.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        matches!(self, Self::Lost { .. } | Self::Expired { .. })
    }

    /// Interprets an error of an engine. On SQLite, "busy" inside a transaction means that this transaction can never
    /// write. Outside a transaction a retry can succeed.
    pub(crate) fn from_engine(
        source: DieselError,
        engine: &'static str,
        in_transaction: bool,
    ) -> Self {
        match meaning(&source) {
            Some(Meaning::Missing) => Self::TableMissing { engine, source },
            Some(Meaning::SqliteBusy) if in_transaction => Self::CannotWrite { source },
            _ => Self::from(source),
        }
    }

    /// Whether the database refused the transaction because of another transaction. A timeout of a row lock does not
    /// count.
    pub(crate) fn is_serialization(&self) -> bool {
        self.means(Meaning::Serialization)
    }

    /// Whether another connection wrote to the SQLite database for longer than the `busy_timeout` of this connection.
    pub(crate) fn is_busy_database(&self) -> bool {
        self.means(Meaning::SqliteBusy)
    }

    fn means(&self, one: Meaning) -> bool {
        matches!(self, Self::Database(source) if meaning(source) == Some(one))
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
        match source {
            DieselError::BrokenTransactionManager => Self::BrokenConnection,
            source => Self::Database(source),
        }
    }
}

fn meaning(error: &DieselError) -> Option<Meaning> {
    match error {
        DieselError::DatabaseError(DatabaseErrorKind::SerializationFailure, _) => {
            Some(Meaning::Serialization)
        }
        DieselError::DatabaseError(
            DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand,
            _,
        ) => Some(Meaning::Ended),
        DieselError::DatabaseError(DatabaseErrorKind::Unknown, info) => {
            texts::meaning(info.message())
        }
        _ => None,
    }
}
