//! A world: an engine, a kind of connection, and where it comes from. Each case runs in one of its own, with
//! names that no other case uses.

mod isolation;
mod locks;
mod opener;
mod time;

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use diesel::Connection;
use diesel_locks::{List, Lock, Table};

use crate::session::Session;
pub use isolation::Level;
use opener::Opener;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    #[cfg(feature = "postgres")]
    Postgres,
    #[cfg(feature = "mysql")]
    MariaDb,
    #[cfg(feature = "mysql")]
    MySql,
    #[cfg(feature = "sqlite")]
    Sqlite,
}

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

/// So many connections has a pool, if a case doesn't say.
const POOL_SIZE: u32 = 20;

/// What a case does; it stays on its thread.
pub type Case<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

pub struct World {
    pub engine: Engine,
    pub mode: Mode,
    pub source: Source,
    url: String,
    opener: Opener,
    scope: String,
    /// The folder of the one database that belongs to this world alone.
    folder: Option<PathBuf>,
}

impl World {
    pub fn new(engine: Engine, mode: Mode, source: Source, case: &str) -> Self {
        let scope = format!("{case} {}", unique());
        let folder = engine.folder(&scope);
        let url = engine.url(folder.as_ref());
        engine.migrate(&url);
        Self {
            engine,
            mode,
            source,
            opener: opener::of(engine, mode, source, url.clone()),
            url,
            scope,
            folder,
        }
    }

    /// Runs a case, and lets nothing of it go on afterwards.
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

    /// A connection of this world's kind.
    pub async fn session(&self) -> Box<dyn Session> {
        let mut session = (self.opener)().await;
        for setup in self.engine.setup() {
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

    /// A lock that no other case knows.
    pub fn lock(&self, name: &str) -> Lock {
        Lock::in_group(&self.scope, name).expect("a valid name")
    }

    /// The locks of this case.
    pub fn list(&self) -> List {
        List::all().group(&self.scope)
    }

    /// Makes a connection give up soon where it has to wait for another transaction.
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

    /// Whether every connection is opened for one use, so that none is left where nothing goes on.
    pub fn opens_its_own(&self) -> bool {
        self.source == Source::Own
    }

    pub fn is_sqlite(&self) -> bool {
        self.engine.name() == "sqlite"
    }

    pub fn is_postgres(&self) -> bool {
        self.engine.name() == "postgres"
    }

    /// MySQL or MariaDB.
    pub fn is_mysql(&self) -> bool {
        !self.is_postgres() && !self.is_sqlite()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

impl Engine {
    pub fn name(self) -> &'static str {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres => "postgres",
            #[cfg(feature = "mysql")]
            Self::MariaDb => "mariadb",
            #[cfg(feature = "mysql")]
            Self::MySql => "mysql",
            #[cfg(feature = "sqlite")]
            Self::Sqlite => "sqlite",
        }
    }

    fn folder(self, scope: &str) -> Option<PathBuf> {
        if self.name() != "sqlite" {
            return None;
        }
        let folder = std::env::temp_dir().join(format!("diesel-locks {scope}"));
        std::fs::create_dir_all(&folder).expect("a folder for the database");
        Some(folder)
    }

    pub fn url(self, folder: Option<&PathBuf>) -> String {
        let variable = match self.name() {
            "postgres" => "PG_DATABASE_URL",
            "mariadb" => "MARIADB_DATABASE_URL",
            "mysql" => "MYSQL_DATABASE_URL",
            _ => return folder.expect("a folder").join("db").display().to_string(),
        };
        std::env::var(variable).unwrap_or_else(|_| {
            panic!("{variable} is not set: run the tests with `cargo xtask test`")
        })
    }

    /// Creates the tables, once for each database.
    fn migrate(self, url: &str) {
        static MIGRATED: Mutex<Vec<String>> = Mutex::new(Vec::new());
        let mut migrated = MIGRATED.lock().expect("no panic while migrating");
        if migrated.iter().any(|done| done == url) {
            return;
        }
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres => migrate::<diesel::PgConnection>(url),
            #[cfg(feature = "mysql")]
            Self::MariaDb | Self::MySql => migrate::<diesel::MysqlConnection>(url),
            #[cfg(feature = "sqlite")]
            Self::Sqlite => migrate::<diesel::SqliteConnection>(url),
        }
        migrated.push(url.to_owned());
    }

    /// What the host sets on its connections.
    fn setup(self) -> Vec<String> {
        match self.name() {
            "sqlite" => vec![
                "PRAGMA busy_timeout = 20000".to_owned(),
                "PRAGMA journal_mode = WAL".to_owned(),
                "PRAGMA synchronous = NORMAL".to_owned(),
            ],
            "postgres" => vec!["SET lock_timeout = '20s'".to_owned()],
            _ => {
                let wait = "SET SESSION innodb_lock_wait_timeout = 5".to_owned();
                let mode = std::env::var("DIESEL_LOCKS_SQL_MODE").ok();
                let mode = mode.map(|mode| format!("SET SESSION sql_mode = '{mode}'"));
                [wait].into_iter().chain(mode).collect()
            }
        }
    }
}

fn migrate<C: Connection + diesel_locks::blocking::LockConnection>(url: &str) {
    let mut conn = C::establish(url).unwrap_or_else(|error| panic!("{url}: {error}"));
    diesel_locks::blocking::migrate(&mut conn).expect("migrations that run");
    // A table of the host's; where another process has just made it, this fails, and the cases find it.
    let _ = conn.batch_execute(
        "CREATE TABLE IF NOT EXISTS host_jobs (scope VARCHAR(255) NOT NULL, name VARCHAR(200) NOT NULL)",
    );
}

/// A table that no other case knows.
pub fn own_table(name: &str) -> Table {
    Table::new(&format!("{name}_{}", unique())).expect("a valid name")
}

pub fn secs(number: u64) -> Duration {
    Duration::from_secs(number)
}

pub fn ms(number: u64) -> Duration {
    Duration::from_millis(number)
}

/// Different in every process and every call.
fn unique() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    let now = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .expect("after 1970");
    format!(
        "{:x}_{:x}_{call:x}",
        std::process::id(),
        now.as_micros() & 0xffff_ffff
    )
}

/// Runs beside the case, in a thread of its own, whatever kind of connection it uses.
pub fn spawn<T: Send + 'static>(
    task: impl Future<Output = T> + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    let handle = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || handle.block_on(task))
}

/// Asks again until the answer is yes; fails after twenty seconds.
pub async fn eventually<F: AsyncFnMut() -> bool>(what: &str, mut question: F) {
    let deadline = Instant::now() + secs(20);
    while !question().await {
        assert!(Instant::now() < deadline, "never happened: {what}");
        tokio::task::yield_now().await;
    }
}

/// The same for what takes its time: asks every few milliseconds, and leaves the processor to those who are to do it.
pub async fn soon<F: AsyncFnMut() -> bool>(what: &str, mut question: F) {
    let deadline = Instant::now() + secs(20);
    while !question().await {
        assert!(Instant::now() < deadline, "never happened: {what}");
        tokio::time::sleep(ms(5)).await;
    }
}
