//! From a lease to a guard, and the end of all guards.

use std::sync::Arc;

use super::chore::Chore;
use super::event::EventKind;
use super::held_lease::{HeldLease, Pinning};
use super::pool::Pool;
use super::request::is_inside_transaction;
use super::turn::Turn;
use crate::answer::Forced;
use crate::clock::Moment;
use crate::error::{Error, Result};
use crate::guard::Guard;
use crate::lease::Lease;
use crate::lock::Lock;
use crate::locker::Locker;
use crate::protocol::{self, Executor, Session};

impl<P: Pool> Locker<P> {
    /// Keeps a lease alive from now on, and returns its guard.
    pub(super) fn guard_of(
        &self,
        lease: Lease,
        ends: Option<Moment>,
        turn: Option<Turn>,
    ) -> Result<Guard<P>> {
        let every = self.settings.every(lease.lock.ttl);
        let held = self.held_lease(lease, ends, turn);
        self.queues.held(held.lock(), held.fence());
        if let Some(number) = self.keeper.keep(held.clone(), every) {
            return Ok(Guard::new(self.clone(), number, held));
        }
        self.give_back_later(held, Moment::default());
        Err(Error::Closed)
    }

    /// Gives back, in the background, a lease that has no guard.
    pub(super) fn give_back(&self, lease: Lease) {
        self.give_back_later(self.held_lease(lease, None, None), Moment::default());
    }

    /// Extends a lease that was acquired elsewhere, and keeps it alive from now on.
    pub(crate) async fn adopt_lease(&self, mut lease: Lease) -> Result<Guard<P>> {
        if self.keeper.is_closed() {
            return Err(Error::Closed);
        }
        let sent = Moment::now();
        let request = async move |executor: &mut P::Executor| {
            // A blocking connection was not asked when it was checked out.
            if protocol::session(executor).await? != Session::Ready {
                return Err(is_inside_transaction());
            }
            let outcome = protocol::extend(executor, &mut lease).await?;
            Ok((lease, outcome))
        };
        let (lease, outcome) = self.ask(None, request).await?;
        if outcome.is_lost() {
            return Err(lease.lost());
        }
        let guard = self.guard_of(lease, self.settings.ends(sent), None)?;
        let waited = Moment::now().since(sent);
        guard.tell(EventKind::Acquired { waited });
        Ok(guard)
    }

    /// Takes a lock away from its holder, and wakes the waiters of this process. If the holder is in this process, its
    /// guard is told at once.
    pub(crate) async fn take_away(&self, lock: Lock) -> Result<Forced> {
        let freed = lock.clone();
        let request =
            async move |executor: &mut P::Executor| protocol::force_release(executor, &lock).await;
        let forced = self.ask(None, request).await;
        self.queues.released(&freed);
        self.keeper.ask_about(&freed);
        forced
    }

    /// Releases all leases, accepts no new ones, and waits until the background has ended. The wait takes at most the
    /// timeout of a release.
    pub(crate) async fn shut_down(&self) {
        for held in self.keeper.close() {
            let until = held.stays_until();
            if held.close() {
                self.give_back_later(held, until);
            }
        }
        self.queues.end();
        if let Some(listening) = &self.listening {
            listening.close();
        }
        self.keeper.join(self.settings.release.within).await;
    }

    pub(super) fn tell(&self, lock: &Lock, what: EventKind<'_>) {
        self.settings.observer.tell(lock, None, what);
    }

    fn held_lease(&self, lease: Lease, ends: Option<Moment>, turn: Option<Turn>) -> Arc<HeldLease> {
        let observer = self.settings.observer.clone();
        let at_least = self.settings.at_least;
        let pins = Pinning::of::<<P::Executor as Executor>::Backend>(&lease.lock);
        let held = HeldLease::new(lease, at_least, ends, pins, observer);
        Arc::new(held.in_turn(turn))
    }

    /// Gives a lease back in the background. The lock stays held until this moment.
    pub(crate) fn give_back_later(&self, held: Arc<HeldLease>, until: Moment) {
        let how = self.settings.release.not_before(until);
        self.keeper.later(Chore::Release(held, how));
    }
}
