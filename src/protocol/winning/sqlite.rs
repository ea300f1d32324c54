//! SQLite: look, then write. Outside a transaction the look finds a held lock without becoming the writer, and the write
//! need not return the fence, because the fence follows from what was seen. Inside a transaction the write comes first,
//! because a transaction that has read cannot become the writer once another connection has written.

use diesel::sqlite::Sqlite;

use super::{Winning, Won, WonSet};
use crate::clock::on_the_wall;
use crate::error::Result;
use crate::lock::Lock;
use crate::protocol::executor::Executor;
use crate::row::LockRow;
use crate::set::LockSet;
use crate::statement::Statement;
use crate::token::Token;

impl Winning for Sqlite {
    async fn win<E: Executor<Backend = Self>>(
        executor: &mut E,
        lock: &Lock,
        token: Option<&Token>,
        since: Option<i64>,
    ) -> Result<Won> {
        let query = Statement::look_as(lock, token.cloned());
        let seen = if executor.in_transaction() {
            None
        } else {
            executor.load(query.clone()).await?.pop()
        };
        if let Some(holder) = seen.as_ref().and_then(LockRow::other_holder) {
            return Ok(Won::Busy(Some(holder)));
        }
        if let Some(row) = seen.filter(|row| !row.is_mine()) {
            if let Some(fence) = take(executor, lock, token, since, &row).await? {
                return Ok(Won::Fence(fence));
            }
        }
        let write = Statement::acquire_as(lock, token.cloned()).in_turn(since);
        if let Some(row) = executor.load(write).await?.pop() {
            return Ok(Won::or_holder(&row));
        }
        Ok(match executor.load(query).await?.pop() {
            Some(row) if row.is_free() && since.is_some() => Won::NotInTurn,
            row => Won::Busy(row.and_then(|row| row.other_holder())),
        })
    }

    async fn win_all<E: Executor<Backend = Self>>(
        executor: &mut E,
        set: &LockSet,
        token: &Token,
    ) -> Result<WonSet> {
        let inside = executor.in_transaction();
        let query = Statement::look_all(set, token, inside);
        if !inside {
            let rows = executor.load(query.clone()).await?;
            if let busy @ WonSet::Busy(Some(_)) = WonSet::soonest_of(&rows) {
                return Ok(busy);
            }
        }
        let rows = executor.load(Statement::acquire_all(set, token)).await?;
        if !rows.is_empty() {
            return Ok(WonSet::all_of(set, rows));
        }
        Ok(WonSet::soonest_of(&executor.load(query).await?))
    }

    async fn win_any<E: Executor<Backend = Self>>(
        executor: &mut E,
        set: &LockSet,
        token: &Token,
    ) -> Result<WonSet> {
        let inside = executor.in_transaction();
        let query = Statement::look_all(set, token, inside);
        if !inside {
            let rows = executor.load(query.clone()).await?;
            let held = rows.iter().filter(|row| row.other_holder().is_some());
            if held.count() == set.locks.len() {
                return Ok(WonSet::soonest_of(&rows));
            }
        }
        let rows = executor.load(Statement::acquire_any(set, token)).await?;
        if !rows.is_empty() {
            return Ok(WonSet::any_of(rows));
        }
        Ok(WonSet::soonest_of(&executor.load(query).await?))
    }
}

/// Acquires a lock that was seen to be free, unless the row has changed since, or the write had to wait. Returns the
/// fence.
async fn take<E: Executor<Backend = Sqlite>>(
    executor: &mut E,
    lock: &Lock,
    token: Option<&Token>,
    since: Option<i64>,
    seen: &LockRow,
) -> Result<Option<i64>> {
    let fence = seen.fence.unwrap_or_default();
    let next = seen.next_fence().max(on_the_wall());
    let take = Statement::acquire_after(lock, token.cloned(), fence, next).in_turn(since);
    let changed = executor.run(take).await?;
    Ok((changed > 0).then_some(next))
}
