//! Keeping many leases alive with one statement, and telling a holder that others wait.
//!
//! The statement waits for no other transaction. It leaves out a row that an open transaction has locked, because that
//! row would delay all other leases (I7). The rows that were left out are then read without a lock. This tells a lease
//! whose row is only locked from a lease that is lost.

use std::collections::HashMap;
use std::time::Duration;

use super::executor::Executor;
use super::holding::Tries;
use crate::clock::Moment;
use crate::dialect::Sql;
use crate::error::Result;
use crate::lease::Lease;
use crate::lock::Lock;
use crate::row::LockRow;
use crate::statement::Statement;

/// The result for a lease that was to be kept alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// The lease is extended, and may be trusted until this moment.
    Until(Moment),
    /// The lease still belongs to its holder, but its row is locked, so it was not extended. It may be trusted until
    /// this moment; `None` if it has expired.
    Locked(Option<Moment>),
    /// The lease was taken over or released, or its row was removed.
    Lost,
}

/// Extends leases of one table, each to its own ttl, outside a transaction. The answers are in the order of the leases.
pub(crate) async fn keep_alive<E: Executor>(
    executor: &mut E,
    leases: &[Lease],
) -> Result<Vec<Renewal>> {
    let leases: Vec<&Lease> = leases.iter().collect();
    let mut tries = Tries::default();
    loop {
        match keep_once(executor, &leases).await {
            Err(error) if tries.another(executor, &error) => {}
            kept => return kept,
        }
    }
}

async fn keep_once<E: Executor>(executor: &mut E, leases: &[&Lease]) -> Result<Vec<Renewal>> {
    let sent = Moment::now();
    let extended = extend_all(executor, leases).await?;
    let others = leases.iter().zip(&extended).filter(|(_, known)| !**known);
    let others: Vec<&Lease> = others.map(|(lease, _)| *lease).collect();
    let asked = Moment::now();
    let left = what_is_left(executor, &others).await?;
    let took = Moment::now().since(sent);
    let kept = |(lease, extended): (&&Lease, bool)| {
        if extended {
            return Renewal::Until(lease.trust_until(sent, lease.lock.ttl));
        }
        let Some(left) = left.get(&acquisition(lease)) else {
            return Renewal::Lost;
        };
        let until = left.map(|left| lease.trust_until(asked, left));
        match (until, *left) {
            // Where the database returns only a count, this tells an extended row from a locked one: only a lease that
            // was extended since the first statement was sent has this much time left.
            (Some(until), Some(left)) if left + took >= lease.lock.ttl => Renewal::Until(until),
            (until, _) => Renewal::Locked(until),
        }
    };
    Ok(leases.iter().zip(extended).map(kept).collect())
}

/// Extends the leases. Returns for each lease whether it is known to be extended.
async fn extend_all<E: Executor>(executor: &mut E, leases: &[&Lease]) -> Result<Vec<bool>> {
    if leases.is_empty() {
        return Ok(Vec::new());
    }
    let statement = Statement::keep_alive(leases);
    if !E::Backend::RETURNING {
        let found = executor.run(statement).await?;
        return Ok(vec![found == leases.len(); leases.len()]);
    }
    let extended = by_acquisition(executor.load(statement).await?);
    let known = |lease: &&Lease| extended.contains_key(&acquisition(lease));
    Ok(leases.iter().map(known).collect())
}

/// The leases that still belong to their holders, and the time that is left of each; `None` if it has expired.
async fn what_is_left<E: Executor>(executor: &mut E, leases: &[&Lease]) -> Result<Mine> {
    if leases.is_empty() {
        return Ok(Mine::new());
    }
    let mine = executor.load(Statement::look_mine(leases)).await?;
    Ok(by_acquisition(mine))
}

/// By key and fence: no two acquisitions have the same key and the same fence.
type Mine = HashMap<(String, i64), Option<Duration>>;

fn acquisition(lease: &Lease) -> (String, i64) {
    (lease.lock.key().to_owned(), lease.fence)
}

fn by_acquisition(rows: Vec<LockRow>) -> Mine {
    let keyed = |row: LockRow| {
        let left = row.time_left();
        Some(((row.name?, row.fence?), left))
    };
    rows.into_iter().filter_map(keyed).collect()
}

/// Marks the row: a process has waited for the lock since this moment of the database's clock. Returns whether the row is
/// marked now by this process. A mark is a hint, so contention is no error. There are no marks inside a transaction: the
/// holder's heartbeats would wait for its end.
pub(crate) async fn mark<E: Executor>(executor: &mut E, lock: &Lock, since: i64) -> Result<bool> {
    if executor.in_transaction() {
        return Ok(false);
    }
    match executor.run(Statement::mark(lock, since)).await {
        Err(error) if error.is_transient() => Ok(false),
        changed => Ok(changed? > 0),
    }
}

/// Asks for a notification when the holder releases the lock within this time, where the database can notify. A
/// notification is a hint, so a refusal is no error. It is not asked for inside a transaction: the holder's heartbeats
/// would wait for the end of that transaction.
pub(crate) async fn want<E: Executor>(
    executor: &mut E,
    lock: &Lock,
    window: Duration,
) -> Result<()> {
    if !E::Backend::NOTIFIES || executor.in_transaction() {
        return Ok(());
    }
    match executor.run(Statement::want(lock, window)).await {
        Err(error) if !error.is_transient() => Err(error),
        _ => Ok(()),
    }
}
