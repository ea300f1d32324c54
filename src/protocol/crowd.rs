//! One statement for several callers, each of whom gets an answer of its own. It waits for no row, and it is run outside a
//! transaction.
//!
//! Nothing is answered to a caller whose lock needs a statement of its own: its row is marked or missing, or, for a release,
//! the row is locked or the lease is lost.

use std::collections::HashMap;

use super::executor::Executor;
use super::looking::inspect;
use super::winning::{Winning, Won};
use crate::answer::{Attempt, Outcome};
use crate::clock::Moment;
use crate::error::Result;
use crate::lease::Lease;
use crate::lock::Lock;
use crate::row::LockRow;
use crate::statement::Statement;
use crate::token::Token;

/// Tries once to acquire each of these locks, with a token that was never used before. The locks are in one table.
/// An answer may have come too late: see [`too_late`](super::too_late).
pub(crate) async fn try_each<E: Executor<Backend: Winning>>(
    executor: &mut E,
    tries: &[(Lock, Token)],
) -> Result<Vec<Option<Attempt>>> {
    let sent = Moment::now();
    let won = E::Backend::win_each(executor, tries).await;
    let won = settled(executor, &tries[0].0, won).await?;
    let attempt = |((lock, token), won): (&(Lock, Token), Option<Won>)| match won? {
        Won::NotInTurn => None,
        Won::Busy(holder) => Some(Attempt::Busy(holder)),
        Won::Fence(fence) | Won::Renewed(fence) => Some(Attempt::Acquired(Lease::new(
            lock,
            token.clone(),
            fence,
            sent,
        ))),
    };
    Ok(tries.iter().zip(won).map(attempt).collect())
}

/// Releases each of these leases, whose locks are in one table.
pub(crate) async fn release_each<E: Executor>(
    executor: &mut E,
    leases: &[&Lease],
    durable: bool,
) -> Result<Vec<Option<Outcome>>> {
    let statement = Statement::release_each(leases, durable);
    let rows = executor.load(statement).await;
    let rows = settled(executor, &leases[0].lock, rows).await?;
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

/// The server tells an error before it lets go of the rows of the statement. It answers the next question afterwards. A
/// caller that was told the error earlier would find its lock busy.
async fn settled<E: Executor, T>(executor: &mut E, lock: &Lock, answer: Result<T>) -> Result<T> {
    if answer.is_err() {
        let _ = inspect(executor, lock).await;
    }
    answer
}
