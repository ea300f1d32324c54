//! The requests of a guard to the database, and the wait for its loss.

use std::time::Duration;

use super::Guard;
use crate::answer::{Outcome, Run};
use crate::clock::Moment;
use crate::error::{Error, Result};
use crate::lock::valid_ttl;
use crate::managed::pool::{Pool, Runtime};
use crate::managed::releasing::given_back;
use crate::managed::request::on_connection;
use crate::protocol;
use crate::work::AsyncWork;

impl<P: Pool> Guard<P> {
    /// Waits until the lock is lost, or this time is over. Returns whether the lock is lost.
    pub(crate) async fn wait_for_loss(&self, at_most: Option<Duration>) -> bool {
        let began = Moment::now();
        loop {
            let seen = self.held.bell.rings();
            if !self.is_valid() {
                return true;
            }
            let rest = at_most.map(|time| time.saturating_sub(Moment::now().since(began)));
            if rest.is_some_and(|rest| rest.is_zero()) {
                return false;
            }
            let until_deadline = self.held.deadline().map(|end| end.since(Moment::now()));
            // Without a deadline the lease is pinned. After the pin has ended, the watch rings when the lease is over.
            let pause = rest.into_iter().chain(until_deadline).min();
            P::Runtime::wait(&self.held.bell, seen, pause.unwrap_or(Duration::MAX)).await;
        }
    }

    /// Extends the lease to this ttl, now and at every later extension. Without a ttl, extends it to the ttl that it
    /// has.
    pub(crate) async fn extend_lease(&self, ttl: Option<Duration>) -> Result<Outcome> {
        let new = ttl.map(valid_ttl).transpose()?;
        let mut lease = self.lease();
        let ttl = new.unwrap_or(lease.lock.ttl);
        let request = async move |executor: &mut P::Executor| {
            let outcome = protocol::extend_to(executor, &mut lease, ttl).await?;
            Ok((lease, outcome))
        };
        let (lease, outcome) = self.locker.ask(Some(self.patience()), request).await?;
        if outcome.is_lost() {
            self.held.gone();
        } else if !self.held.extended(lease.trusted_until()) {
            return Ok(Outcome::Lost);
        } else if let Some(ttl) = new {
            self.held.change_ttl(ttl);
            let every = self.locker.settings.every(ttl);
            self.locker.keeper.change(self.number, every);
        }
        Ok(outcome)
    }

    pub(crate) async fn replace_data(&self, data: Option<&str>) -> Result<Outcome> {
        let (lease, data) = (self.lease(), data.map(str::to_owned));
        let request = async move |executor: &mut P::Executor| {
            protocol::set_data(executor, &lease, data.as_deref()).await
        };
        let outcome = self.locker.ask(Some(self.patience()), request).await?;
        if outcome.is_lost() {
            self.held.gone();
        }
        Ok(outcome)
    }

    /// Gives the lock back. If this is cancelled, the lock is given back in the background.
    pub(crate) async fn give_back(self) -> Result<Outcome> {
        let (lease, how) = (self.lease(), self.locker.settings.release);
        self.end_with(async move |executor: &mut P::Executor| how.lease(executor, &lease).await)
            .await
    }

    /// Lets the lease expire after this time.
    async fn retire(self, rest: Duration) -> Result<Outcome> {
        let lease = self.lease();
        self.end_with(async move |executor: &mut P::Executor| {
            protocol::retire(executor, &lease, rest).await
        })
        .await
    }

    async fn end_with<F>(mut self, request: F) -> Result<Outcome>
    where
        for<'r> F: AsyncFnOnce(&'r mut P::Executor) -> Result<Outcome>
            + AsyncWork<&'r mut P::Executor, Result<Outcome>, Future: Send>
            + Send
            + 'static,
    {
        self.end(); // from here on the request ends by itself, whether or not anybody waits for it
        let within = self.locker.settings.release.within;
        let (pool, queues) = (self.locker.pool.clone(), self.locker.queues.clone());
        let held = self.held.clone();
        let ending = async move {
            let outcome = on_connection(pool, Some(within), None, request).await;
            given_back(&held, &queues, &outcome);
            outcome
        };
        let outcome = P::Runtime::detach_after(Some(within), ending).await;
        outcome.unwrap_or(Err(Error::NoAnswer { within }))
    }

    /// Ends a run: gives the lock back, or keeps it for the rest of its shortest time. Returns how the run went.
    pub(crate) async fn conclude<T>(self, done: Option<T>) -> Run<T> {
        let was_held = self.is_valid();
        let shortest = self.locker.settings.at_least;
        let rest = shortest.saturating_sub(self.held.held());
        let outcome = if rest.is_zero() || !was_held {
            self.give_back().await
        } else {
            self.retire(rest).await
        };
        let is_lost = !was_held || matches!(outcome, Ok(Outcome::Lost));
        match done {
            Some(value) if !is_lost => Run::Done(value),
            value => Run::Lost(value),
        }
    }

    /// The timeout for a request: as long as the lock may be relied on, within bounds. A pinned lease has no deadline,
    /// so there is a longest timeout. A guard can ask about a lost lock, too, so there is a shortest timeout.
    pub(super) fn patience(&self) -> Duration {
        const SHORTEST: Duration = Duration::from_secs(1);
        const LONGEST: Duration = Duration::from_secs(30);
        self.trusted_for().clamp(SHORTEST, LONGEST)
    }
}
