//! Several locks at once: all or none, or any one that is free.
//!
//! The leases of a set share their token. So if an answer was lost, the next try finds what the lost answer had
//! acquired.

use super::acquiring::{Waiting, contention_is_busy, refuse_if_late, token_for};
use super::executor::Executor;
use super::winning::{Winning, WonSet};
use crate::answer::Attempt;
use crate::clock::Moment;
use crate::error::Result;
use crate::lease::Lease;
use crate::set::LockSet;
use crate::token::Token;
use crate::wait::Wait;

/// Which locks of a set to acquire.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Choice {
    All,
    Any,
}

pub(crate) async fn acquire_all<E: Executor<Backend: Winning>>(
    executor: &mut E,
    set: &LockSet,
    wait: Wait,
) -> Result<Attempt<Vec<Lease>>> {
    acquire(executor, set, Choice::All, wait).await
}

pub(crate) async fn acquire_any<E: Executor<Backend: Winning>>(
    executor: &mut E,
    set: &LockSet,
    wait: Wait,
) -> Result<Attempt<Lease>> {
    let attempt = acquire(executor, set, Choice::Any, wait).await?;
    Ok(match attempt.map(|mut leases| leases.pop()) {
        Attempt::Acquired(Some(lease)) => Attempt::Acquired(lease),
        // Only a table that takes different names for one answers with a name that is not in the set.
        Attempt::Acquired(None) => Attempt::Busy(None),
        Attempt::Busy(holder) => Attempt::Busy(holder),
    })
}

async fn acquire<E: Executor<Backend: Winning>>(
    executor: &mut E,
    set: &LockSet,
    choice: Choice,
    wait: Wait,
) -> Result<Attempt<Vec<Lease>>> {
    let (token, mut waiting) = (token_for(set.prototype())?, Waiting::new(&wait));
    loop {
        let attempt = try_set(executor, set, choice, &token).await;
        if !waiting.goes_on(executor, set.prototype(), &attempt).await? {
            return attempt;
        }
    }
}

/// Tries once. The leases are in the order of their keys.
pub(crate) async fn try_set<E: Executor<Backend: Winning>>(
    executor: &mut E,
    set: &LockSet,
    choice: Choice,
    token: &Token,
) -> Result<Attempt<Vec<Lease>>> {
    let asked_at = Moment::now();
    let won = match choice {
        Choice::All => E::Backend::win_all(executor, set, token).await,
        Choice::Any => E::Backend::win_any(executor, set, token).await,
    };
    let won = match contention_is_busy(executor, won, WonSet::Busy(None))? {
        WonSet::Won(won) => won,
        WonSet::Busy(holder) => return Ok(Attempt::Busy(holder)),
    };
    let lease = |(key, fence): (String, i64)| {
        let lock = set.find(&key)?;
        Some(Lease::new(lock, token.clone(), fence, asked_at))
    };
    let mut leases: Vec<Lease> = won.into_iter().filter_map(lease).collect();
    leases.sort_unstable_by(|one, other| one.lock.key().cmp(other.lock.key()));
    refuse_if_late(executor, &leases, asked_at).await?;
    Ok(Attempt::Acquired(leases))
}
