//! How a lease is given back, and how the observer and the waiters are told.

use std::sync::Arc;
use std::time::Duration;

use super::chore::{Chore, Unseen};
use super::crowd::{Ask, Flight};
use super::event::EventKind;
use super::held_lease::HeldLease;
use super::pool::{Pool, Runtime};
use super::queue::Queues;
use super::request::{always, no_answer, on_connection};
use crate::answer::Outcome;
use crate::clock::Moment;
use crate::error::{Error, Result};
use crate::lease::Lease;
use crate::lock::Lock;
use crate::locker::Locker;
use crate::protocol::{self, Executor};
use crate::wait::jittered;

/// How a lease is given back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Release {
    /// The timeout of the release.
    pub(crate) within: Duration,
    /// Whether the release waits for the disk.
    pub(crate) durable: bool,
    /// Until when the lock stays held after it was given back: [`hold_at_least`](crate::locker::Locker::hold_at_least).
    pub(crate) until: Moment,
}

impl Release {
    pub(crate) fn not_before(self, until: Moment) -> Self {
        Self { until, ..self }
    }

    /// Gives a lease back. After contention it tries again until the timeout: a release has time for that.
    pub(crate) async fn lease<E: Executor>(
        self,
        executor: &mut E,
        lease: &Lease,
    ) -> Result<Outcome> {
        const PAUSE: Duration = Duration::from_millis(50);
        let began = Moment::now();
        loop {
            match self.once(executor, lease).await {
                Err(error) if error.is_transient() && Moment::now().since(began) < self.within => {
                    executor.sleep(jittered(PAUSE)).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn once<E: Executor>(self, executor: &mut E, lease: &Lease) -> Result<Outcome> {
        let rest = self.until.since(Moment::now());
        if !rest.is_zero() {
            protocol::retire(executor, lease, rest).await
        } else if self.durable {
            protocol::release(executor, lease).await
        } else {
            protocol::release_async(executor, lease).await
        }
    }

    /// Releases the leases of requests whose answer never came. A request may still be on its way, so this looks for its
    /// lease more than once. Returns the releases that the database refused.
    pub(crate) async fn unseen<E: Executor>(
        self,
        executor: &mut E,
        unseen: &[Unseen],
    ) -> Result<Vec<(Unseen, Error)>> {
        const LOOKS: [u64; 4] = [0, 30, 100, 300];
        let (mut missing, mut refused) = (unseen.to_vec(), Vec::new());
        for pause in LOOKS {
            if missing.is_empty() {
                break;
            }
            executor.sleep(Duration::from_millis(pause)).await;
            for lease in std::mem::take(&mut missing) {
                match self.found(executor, &lease).await {
                    Ok(true) => {}
                    Ok(false) => missing.push(lease),
                    Err(error) if error.is_connection() => return Err(error),
                    Err(error) => refused.push((lease, error)),
                }
            }
        }
        Ok(refused)
    }

    /// Releases a lease if there is one.
    async fn found<E: Executor>(self, executor: &mut E, unseen: &Unseen) -> Result<bool> {
        let found = protocol::find(executor, &unseen.lock, unseen.token.clone());
        let Some(lease) = found.await? else {
            return Ok(false);
        };
        self.lease(executor, &lease).await.map(|_| true)
    }
}

/// A lease that its guard gives back. If this is dropped before the database was asked, the background gives the lease back.
pub(crate) struct GiveBack<P: Pool> {
    locker: Locker<P>,
    held: Arc<HeldLease>,
    lease: Lease,
    how: Release,
    is_sent: bool,
}

impl<P: Pool> GiveBack<P> {
    pub(crate) fn new(locker: Locker<P>, held: Arc<HeldLease>, how: Release) -> Self {
        Self {
            lease: held.lease(),
            locker,
            held,
            how,
            is_sent: false,
        }
    }

    pub(crate) async fn send(self) -> Result<Outcome> {
        let is_due = self.how.until <= Moment::now();
        if is_due && protocol::is_released_with_others::<P::Executor>(&self.lease) {
            self.locker.releases.clone().ask(self).await
        } else {
            let within = self.within();
            self.alone(within, None).await
        }
    }
}

impl<P: Pool> Ask for GiveBack<P> {
    type Pool = P;
    type Answer = Outcome;
    const ENDS_WITH_CALLER: bool = false;

    fn pool(&self) -> P {
        self.locker.pool.clone()
    }

    fn lock(&self) -> &Lock {
        &self.lease.lock
    }

    fn within(&self) -> Duration {
        self.how.within
    }

    fn goes_with(&self, other: &Self) -> bool {
        self.lock().table == other.lock().table
    }

    /// Ends by itself, whether or not anybody waits for it.
    async fn alone(mut self, within: Duration, flight: Option<Flight<Self>>) -> Result<Outcome> {
        let ending = async move {
            let _flight = flight;
            let (how, lease) = (Release { within, ..self.how }, self.lease.clone());
            let (pool, is_sent) = (self.pool(), &mut self.is_sent);
            let request = async move |executor: &mut P::Executor| {
                *is_sent = true;
                how.lease(executor, &lease).await
            };
            let outcome = on_connection(pool, Some(within), always, request).await;
            self.answered(outcome)
        };
        let outcome = P::Runtime::detach_after(Some(within), ending).await;
        outcome.unwrap_or_else(|| Err(no_answer(Some(within))))
    }

    async fn together(
        executor: &mut P::Executor,
        asks: &[&Self],
    ) -> Result<Vec<Option<Result<Outcome>>>> {
        let leases: Vec<&Lease> = asks.iter().map(|it| &it.lease).collect();
        let durable = asks.iter().any(|it| it.how.durable);
        let outcomes = protocol::release_each(executor, &leases, durable).await?;
        Ok(outcomes.into_iter().map(|it| it.map(Ok)).collect())
    }

    fn answered(mut self, outcome: Result<Outcome>) -> Result<Outcome> {
        self.is_sent = true;
        tell_given_back(&self.held, &self.locker.queues, &outcome);
        outcome
    }

    /// What a release did stays.
    fn undo(_: &[&Self]) {}

    fn anew(self) -> Result<Self> {
        Ok(self)
    }
}

impl<P: Pool> Drop for GiveBack<P> {
    fn drop(&mut self) {
        if !self.is_sent {
            let chore = Chore::Release(self.held.clone(), self.how);
            self.locker.keeper.later(chore);
        }
    }
}

/// Tells the observer and the waiters of this process how the release ended.
pub(crate) fn tell_given_back(held: &HeldLease, queues: &Queues, outcome: &Result<Outcome>) {
    match held.turn {
        Some(turn) if matches!(outcome, Ok(Outcome::Done | Outcome::DoneLate)) => {
            queues.released_in(turn, held.lock());
        }
        _ => queues.released(held.lock()),
    }
    match outcome {
        Ok(Outcome::Lost) => held.tell_lost(),
        Ok(_) => held.tell(EventKind::Released {
            held: held.held_for(),
        }),
        Err(error) => held.tell(EventKind::NotReleased { error }),
    }
}
