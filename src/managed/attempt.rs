//! One try to acquire, for a caller that may give up.
//!
//! At worst, a caller that gives up leaves a lease that nobody knows of. If the answer still comes, the leases that it
//! acquired are given back. If the request is cancelled before its answer, the background looks for the lease by its
//! token. So a random token is used for one try only.

use std::slice;
use std::time::Duration;

use super::chore::Chore;
use super::pool::Pool;
use super::request::is_inside_transaction;
use crate::answer::Attempt;
use crate::error::{Error, Result};
use crate::holder::Holder;
use crate::lease::Lease;
use crate::lock::Lock;
use crate::locker::Locker;
use crate::protocol::sets::{self, Choice};
use crate::protocol::{self, Executor, Winning};
use crate::set::LockSet;
use crate::token::Token;

/// How long the database announces a release after it was asked to. After that time it must be asked again.
pub(super) const WINDOW: Duration = Duration::from_secs(60);

/// The locks to acquire.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    One(Lock),
    Set(LockSet, Choice),
}

impl Wanted {
    pub(super) fn locks(&self) -> &[Lock] {
        match self {
            Self::One(lock) => slice::from_ref(lock),
            Self::Set(set, _) => set.locks(),
        }
    }

    /// One of the locks. All of them are held with its settings.
    pub(crate) fn prototype(&self) -> &Lock {
        &self.locks()[0]
    }

    async fn acquire<E: Executor<Backend: Winning>>(
        &self,
        executor: &mut E,
        token: &Token,
        since: Option<i64>,
    ) -> Result<Option<Attempt<Vec<Lease>>>> {
        match self {
            Self::One(lock) => {
                let attempt = protocol::try_in_turn(executor, lock, token, since).await?;
                Ok(attempt.map(|attempt| attempt.map(|lease| vec![lease])))
            }
            Self::Set(set, choice) => sets::try_set(executor, set, *choice, token).await.map(Some),
        }
    }
}

impl<P: Pool> Locker<P> {
    /// Tries once. If the release is to be announced, the request asks for the announcement before it tries, because
    /// the lock may be released between the two. Returns `None` if the lock is free, and another process is to have it
    /// first.
    pub(super) async fn try_once(
        &self,
        wanted: &Wanted,
        within: Duration,
        is_to_be_announced: bool,
        since: Option<i64>,
    ) -> Result<Option<Attempt<Unclaimed<P>>>> {
        let request = Try {
            locker: self.clone(),
            wanted: wanted.clone(),
            token: protocol::token_for(wanted.prototype())?,
            is_to_be_announced,
            since,
        };
        let request = async move |executor: &mut P::Executor| request.send(executor).await;
        self.ask(Some(within), request).await
    }

    /// Marks the row in the time of this holder: this process has waited since this moment. Returns whether the mark was
    /// made.
    pub(super) async fn mark(
        &self,
        lock: &Lock,
        within: Duration,
        since: i64,
        holder: &Holder,
    ) -> Result<bool> {
        let (lock, fence) = (lock.clone(), holder.fence);
        let request = async move |executor: &mut P::Executor| {
            protocol::mark(executor, &lock, since, fence).await
        };
        self.ask(Some(within), request).await
    }
}

struct Try<P: Pool> {
    locker: Locker<P>,
    wanted: Wanted,
    token: Token,
    is_to_be_announced: bool,
    since: Option<i64>,
}

impl<P: Pool> Try<P> {
    async fn send<E: Executor<Backend: Winning>>(
        self,
        executor: &mut E,
    ) -> Result<Option<Attempt<Unclaimed<P>>>> {
        if self.is_to_be_announced {
            protocol::want(executor, self.wanted.prototype(), WINDOW).await?;
        }
        let unanswered = Unanswered(&self);
        let acquired = self.wanted.acquire(executor, &self.token, self.since);
        let attempt = acquired.await;
        if !matches!(&attempt, Err(error) if error.leaves_open()) {
            std::mem::forget(unanswered);
        }
        let Some(attempt) = attempt? else {
            return Ok(None);
        };
        if !attempt.is_busy() && executor.in_transaction() {
            return Err(is_inside_transaction()); // and the connection is dropped, which takes the leases back
        }
        Ok(Some(attempt.map(|leases| Unclaimed {
            locker: self.locker.clone(),
            leases,
        })))
    }
}

/// A try whose answer has not come yet. If the try is cancelled, or fails without saying what the database did, the
/// background looks for the leases that the try acquired, and gives them back. If the caller chose the token, they are
/// not given back: another process may rely on the same acquisition.
struct Unanswered<'t, P: Pool>(&'t Try<P>);

impl<P: Pool> Drop for Unanswered<'_, P> {
    fn drop(&mut self) {
        let Try {
            locker,
            wanted,
            token,
            ..
        } = self.0;
        if wanted.prototype().token.is_some() {
            return;
        }
        let settings = &locker.settings;
        for lock in wanted.locks() {
            let (lock, token) = (lock.clone(), token.clone());
            let observer = settings.observer.clone();
            let chore = Chore::ReleaseUnseen(lock, token, settings.release, observer);
            locker.keeper.later(chore);
        }
    }
}

impl Error {
    /// Whether the error says nothing about what the database did.
    fn leaves_open(&self) -> bool {
        matches!(self, Self::Database(_)) && !self.is_transient()
    }
}

/// The leases that were acquired. If they are dropped before the caller has claimed them, they are given back, unless
/// the caller chose the token.
pub(super) struct Unclaimed<P: Pool> {
    locker: Locker<P>,
    leases: Vec<Lease>,
}

impl<P: Pool> Unclaimed<P> {
    pub(super) fn claim(mut self) -> Vec<Lease> {
        std::mem::take(&mut self.leases)
    }
}

impl<P: Pool> Drop for Unclaimed<P> {
    fn drop(&mut self) {
        for lease in self.leases.drain(..) {
            if lease.lock.token.is_none() {
                self.locker.give_back(lease);
            }
        }
    }
}
