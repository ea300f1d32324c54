//! A world: an engine, a kind of connection, and a source of connections. Each case runs in a world of its own, with
//! names that no other case uses.

mod isolation;
mod locks;
mod opener;
mod time;
pub use time::TABLES;

use std::pin::Pin;
use std::time::{Duration, Instant};

use diesel_locks::{List, Lock, Table};
pub use diesel_locks_tests::{Engine, ms, secs};
use diesel_locks_tests::{shared, unique};

use crate::session::Session;
pub use isolation::Level;
use opener::Opener;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Blocking,
    Async,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Own,
    Pool,
}

/// The size of a pool, unless a case sets another.
const POOL_SIZE: u32 = 20;

/// The future of a case. It stays on its thread.
pub type Case<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

pub struct World {
    pub engine: Engine,
    pub mode: Mode,
    pub source: Source,
    url: String,
    opener: Opener,
    /// A part of the names of the locks, and of the folder of an SQLite database.
    scope: String,
}

impl World {
    pub fn new(engine: Engine, mode: Mode, source: Source, case: &str) -> Self {
        let scope = format!("{case} {}", unique());
        let url = engine.url(&scope);
        // This fails if another process creates the host's table at the same time. Then the cases find the table.
        let _ = engine.migrate(&url, HOST_JOBS);
        Self {
            engine,
            mode,
            source,
            opener: opener::of(engine, mode, source, url.clone()),
            url,
            scope,
        }
    }

    /// Runs a case. Nothing of the case goes on afterwards.
    pub fn run(self, case: impl for<'a> FnOnce(&'a Self) -> Case<'a>) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .max_blocking_threads(1_200)
            .thread_stack_size(1 << 20)
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async move {
            case(&self).await;
            drop(self);
        });
    }

    /// Opens a connection of this world's kind.
    pub async fn session(&self) -> Box<dyn Session> {
        let mut session = (self.opener)().await;
        for setup in setup(self.engine) {
            session
                .batch(&setup)
                .await
                .expect("a connection that can be set up");
        }
        if std::env::var("DIESEL_LOCKS_STATEMENT_CACHE").as_deref() == Ok("off") {
            session.without_statement_cache();
        }
        session
    }

    /// A lock whose name no other case uses.
    pub fn lock(&self, name: &str) -> Lock {
        Lock::in_group(&self.scope, name).expect("a valid name")
    }

    /// The locks of this case.
    pub fn list(&self) -> List {
        List::all().in_group(&self.scope).expect("a group")
    }

    /// Lets the connection wait only a short time for another transaction.
    pub async fn make_impatient(&self, conn: &mut dyn Session) {
        let sql = match self.engine.name() {
            "postgres" => "SET lock_timeout = '100ms'",
            "sqlite" => "PRAGMA busy_timeout = 100",
            _ => "SET SESSION innodb_lock_wait_timeout = 1",
        };
        conn.batch(sql).await.expect("a setting");
    }

    pub fn is_blocking(&self) -> bool {
        self.mode == Mode::Blocking
    }

    /// Returns whether each connection is opened for one use only, so that none stays open while nothing runs.
    pub fn opens_its_own(&self) -> bool {
        self.source == Source::Own
    }

    pub fn is_sqlite(&self) -> bool {
        self.engine.is_sqlite()
    }

    pub fn is_postgres(&self) -> bool {
        self.engine.is_postgres()
    }

    /// Returns whether the engine is MySQL or MariaDB.
    pub fn is_mysql(&self) -> bool {
        !self.is_postgres() && !self.is_sqlite()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        shared::clear(&self.scope);
    }
}

/// A table of the host.
const HOST_JOBS: &str = "CREATE TABLE IF NOT EXISTS host_jobs (scope VARCHAR(255) NOT NULL, name VARCHAR(200) NOT NULL)";

/// Whether the servers speak German.
pub fn is_in_german() -> bool {
    std::env::var("DIESEL_LOCKS_LANGUAGE").as_deref() == Ok("de")
}

/// The settings that the host applies to its connections.
fn setup(engine: Engine) -> Vec<String> {
    match engine.name() {
        "sqlite" => vec![
            "PRAGMA busy_timeout = 20000".to_owned(),
            "PRAGMA journal_mode = WAL".to_owned(),
            "PRAGMA synchronous = NORMAL".to_owned(),
        ],
        "postgres" => {
            let wait = "SET lock_timeout = '20s'".to_owned();
            let german = "SET lc_messages = 'C.UTF-8'".to_owned(); // the server's LANGUAGE is German
            [wait]
                .into_iter()
                .chain(is_in_german().then_some(german))
                .collect()
        }
        _ => {
            let wait = "SET SESSION innodb_lock_wait_timeout = 5".to_owned();
            let mode = std::env::var("DIESEL_LOCKS_SQL_MODE").ok();
            let mode = mode.map(|mode| format!("SET SESSION sql_mode = '{mode}'"));
            let german = "SET SESSION lc_messages = 'de_DE'".to_owned();
            let german = is_in_german().then_some(german);
            [wait].into_iter().chain(mode).chain(german).collect()
        }
    }
}

/// A table whose name no other case uses.
pub fn own_table(name: &str) -> Table {
    Table::new(format!("{name}_{}", unique())).expect("a valid name")
}

/// Runs a task beside the case, on a thread of its own, for both kinds of connections.
pub fn spawn<T: Send + 'static>(
    task: impl Future<Output = T> + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    let handle = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || handle.block_on(task))
}

/// Repeats the question until the answer is yes. Fails after twenty seconds.
pub async fn eventually<F: AsyncFnMut() -> bool>(what: &str, mut question: F) {
    let deadline = Instant::now() + secs(20);
    while !question().await {
        assert!(Instant::now() < deadline, "never happened: {what}");
        tokio::task::yield_now().await;
    }
}

/// Repeats the question every few milliseconds until the answer is yes, for events that take some time. The pause
/// leaves the processor to the threads that cause the event. Fails after twenty seconds.
pub async fn soon<F: AsyncFnMut() -> bool>(what: &str, question: F) {
    within(secs(20), what, question).await;
}

/// As [`soon`], for events that take longer on a busy machine.
pub async fn within<F: AsyncFnMut() -> bool>(time: Duration, what: &str, mut question: F) {
    let deadline = Instant::now() + time;
    while !question().await {
        assert!(Instant::now() < deadline, "never happened: {what}");
        tokio::time::sleep(ms(5)).await;
    }
}
