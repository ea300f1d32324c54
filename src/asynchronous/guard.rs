//! What the holder of a guard can do.

use std::time::Duration;

use super::connections::AsyncConnections;
use super::pool::AsyncPool;
use crate::answer::Outcome;
use crate::error::{Error, Result};
use crate::guard;
use crate::work::AsyncWork;

/// [`blocking::Guard`](crate::blocking::Guard), async: a lock that is held, and kept alive in the background.
pub type Guard<P> = guard::Guard<AsyncPool<P>>;

impl<P: AsyncConnections> Guard<P> {
    /// Until the lock is lost: to select on beside the work. It stays pending while the lock is held.
    pub async fn lost(&self) {
        self.wait_for_loss(None).await;
    }

    /// [`blocking::Guard::transaction`](crate::blocking::Guard::transaction), async.
    ///
    /// Dropping the future drops the connection, and with it the transaction.
    ///
    /// # Errors
    /// As there.
    pub async fn transaction<'a, T, X, F>(&'a self, work: F) -> Result<T, X>
    where
        T: Send,
        X: From<Error> + Send,
        for<'r> F: AsyncFnOnce(&'r mut P::Connection) -> Result<T, X>
            + AsyncWork<&'r mut P::Connection, Result<T, X>, Future: Send>
            + Send
            + 'a,
    {
        let mut guarded = self.open_transaction().await?;
        let done = work(guarded.connection()).await;
        guarded.close(done).await
    }

    /// [`blocking::Guard::finish`](crate::blocking::Guard::finish), async; see [`transaction`](Self::transaction).
    ///
    /// # Errors
    /// As there.
    pub async fn finish<'a, T, X, F>(self, work: F) -> Result<T, X>
    where
        T: Send,
        X: From<Error> + Send,
        for<'r> F: AsyncFnOnce(&'r mut P::Connection) -> Result<T, X>
            + AsyncWork<&'r mut P::Connection, Result<T, X>, Future: Send>
            + Send
            + 'a,
    {
        let mut guarded = self.open_transaction().await?;
        let done = work(guarded.connection()).await;
        let value = guarded.finish(done).await?;
        self.finished();
        Ok(value)
    }

    /// [`blocking::Guard::extend`](crate::blocking::Guard::extend), async.
    ///
    /// # Errors
    /// As there.
    pub async fn extend(&self) -> Result<Outcome> {
        self.extend_lease(None).await
    }

    /// [`blocking::Guard::extend_to`](crate::blocking::Guard::extend_to), async.
    ///
    /// # Errors
    /// As there.
    pub async fn extend_to(&self, ttl: Duration) -> Result<Outcome> {
        self.extend_lease(Some(ttl)).await
    }

    /// [`blocking::Guard::set_data`](crate::blocking::Guard::set_data), async.
    ///
    /// # Errors
    /// As there.
    pub async fn set_data(&self, data: Option<&str>) -> Result<Outcome> {
        self.replace_data(data).await
    }

    /// [`blocking::Guard::release`](crate::blocking::Guard::release), async. Dropping the future leaves it to the background.
    ///
    /// # Errors
    /// As there.
    pub async fn release(self) -> Result<Outcome> {
        self.give_back().await
    }
}
