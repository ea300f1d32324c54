//! The SQL of each database, and the parts of its behaviour that the protocol has to know.
//!
//! All SQL of a database stands in one file below, with the reasons for its row locks. It is written as
//! [templates](template): `{locks}` and `{beats}` are the quoted tables, `{now}` is the live clock, and every other
//! `{field}` is a bound value. The order of statements that acquires a lock stands in `protocol/winning`.

/// Whether a free lock is left to another process: it has marked the row, it has waited longer, and it polls within this
/// time after the release. `managed/turn.rs` has the rules, and `wait.rs` says how seldom a process polls.
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
macro_rules! not_in_turn {
    (now: $now:literal, least: $least:literal, greatest: $greatest:literal) => {
        concat!(
            "l.wanted_since < {since} AND ",
            $now,
            " - l.expires_at BETWEEN 0\nAND ",
            $least,
            "(",
            $greatest,
            "((l.expires_at - l.acquired_at) / 4, 150000), 2000000) + 100000"
        )
    };
}

mod bound;
#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;
mod template;

use diesel::backend::Backend;

use crate::fact::Requirements;
use crate::migrations::Step;

use bound::Binding;
pub(crate) use bound::Bound;
pub(crate) use template::{Part, Templates, Value};

/// A Diesel backend on which locks work: `Pg`, `Mysql` (which serves MariaDB too) and `Sqlite`. The trait is sealed: a
/// database is more than its SQL, so support for a new database has to come with its proofs.
pub trait Dialect: Sql {
    /// The name of the database in this crate: `postgres`, `mysql` or `sqlite`.
    const ENGINE: &str;
}

/// The part of a dialect that stays inside this crate.
pub trait Sql: Backend + Binding + Send + 'static {
    /// The database's clock, read live, in microseconds since 1970 (I2).
    const NOW: &str;

    /// Whether a statement on a lease returns a row that tells whether the lease had expired. Otherwise it returns only the
    /// number of rows that it changed: the statement is run for a live lease, and where it finds none, for an expired one.
    const REPORTS_EXPIRY: bool;

    /// Whether a locking statement keeps the locks of rows that did not meet its condition until the transaction ends.
    const KEEPS_UNMATCHED_ROW_LOCKS: bool;

    /// Whether a pin is a write where the lock [asks for that](crate::Lock::pin_by_writing).
    const PINS_BY_WRITING: bool;

    /// Whether a pin can end before its transaction ends, and this process does not see it: a server can end the session,
    /// or the network can be cut. SQLite's transactions are in the process itself.
    const PIN_ENDS_UNSEEN: bool;

    /// Whether the statement that pins tells an expired lease from a lost one. Otherwise it may answer nothing for both.
    const PIN_SAYS_WHY: bool;

    /// Whether a lease is extended in a table of its own, beside the locks.
    const KEEPS_BEATS: bool;

    /// Whether the async driver leaves the answer to a dropped call in the connection, and reads it as the answer to the
    /// next call: `mysql_async` does.
    const LEAVES_ANSWERS_UNREAD: bool;

    /// Whether the database can notify waiters of a release.
    const NOTIFIES: bool;

    /// From how many on several callers gain from one statement that acquires, or releases, for all of them. So many go alone at
    /// the same time. [`usize::MAX`] where they never gain.
    const CROWD: usize;

    /// Whether a statement can commit without waiting for the disk.
    const ASYNC_COMMIT: bool;

    /// Whether placeholders have numbers. Then a value that stands in a statement several times is sent once.
    const NUMBERED_PLACEHOLDERS: bool;

    /// The character that quotes an identifier.
    const QUOTE: &str;

    /// The SQL before, between and after two texts that makes one text of them, in the collation of names.
    const CONCATENATION: [&str; 3];

    /// The shipped migrations, in their order.
    const STEPS: &[Step];

    /// Whether a table is created with the commit of the transaction that creates it, and not at once.
    const DDL_IN_TRANSACTION: bool;

    /// The statements that take and release the lock under which the table is created.
    const MIGRATION_LOCK: [&str; 2];

    const REQUIREMENTS: Requirements;

    /// The template of an operation.
    fn sql(operation: Operation) -> &'static str;

    /// Where the split templates are kept.
    fn templates() -> &'static Templates;
}

/// The operation of a statement. Each dialect has its own SQL for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Acquires with a token that was never used before.
    Acquire,
    /// Acquires with a token that may hold the lock already.
    AcquireAgain,
    /// Acquires a free lock whose latest fence is known.
    AcquireAfter,
    /// Acquires a lock that has no row.
    Create,
    CreateBeat,
    Peek,
    PeekNowait,
    PinIdentity,
    PinByWriting,
    AcquireAll,
    AcquireAny,
    /// Acquires each of several locks, for different callers.
    AcquireEach,
    CreateAll,
    LookAll,
    /// Looks which of several locks their callers have acquired, and who holds the others.
    LookEach,
    Renew,
    Look,
    LookOutside,
    LookToAcquire,
    Session,
    Snapshot,
    Facts,
    Steps,
    List,
    Extend,
    ExtendBy,
    KeepAlive,
    KeepBeat,
    LookMine,
    Retire,
    Release,
    ReleaseAsync,
    ReleaseWaiting,
    /// Releases each of several leases, for different callers.
    ReleaseEach,
    ReleaseEachAsync,
    Want,
    Mark,
    MarkBeat,
    SetData,
    Pin,
    ForceRelease,
    PurgeOne,
    Purge,
}

impl Operation {
    /// The number of operations. `Purge` is the last one.
    const COUNT: usize = Self::Purge as usize + 1;
}
