//! Acquiring a lock: once, or until the wait is over.

use std::slice;

use super::executor::Executor;
use super::holding::release;
use super::winning::{Winning, Won};
use crate::answer::Attempt;
use crate::clock::Moment;
use crate::error::{Error, Result};
use crate::lease::{Lease, can_be_trusted};
use crate::lock::Lock;
use crate::statement::Statement;
use crate::token::Token;
use crate::wait::{Pauses, Wait};

pub(crate) async fn try_acquire<E: Executor<Backend: Winning>>(
    executor: &mut E,
    lock: &Lock,
) -> Result<Attempt> {
    let attempt = try_in_turn(executor, lock, &token_for(lock)?, None).await?;
    Ok(attempt.unwrap_or(Attempt::Busy(None)))
}

/// Tries until the lock is acquired or the wait is over. Cancel-safe between two tries, because nothing is held then. A
/// random token is used for one try only.
pub(crate) async fn acquire<E: Executor<Backend: Winning>>(
    executor: &mut E,
    lock: &Lock,
    wait: Wait,
) -> Result<Attempt> {
    let mut waiting = Waiting::new(&wait);
    loop {
        let attempt = try_acquire(executor, lock).await;
        if !waiting.goes_on(executor, lock, &attempt).await? {
            return attempt;
        }
    }
}

/// The pauses between the tries.
pub(super) struct Waiting<'w> {
    began: Moment,
    pauses: Pauses<'w>,
}

impl<'w> Waiting<'w> {
    pub(super) fn new(wait: &'w Wait) -> Self {
        let (began, pauses) = (Moment::now(), wait.pauses());
        Self { began, pauses }
    }

    /// Pauses and returns `true` if there is to be another try after this one.
    pub(super) async fn goes_on<E: Executor, T>(
        &mut self,
        executor: &mut E,
        lock: &Lock,
        attempt: &Result<Attempt<T>>,
    ) -> Result<bool> {
        let time_left = match attempt {
            Ok(Attempt::Busy(holder)) => holder.as_ref().map(|holder| holder.time_left),
            Err(Error::TooLate { .. }) if can_be_trusted(lock.ttl) => None,
            _ => return Ok(false),
        };
        let waited = Moment::now().since(self.began);
        let Some(pause) = self.pauses.next(waited, time_left) else {
            return Ok(false);
        };
        if executor.in_transaction() && sees_snapshot(executor).await? {
            let key = lock.key().to_owned();
            return Err(Error::CannotWait { key });
        }
        executor.sleep(pause).await;
        Ok(true)
    }
}

/// Whether the transaction sees a snapshot. A wait in such a transaction cannot end, because the transaction never sees
/// the release.
async fn sees_snapshot<E: Executor>(executor: &mut E) -> Result<bool> {
    let answer = executor.numbers(Statement::snapshot()).await?;
    Ok(answer.first().is_some_and(|snapshot| *snapshot != 0))
}

/// Acquires the lock without a holder: the row lock excludes others until the transaction ends, then the lock is free.
pub(crate) async fn try_hold<E: Executor<Backend: Winning>>(
    executor: &mut E,
    lock: &Lock,
) -> Result<Attempt<i64>> {
    if !executor.in_transaction() {
        return Err(Error::NoTransaction {
            key: lock.key().to_owned(),
        });
    }
    Ok(match E::Backend::win(executor, lock, None, None).await? {
        Won::Fence(fence) | Won::Renewed(fence) => Attempt::Acquired(fence),
        Won::Busy(holder) => Attempt::Busy(holder),
        Won::NotInTurn => Attempt::Busy(None),
    })
}

pub(crate) fn token_for(lock: &Lock) -> Result<Token> {
    lock.token.clone().map_or_else(Token::random, Ok)
}

/// Tries once. `None` if the lock is free, and another process is to have it first.
pub(crate) async fn try_in_turn<E: Executor<Backend: Winning>>(
    executor: &mut E,
    lock: &Lock,
    token: &Token,
    since: Option<i64>,
) -> Result<Option<Attempt>> {
    let sent = Moment::now();
    let won = E::Backend::win(executor, lock, Some(token), since).await;
    match contention_is_busy(executor, won, Won::Busy(None))? {
        Won::Busy(holder) => Ok(Some(Attempt::Busy(holder))),
        Won::NotInTurn => Ok(None),
        Won::Fence(fence) | Won::Renewed(fence) => {
            let lease = Lease::new(lock, token.clone(), fence, sent);
            refuse_if_late(executor, slice::from_ref(&lease), sent).await?;
            Ok(Some(Attempt::Acquired(lease)))
        }
    }
}

/// Turns contention into "busy". Inside a transaction contention stays an error, because it has ended the transaction
/// (I8).
pub(super) fn contention_is_busy<E: Executor, T>(
    executor: &mut E,
    won: Result<T>,
    busy: T,
) -> Result<T> {
    match won {
        Err(error) if error.is_transient() && !executor.in_transaction() => Ok(busy),
        won => won,
    }
}

/// Refuses leases if the answer came too late, when a lease may be over already. The leases are given back (I3). If the
/// caller chose the token, they are not given back, because another process may rely on the same acquisition.
pub(super) async fn refuse_if_late<E: Executor>(
    executor: &mut E,
    leases: &[Lease],
    sent: Moment,
) -> Result<()> {
    let Some(error) = too_late(leases, sent) else {
        return Ok(());
    };
    for lease in leases.iter().filter(|lease| lease.lock.token.is_none()) {
        let _ = release(executor, lease).await; // otherwise it is free after the ttl
    }
    Err(error)
}

/// The error for leases whose answer came so late that one of them may be over already (I3).
pub(crate) fn too_late(leases: &[Lease], sent: Moment) -> Option<Error> {
    let took = Moment::now().since(sent);
    let late = leases.iter().find(|lease| lease.trusted_for().is_zero())?;
    Some(Error::TooLate {
        key: late.lock.key().to_owned(),
        took,
        ttl: late.lock.ttl,
    })
}
