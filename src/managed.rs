//! Managed locks: who waits, what is kept alive, who is told. Written once for threads and for tasks.
//!
//! - [`life`]: whether a lease may be relied on; [`kept`]: that, shared by a guard and the keeper.
//! - [`roster`]: which leases are to be extended when; [`keeper`]: what does it in the background.
//! - [`line`]: those who wait for the same lock; [`waiting`]: how they do.
//! - [`manager`]: what a `Locks` does; [`hold`]: what its guards do.
//! - [`asking`]: what is asked of the database; [`chore`]: what is given back for guards that are gone.
//! - [`listening`]: hearing of releases; [`event`]: telling what happens.
//! - [`ground`]: all that differs between blocking and async.

pub(crate) mod asking;
pub(crate) mod bell;
pub(crate) mod chore;
pub(crate) mod event;
pub(crate) mod fetched;
pub(crate) mod ground;
pub(crate) mod hold;
pub(crate) mod keeper;
pub(crate) mod kept;
mod life;
mod line;
pub(crate) mod listening;
pub(crate) mod manager;
pub(crate) mod purging;
pub(crate) mod roster;
pub(crate) mod settings;
pub(crate) mod span;
pub(crate) mod waiting;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A panic elsewhere leaves nothing half done here: each of these locks is held for one step.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
