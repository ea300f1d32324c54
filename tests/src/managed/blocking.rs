//! Blocking locks.

use std::any::Any;
use std::time::Duration;

use diesel_locks::blocking::{Connections, Guard, Locker};
use diesel_locks::locker::Purging;
use diesel_locks::{
    Attempt, Forced, Lease, LeaseStatus, List, Lock, LockSet, Outcome, Record, Released, Result,
    Run, Table, Wait,
};

use super::{
    AnyGuard, Held, Job, Managed, Observer, become_any, guard_operations, implement, managed,
    operations,
};
use crate::Answer;
use crate::session::{Session, Work, answer, closure};

managed! { Connections, [] }

#[allow(clippy::unused_async)] // the async one awaits
async fn lost_within<P: Connections>(guard: &Guard<P>, time: Duration) -> bool {
    guard.lost_within(time)
}
