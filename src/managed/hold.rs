//! What a guard does: it holds a lease that is kept, and lets go of it when it is dropped.

use std::sync::Arc;
use std::time::Duration;

use super::asking::{Ask, Extend, GiveBack, Retire, SetData, ask_on};
use super::chore::Chore;
use super::event::What;
use super::ground::{Ground, Mode, answer};
use super::kept::Kept;
use super::line::Lines;
use super::manager::Manager;
use crate::answer::{Outcome, Run};
use crate::clock::Moment;
use crate::error::{Error, Result};
use crate::lease::Lease;
use crate::lock::valid_ttl;
use crate::protocol::Transactions;
use crate::protocol::guarded::{self, End};

pub(crate) struct Hold<G: Ground> {
    manager: Manager<G>,
    number: u64,
    kept: Arc<Kept>,
    /// Whether there is nothing left to give back.
    is_done: bool,
}

impl<G: Ground> Hold<G> {
    pub(crate) fn new(manager: Manager<G>, number: u64, kept: Arc<Kept>) -> Self {
        Self {
            manager,
            number,
            kept,
            is_done: false,
        }
    }

    pub(crate) fn kept(&self) -> &Kept {
        &self.kept
    }

    pub(crate) fn lease(&self) -> Lease {
        self.kept.lease()
    }

    /// An error once it is lost.
    pub(crate) fn check(&self) -> Result<()> {
        if self.kept.goes_on() {
            return Ok(());
        }
        Err(lost(&self.lease()))
    }

    /// Until it is lost, for so long at most; whether it is.
    pub(crate) async fn lost(&self, at_most: Option<Duration>) -> bool {
        let began = Moment::now();
        loop {
            let seen = self.kept.bell.rings();
            if !self.kept.goes_on() {
                return true;
            }
            let rest = at_most.map(|time| time.saturating_sub(Moment::now().since(began)));
            if rest.is_some_and(|rest| rest.is_zero()) {
                return false;
            }
            let until_deadline = self.kept.deadline().map(|end| end.since(Moment::now()));
            // Without a deadline it is pinned; when that ends, the watch knows more.
            let pause = rest.into_iter().chain(until_deadline).min();
            G::Mode::wait(&self.kept.bell, seen, pause.unwrap_or(Duration::MAX)).await;
        }
    }

    pub(crate) async fn extend(&self, ttl: Option<Duration>) -> Result<Outcome> {
        let new = ttl.map(valid_ttl).transpose()?;
        let lease = self.lease();
        let ttl = new.unwrap_or(lease.lock.ttl);
        let (lease, outcome) = self.ask(Extend(lease, ttl)).await?;
        if outcome.is_lost() {
            self.kept.gone();
        } else if !self.kept.extended(lease.trusted_until()) {
            return Ok(Outcome::Lost);
        } else if let Some(ttl) = new {
            self.kept.change_ttl(ttl);
            let every = self.manager.settings.every(ttl);
            self.manager.keeper.change(self.number, every);
        }
        Ok(outcome)
    }

    pub(crate) async fn set_data(&self, data: Option<&str>) -> Result<Outcome> {
        let request = SetData(self.lease(), data.map(str::to_owned));
        let outcome = self.ask(request).await?;
        if outcome.is_lost() {
            self.kept.gone();
        }
        Ok(outcome)
    }

    /// Gives the lock back. Cancelled, it is given back in the background.
    pub(crate) async fn release(self) -> Result<Outcome> {
        let how = self.manager.settings.release;
        let request = GiveBack(self.lease(), how);
        self.end(request, how.within).await
    }

    /// Leaves the lease to run out, so long from now.
    pub(crate) async fn retire(self, rest: Duration) -> Result<Outcome> {
        let within = self.manager.settings.release.within;
        let request = Retire(self.lease(), rest);
        self.end(request, within).await
    }

    async fn end<A: Ask<Answer = Outcome>>(
        mut self,
        request: A,
        within: Duration,
    ) -> Result<Outcome> {
        self.leave();
        self.is_done = true; // from here on the request ends by itself, whoever waits for it
        let (manager, kept) = (self.manager.clone(), self.kept.clone());
        let ending = async move {
            let outcome = ask_on(manager.ground, Some(within), None, request).await;
            given_back(&kept, &manager.lines, &outcome);
            outcome
        };
        let outcome = G::Mode::within(Some(within), ending).await;
        outcome.unwrap_or(Err(Error::NoAnswer { within }))
    }

    /// The lease, which nobody extends from here on.
    pub(crate) fn into_lease(mut self) -> Lease {
        self.is_done = true;
        self.leave();
        self.lease()
    }

    /// Opens a transaction on a connection of the pool, and pins the lease.
    pub(crate) async fn open(&self) -> Result<Guarded<'_, G>> {
        self.check()?;
        let within = Some(self.patience());
        let (mut lease, mut executor) = (self.lease(), self.manager.ground.connect(within).await?);
        let opened = guarded::open(&mut executor, &mut lease).await;
        if matches!(opened, Err(Error::Lost { .. })) {
            self.kept.gone();
        }
        match opened {
            Ok(opened) if self.kept.pinned() => Ok(Guarded {
                executor,
                opened,
                pin: Pinned { hold: self, lease },
            }),
            Ok(_) => {
                let _ = executor.rollback().await;
                G::put_back(executor);
                Err(lost(&lease))
            }
            Err(error) => {
                G::put_back(executor);
                Err(error)
            }
        }
    }

    async fn ask<A: Ask>(&self, request: A) -> Result<A::Answer> {
        answer(&self.manager.ground, Some(self.patience()), request).await
    }

    /// As long as the lock may be relied on; but what is pinned has no end, and one that is lost can be asked about, too.
    fn patience(&self) -> Duration {
        const SHORTEST: Duration = Duration::from_secs(1);
        const LONGEST: Duration = Duration::from_secs(30);
        self.kept.left().clamp(SHORTEST, LONGEST)
    }

    /// The end of a run: gives the lock back, or keeps it for the rest of the shortest time, and says how it went.
    pub(crate) async fn conclude<T>(self, done: Option<T>) -> Run<T> {
        let was_held = self.kept.goes_on();
        let rest = self
            .manager
            .settings
            .at_least
            .saturating_sub(self.kept.held());
        let outcome = if rest.is_zero() || !was_held {
            self.release().await
        } else {
            self.retire(rest).await
        };
        let is_lost = !was_held || matches!(outcome, Ok(Outcome::Lost));
        match done {
            Some(value) if !is_lost => Run::Done(value),
            value => Run::Lost(value),
        }
    }

    /// A [`Guarded::finish`] was the end of it.
    pub(crate) fn finished(mut self) {
        self.is_done = true;
        self.leave();
        given_back(&self.kept, &self.manager.lines, &Ok(Outcome::Done));
    }

    pub(crate) fn tell(&self, what: What<'_>) {
        self.kept.tell(&self.lease(), what);
    }

    /// Keeps it no longer, and calls nothing that happens to it a loss; `false` if it is being given back already.
    fn leave(&mut self) -> bool {
        self.manager.keeper.leave(self.number);
        self.kept.let_go()
    }
}

/// Tells it to whoever wants to know, and to those who wait in this process.
pub(crate) fn given_back(kept: &Kept, lines: &Lines, outcome: &Result<Outcome>) {
    let lease = kept.lease();
    lines.released(&lease.lock);
    match outcome {
        Ok(Outcome::Lost) => kept.tell_lost(),
        Ok(_) => kept.tell(&lease, What::Released { held: kept.held() }),
        Err(error) => kept.tell(&lease, What::NotReleased { error }),
    }
}

impl<G: Ground> Drop for Hold<G> {
    fn drop(&mut self) {
        if self.is_done || !self.leave() {
            return;
        }
        let chore = Chore::Release(self.kept.clone(), self.manager.settings.release);
        self.manager.keeper.later(chore);
    }
}

/// A transaction in which the lease is pinned. Dropped before its end, its connection is not used again.
pub(crate) struct Guarded<'h, G: Ground> {
    executor: G::Executor,
    opened: guarded::Guarded,
    pin: Pinned<'h, G>,
}

/// While it lives, no deadline ends the lease.
pub(crate) struct Pinned<'h, G: Ground> {
    hold: &'h Hold<G>,
    lease: Lease,
}

impl<G: Ground> Guarded<'_, G> {
    pub(crate) fn connection(&mut self) -> &mut G::Connection {
        G::connection(&mut self.executor)
    }

    /// Ends it as the work did.
    pub(crate) async fn close<T, X: From<Error>>(mut self, work: Result<T, X>) -> Result<T, X> {
        let lease = &mut self.pin.lease;
        let done = guarded::close(&mut self.executor, lease, self.opened, End::Keep, work).await;
        G::put_back(self.executor);
        done
    }

    /// Ends it as the work did, and with a commit the lease, too.
    pub(crate) async fn finish<T, X: From<Error>>(mut self, work: Result<T, X>) -> Result<T, X> {
        let lease = &mut self.pin.lease;
        let done = guarded::close(&mut self.executor, lease, self.opened, End::Release, work).await;
        if done.is_ok() {
            let hold = self.pin.hold;
            hold.manager.keeper.leave(hold.number);
            hold.kept.let_go();
        }
        G::put_back(self.executor);
        done
    }
}

impl<G: Ground> Drop for Pinned<'_, G> {
    fn drop(&mut self) {
        let keeper = &self.hold.manager.keeper;
        keeper.unpinned(self.hold.number, &self.hold.kept, &self.lease);
    }
}

fn lost(lease: &Lease) -> Error {
    let name = lease.lock.key().to_owned();
    Error::Lost { name }
}
