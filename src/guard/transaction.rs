//! A transaction under guards, in which their leases are pinned.

use std::sync::Arc;

use super::Guard;
use crate::answer::Outcome;
use crate::clock::Moment;
use crate::error::{Error, Result};
use crate::lease::Lease;
use crate::locker::Locker;
use crate::managed::pool::Pool;
use crate::managed::releasing::tell_given_back;
use crate::protocol::guarded::{self, End};
use crate::protocol::{Executor, Transactions};

/// An open transaction. If it is dropped before its end, its connection is not used again.
pub(crate) struct GuardedTransaction<'g, P: Pool> {
    executor: P::Executor,
    opened: guarded::Opened,
    pins: Pins<'g, P>,
}

/// While the pins live, the leases count as pinned.
struct Pins<'g, P: Pool> {
    guards: Vec<&'g Guard<P>>,
    /// The leases of the guards, in the same order.
    leases: Vec<Lease>,
}

impl<P: Pool> Locker<P> {
    /// Opens a transaction on a connection of the pool, and pins the leases of the guards.
    pub(crate) async fn open_transaction<'g>(
        &self,
        guards: &[&'g Guard<P>],
    ) -> Result<GuardedTransaction<'g, P>> {
        if guards.is_empty() {
            return Err(Error::Invalid {
                what: "number of guards",
                value: "0".to_owned(),
                remedy: "at least one guard, whose lease is pinned: use Diesel's `transaction` without a guard",
            });
        }
        let mut guards = guards.to_vec();
        // Two transactions under the same guards extend the leases in the same order, so they do not deadlock.
        guards.sort_by_key(|guard| (&guard.lock().table, guard.lock().key()));
        for guard in &guards {
            guard.check()?;
        }
        let patience = guards.iter().map(|guard| guard.patience()).min();
        let mut executor = self.pool.check_out(patience).await?;
        let mut leases: Vec<Lease> = guards.iter().map(|guard| guard.lease()).collect();
        let opened = match guarded::open(&mut executor, &mut leases).await {
            Ok(opened) => opened,
            Err(error) => {
                if !error.is_connection() && !executor.in_transaction() {
                    P::put_back(executor);
                }
                self.note_lost(&guards, &error);
                return Err(error);
            }
        };
        match Pins::new(&guards, leases) {
            Ok(pins) => Ok(GuardedTransaction {
                executor,
                opened,
                pins,
            }),
            Err(error) => {
                let _ = executor.rollback().await;
                P::put_back(executor);
                Err(error)
            }
        }
    }

    /// Ends the trust in a lease that the database has found lost. If there are several leases, a heartbeat finds out
    /// which. A guard of another `Locker` may be of another database, so its own keeper asks, too.
    fn note_lost(&self, guards: &[&Guard<P>], error: &Error) {
        if !matches!(error, Error::Lost { .. }) {
            return;
        }
        for guard in guards {
            let keeper = &guard.locker.keeper;
            if guards.len() == 1 && Arc::ptr_eq(keeper, &self.keeper) {
                guard.held.gone();
            } else {
                keeper.ask_about(guard.lock());
            }
        }
    }
}

impl<P: Pool> GuardedTransaction<'_, P> {
    pub(crate) fn connection(&mut self) -> &mut P::Connection {
        P::connection(&mut self.executor)
    }

    /// Ends the transaction: commits if the work succeeded, and rolls back otherwise.
    pub(crate) async fn close<T, X: From<Error>>(self, work: Result<T, X>) -> Result<T, X> {
        self.end(End::Keep, work).await
    }

    /// Ends the transaction under one guard: commits and gives the lock back if the work succeeded, and rolls back
    /// otherwise. What could not be given back is for the drop of the guard.
    pub(crate) async fn finish<T, X: From<Error>>(self, work: Result<T, X>) -> Result<T, X> {
        let held = &self.pins.guards[0].held;
        let end = if held.is_let_go() {
            End::Keep // the closed `Locker` gives the lock back
        } else {
            // The commit decides, and not the trust: if it succeeds, the lock was held all the time.
            End::after(held.at_least_until().since(Moment::now()))
        };
        self.end(end, work).await
    }

    async fn end<T, X: From<Error>>(mut self, end: End, work: Result<T, X>) -> Result<T, X> {
        let leases = &mut self.pins.leases;
        let done = guarded::close(&mut self.executor, leases, self.opened, end, work).await;
        let is_settled = done.as_ref().is_ok_and(|closed| closed.is_settled);
        let given_back: &[&Guard<P>] = match end {
            End::Release | End::Retire(_) if is_settled => &self.pins.guards,
            _ => &[],
        };
        for guard in given_back {
            guard.leave(); // before the pins end: from then on a heartbeat would find the released lease lost
        }
        if !self.executor.in_transaction() {
            P::put_back(self.executor); // otherwise the connection is dropped, and with it the transaction
        }
        for guard in given_back {
            tell_given_back(&guard.held, &guard.locker.queues, &Ok(Outcome::Done));
        }
        done.map(|closed| closed.value)
    }
}

impl<'g, P: Pool> Pins<'g, P> {
    /// Fails if the trust in a lease has ended meanwhile. The pins before it end then.
    fn new(guards: &[&'g Guard<P>], leases: Vec<Lease>) -> Result<Self> {
        let mut pins = Self {
            guards: Vec::new(),
            leases: Vec::new(),
        };
        for (guard, lease) in guards.iter().zip(leases) {
            // Before the transaction the lease may have been extended.
            if !guard.held.extended(lease.trusted_until()) || !guard.held.pinned() {
                return Err(lease.lost());
            }
            pins.guards.push(guard);
            pins.leases.push(lease);
        }
        Ok(pins)
    }
}

impl<P: Pool> Drop for Pins<'_, P> {
    fn drop(&mut self) {
        for (guard, lease) in self.guards.iter().zip(&self.leases) {
            let keeper = &guard.locker.keeper;
            keeper.unpinned(guard.number, &guard.held, lease);
        }
    }
}
