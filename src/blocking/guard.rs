//! What the holder of a guard can do.

use std::time::Duration;

use super::connection::ready;
use super::connections::Connections;
use super::pool::BlockingPool;
use crate::answer::Outcome;
use crate::error::{Error, Result};
use crate::guard;

/// A lock that is held, and kept alive in the background until it is released, dropped or lost. What it knows without
/// asking the database is at [`locker::Guard`](crate::locker::Guard).
pub type Guard<P> = guard::Guard<BlockingPool<P>>;

impl<P: Connections> Guard<P> {
    /// Waits until the lock is lost, for so long at most; whether it is. For a thread that stops the work.
    #[must_use]
    pub fn lost_within(&self, time: Duration) -> bool {
        ready(self.wait_for_loss(Some(time)))
    }

    /// Does the work in a transaction on a connection of the pool, in which the lease is pinned: what is written there
    /// commits under this lock, or not at all.
    ///
    /// The work is not begun unless the lock is held. While the transaction is open nobody takes the lock over, so no
    /// deadline ends it, however long it takes; at its end the lease is extended. The work's own errors roll back
    /// and come back unchanged.
    ///
    /// # Errors
    /// [`Error::Lost`] if the lock is lost, the work's own errors, and whatever the pool or the database says.
    pub fn transaction<T, X>(
        &self,
        work: impl FnOnce(&mut P::Connection) -> Result<T, X>,
    ) -> Result<T, X>
    where
        X: From<Error>,
    {
        let mut guarded = ready(self.open_transaction())?;
        let done = work(guarded.connection());
        ready(guarded.close(done))
    }

    /// The same as [`transaction`](Self::transaction), and releases the lock with the commit: the last transaction under it.
    ///
    /// # Errors
    /// As [`transaction`](Self::transaction). The lock is given back in the background then.
    pub fn finish<T, X>(self, work: impl FnOnce(&mut P::Connection) -> Result<T, X>) -> Result<T, X>
    where
        X: From<Error>,
    {
        let mut guarded = ready(self.open_transaction())?;
        let done = work(guarded.connection());
        let value = ready(guarded.finish(done))?;
        self.finished();
        Ok(value)
    }

    /// Extends the lease now, and asks the database in this way whether it is still ours. The keeper does it by itself; use
    /// it before something expensive.
    ///
    /// # Errors
    /// Whatever the pool or the database says. Then the lease is neither extended nor lost.
    pub fn extend(&self) -> Result<Outcome> {
        ready(self.extend_lease(None))
    }

    /// Extends the lease to this ttl, now and from now on.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a ttl out of bounds; otherwise as [`extend`](Self::extend).
    pub fn extend_to(&self, ttl: Duration) -> Result<Outcome> {
        ready(self.extend_lease(Some(ttl)))
    }

    /// Replaces the text left with the lock, or removes it with `None`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for more than 4,096 bytes, and whatever the pool or the database says.
    pub fn set_data(&self, data: Option<&str>) -> Result<Outcome> {
        ready(self.replace_data(data))
    }

    /// Gives the lock back, and tells whether it was still held.
    ///
    /// # Errors
    /// Whatever the pool or the database says; then it is free after its ttl.
    pub fn release(self) -> Result<Outcome> {
        ready(self.give_back())
    }
}
