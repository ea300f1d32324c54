//! Async locks in their own words: for tests that are tasks themselves.

use diesel_locks::{Attempt, Lease, Lock, LockSet, Outcome, Result, Wait};
use diesel_locks_tests::Answer;

/// What can be done with async locks, as futures to be dropped.
pub trait Tasks: Send + Sync {
    fn acquire<'a>(&'a self, lock: &'a Lock, wait: Wait) -> Answer<'a, Result<Box<dyn Tasked>>>;
    fn try_acquire<'a>(&'a self, lock: &'a Lock) -> Answer<'a, Result<Attempt<Box<dyn Tasked>>>>;
    fn acquire_all<'a>(&'a self, set: &'a LockSet) -> Answer<'a, Result<Vec<Box<dyn Tasked>>>>;
    fn acquire_any<'a>(&'a self, set: &'a LockSet) -> Answer<'a, Result<Box<dyn Tasked>>>;
    fn adopt(&self, lease: Lease) -> Answer<'_, Result<Box<dyn Tasked>>>;
    /// The work is a guarded transaction that writes.
    fn run<'a>(&'a self, lock: &'a Lock, scope: &'a str) -> Answer<'a, Result<bool>>;
    fn ask(&self) -> Answer<'_, Result<()>>;
    fn close(&self) -> Answer<'_, ()>;
    /// Connections that the pool has, and those of them that nobody uses.
    fn connections(&self) -> (u32, u32);
}

pub trait Tasked: Send + Sync {
    fn fence(&self) -> i64;
    fn is_valid(&self) -> bool;
    fn lost(&self) -> Answer<'_, ()>;
    fn extend(&self) -> Answer<'_, Result<Outcome>>;
    fn write<'a>(&'a self, scope: &'a str) -> Answer<'a, Result<i64>>;
    fn finish(self: Box<Self>, scope: &str) -> Answer<'_, Result<i64>>;
    fn release(self: Box<Self>) -> Answer<'static, Result<Outcome>>;
    fn into_lease(self: Box<Self>) -> Lease;
}
