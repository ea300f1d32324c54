//! Several locks where no one statement can acquire them: one after the other.

use super::several::Several;
use super::{Executor, Won, release};
use crate::answer::Holder;
use crate::clock::Moment;
use crate::dialect::Dialect;
use crate::error::Result;
use crate::lease::Lease;
use crate::set::LockSet;
use crate::token::Token;

/// All or none: back again if one is busy.
pub(crate) async fn all<E: Executor>(
    executor: &mut E,
    set: &LockSet,
    token: &Token,
) -> Result<Several> {
    let mut won = Vec::with_capacity(set.locks.len());
    for lock in &set.locks {
        match E::Backend::acquire(executor, lock, Some(token)).await {
            Ok(Won::Fence(fence)) => won.push((lock, fence)),
            busy => {
                for (lock, fence) in won {
                    let lease = Lease::new(lock, token.clone(), fence, Moment::now());
                    release(executor, &lease).await?;
                }
                return busy.map(|busy| match busy {
                    Won::Busy(holder) => Several::Busy(holder),
                    Won::Fence(_) => unreachable!("that is no reason to give up"),
                });
            }
        }
    }
    let keyed = won
        .into_iter()
        .map(|(lock, fence)| (lock.key().to_owned(), fence));
    Ok(Several::Won(keyed.collect()))
}

/// Any one, from a place at random so that many who ask at once
/// do not all begin with the same.
pub(crate) async fn any<E: Executor>(
    executor: &mut E,
    set: &LockSet,
    token: &Token,
) -> Result<Several> {
    let first = getrandom::u32().unwrap_or_default() as usize % set.locks.len();
    let mut soonest: Option<Holder> = None;
    for lock in set.locks[first..].iter().chain(&set.locks[..first]) {
        match E::Backend::acquire(executor, lock, Some(token)).await? {
            Won::Fence(fence) => return Ok(Several::Won(vec![(lock.key().to_owned(), fence)])),
            Won::Busy(holder) => {
                soonest = soonest
                    .into_iter()
                    .chain(holder)
                    .min_by_key(|holder| holder.time_left);
            }
        }
    }
    Ok(Several::Busy(soonest))
}
