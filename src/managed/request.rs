//! Asking the database on a connection of the pool: a request runs on one connection from its beginning to its end.
//!
//! A request that was sent runs to its end, even if its caller has given up. Otherwise nobody would know of the lease
//! that the request acquires, and the next user of the connection could not use it in the middle of a request. A
//! request is cancelled if it takes too long, or more than a moment after its caller has given up. It is cancelled
//! together with its connection, which may never answer again.

use std::sync::Weak;
use std::time::Duration;

use super::pool::{Boxed, Pool, Runtime};
use super::releasing::Release;
use crate::answer::Outcome;
use crate::error::{Error, Result};
use crate::lease::Lease;
use crate::lock::Lock;
use crate::protocol::{self, Executor, Renewal};
use crate::token::Token;
use crate::work::AsyncWork;

/// Checks a connection out, sends the request, and puts the connection back. The checkout and the request may each take
/// this time; without it, the checkout may take the pool's own. The request is skipped if the caller has given up
/// meanwhile.
pub(crate) async fn on_connection<P, T, F>(
    pool: P,
    within: Option<Duration>,
    caller: Option<Weak<()>>,
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
    let is_wanted = move || {
        caller
            .as_ref()
            .is_none_or(|caller| caller.strong_count() > 0)
    };
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
    if !matches!(&answer, Err(error) if error.is_connection()) {
        P::put_back(executor);
    }
    answer
}

pub(crate) fn no_answer(within: Option<Duration>) -> Error {
    Error::NoAnswer {
        within: within.unwrap_or_default(),
    }
}

/// The requests of the background, on connections of any pool: the keeper may have a pool of its own.
pub(crate) trait Database: Send + Sync {
    /// Extends leases of one table. The `bool` of each lease says whether it is pinned.
    fn keep_alive(
        &self,
        leases: Vec<(Lease, bool)>,
        within: Duration,
    ) -> Boxed<'static, Result<Vec<Renewal>>>;

    fn release(&self, lease: Lease, how: Release) -> Boxed<'static, Result<Outcome>>;

    /// Releases the lease of a request whose answer never came, if the request acquired the lock.
    fn release_unseen(&self, lock: Lock, token: Token, how: Release) -> Boxed<'static, Result<()>>;
}

impl<P: Pool> Database for P {
    fn keep_alive(
        &self,
        leases: Vec<(Lease, bool)>,
        within: Duration,
    ) -> Boxed<'static, Result<Vec<Renewal>>> {
        let request = async move |executor: &mut P::Executor| renew(executor, leases).await;
        Box::pin(on_connection(self.clone(), Some(within), None, request))
    }

    fn release(&self, lease: Lease, how: Release) -> Boxed<'static, Result<Outcome>> {
        let request = async move |executor: &mut P::Executor| how.lease(executor, &lease).await;
        Box::pin(on_connection(self.clone(), Some(how.within), None, request))
    }

    fn release_unseen(&self, lock: Lock, token: Token, how: Release) -> Boxed<'static, Result<()>> {
        let request =
            async move |executor: &mut P::Executor| how.unseen(executor, &lock, &token).await;
        Box::pin(on_connection(self.clone(), Some(how.within), None, request))
    }
}

/// Extends leases. A pinned lease that seems lost may just have been released by its own transaction: then it counts as
/// locked.
async fn renew<E: Executor>(executor: &mut E, leases: Vec<(Lease, bool)>) -> Result<Vec<Renewal>> {
    let (leases, pinned): (Vec<Lease>, Vec<bool>) = leases.into_iter().unzip();
    let mut answers = protocol::keep_alive(executor, &leases).await?;
    for ((answer, lease), is_pinned) in answers.iter_mut().zip(&leases).zip(pinned) {
        if is_pinned && *answer == Renewal::Lost && protocol::is_released(executor, lease).await? {
            *answer = Renewal::Locked(None);
        }
    }
    Ok(answers)
}
