//! Acquiring several locks.

use std::borrow::Borrow;

use super::connection::{AsyncLockConnection, Asynchronous};
use crate::answer::Attempt;
use crate::error::Result;
use crate::lease::Lease;
use crate::protocol::sets;
use crate::set::LockSet;
use crate::wait::Wait;

/// Acquiring the locks of a [`LockSet`]: [`blocking::LockSetDsl`](crate::blocking::LockSetDsl), async.
pub trait LockSetDsl: Borrow<LockSet> + Sync {
    /// [`blocking::LockSetDsl::try_acquire_all`](crate::blocking::LockSetDsl::try_acquire_all), async.
    fn try_acquire_all<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
    ) -> impl Future<Output = Result<Attempt<Vec<Lease>>>> + Send {
        self.acquire_all(conn, Wait::never())
    }

    /// [`blocking::LockSetDsl::acquire_all`](crate::blocking::LockSetDsl::acquire_all), async.
    fn acquire_all<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
        wait: Wait,
    ) -> impl Future<Output = Result<Attempt<Vec<Lease>>>> + Send {
        async move { sets::acquire_all(&mut Asynchronous::on(conn), self.borrow(), wait).await }
    }

    /// [`blocking::LockSetDsl::try_acquire_any`](crate::blocking::LockSetDsl::try_acquire_any), async.
    fn try_acquire_any<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
    ) -> impl Future<Output = Result<Attempt<Lease>>> + Send {
        self.acquire_any(conn, Wait::never())
    }

    /// [`blocking::LockSetDsl::acquire_any`](crate::blocking::LockSetDsl::acquire_any), async.
    fn acquire_any<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
        wait: Wait,
    ) -> impl Future<Output = Result<Attempt<Lease>>> + Send {
        async move { sets::acquire_any(&mut Asynchronous::on(conn), self.borrow(), wait).await }
    }
}

impl LockSetDsl for LockSet {}
