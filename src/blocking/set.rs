//! Acquiring several locks.

use std::borrow::Borrow;

use super::connection::{Blocking, LockConnection, ready};
use crate::answer::Attempt;
use crate::error::Result;
use crate::lease::Lease;
use crate::protocol::sets;
use crate::set::LockSet;
use crate::wait::Wait;

/// Acquiring the locks of a [`LockSet`].
pub trait LockSetDsl: Borrow<LockSet> {
    /// Tries once to acquire all of them: the leases in the order of their keys, or busy and none.
    ///
    /// On PostgreSQL and SQLite in one statement; on MySQL and MariaDB one after the other, and back if one is busy.
    /// At the first use of a name PostgreSQL needs two more.
    ///
    /// # Errors
    /// As [`LockDsl::try_acquire`](super::LockDsl::try_acquire).
    fn try_acquire_all<C: LockConnection>(&self, conn: &mut C) -> Result<Attempt<Vec<Lease>>> {
        self.acquire_all(conn, Wait::never())
    }

    /// Tries until all of them are acquired or the wait is over. Nothing is held between two tries, so that sets that
    /// share names cannot deadlock, and a large set can wait for long while small ones come and go.
    ///
    /// # Errors
    /// As [`LockDsl::acquire`](super::LockDsl::acquire).
    fn acquire_all<C: LockConnection>(
        &self,
        conn: &mut C,
        wait: Wait,
    ) -> Result<Attempt<Vec<Lease>>> {
        ready(sets::acquire_all(
            &mut Blocking::on(conn),
            self.borrow(),
            wait,
        ))
    }

    /// Tries once to acquire any one of them that is free; which one, the lease tells. Busy is busy with the holder
    /// whose lease ends the soonest.
    ///
    /// # Errors
    /// As [`LockDsl::try_acquire`](super::LockDsl::try_acquire).
    fn try_acquire_any<C: LockConnection>(&self, conn: &mut C) -> Result<Attempt<Lease>> {
        self.acquire_any(conn, Wait::never())
    }

    /// Tries until one of them is acquired or the wait is over.
    ///
    /// # Errors
    /// As [`LockDsl::acquire`](super::LockDsl::acquire).
    fn acquire_any<C: LockConnection>(&self, conn: &mut C, wait: Wait) -> Result<Attempt<Lease>> {
        ready(sets::acquire_any(
            &mut Blocking::on(conn),
            self.borrow(),
            wait,
        ))
    }
}

impl LockSetDsl for LockSet {}
