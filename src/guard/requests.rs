//! The requests of a guard to the database, and the wait for its loss.

use std::time::Duration;

use super::Guard;
use crate::answer::{LeaseStatus, Outcome, Run};
use crate::clock::Moment;
use crate::error::Result;
use crate::managed::pool::{Pool, Runtime};
use crate::managed::releasing::GiveBack;
use crate::protocol::{self, Extension};

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
            // No deadline means that the lease is pinned on SQLite. Once it is unpinned, the watch rings at the deadline.
            let pause = rest.into_iter().chain(until_deadline).min();
            P::Runtime::wait(&self.held.bell, seen, pause.unwrap_or(Duration::MAX)).await;
        }
    }

    /// Extends the lease now. A new ttl counts for every later extension, too. Without an argument the lease is extended
    /// to the ttl that it has.
    pub(crate) async fn extend_lease(&self, how: Option<Extension>) -> Result<Outcome> {
        let mut lease = self.lease();
        let extension = how.unwrap_or(Extension::To(lease.lock.ttl)).valid()?;
        let request = async move |executor: &mut P::Executor| {
            let outcome = protocol::extend_for(executor, &mut lease, extension).await?;
            Ok((lease, outcome))
        };
        let (lease, outcome) = self.locker.ask(Some(self.patience()), request).await?;
        if outcome.is_lost() {
            self.held.gone();
        } else if !self.held.extended(lease.trusted_until()) {
            return Ok(Outcome::Lost);
        } else if let Some(Extension::To(ttl)) = how {
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

    /// Makes an error of an outcome that is lost.
    pub(crate) fn or_lost(&self, outcome: Result<Outcome>) -> Result<()> {
        outcome?.or_lost(&self.lease())
    }

    pub(crate) async fn read_status(&self) -> Result<LeaseStatus> {
        let lease = self.lease();
        let request =
            async move |executor: &mut P::Executor| protocol::status(executor, &lease).await;
        self.locker.ask(Some(self.patience()), request).await
    }

    /// Gives the lock back. If this is cancelled, the lock is given back in the background.
    pub(crate) async fn give_back(self) -> Result<Outcome> {
        let how = self.locker.settings.release;
        let how = how.not_before(self.held.stays_until());
        if !self.leave() {
            return Ok(Outcome::Lost); // the closed `Locker` gives the lock back
        }
        let (locker, held) = (self.locker.clone(), self.held.clone());
        GiveBack::new(locker, held, how).send().await
    }

    /// Ends a run: gives the lock back. Returns how the run went.
    pub(crate) async fn conclude<T>(self, done: Option<T>) -> Run<T> {
        let (was_held, key) = (self.is_valid(), self.lock().key().to_owned());
        let given_back = self.give_back().await;
        let is_lost = !was_held || matches!(given_back, Ok(Outcome::Lost));
        match done {
            Some(value) if !is_lost => Run::Done(value),
            value => Run::Lost { key, value },
        }
    }

    /// The timeout for a request: as long as the lock may be relied on, within bounds. A lease that is pinned on SQLite has
    /// no deadline, so there is a longest timeout. A guard can ask about a lost lock, too, so there is a shortest timeout.
    pub(super) fn patience(&self) -> Duration {
        const SHORTEST: Duration = Duration::from_secs(1);
        const LONGEST: Duration = Duration::from_secs(30);
        self.trusted_for().clamp(SHORTEST, LONGEST)
    }
}
