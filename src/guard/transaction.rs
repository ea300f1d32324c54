//! A transaction under a guard, in which the lease is pinned.

use super::Guard;
use crate::answer::Outcome;
use crate::error::{Error, Result};
use crate::lease::Lease;
use crate::managed::pool::Pool;
use crate::managed::releasing::given_back;
use crate::protocol::Transactions;
use crate::protocol::guarded::{self, End};

/// An open transaction. If it is dropped before its end, its connection is not used again.
pub(crate) struct GuardedTransaction<'g, P: Pool> {
    executor: P::Executor,
    opened: guarded::Guarded,
    pin: Pin<'g, P>,
}

/// While a pin lives, no deadline ends the trust in the lease.
struct Pin<'g, P: Pool> {
    guard: &'g Guard<P>,
    lease: Lease,
}

impl<P: Pool> Guard<P> {
    /// Opens a transaction on a connection of the pool, and pins the lease.
    pub(crate) async fn open_transaction(&self) -> Result<GuardedTransaction<'_, P>> {
        self.check()?;
        let mut lease = self.lease();
        let mut executor = self.locker.pool.check_out(Some(self.patience())).await?;
        let opened = guarded::open(&mut executor, &mut lease).await;
        if matches!(opened, Err(Error::Lost { .. })) {
            self.held.gone();
        }
        match opened {
            Ok(opened) if self.held.pinned() => Ok(GuardedTransaction {
                executor,
                opened,
                pin: Pin { guard: self, lease },
            }),
            Ok(_) => {
                let _ = executor.rollback().await;
                P::put_back(executor);
                Err(lease.lost())
            }
            Err(error) => {
                P::put_back(executor);
                Err(error)
            }
        }
    }

    /// Ends the guard, after [`GuardedTransaction::finish`] has released the lock.
    pub(crate) fn finished(mut self) {
        self.end();
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

    /// Ends the transaction: commits and releases the lock if the work succeeded, and rolls back otherwise.
    pub(crate) async fn finish<T, X: From<Error>>(self, work: Result<T, X>) -> Result<T, X> {
        let end = End::after(self.pin.guard.held.rest());
        self.end(end, work).await
    }

    async fn end<T, X: From<Error>>(mut self, end: End, work: Result<T, X>) -> Result<T, X> {
        let lease = &mut self.pin.lease;
        let done = guarded::close(&mut self.executor, lease, self.opened, end, work).await;
        if done.is_ok() && end != End::Keep {
            self.pin.guard.leave();
        }
        P::put_back(self.executor);
        done
    }
}

impl<P: Pool> Drop for Pin<'_, P> {
    fn drop(&mut self) {
        let keeper = &self.guard.locker.keeper;
        keeper.unpinned(self.guard.number, &self.guard.held, &self.lease);
    }
}
