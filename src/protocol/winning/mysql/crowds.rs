//! Locks for several callers: one statement acquires what is free, or releases all.
//!
//! One UPDATE acquires, with one fence for all. If it acquired less than all, a look tells which. After a release, somebody else
//! may acquire the lock before anybody looks. So one UPDATE releases all leases, or none.

use std::collections::HashMap;
use std::time::Duration;

use diesel::mysql::Mysql;

use super::{note_seen, unless_locked};
use crate::answer::Outcome;
use crate::clock::on_the_wall;
use crate::error::{Error, Result};
use crate::lease::Lease;
use crate::lock::Lock;
use crate::protocol::executor::Executor;
use crate::protocol::presumption;
use crate::protocol::winning::Won;
use crate::row::LockRow;
use crate::statement::Statement;
use crate::token::Token;

/// A lock that is presumably held is only looked at.
pub(super) async fn win_each<E: Executor<Backend = Mysql>>(
    executor: &mut E,
    tries: &[(Lock, Token)],
) -> Result<Vec<Option<Won>>> {
    let presumably_free = tries.iter().filter(|(lock, _)| !presumption::is_held(lock));
    let fence = on_the_wall();
    let won = write(
        executor,
        &presumably_free.cloned().collect::<Vec<_>>(),
        fence,
    )
    .await?;
    if won == tries.len() {
        let won = |(lock, _): &(Lock, Token)| {
            presumption::note_held(lock, lock.ttl);
            Some(Won::Fence(fence))
        };
        return Ok(tries.iter().map(won).collect());
    }
    let rows = match executor.load(Statement::look_each(tries)).await {
        Err(error) if won > 0 && !error.is_connection() => return Err(nobody_knows_who_won()),
        rows => rows?,
    };
    let named = |mut row: LockRow| Some((row.name.take()?, row));
    let rows: HashMap<String, LockRow> = rows.into_iter().filter_map(named).collect();
    let won = |(lock, _): &(Lock, Token)| seen(lock, rows.get(lock.key())?);
    Ok(tries.iter().map(won).collect())
}

/// Acquires those of these locks that are free, and have no mark. Returns their number.
async fn write<E: Executor<Backend = Mysql>>(
    executor: &mut E,
    tries: &[(Lock, Token)],
    fence: i64,
) -> Result<usize> {
    if tries.is_empty() {
        return Ok(0);
    }
    unless_locked(
        executor
            .run(Statement::acquire_each_with(tries, fence))
            .await,
    )
}

/// What the row of a lock says to the caller with the token. A lock that is available is tried alone.
fn seen(lock: &Lock, row: &LockRow) -> Option<Won> {
    note_seen(lock, row);
    if row.is_mine() {
        presumption::note_held(lock, lock.ttl);
        return row.fence.map(Won::Fence);
    }
    row.other_holder().map(|holder| Won::Busy(Some(holder)))
}

fn nobody_knows_who_won() -> Error {
    let within = Duration::ZERO;
    Error::NoAnswer { within }
}

/// All leases are released, or each has to be released alone.
pub(super) async fn free_each<E: Executor<Backend = Mysql>>(
    executor: &mut E,
    leases: &[&Lease],
) -> Result<Vec<Option<Outcome>>> {
    let changed = executor.run(Statement::release_each(leases, true)).await;
    if unless_locked(changed)? == 0 {
        return Ok(leases.iter().map(|_| None).collect());
    }
    let freed = |lease: &&Lease| {
        presumption::note_free(&lease.lock);
        Some(Outcome::Done)
    };
    Ok(leases.iter().map(freed).collect())
}
