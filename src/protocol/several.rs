//! Several locks at once: all or none, or any one that is free.
//!
//! The leases of a set share their token, so that an answer that was lost is found again by the next try.

use super::Executor;
use super::acquiring::{Waiting, contention_is_busy, refuse_if_late, token_for};
use crate::answer::{Attempt, Holder};
use crate::clock::Moment;
use crate::dialect::Dialect;
use crate::error::Result;
use crate::lease::Lease;
use crate::set::LockSet;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
use crate::statement::Seen;
use crate::token::Token;
use crate::wait::Wait;

/// What one try of a dialect for a set brought: the keys that were won, with their fences.
pub enum Several {
    Won(Vec<(String, i64)>),
    Busy(Option<Holder>),
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
impl Several {
    /// All of the set, or busy.
    pub(crate) fn all_of(set: &LockSet, seen: Vec<Seen>) -> Self {
        if seen.len() < set.locks.len() || seen.iter().any(|seen| seen.won.is_none()) {
            return Self::soonest_of(&seen);
        }
        Self::any_of(seen)
    }

    /// Those that were won, if some were.
    pub(crate) fn any_of(seen: Vec<Seen>) -> Self {
        if seen.iter().all(|seen| seen.won.is_none()) {
            return Self::soonest_of(&seen);
        }
        let won = seen.into_iter().filter_map(|seen| seen.name.zip(seen.won));
        Self::Won(won.collect())
    }

    /// Busy, with the holder whose lease ends the soonest.
    pub(crate) fn soonest_of(seen: &[Seen]) -> Self {
        let holders = seen.iter().filter_map(Seen::other_holder);
        Self::Busy(holders.min_by_key(|holder| holder.time_left))
    }
}

pub(crate) async fn acquire_all<E: Executor>(
    executor: &mut E,
    set: &LockSet,
    wait: Wait,
) -> Result<Attempt<Vec<Lease>>> {
    let (token, mut waiting) = (token_for(set.pattern())?, Waiting::new(&wait));
    loop {
        let attempt = try_all(executor, set, &token).await;
        if !waiting.goes_on(executor, set.pattern(), &attempt).await? {
            return attempt;
        }
    }
}

pub(crate) async fn acquire_any<E: Executor>(
    executor: &mut E,
    set: &LockSet,
    wait: Wait,
) -> Result<Attempt<Lease>> {
    let (token, mut waiting) = (token_for(set.pattern())?, Waiting::new(&wait));
    loop {
        let attempt = try_any(executor, set, &token).await;
        if !waiting.goes_on(executor, set.pattern(), &attempt).await? {
            return attempt.map(one);
        }
    }
}

pub(crate) async fn try_all<E: Executor>(
    executor: &mut E,
    set: &LockSet,
    token: &Token,
) -> Result<Attempt<Vec<Lease>>> {
    let asked_at = Moment::now();
    let won = E::Backend::acquire_all(executor, set, token).await;
    leases(executor, set, token, asked_at, won).await
}

/// The one lease, if there is one.
pub(crate) async fn try_any<E: Executor>(
    executor: &mut E,
    set: &LockSet,
    token: &Token,
) -> Result<Attempt<Vec<Lease>>> {
    let asked_at = Moment::now();
    let won = E::Backend::acquire_any(executor, set, token).await;
    leases(executor, set, token, asked_at, won).await
}

fn one(attempt: Attempt<Vec<Lease>>) -> Attempt<Lease> {
    match attempt {
        Attempt::Acquired(mut leases) => match leases.pop() {
            Some(lease) => Attempt::Acquired(lease),
            None => Attempt::Busy(None),
        },
        Attempt::Busy(holder) => Attempt::Busy(holder),
    }
}

async fn leases<E: Executor>(
    executor: &mut E,
    set: &LockSet,
    token: &Token,
    asked_at: Moment,
    won: Result<Several>,
) -> Result<Attempt<Vec<Lease>>> {
    let won = match contention_is_busy(executor, won, Several::Busy(None))? {
        Several::Won(won) => won,
        Several::Busy(holder) => return Ok(Attempt::Busy(holder)),
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
