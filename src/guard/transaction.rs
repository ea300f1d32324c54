//! A transaction under guards, in which their leases are pinned.

use super::Guard;
use crate::answer::Outcome;
use crate::error::{Error, Result};
use crate::lease::Lease;
use crate::locker::Locker;
use crate::managed::pool::Pool;
use crate::managed::releasing::given_back;
use crate::protocol::Transactions;
use crate::protocol::guarded::{self, End};

/// An open transaction. If it is dropped before its end, its connection is not used again.
pub(crate) struct GuardedTransaction<'g, P: Pool> {
    executor: P::Executor,
    opened: guarded::Opened,
    pins: Pins<'g, P>,
}

/// While the pins live, no deadline ends the trust in the leases.
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
        for guard in guards {
            guard.check()?;
        }
        let patience = guards.iter().map(|guard| guard.patience()).min();
        let mut executor = self.pool.check_out(patience).await?;
        let mut leases: Vec<Lease> = guards.iter().map(|guard| guard.lease()).collect();
        let opened = match guarded::open(&mut executor, &mut leases).await {
            Ok(opened) => opened,
            Err(error) => {
                P::put_back(executor);
                note_lost(guards, &error);
                return Err(error);
            }
        };
        match Pins::new(guards, leases) {
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
}

/// Ends the trust in a lease that the database has found lost. If there are several leases, a heartbeat finds out which.
fn note_lost<P: Pool>(guards: &[&Guard<P>], error: &Error) {
    match guards {
        _ if !matches!(error, Error::Lost { .. }) => {}
        [guard] => guard.held.gone(),
        guards => guards
            .iter()
            .for_each(|guard| guard.locker.keeper.ask_about(guard.lock())),
    }
}

impl<P: Pool> Guard<P> {
    /// Ends the guard, after [`GuardedTransaction::finish`] has released the lock.
    pub(crate) fn finished(mut self) {
        self.disarm();
        given_back(&self.held, &self.locker.queues, &Ok(Outcome::Done));
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
    /// otherwise.
    pub(crate) async fn finish<T, X: From<Error>>(self, work: Result<T, X>) -> Result<T, X> {
        let rest = self.pins.guards[0].held.rest();
        self.end(End::after(rest), work).await
    }

    async fn end<T, X: From<Error>>(mut self, end: End, work: Result<T, X>) -> Result<T, X> {
        let leases = &mut self.pins.leases;
        let done = guarded::close(&mut self.executor, leases, self.opened, end, work).await;
        if done.is_ok() && end != End::Keep {
            // Before the pins end: from then on a heartbeat would find the released lease lost.
            for guard in &self.pins.guards {
                guard.leave();
            }
        }
        P::put_back(self.executor);
        done
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
            if !guard.held.pinned() {
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
