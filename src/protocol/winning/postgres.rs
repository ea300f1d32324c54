//! PostgreSQL: one statement acquires the lock, or answers why it could not. A lock that was never used needs a second
//! statement, which creates its row. The reasons for their row locks stand in `dialect/postgres.rs`.

use std::collections::HashMap;

use diesel::pg::Pg;

use super::{Winning, Won, WonSet};
use crate::answer::Outcome;
use crate::error::Result;
use crate::lease::Lease;
use crate::lock::Lock;
use crate::protocol::executor::Executor;
use crate::row::LockRow;
use crate::set::LockSet;
use crate::statement::Statement;
use crate::token::Token;

/// Whether a lock that is available was left to another process, or, by the statement that leaves all marked rows alone, to
/// the statement for marked rows.
fn is_left(row: &LockRow) -> bool {
    row.won.is_none() && row.session != 0
}

impl Winning for Pg {
    async fn win<E: Executor<Backend = Self>>(
        executor: &mut E,
        lock: &Lock,
        token: Option<&Token>,
        since: Option<i64>,
    ) -> Result<Won> {
        let acquire = Statement::acquire_as(lock, token.cloned());
        let acquire = acquire.in_turn(since);
        let mut row = executor.load(acquire.clone()).await?.pop();
        if row.is_none() {
            let create = Statement::create(lock, token.cloned());
            if let Some(fence) = executor.numbers(create).await?.pop() {
                return Ok(Won::Fence(fence));
            }
            // Another transaction creates the row, or has created it since.
            row = executor.load(acquire.clone()).await?.pop();
        }
        if row.as_ref().is_some_and(is_left) && lock.token.is_none() {
            row = executor.load(acquire.though_marked()).await?.pop();
        }
        Ok(match row.as_ref() {
            Some(row) if is_left(row) => Won::NotInTurn,
            row => row.map_or(Won::Busy(None), Won::or_holder),
        })
    }

    /// A name that has no row is missing in the answer.
    async fn win_each<E: Executor<Backend = Self>>(
        executor: &mut E,
        tries: &[(Lock, Token)],
    ) -> Result<Vec<Option<Won>>> {
        let rows = executor.load(Statement::acquire_each(tries)).await?;
        let named = |mut row: LockRow| Some((row.name.take()?, row));
        let mut rows: HashMap<String, LockRow> = rows.into_iter().filter_map(named).collect();
        let mut won = |(lock, _): &(Lock, Token)| {
            let row = rows.remove(lock.key()).filter(|row| !is_left(row))?;
            Some(Won::or_holder(&row))
        };
        Ok(tries.iter().map(&mut won).collect())
    }

    /// A row that another transaction has locked is missing in the answer, and so is a lost lease.
    async fn free_each<E: Executor<Backend = Self>>(
        executor: &mut E,
        leases: &[&Lease],
        durable: bool,
    ) -> Result<Vec<Option<Outcome>>> {
        let rows = executor.load(Statement::release_each(leases, durable));
        let rows = rows.await?;
        let outcome = |row: &LockRow| match row.session {
            0 => Outcome::Done,
            _ => Outcome::DoneLate,
        };
        let freed: HashMap<(&str, i64), Outcome> = rows
            .iter()
            .filter_map(|row| Some(((row.name.as_deref()?, row.fence?), outcome(row))))
            .collect();
        let freed = |lease: &&Lease| freed.get(&(lease.lock.key(), lease.fence)).copied();
        Ok(leases.iter().map(freed).collect())
    }

    /// A name that has no row is missing in the first answer: then the rows are created, and the statement is run again.
    async fn win_all<E: Executor<Backend = Self>>(
        executor: &mut E,
        set: &LockSet,
        token: &Token,
    ) -> Result<WonSet> {
        let mut rows = executor.load(Statement::acquire_all(set, token)).await?;
        if rows.len() < set.locks.len() {
            executor.run(Statement::create_all(set)).await?;
            rows = executor.load(Statement::acquire_all(set, token)).await?;
        }
        Ok(WonSet::all_of(set, rows))
    }

    /// A name whose row was created after the statement began looks as if it had no row. The next statement sees the
    /// row.
    async fn win_any<E: Executor<Backend = Self>>(
        executor: &mut E,
        set: &LockSet,
        token: &Token,
    ) -> Result<WonSet> {
        let statement = Statement::acquire_any(set, token);
        let mut rows = executor.load(statement.clone()).await?;
        for _ in &set.locks {
            if rows.iter().any(|row| row.won.is_some() || row.session == 0) {
                break;
            }
            rows = executor.load(statement.clone()).await?;
        }
        Ok(WonSet::any_of(rows))
    }
}
