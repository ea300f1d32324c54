//! A `Locker` of either mode, with the same blocking methods: the tests are about what happens behind these methods. An
//! async future is awaited from outside of its runtime. The future of a blocking operation is ready at the first poll.

#[path = "client/log.rs"]
mod log;
#[path = "client/pool.rs"]
mod pool;
#[path = "client/tasks.rs"]
pub mod tasks;

use std::ops::Deref;
use std::time::Duration;

use diesel_locks::{Attempt, List, Lock, Outcome, Released, Result, Wait};
use diesel_locks_tests::Engine;
use diesel_locks_tests::managed::{AnyGuard, Held, Job, Managed};
use diesel_locks_tests::session::Work;
use tokio::runtime::{Handle, Runtime};

use crate::place::Mode;
use crate::probe::write_sql;
pub use log::{Log, Told};
pub use pool::{Gate, Setup, own};
use tasks::Writing;
pub use tasks::tasks;

pub struct Client {
    locks: Box<dyn Managed>,
    gate: Gate,
    log: Log,
    runtime: Handle,
}

impl Client {
    pub fn new(engine: Engine, mode: Mode, url: &str, setup: &Setup, runtime: &Runtime) -> Self {
        let (gate, log) = (Gate::default(), Log::default());
        let locks = match mode {
            Mode::Blocking | Mode::Both => pool::blocking(engine, url, setup, &gate),
            Mode::Async => pool::asynchronous(engine, url, setup, &gate).0,
        };
        let hears = log.clone();
        Self {
            locks: locks.observe(Box::new(move |event| hears.hear(event))),
            gate,
            log,
            runtime: runtime.handle().clone(),
        }
    }

    pub fn acquire(&self, lock: &Lock, wait: Wait) -> Result<Guard> {
        let held = self.runtime.block_on(self.locks.acquire(lock, wait))?;
        Ok(self.guard(held))
    }

    /// Acquires the lock. An async acquisition is cancelled after this time.
    pub fn acquire_within(&self, time: Duration, lock: &Lock, wait: Wait) -> Option<Result<Guard>> {
        let acquire = self.locks.acquire(lock, wait);
        let acquire = async { tokio::time::timeout(time, acquire).await };
        let answer = self.runtime.block_on(acquire).ok()?;
        Some(answer.map(|held| self.guard(held)))
    }

    pub fn try_acquire(&self, lock: &Lock) -> Result<Attempt<Guard>> {
        let attempt = self.runtime.block_on(self.locks.try_acquire(lock))?;
        Ok(attempt.map(|held| self.guard(held)))
    }

    /// Acquires the lock for work that panics.
    pub fn run_panicking(&self, lock: &Lock) {
        let job: Job = Box::new(|_| Box::pin(async { panic_quietly() }));
        let run = self.locks.run(lock, Wait::never(), job);
        let _ = self.runtime.block_on(run).expect("the lock");
    }

    /// Sends a query on a connection of the pool.
    pub fn ask(&self) -> Result<(), Box<dyn std::error::Error>> {
        let (within, list) = (Duration::from_secs(2), List::all().limit(1));
        let asked = async { tokio::time::timeout(within, self.locks.list(&list)).await };
        self.runtime.block_on(asked)??;
        Ok(())
    }

    /// The gate before the pool. While it is closed, the pool gives no connections.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    pub fn log(&self) -> &Log {
        &self.log
    }

    pub fn close(&self) {
        self.runtime.block_on(self.locks.close());
    }

    fn guard(&self, held: AnyGuard) -> Guard {
        Guard {
            held: Some(held),
            runtime: self.runtime.clone(),
        }
    }
}

/// A guard outside of its runtime. Operations that are async have blocking methods here.
pub struct Guard {
    held: Option<AnyGuard>,
    runtime: Handle,
}

impl Deref for Guard {
    type Target = dyn Held;

    fn deref(&self) -> &Self::Target {
        &**self.held.as_ref().expect("a guard")
    }
}

impl Guard {
    pub fn lost_within(&self, time: Duration) -> bool {
        self.runtime.block_on((**self).lost_within(time))
    }

    pub fn try_extend(&self) -> Result<Outcome> {
        self.runtime.block_on((**self).try_extend())
    }

    /// Does the work in a guarded transaction, on this thread.
    pub fn transaction(&self, work: Work) -> Result<()> {
        self.runtime.block_on((**self).transaction(work))
    }

    /// Writes to the ledger in a guarded transaction. Returns the number of rows with a larger fence.
    pub fn write(&self, scope: &str) -> Result<i64> {
        self.runtime.block_on((**self).write(scope))
    }

    /// Writes to the ledger in a guarded transaction, and panics before the commit.
    pub fn write_panicking(&self, scope: &str) {
        let [write, _] = write_sql(scope, self.fence());
        let work: Work = Box::new(move |conn| {
            Box::pin(async move {
                conn.batch(&write).await?;
                panic_quietly()
            })
        });
        self.transaction(work).expect("a panic");
    }

    pub fn release(mut self) -> Result<Released> {
        let held = self.held.take().expect("a guard");
        self.runtime.block_on(held.release())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _inside = self.runtime.enter();
        drop(self.held.take());
    }
}

/// Panics without a message on the terminal.
fn panic_quietly<T>() -> T {
    std::panic::resume_unwind(Box::new("on purpose"))
}
