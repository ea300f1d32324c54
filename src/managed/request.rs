//! Asking the database on a connection of the pool: a request runs on one connection from its beginning to its end.
//!
//! A request that was sent runs to its end, even if its caller has given up. Otherwise nobody would know of the lease
//! that the request acquires, and the next user of the connection could not use it in the middle of a request. A
//! request is cancelled if it takes too long, or more than a moment after its caller has given up. It is cancelled
//! together with its connection, which may never answer again.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use super::chore::Unseen;
use super::held_lease::HeldLease;
use super::pool::{Boxed, Pool, Runtime};
use super::releasing::Release;
use crate::answer::Outcome;
use crate::error::{Error, Result};
use crate::lease::Lease;
use crate::protocol::{self, Executor, Renewal};
use crate::work::AsyncWork;

/// Checks a connection out, sends the request, and puts the connection back. The checkout and the request may each take
/// this time; without it, the checkout may take the pool's own. The request is skipped if it is not wanted any more.
pub(crate) async fn on_connection<P, T, F>(
    pool: P,
    within: Option<Duration>,
    is_wanted: impl Fn() -> bool + Send,
    request: F,
) -> Result<T>
where
    P: Pool,
    T: Send,
    for<'r> F: AsyncFnOnce(&'r mut P::Executor) -> Result<T>
        + AsyncWork<&'r mut P::Executor, Result<T>, Future: Send>
        + Send,
{
    let mut executor = pool.check_out(within).await?;
    if !is_wanted() {
        P::put_back(executor);
        return Err(no_answer(within));
    }
    let answer = match within {
        Some(time) if P::can_cancel() => {
            let answer = P::Runtime::cancel_after(time, is_wanted, request(&mut executor)).await;
            answer.unwrap_or_else(|| Err(no_answer(within)))
        }
        _ => request(&mut executor).await,
    };
    let is_broken = matches!(&answer, Err(error) if error.is_connection());
    if !is_broken && !executor.in_transaction() {
        P::put_back(executor);
    }
    answer
}

/// A request that is wanted to its end.
pub(crate) fn always() -> bool {
    true
}

/// The error for a pool that gave no connection, or none that works. A pool that is not set up for the `Locker` is another
/// error: nobody should wait for it to change.
pub(crate) fn no_connection(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
    match source.into().downcast::<Error>() {
        Ok(error) if matches!(*error, Error::Setup { .. }) => *error,
        Ok(source) => Error::NoConnection { source },
        Err(source) => Error::NoConnection { source },
    }
}

/// The error for a connection on which nothing would be committed.
pub(crate) fn is_inside_transaction() -> Error {
    Error::Setup {
        found: "a connection of the pool is inside a transaction, so no lock would be committed"
            .to_owned(),
        remedy: "let the pool give connections with autocommit on and without an open transaction",
    }
}

pub(crate) fn no_answer(within: Option<Duration>) -> Error {
    Error::NoAnswer {
        within: within.unwrap_or_default(),
    }
}

/// The requests of the background, on connections of any pool: the keeper may have a pool of its own.
pub(crate) trait Database: Send + Sync {
    /// Extends leases of one table, except those that are given back by the time there is a connection.
    fn keep_alive(
        &self,
        leases: Vec<Arc<HeldLease>>,
        within: Duration,
    ) -> Boxed<'static, Result<Vec<Renewal>>>;

    fn release(&self, lease: Lease, how: Release) -> Boxed<'static, Result<Outcome>>;

    /// Releases what requests acquired whose answers never came. Returns the releases that the database refused.
    fn release_unseen(
        &self,
        unseen: Vec<Unseen>,
        how: Release,
    ) -> Boxed<'static, Result<Vec<(Unseen, Error)>>>;
}

impl<P: Pool> Database for P {
    fn keep_alive(
        &self,
        leases: Vec<Arc<HeldLease>>,
        within: Duration,
    ) -> Boxed<'static, Result<Vec<Renewal>>> {
        let request = async move |executor: &mut P::Executor| renew(executor, leases).await;
        Box::pin(on_connection(self.clone(), Some(within), always, request))
    }

    fn release(&self, lease: Lease, how: Release) -> Boxed<'static, Result<Outcome>> {
        let request = async move |executor: &mut P::Executor| how.lease(executor, &lease).await;
        Box::pin(on_connection(
            self.clone(),
            Some(how.within),
            always,
            request,
        ))
    }

    fn release_unseen(
        &self,
        unseen: Vec<Unseen>,
        how: Release,
    ) -> Boxed<'static, Result<Vec<(Unseen, Error)>>> {
        let request = async move |executor: &mut P::Executor| how.unseen(executor, &unseen).await;
        Box::pin(on_connection(
            self.clone(),
            Some(how.within),
            always,
            request,
        ))
    }
}

/// Extends leases. The answers are in the order of the leases.
///
/// A lease that was given back while the request waited for its connection is left out: it may have to expire, and an
/// extension would keep the lock. So is a lease whose row an open transaction has written meanwhile. A pinned lease that
/// seems lost may just have been released by its own transaction. All of these count as locked.
async fn renew<E: Executor>(executor: &mut E, leases: Vec<Arc<HeldLease>>) -> Result<Vec<Renewal>> {
    let mut answers = vec![Renewal::Locked(None); leases.len()];
    let kept: Vec<usize> = (0..leases.len())
        .filter(|index| !leases[*index].is_let_go() && !leases[*index].is_pinned_by_writing())
        .collect();
    let pinned: Vec<bool> = kept
        .iter()
        .map(|index| leases[*index].is_pinned())
        .collect();
    let asked: Vec<Lease> = kept.iter().map(|index| leases[*index].lease()).collect();
    let renewals = protocol::keep_alive(executor, &asked).await?;
    for (((index, is_pinned), lease), renewal) in kept.iter().zip(pinned).zip(&asked).zip(renewals)
    {
        let is_lost = renewal == Renewal::Lost;
        if !(is_lost && is_pinned && protocol::is_released(executor, lease).await?) {
            answers[*index] = renewal;
        }
    }
    Ok(answers)
}
