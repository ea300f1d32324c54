//! One try to acquire, for a caller that may give up.
//!
//! At worst, a caller that gives up leaves a lease that nobody knows of. If the answer still comes, the leases that it
//! acquired are given back. If the request is cancelled before its answer, the background looks for the lease by its
//! token. So a random token is used for one try only.

use std::slice;
use std::time::Duration;

use diesel::result::{DatabaseErrorKind, Error as DieselError};

use super::chore::{Chore, Unseen};
use super::crowd::{Ask, Flight};
use super::pool::Pool;
use super::request::is_inside_transaction;
use crate::answer::Attempt;
use crate::clock::Moment;
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
            within,
            is_to_be_announced,
            since,
        };
        if request.fits_a_crowd() {
            self.tries.ask(request).await
        } else {
            request.alone(within, None).await
        }
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

pub(crate) struct Try<P: Pool> {
    locker: Locker<P>,
    wanted: Wanted,
    token: Token,
    within: Duration,
    is_to_be_announced: bool,
    since: Option<i64>,
}

impl<P: Pool> Try<P> {
    /// Whether the try can be made in one statement with others.
    fn fits_a_crowd(&self) -> bool {
        let lock = self.lock();
        matches!(self.wanted, Wanted::One(_))
            && lock.token.is_none()
            && lock.data.is_none()
            && !self.is_to_be_announced
    }

    /// What the try may have acquired. If the caller chose the token, this is nothing that may be given back: another
    /// process may rely on the same acquisition.
    fn unseen(&self) -> impl Iterator<Item = Unseen> {
        let is_own = self.lock().token.is_none();
        let locks = self.wanted.locks().iter().filter(move |_| is_own);
        locks.map(|lock| Unseen {
            lock: lock.clone(),
            token: self.token.clone(),
            observer: self.locker.settings.observer.clone(),
            since: Moment::now(),
        })
    }

    fn unclaimed(&self, leases: Vec<Lease>) -> Unclaimed<P> {
        let locker = self.locker.clone();
        Unclaimed { locker, leases }
    }

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
        Ok(Some(attempt.map(|leases| self.unclaimed(leases))))
    }
}

impl<P: Pool> Ask for Try<P> {
    type Pool = P;
    type Answer = Option<Attempt<Unclaimed<P>>>;
    const ENDS_WITH_CALLER: bool = true;

    fn pool(&self) -> P {
        self.locker.pool.clone()
    }

    fn lock(&self) -> &Lock {
        self.wanted.prototype()
    }

    fn within(&self) -> Duration {
        self.within
    }

    fn goes_with(&self, other: &Self) -> bool {
        self.lock().table == other.lock().table
    }

    async fn alone(self, within: Duration, flight: Option<Flight<Self>>) -> Result<Self::Answer> {
        let locker = self.locker.clone();
        let request = async move |executor: &mut P::Executor| self.send(executor).await;
        locker.ask_holding(flight, Some(within), request).await
    }

    async fn together(
        executor: &mut P::Executor,
        asks: &[&Self],
    ) -> Result<Vec<Option<Result<Self::Answer>>>> {
        let tries = asks.iter().map(|it| (it.lock().clone(), it.token.clone()));
        let tries: Vec<(Lock, Token)> = tries.collect();
        let sent = Moment::now();
        let attempts = protocol::try_each(executor, &tries).await?;
        let answers = asks.iter().zip(attempts);
        let answer = |(ask, attempt): (&&Self, Option<Attempt>)| {
            let attempt = attempt?.map(|lease| ask.unclaimed(vec![lease]));
            Some(attempt.in_time(sent).map(Some))
        };
        Ok(answers.map(answer).collect())
    }

    fn answered(self, answer: Result<Self::Answer>) -> Result<Self::Answer> {
        answer
    }

    /// In the background looks for the leases that these tries acquired, and gives them back. Few at a time, so that all
    /// looks fit into the timeout of a release.
    fn undo(tries: &[&Self]) {
        const MOST: usize = 32;
        let unseen: Vec<Unseen> = tries.iter().flat_map(|it| it.unseen()).collect();
        for few in unseen.chunks(MOST) {
            let Locker {
                keeper, settings, ..
            } = &tries[0].locker;
            keeper.later(Chore::ReleaseUnseen(few.to_vec(), settings.release));
        }
    }

    fn anew(self) -> Result<Self> {
        let token = protocol::token_for(self.lock())?;
        Ok(Self { token, ..self })
    }
}

/// A try whose answer has not come yet. If the try is cancelled, or fails without saying what the database did, what it
/// acquired is given back.
struct Unanswered<'t, P: Pool>(&'t Try<P>);

impl<P: Pool> Drop for Unanswered<'_, P> {
    fn drop(&mut self) {
        Try::<P>::undo(&[self.0]);
    }
}

impl<P: Pool> Attempt<Unclaimed<P>> {
    /// Refuses a lease whose answer came too late: see [`protocol::too_late`]. It is given back.
    fn in_time(self, sent: Moment) -> Result<Self> {
        let leases = match &self {
            Self::Acquired(unclaimed) => &*unclaimed.leases,
            Self::Busy(_) => &[],
        };
        protocol::too_late(leases, sent).map_or(Ok(self), Err)
    }
}

impl Error {
    /// Whether the error says nothing about what the database did.
    pub(super) fn leaves_open(&self) -> bool {
        self.is_connection() || matches!(self, Self::Database(_)) && !self.is_transient()
    }

    /// The same error once more, for another caller.
    pub(super) fn repeated(&self) -> Self {
        let (kind, text) = match self {
            Self::NoAnswer { within } => return Self::NoAnswer { within: *within },
            Self::BrokenConnection => return Self::BrokenConnection,
            Self::Database(DieselError::DatabaseError(kind, info)) => {
                (*kind, info.message().to_owned())
            }
            error => (DatabaseErrorKind::Unknown, error.to_string()),
        };
        Self::Database(DieselError::DatabaseError(kind, Box::new(text)))
    }
}

/// The leases that were acquired. If they are dropped before the caller has claimed them, they are given back, unless
/// the caller chose the token.
pub(crate) struct Unclaimed<P: Pool> {
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
