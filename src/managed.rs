//! Managed locks: waiters, leases that are kept alive, and observers. The code is written once for threads and for
//! tasks.
//!
//! - [`pool`]: all that differs between blocking and async; [`request`]: asking the database on a connection of the pool.
//! - [`waiting`]: the wait for a lock; [`attempt`]: one try; [`queue`]: which waiter's turn it is; [`into_lock`]: what
//!   names a lock.
//! - [`guards`]: from a lease to a guard; [`held_lease`]: what a guard and the keeper share; [`trust`]: until when the
//!   lease may be trusted.
//! - [`crowd`]: requests that go to the database together.
//! - [`keeper`]: the background; [`beat`]: its extensions; [`schedule`]: when each lease is extended.
//! - [`releasing`]: how a lease is given back; [`chore`]: what the background does for guards that are gone.
//! - [`listening`]: notifications of releases; [`event`]: what observers are told.

pub(crate) mod attempt;
mod beat;
pub(crate) mod bell;
pub(crate) mod chore;
pub(crate) mod crowd;
pub(crate) mod event;
mod guards;
pub(crate) mod held_lease;
pub(crate) mod into_lock;
pub(crate) mod keeper;
pub(crate) mod listening;
pub(crate) mod pool;
pub(crate) mod purging;
pub(crate) mod queue;
pub(crate) mod releasing;
pub(crate) mod request;
pub(crate) mod schedule;
pub(crate) mod settings;
pub(crate) mod span;
mod trust;
pub(crate) mod turn;
pub(crate) mod waiting;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex, even if a panic has poisoned it. Such a panic leaves nothing half done: each of these mutexes is
/// locked for one step only.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
