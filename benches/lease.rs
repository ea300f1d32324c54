//! Leases that nobody contends for.

use diesel_locks::blocking::{LeaseDsl, LockConnection, LockDsl};
use diesel_locks::{Attempt, Lease, Lock, Result};

/// What was acquired.
pub fn won<T>(attempt: Result<Attempt<T>>) -> T {
    attempt.unwrap().acquired().expect("nobody else is here")
}

pub fn take<C: LockConnection>(conn: &mut C, lock: &Lock) -> Lease {
    won(lock.try_acquire(conn))
}

/// Acquires and releases.
pub fn pair<C: LockConnection>(conn: &mut C, lock: &Lock) {
    take(conn, lock).release(conn).unwrap();
}
