//! Acquiring a lock.

use std::borrow::Borrow;

use super::connection::{AsyncLockConnection, Asynchronous};
use crate::answer::{Attempt, Forced, Record};
use crate::error::{Error, Result};
use crate::lease::Lease;
use crate::lock::Lock;
use crate::protocol;
use crate::protocol::guarded::{self, End};
use crate::wait::Wait;
use crate::work::AsyncLeasedWork;

/// Acquiring a [`Lock`], and looking at one: [`blocking::LockDsl`](crate::blocking::LockDsl), async.
pub trait LockDsl: Borrow<Lock> + Sync {
    /// [`blocking::LockDsl::try_acquire`](crate::blocking::LockDsl::try_acquire), async.
    fn try_acquire<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
    ) -> impl Future<Output = Result<Attempt>> + Send {
        async move { protocol::try_acquire(&mut Asynchronous::on(conn), self.borrow()).await }
    }

    /// [`blocking::LockDsl::acquire`](crate::blocking::LockDsl::acquire), async.
    ///
    /// Cancel-safe while it waits. Cancelled while the database is being asked, the lock may have been acquired all
    /// the same: it is free after its ttl, or found again by acquiring with the same [`Lock::with_token`].
    fn acquire<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
        wait: Wait,
    ) -> impl Future<Output = Result<Attempt>> + Send {
        async move { protocol::acquire(&mut Asynchronous::on(conn), self.borrow(), wait).await }
    }

    /// [`blocking::LockDsl::try_hold`](crate::blocking::LockDsl::try_hold), async.
    fn try_hold<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
    ) -> impl Future<Output = Result<Attempt<i64>>> + Send {
        async move { protocol::try_hold(&mut Asynchronous::on(conn), self.borrow()).await }
    }

    /// [`blocking::LockDsl::transaction`](crate::blocking::LockDsl::transaction), async.
    ///
    /// Dropping the future leaves the connection inside the transaction, as with diesel-async's own, and the lock held
    /// for its ttl; a pool discards such a connection, and with it the transaction.
    fn transaction<'a, C, T, X, F>(
        &'a self,
        conn: &'a mut C,
        wait: Wait,
        work: F,
    ) -> impl Future<Output = Result<Attempt<T>, X>> + Send + 'a
    where
        C: AsyncLockConnection,
        T: Send + 'a,
        X: From<Error> + Send + 'a,
        for<'r, 's> F: AsyncFnOnce(&'r mut C, &'s Lease) -> Result<T, X>
            + AsyncLeasedWork<&'r mut C, &'s Lease, Result<T, X>, Future: Send>
            + Send
            + 'a,
    {
        async move {
            let mut lease = match self.acquire(conn, wait).await? {
                Attempt::Acquired(lease) => lease,
                Attempt::Busy(holder) => return Ok(Attempt::Busy(holder)),
            };
            let guarded = guarded::open(&mut Asynchronous::on(conn), &mut lease).await;
            let done = match guarded {
                Ok(guarded) => {
                    let done = work(conn, &lease).await;
                    let end = End::Release;
                    guarded::close(&mut Asynchronous::on(conn), &mut lease, guarded, end, done)
                        .await
                }
                Err(error) => Err(error.into()),
            };
            guarded::finish(&mut Asynchronous::on(conn), &lease, done).await
        }
    }

    /// [`blocking::LockDsl::inspect`](crate::blocking::LockDsl::inspect), async.
    fn inspect<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
    ) -> impl Future<Output = Result<Option<Record>>> + Send {
        async move { protocol::inspect(&mut Asynchronous::on(conn), self.borrow()).await }
    }

    /// [`blocking::LockDsl::is_held`](crate::blocking::LockDsl::is_held), async.
    fn is_held<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
    ) -> impl Future<Output = Result<bool>> + Send {
        async move { protocol::is_held(&mut Asynchronous::on(conn), self.borrow()).await }
    }

    /// [`blocking::LockDsl::force_release`](crate::blocking::LockDsl::force_release), async.
    fn force_release<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
    ) -> impl Future<Output = Result<Forced>> + Send {
        async move { protocol::force_release(&mut Asynchronous::on(conn), self.borrow()).await }
    }
}

impl LockDsl for Lock {}
