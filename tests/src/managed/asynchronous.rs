//! Async locks.

use std::any::Any;
use std::time::Duration;

use diesel_locks::asynchronous::{AsyncConnections, Guard, Locker};
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

managed! { AsyncConnections, [.await] }

async fn lost_within<P: AsyncConnections>(guard: &Guard<P>, time: Duration) -> bool {
    tokio::time::timeout(time, guard.lost()).await.is_ok()
}
