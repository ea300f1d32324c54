//! Sets of locks, all or none or any one: one statement where it can be one, otherwise one lock after the other.

use std::collections::HashSet;

use diesel::mysql::Mysql;

use super::{OPEN, READS_LOCK, may_write_first, note_seen, unless_locked};
use crate::clock::{Moment, on_the_wall};
use crate::error::Result;
use crate::lease::Lease;
use crate::lock::Lock;
use crate::protocol::executor::Executor;
use crate::protocol::winning::{Winning, Won, WonSet};
use crate::protocol::{presumption, release};
use crate::row::LockRow;
use crate::set::LockSet;
use crate::statement::Statement;
use crate::token::Token;

/// All locks, or none. One statement acquires them if all of them have rows, and are free. Otherwise they are acquired
/// one after the other.
pub(super) async fn win_all<E: Executor<Backend = Mysql>>(
    executor: &mut E,
    set: &LockSet,
    token: &Token,
) -> Result<WonSet> {
    if !set.locks.iter().any(presumption::is_held) {
        if let Some(won) = write_all(executor, set, token, on_the_wall()).await? {
            return Ok(won);
        }
    }
    let rows = look_all(executor, set, token).await?;
    if let busy @ WonSet::Busy(Some(_)) = WonSet::soonest_of(&rows) {
        return Ok(busy);
    }
    let is_free = |row: &LockRow| row.is_free() && row.next_fence() == row.now; // no fence is ahead of the server's clock
    if rows.iter().all(is_free) && may_write_first(executor, set.prototype()) {
        let now = rows.first().map_or(0, |row| row.now);
        let won = write_all(executor, set, token, now).await?;
        return Ok(won.unwrap_or(WonSet::Busy(None))); // a lock was just acquired, or its row is locked
    }
    acquire_each(executor, set, token).await
}

/// The lock that the token holds already, if it holds one. Otherwise any free lock of the set.
pub(super) async fn win_any<E: Executor<Backend = Mysql>>(
    executor: &mut E,
    set: &LockSet,
    token: &Token,
) -> Result<WonSet> {
    let rows = look_all(executor, set, token).await?;
    if let Some(mine) = find_mine(executor, set, &rows).await? {
        if let Won::Renewed(fence) = Mysql::win(executor, mine, Some(token), None).await? {
            return Ok(WonSet::Won(vec![(mine.key().to_owned(), fence)]));
        }
    }
    for lock in candidates(set, &rows) {
        match Mysql::win(executor, lock, Some(token), None).await? {
            Won::Fence(fence) | Won::Renewed(fence) => {
                return Ok(WonSet::Won(vec![(lock.key().to_owned(), fence)]));
            }
            Won::Busy(_) | Won::NotInTurn => {}
        }
    }
    Ok(WonSet::soonest_of(&rows))
}

/// The locks of a set that may be acquired: first those that were seen to be free, then those that were not used yet, or whose
/// lease has expired. The search begins at a random place, so that many processes that ask at once do not all begin with
/// the same lock.
fn candidates<'s>(set: &'s LockSet, seen: &[LockRow]) -> Vec<&'s Lock> {
    let keys = |is: fn(&LockRow) -> bool| -> HashSet<&str> {
        let rows = seen.iter().filter(|row| is(row));
        rows.filter_map(|row| row.name.as_deref()).collect()
    };
    let (free, held) = (
        keys(LockRow::is_free),
        keys(|row| row.other_holder().is_some()),
    );
    let first = getrandom::u32().unwrap_or_default() as usize % set.locks.len();
    let from_there = set.locks[first..].iter().chain(&set.locks[..first]);
    let available = from_there.filter(|lock| !held.contains(lock.key()));
    let mut candidates: Vec<_> = available.collect();
    candidates.sort_by_key(|lock| !free.contains(lock.key()));
    candidates
}

fn find<'s>(set: &'s LockSet, row: &LockRow) -> Option<&'s Lock> {
    set.find(row.name.as_deref()?)
}

/// Reads the rows of a set. Where every read locks, the answer names no lock.
async fn look_all<E: Executor>(
    executor: &mut E,
    set: &LockSet,
    token: &Token,
) -> Result<Vec<LockRow>> {
    let query = Statement::look_all(set, token, executor.in_transaction());
    let rows = executor.load(query).await?;
    if rows.iter().any(|row| row.session & OPEN != 0) {
        executor.note_transaction();
    }
    for row in &rows {
        if let Some(lock) = find(set, row) {
            note_seen(lock, row);
        }
    }
    Ok(rows)
}

/// Acquires all locks of a set with this fence. If one lock is not free, its row is locked, or the fence does not fit,
/// nothing is acquired.
async fn write_all<E: Executor<Backend = Mysql>>(
    executor: &mut E,
    set: &LockSet,
    token: &Token,
    fence: i64,
) -> Result<Option<WonSet>> {
    if !may_write_first(executor, set.prototype()) {
        return Ok(None);
    }
    let acquire = Statement::acquire_all_with(set, token, fence);
    let changed = unless_locked(executor.run(acquire).await)?;
    if changed == 0 {
        return Ok(None);
    }
    let won = set.locks.iter().map(|lock| {
        presumption::note_held(lock, lock.ttl);
        (lock.key().to_owned(), fence)
    });
    Ok(Some(WonSet::Won(won.collect())))
}

/// Acquires the locks of a set one after the other. If one lock is busy, the locks that were acquired by this try are
/// released again. Locks that the token held before stay held.
async fn acquire_each<E: Executor<Backend = Mysql>>(
    executor: &mut E,
    set: &LockSet,
    token: &Token,
) -> Result<WonSet> {
    let (mut won, mut new) = (Vec::with_capacity(set.locks.len()), Vec::new());
    for lock in &set.locks {
        let busy = match Mysql::win(executor, lock, Some(token), None).await {
            Ok(Won::Fence(fence)) => {
                new.push(Lease::new(lock, token.clone(), fence, Moment::now()));
                won.push((lock.key().to_owned(), fence));
                continue;
            }
            Ok(Won::Renewed(fence)) => {
                won.push((lock.key().to_owned(), fence));
                continue;
            }
            Ok(Won::Busy(holder)) => Ok(WonSet::Busy(holder)),
            Ok(Won::NotInTurn) => Ok(WonSet::Busy(None)),
            Err(error) => Err(error),
        };
        for lease in &new {
            let _ = release(executor, lease).await; // otherwise it is free after the ttl
        }
        return busy;
    }
    Ok(WonSet::Won(won))
}

/// The lock that a token chosen by the caller holds already. A random token holds none.
async fn find_mine<'s, E: Executor>(
    executor: &mut E,
    set: &'s LockSet,
    seen: &[LockRow],
) -> Result<Option<&'s Lock>> {
    if set.prototype().token.is_none() {
        return Ok(None);
    }
    if seen.iter().all(|row| row.session & READS_LOCK == 0) {
        let mine = seen.iter().find(|row| row.is_mine());
        return Ok(mine.and_then(|row| find(set, row)));
    }
    for lock in &set.locks {
        let row = executor.load(Statement::look(lock)).await?.pop();
        if row.is_some_and(|row| row.is_mine()) {
            return Ok(Some(lock));
        }
    }
    Ok(None)
}
