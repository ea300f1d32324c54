//! A database, as this crate sees it: its SQL, and the order of statements that wins a lock there.
//!
//! All SQL of a database stands in one file below, with the reasons for its row locks. It is written as
//! [templates](template): `{locks}` and `{pins}` are the quoted tables, `{now}` the live clock, and every other
//! `{field}` is a bound value.

#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;
mod template;

use diesel::backend::Backend;
use diesel::query_builder::AstPass;
use diesel::result::QueryResult;
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, Nullable, Text};

use crate::error::Result;
use crate::fact::Need;
use crate::lock::Lock;
use crate::migrations::Step;
use crate::protocol::several::Several;
use crate::protocol::{Executor, Won};
use crate::set::LockSet;
use crate::statement::Batch;
use crate::token::Token;

pub(crate) use template::{Part, Templates, Value};

/// A Diesel backend on which locks work: `Pg`, `Mysql` (which serves MariaDB too) and `Sqlite`. Sealed: a
/// database is more than its SQL, so a new one comes with its proofs.
pub trait Dialect: Backend + Binding + sealed::Sealed + Send + 'static {
    /// What the database is called in this crate: `postgres`, `mysql` or `sqlite`.
    const ENGINE: &str;

    /// Its clock, read live, in microseconds since 1970 (I2).
    #[doc(hidden)]
    const NOW: &str;

    /// Whether an UPDATE can return rows. Otherwise the number of rows it found is all there is.
    #[doc(hidden)]
    const RETURNING: bool;

    /// Whether a statement on a lease can tell by itself that the lease had run out. Otherwise it is run for
    /// a lease that has not, and where that finds none, for one that has.
    #[doc(hidden)]
    const TELLS_LATE: bool;

    /// Whether a locking statement keeps the rows it looked at until the transaction ends, although they
    /// didn't meet its condition.
    #[doc(hidden)]
    const LOCKS_IN_VAIN: bool;

    /// Whether those who wait for a lock can be told that it was released.
    #[doc(hidden)]
    const WAKES: bool;

    /// Whether a statement can commit without waiting for the disk.
    #[doc(hidden)]
    const COMMITS_SOON: bool;

    /// Whether a value that stands in a statement several times is sent once, and named by its number.
    #[doc(hidden)]
    const NUMBERS_BINDS: bool;

    /// What quotes an identifier.
    #[doc(hidden)]
    const QUOTE: &str;

    /// What stands before, between and behind two texts to make one of them, as a name is compared.
    #[doc(hidden)]
    const CONCATENATION: [&str; 3];

    /// The shipped migrations, in their order.
    #[doc(hidden)]
    const STEPS: &[Step];

    /// Whether a table is created with the commit of the transaction that creates it, and not at once.
    #[doc(hidden)]
    const DDL_IN_TRANSACTION: bool;

    /// What is run first and last where several might create the table at once, so that they do it in turn.
    #[doc(hidden)]
    const TURN: [&str; 2];

    /// What the facts about a table, a session and a server must be.
    #[doc(hidden)]
    const NEEDS: &[Need];

    /// The template of an operation.
    #[doc(hidden)]
    fn sql(operation: Operation) -> &'static str;

    /// Where they are kept.
    #[doc(hidden)]
    fn templates() -> &'static Templates;

    /// One try to win a lock, which never waits for another transaction (I8). Without a token it is won for nobody: its
    /// row stays locked until the transaction ends, and is free then.
    #[doc(hidden)]
    fn acquire<E: Executor<Backend = Self>>(
        executor: &mut E,
        lock: &Lock,
        token: Option<&Token>,
    ) -> impl Future<Output = Result<Won>> + Send;

    /// One try to win all locks of a set, or none of them.
    #[doc(hidden)]
    fn acquire_all<E: Executor<Backend = Self>>(
        executor: &mut E,
        set: &LockSet,
        token: &Token,
    ) -> impl Future<Output = Result<Several>> + Send;

    /// One try to win any lock of a set.
    #[doc(hidden)]
    fn acquire_any<E: Executor<Backend = Self>>(
        executor: &mut E,
        set: &LockSet,
        token: &Token,
    ) -> impl Future<Output = Result<Several>> + Send;
}

/// What a statement does; each dialect has its own SQL for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// With a token that nobody has used before.
    Acquire,
    /// With one that may be the holder's already.
    AcquireAgain,
    CreatePin,
    CreateLock,
    Peek,
    PeekNowait,
    PinByWriting,
    AcquireAll,
    AcquireAny,
    CreateAll,
    LookAll,
    Renew,
    Look,
    LookToAcquire,
    Snapshot,
    Facts,
    Steps,
    List,
    Extend,
    ExtendBy,
    KeepAlive,
    LookMine,
    Retire,
    Release,
    ReleaseSoon,
    ReleaseWaiting,
    Want,
    SetData,
    Pin,
    ForceRelease,
    PurgeOne,
    Purge,
}

impl Operation {
    /// Counted by the last one.
    const COUNT: usize = Self::Purge as usize + 1;
}

mod sealed {
    pub trait Sealed {}
    #[cfg(feature = "mysql")]
    impl Sealed for diesel::mysql::Mysql {}
    #[cfg(feature = "postgres")]
    impl Sealed for diesel::pg::Pg {}
    #[cfg(feature = "sqlite")]
    impl Sealed for diesel::sqlite::Sqlite {}
}

/// Binding the few types of values that there are, so that Diesel's bounds for it stand in one place.
#[doc(hidden)]
#[expect(
    clippy::ptr_arg,
    clippy::ref_option,
    clippy::trivially_copy_pass_by_ref,
    reason = "Diesel keeps references to the very values that it can serialize"
)]
pub trait Binding: Backend {
    fn text<'b>(value: &'b String, out: &mut AstPass<'_, 'b, Self>) -> QueryResult<()>;
    fn nullable_text<'b>(
        value: &'b Option<String>,
        out: &mut AstPass<'_, 'b, Self>,
    ) -> QueryResult<()>;
    fn token<'b>(value: &'b Option<Token>, out: &mut AstPass<'_, 'b, Self>) -> QueryResult<()>;
    fn batch<'b>(value: &'b Batch, out: &mut AstPass<'_, 'b, Self>) -> QueryResult<()>;
    fn number<'b>(value: &'b i64, out: &mut AstPass<'_, 'b, Self>) -> QueryResult<()>;
}

impl<DB> Binding for DB
where
    DB: Backend,
    String: ToSql<Text, DB>,
    Token: ToSql<Text, DB>,
    Batch: ToSql<Text, DB>,
    Option<String>: ToSql<Nullable<Text>, DB>,
    Option<Token>: ToSql<Nullable<Text>, DB>,
    i64: ToSql<BigInt, DB>,
{
    fn text<'b>(value: &'b String, out: &mut AstPass<'_, 'b, Self>) -> QueryResult<()> {
        out.push_bind_param::<Text, _>(value)
    }

    fn nullable_text<'b>(
        value: &'b Option<String>,
        out: &mut AstPass<'_, 'b, Self>,
    ) -> QueryResult<()> {
        out.push_bind_param::<Nullable<Text>, _>(value)
    }

    fn token<'b>(value: &'b Option<Token>, out: &mut AstPass<'_, 'b, Self>) -> QueryResult<()> {
        out.push_bind_param::<Nullable<Text>, _>(value)
    }

    fn batch<'b>(value: &'b Batch, out: &mut AstPass<'_, 'b, Self>) -> QueryResult<()> {
        out.push_bind_param::<Text, _>(value)
    }

    fn number<'b>(value: &'b i64, out: &mut AstPass<'_, 'b, Self>) -> QueryResult<()> {
        out.push_bind_param::<BigInt, _>(value)
    }
}
