//! Several locks where no one statement can acquire them: one after the other.

use super::several::Several;
use super::{Executor, Won, release};
use crate::answer::Holder;
use crate::clock::Moment;
use crate::dialect::Dialect;
use crate::error::Result;
use crate::lease::Lease;
use crate::lock::Lock;
use crate::set::LockSet;
use crate::statement::Statement;
use crate::token::Token;

/// All or none: back again if one is busy. What was mine before stays mine.
pub(crate) async fn all<E: Executor>(
    executor: &mut E,
    set: &LockSet,
    token: &Token,
) -> Result<Several> {
    let (mut won, mut new) = (Vec::with_capacity(set.locks.len()), Vec::new());
    for lock in &set.locks {
        let busy = match E::Backend::acquire(executor, lock, Some(token)).await {
            Ok(Won::Fence(fence)) => {
                new.push(Lease::new(lock, token.clone(), fence, Moment::now()));
                won.push((lock.key().to_owned(), fence));
                continue;
            }
            Ok(Won::Renewed(fence)) => {
                won.push((lock.key().to_owned(), fence));
                continue;
            }
            Ok(Won::Busy(holder)) => Ok(Several::Busy(holder)),
            Err(error) => Err(error),
        };
        for lease in &new {
            let _ = release(executor, lease).await; // otherwise it is free after the ttl
        }
        return busy;
    }
    Ok(Several::Won(won))
}

/// Any one: mine if one already is, else from a place at random, so that many who ask at once do not all begin with the
/// same.
pub(crate) async fn any<E: Executor>(
    executor: &mut E,
    set: &LockSet,
    token: &Token,
) -> Result<Several> {
    if let Some(mine) = find_mine(executor, set).await? {
        if let Won::Renewed(fence) = E::Backend::acquire(executor, mine, Some(token)).await? {
            return Ok(Several::Won(vec![(mine.key().to_owned(), fence)]));
        }
    }
    let first = getrandom::u32().unwrap_or_default() as usize % set.locks.len();
    let mut soonest: Option<Holder> = None;
    for lock in set.locks[first..].iter().chain(&set.locks[..first]) {
        match E::Backend::acquire(executor, lock, Some(token)).await? {
            Won::Fence(fence) | Won::Renewed(fence) => {
                return Ok(Several::Won(vec![(lock.key().to_owned(), fence)]));
            }
            Won::Busy(holder) => {
                let both = soonest.into_iter().chain(holder);
                soonest = both.min_by_key(|holder| holder.time_left);
            }
        }
    }
    Ok(Several::Busy(soonest))
}

/// The one that an agreed token holds already. A random one holds none.
async fn find_mine<'s, E: Executor>(
    executor: &mut E,
    set: &'s LockSet,
) -> Result<Option<&'s Lock>> {
    if set.pattern().token.is_none() {
        return Ok(None);
    }
    for lock in &set.locks {
        let seen = executor.load(Statement::look(lock)).await?.pop();
        if seen.is_some_and(|seen| seen.state == Some(2)) {
            return Ok(Some(lock));
        }
    }
    Ok(None)
}
