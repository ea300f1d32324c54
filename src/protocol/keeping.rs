//! Keeping many leases alive with one statement, and telling a holder that others wait.
//!
//! The statement waits for nobody: a row that somebody has locked in an open transaction is left out, because otherwise
//! that one would hold up all other leases (I7). What was left out is then read without a lock, which tells a lease that
//! is only busy from one that is lost.

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

/// What became of a lease that was to be kept alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// Extended, and to be trusted until then.
    Until(Moment),
    /// Still mine, but its row is locked, so it was not extended. What is left of it is to be trusted until then, unless
    /// it has run out.
    Locked(Option<Moment>),
    /// Taken over, released or removed.
    Lost,
}

/// Extends leases of one table, each to its own ttl, outside a transaction. The answers are in their order.
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
            // So much is only left of what was extended since we sent the first: by it, where the number of rows is all
            // that a database tells.
            (Some(until), Some(left)) if left + took >= lease.lock.ttl => Renewal::Until(until),
            (until, _) => Renewal::Locked(until),
        }
    };
    Ok(leases.iter().zip(extended).map(kept).collect())
}

/// For each lease whether it is known to be extended.
async fn extend_all<E: Executor>(executor: &mut E, leases: &[&Lease]) -> Result<Vec<bool>> {
    if leases.is_empty() {
        return Ok(Vec::new());
    }
    let statement = Statement::keep_alive(leases);
    if !E::Backend::RETURNING {
        let found = executor.run(statement.counted()).await?;
        return Ok(vec![found == leases.len(); leases.len()]);
    }
    let extended = by_acquisition(executor.load(statement).await?);
    let known = |lease: &&Lease| extended.contains_key(&acquisition(lease));
    Ok(leases.iter().map(known).collect())
}

/// The leases that are still their holders', and what is left of them unless they have run out.
async fn what_is_left<E: Executor>(executor: &mut E, leases: &[&Lease]) -> Result<Mine> {
    if leases.is_empty() {
        return Ok(Mine::new());
    }
    let mine = executor.load(Statement::look_mine(leases)).await?;
    Ok(by_acquisition(mine))
}

/// By name and fence: no two acquisitions have both.
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

/// Asks the holder of a lock to tell when it is released within this time, where the database can. A hint: it is not
/// asked in a transaction, whose end the holder's heartbeats would wait for, and a refusal is no error.
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
