//! The order of statements that acquires one lock, all locks of a set, or any lock of a set. Each engine has its own
//! file.
//!
//! No try waits for another transaction (I8). The exceptions are described in the files in which they occur.

#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

use super::executor::Executor;
use crate::answer::Outcome;
use crate::dialect::Dialect;
use crate::error::Result;
use crate::holder::Holder;
use crate::lease::Lease;
use crate::lock::Lock;
use crate::row::LockRow;
use crate::set::LockSet;
use crate::token::Token;

/// A database in which locks are acquired.
pub trait Winning: Dialect {
    /// Tries once to acquire a lock. Without a token the row names no holder: the row stays locked until the
    /// transaction ends, and the lock is free then. A process that takes turns with others says since when it has waited,
    /// by the database's clock: see `managed/turn.rs`.
    fn win<E: Executor<Backend = Self>>(
        executor: &mut E,
        lock: &Lock,
        token: Option<&Token>,
        since: Option<i64>,
    ) -> impl Future<Output = Result<Won>> + Send;

    /// Tries once to acquire each of these locks, outside a transaction. The locks are in one table.
    /// Answers nothing for a lock that has to be tried alone.
    fn win_each<E: Executor<Backend = Self>>(
        executor: &mut E,
        tries: &[(Lock, Token)],
    ) -> impl Future<Output = Result<Vec<Option<Won>>>> + Send {
        let _ = (executor, tries);
        async { unreachable!("{} serves no crowds", Self::ENGINE) }
    }

    /// Releases each of these leases, outside a transaction. Their locks are in one table.
    /// Answers nothing for a lease that has to be released alone.
    fn free_each<E: Executor<Backend = Self>>(
        executor: &mut E,
        leases: &[&Lease],
        durable: bool,
    ) -> impl Future<Output = Result<Vec<Option<Outcome>>>> + Send {
        let _ = (executor, leases, durable);
        async { unreachable!("{} serves no crowds", Self::ENGINE) }
    }

    /// Tries once to acquire all locks of a set, or none of them.
    fn win_all<E: Executor<Backend = Self>>(
        executor: &mut E,
        set: &LockSet,
        token: &Token,
    ) -> impl Future<Output = Result<WonSet>> + Send;

    /// Tries once to acquire any lock of a set.
    fn win_any<E: Executor<Backend = Self>>(
        executor: &mut E,
        set: &LockSet,
        token: &Token,
    ) -> impl Future<Output = Result<WonSet>> + Send;
}

/// The result of one try for one lock.
#[derive(Debug)]
pub enum Won {
    Fence(i64),
    /// The token held the lock already, and the lease is extended.
    Renewed(i64),
    Busy(Option<Holder>),
    /// The lock is free, and another process is to have it first.
    NotInTurn,
}

/// The result of one try for a set: the keys that were acquired, with their fences.
#[derive(Debug)]
pub enum WonSet {
    Won(Vec<(String, i64)>),
    Busy(Option<Holder>),
}

impl Won {
    fn or_holder(row: &LockRow) -> Self {
        match row.won {
            Some(fence) => Self::Fence(fence),
            None => Self::Busy(row.other_holder()),
        }
    }
}

impl WonSet {
    /// All locks of the set, or busy.
    fn all_of(set: &LockSet, rows: Vec<LockRow>) -> Self {
        if rows.len() < set.locks.len() || rows.iter().any(|row| row.won.is_none()) {
            return Self::soonest_of(&rows);
        }
        Self::any_of(rows)
    }

    /// The locks that were acquired, or busy if there are none.
    fn any_of(rows: Vec<LockRow>) -> Self {
        if rows.iter().all(|row| row.won.is_none()) {
            return Self::soonest_of(&rows);
        }
        let won = rows.into_iter().filter_map(|row| row.name.zip(row.won));
        Self::Won(won.collect())
    }

    /// Busy, with the holder whose lease ends first.
    fn soonest_of(rows: &[LockRow]) -> Self {
        let holders = rows.iter().filter_map(LockRow::other_holder);
        Self::Busy(holders.min_by_key(|holder| holder.time_left))
    }
}
