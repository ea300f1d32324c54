//! A `Locks` of either kind, with the same blocking words: what the tests are about is what happens behind it. An async
//! one is waited for from outside of its runtime.

#[path = "client/asynchronous.rs"]
mod asynchronous;
#[path = "client/blocking.rs"]
mod blocking;
#[path = "client/log.rs"]
mod log;
#[path = "client/tasks.rs"]
pub mod tasks;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use diesel_locks::{Attempt, Lock, Outcome, Result, Wait};
use diesel_locks_tests::Engine;
use tokio::runtime::Runtime;

use crate::place::Mode;
use blocking::Blocking;
pub use log::{Log, Told};
use tasks::Tasks;

/// How the application has set up its pool and locks.
#[derive(Clone, Debug)]
pub struct Setup {
    pub pool_size: u32,
    /// Whether the pool looks at a connection before it hands it out.
    pub checks: bool,
    /// SQLite's `busy_timeout`.
    #[cfg_attr(not(feature = "sqlite"), expect(dead_code))]
    pub patience: Duration,
    pub release_within: Duration,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            pool_size: 4,
            checks: true,
            patience: Duration::from_secs(5),
            release_within: Duration::from_secs(5),
        }
    }
}

/// A client of an engine.
pub fn of(
    engine: Engine,
    mode: Mode,
    url: &str,
    setup: &Setup,
    runtime: &Runtime,
) -> Box<dyn Client> {
    macro_rules! client {
        ($blocking:ty, $asynchronous:ident) => {
            match mode {
                Mode::Blocking | Mode::Both => Blocking::<$blocking>::client(url, setup),
                Mode::Async => Box::new(asynchronous::$asynchronous::client(
                    url,
                    setup,
                    runtime.handle(),
                )),
            }
        };
    }
    match engine {
        #[cfg(feature = "postgres")]
        Engine::Postgres => client!(diesel::PgConnection, postgres),
        #[cfg(feature = "mysql")]
        Engine::MariaDb | Engine::MySql => client!(diesel::MysqlConnection, mysql),
        #[cfg(feature = "sqlite")]
        Engine::Sqlite => client!(diesel::SqliteConnection, sqlite),
    }
}

/// An async client of an engine in its own words.
pub fn tasks(engine: Engine, url: &str, setup: &Setup, runtime: &Runtime) -> Arc<dyn Tasks> {
    let handle = runtime.handle();
    match engine {
        #[cfg(feature = "postgres")]
        Engine::Postgres => asynchronous::postgres::client(url, setup, handle),
        #[cfg(feature = "mysql")]
        Engine::MariaDb | Engine::MySql => asynchronous::mysql::client(url, setup, handle),
        #[cfg(feature = "sqlite")]
        Engine::Sqlite => asynchronous::sqlite::client(url, setup, handle),
    }
}

pub trait Client: Send + Sync {
    fn acquire(&self, lock: &Lock, wait: Wait) -> Result<Box<dyn Guard>>;
    /// The same; async it is cancelled after this time.
    fn acquire_within(
        &self,
        time: Duration,
        lock: &Lock,
        wait: Wait,
    ) -> Option<Result<Box<dyn Guard>>>;
    fn try_acquire(&self, lock: &Lock) -> Result<Attempt<Box<dyn Guard>>>;
    /// Acquires it for work that panics.
    fn run_panicking(&self, lock: &Lock);
    /// Asks the database something on a connection of the pool.
    fn ask(&self) -> Result<()>;
    /// Whether the pool refuses to give connections.
    fn gate(&self) -> &Gate;
    fn log(&self) -> &Log;
    fn close(&self);
}

pub trait Guard: Send + Sync {
    fn fence(&self) -> i64;
    fn is_valid(&self) -> bool;
    fn trusted_for(&self) -> Duration;
    fn on_lost(&self, callback: Box<dyn FnOnce() + Send>);
    fn lost_within(&self, time: Duration) -> bool;
    fn extend(&self) -> Result<Outcome>;
    /// Writes to the ledger in a guarded transaction; how many rows of a larger fence were there.
    fn write(&self, scope: &str) -> Result<i64>;
    /// The same, and panics after it has written.
    fn write_panicking(&self, scope: &str);
    fn release(self: Box<Self>) -> Result<Outcome>;
}

/// Before a pool: closed it gives no connection.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<AtomicBool>);

impl Gate {
    pub fn close(&self, closed: bool) {
        self.0.store(closed, SeqCst);
    }

    fn pass(&self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        if self.0.load(SeqCst) {
            return Err("the gate is closed".into());
        }
        Ok(())
    }
}

/// A panic of which nobody is told.
pub fn panic_quietly() -> ! {
    std::panic::resume_unwind(Box::new("on purpose"))
}
