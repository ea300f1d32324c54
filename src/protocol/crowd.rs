//! One statement for several callers, each of whom gets an answer of its own. It waits for no row, and it is run outside a
//! transaction.
//!
//! Nothing is answered to a caller whose lock needs a statement of its own. A try needs one if its row is missing, locked or
//! marked, and on MySQL and MariaDB also if the lock was to be taken over. A release needs one if its row is locked, or its
//! lease is lost; on MySQL and MariaDB also if this is true of any other release in the statement.

use super::executor::Executor;
use super::looking::inspect;
use super::winning::{Winning, Won};
use crate::answer::{Attempt, Outcome};
use crate::clock::Moment;
use crate::dialect::Sql;
use crate::error::Result;
use crate::lease::Lease;
use crate::lock::Lock;
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

/// Whether a lease can be released in one statement with others. On MySQL and MariaDB, that statement leaves two things alone
/// that may stand beside the holder's identity: an extension, and a mark that was made while the lease was pinned.
pub(crate) fn is_released_with_others<E: Executor>(lease: &Lease) -> bool {
    !E::Backend::KEEPS_BEATS || !lease.was_pinned && lease.has_reached_first_end() == Some(false)
}

/// Releases each of these leases, whose locks are in one table. If one of the releases is to wait for the disk, the
/// statement waits.
pub(crate) async fn release_each<E: Executor<Backend: Winning>>(
    executor: &mut E,
    leases: &[&Lease],
    durable: bool,
) -> Result<Vec<Option<Outcome>>> {
    let durable = durable || !E::Backend::ASYNC_COMMIT;
    let freed = E::Backend::free_each(executor, leases, durable).await;
    settled(executor, &leases[0].lock, freed).await
}

/// The server tells an error before it lets go of the rows of the statement. It answers the next question afterwards. A
/// caller that was told the error earlier would find its lock busy.
async fn settled<E: Executor, T>(executor: &mut E, lock: &Lock, answer: Result<T>) -> Result<T> {
    if answer.is_err() {
        let _ = inspect(executor, lock).await;
    }
    answer
}
