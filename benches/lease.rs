//! Leases without contention.

use diesel_locks::blocking::{LeaseDsl, LockConnection, LockDsl};
use diesel_locks::{Attempt, Lease, Lock, Result};

/// The value of an attempt that must have acquired its lock.
pub fn expect_acquired<T>(attempt: Result<Attempt<T>>) -> T {
    attempt.unwrap().acquired().expect("the lock is free")
}

pub fn acquire<C: LockConnection>(conn: &mut C, lock: &Lock) -> Lease {
    expect_acquired(lock.try_acquire(conn))
}

/// Acquires the lock, and releases it.
pub fn pair<C: LockConnection>(conn: &mut C, lock: &Lock) {
    acquire(conn, lock).release(conn).unwrap();
}
