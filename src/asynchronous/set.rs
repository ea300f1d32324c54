//! Acquiring several locks on an async connection.

use std::borrow::Borrow;

use super::connection::{AsyncLockConnection, Asynchronous};
use crate::answer::Attempt;
use crate::error::Result;
use crate::lease::Lease;
use crate::protocol::sets;
use crate::set::LockSet;
use crate::wait::Wait;

/// Acquires the locks of a [`LockSet`]: the async form of [`blocking::LockSetDsl`](crate::blocking::LockSetDsl).
pub trait LockSetDsl: Borrow<LockSet> + Sync {
    /// Tries once to acquire all locks of the set: the async form of
    /// [`blocking::LockSetDsl::try_acquire_all`](crate::blocking::LockSetDsl::try_acquire_all).
    fn try_acquire_all<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
    ) -> impl Future<Output = Result<Attempt<Vec<Lease>>>> + Send {
        self.acquire_all(conn, Wait::never())
    }

    /// Waits for all locks of the set: the async form of
    /// [`blocking::LockSetDsl::acquire_all`](crate::blocking::LockSetDsl::acquire_all).
    fn acquire_all<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
        wait: Wait,
    ) -> impl Future<Output = Result<Attempt<Vec<Lease>>>> + Send {
        async move { sets::acquire_all(&mut Asynchronous::on(conn), self.borrow(), wait).await }
    }

    /// Tries once to acquire any one lock of the set: the async form of
    /// [`blocking::LockSetDsl::try_acquire_any`](crate::blocking::LockSetDsl::try_acquire_any).
    fn try_acquire_any<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
    ) -> impl Future<Output = Result<Attempt<Lease>>> + Send {
        self.acquire_any(conn, Wait::never())
    }

    /// Waits for any one lock of the set: the async form of
    /// [`blocking::LockSetDsl::acquire_any`](crate::blocking::LockSetDsl::acquire_any).
    fn acquire_any<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
        wait: Wait,
    ) -> impl Future<Output = Result<Attempt<Lease>>> + Send {
        async move { sets::acquire_any(&mut Asynchronous::on(conn), self.borrow(), wait).await }
    }
}

impl LockSetDsl for LockSet {}
