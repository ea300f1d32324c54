//! Async locks with async methods, for tests that are tasks themselves and drop the futures.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};

use diesel_locks::{List, Lock, LockSet, Result, Wait};
use diesel_locks_tests::managed::{AnyGuard, Held, Job, Managed};
use diesel_locks_tests::session::Work;
use diesel_locks_tests::{Answer, Engine};

use super::pool::{self, Gate, Setup, State, Stranger};
use crate::probe::write_sql;

pub struct Tasks {
    locks: Box<dyn Managed>,
    state: State,
    stranger: Stranger,
}

pub fn tasks(engine: Engine, url: &str, setup: &Setup) -> Arc<Tasks> {
    let (locks, state, stranger) = pool::asynchronous(engine, url, setup, &Gate::default());
    Arc::new(Tasks {
        locks,
        state,
        stranger,
    })
}

impl Deref for Tasks {
    type Target = dyn Managed;

    fn deref(&self) -> &Self::Target {
        &*self.locks
    }
}

impl Tasks {
    pub fn acquire_all<'a>(&'a self, set: &'a LockSet) -> Answer<'a, Result<Vec<AnyGuard>>> {
        self.locks.acquire_all(set, Wait::forever())
    }

    pub fn acquire_any<'a>(&'a self, set: &'a LockSet) -> Answer<'a, Result<AnyGuard>> {
        self.locks.acquire_any(set, Wait::forever())
    }

    /// Runs a guarded transaction that writes. Returns whether it committed.
    pub async fn run(&self, lock: &Lock, scope: &str) -> Result<bool> {
        let scope = scope.to_owned();
        let job: Job = Box::new(move |guard| {
            Box::pin(async move { i64::from(guard.write(&scope).await.is_ok()) })
        });
        let run = self.locks.run(lock, Wait::forever(), job).await?;
        Ok(run.done() == Some(1))
    }

    pub async fn ask(&self) -> Result<()> {
        let list = List::all().limit(1);
        self.locks.list(&list).await.map(drop)
    }

    /// A query of another user of the pool.
    pub async fn stranger(&self) {
        (self.stranger)().await;
    }

    /// The number of the pool's connections, and the number of those that are idle.
    pub fn connections(&self) -> (u32, u32) {
        (self.state)()
    }
}

/// The write under a guard of these tests.
pub trait Writing {
    /// Writes to the ledger in a guarded transaction. Returns the number of rows with a larger fence.
    fn write<'a>(&'a self, scope: &str) -> Answer<'a, Result<i64>>;
}

impl Writing for dyn Held + '_ {
    fn write<'a>(&'a self, scope: &str) -> Answer<'a, Result<i64>> {
        let (work, later) = writing(scope, self.fence());
        Box::pin(async move {
            self.transaction(work).await?;
            Ok(later.load(SeqCst))
        })
    }
}

/// Work that writes to the ledger, and the place where it stores the number of rows with a larger fence.
pub fn writing(scope: &str, fence: i64) -> (Work, Arc<AtomicI64>) {
    let ([write, look], later) = (write_sql(scope, fence), Arc::new(AtomicI64::new(0)));
    let seen = later.clone();
    let work: Work = Box::new(move |conn| {
        Box::pin(async move {
            conn.batch(&write).await?;
            seen.store(conn.number(&look).await?, SeqCst);
            Ok(())
        })
    });
    (work, later)
}
