//! The database that a URL names, and the commands that need a connection to it.

#[cfg(feature = "cli-sqlite")]
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use diesel::connection::{CacheSize, Connection};
use diesel_locks::blocking::Connections;

use crate::args::{Args, Command};
use crate::engine::Engine;
use crate::held::Looks;
use crate::outcome::Outcome;
use crate::within::within;
use crate::{acquire, lease, list, purge, release, run, setup, show};

pub fn url(args: &Args) -> Outcome<&str> {
    let url = args.database_url.as_deref().filter(|url| !url.is_empty());
    Ok(url.ok_or("no database: set DATABASE_URL or pass --database-url")?)
}

/// Executes a command that needs the database.
pub fn execute(args: &Args) -> Outcome {
    let url = url(args)?.to_owned();
    match Engine::of(&url)? {
        #[cfg(feature = "cli-postgres")]
        Engine::Postgres => answer(args, move || Ok(diesel::PgConnection::establish(&url)?)),
        #[cfg(feature = "cli-mysql")]
        Engine::Mysql => {
            // Diesel knows one scheme for both.
            let url = url.replacen("mariadb://", "mysql://", 1);
            answer(args, move || Ok(diesel::MysqlConnection::establish(&url)?))
        }
        #[cfg(feature = "cli-sqlite")]
        Engine::Sqlite => {
            let creates = matches!(args.command, Command::Migrate);
            let timeout = busy_timeout(args);
            answer(args, move || open_file(&url, creates, timeout))
        }
        #[cfg(not(all(
            feature = "cli-postgres",
            feature = "cli-mysql",
            feature = "cli-sqlite"
        )))]
        engine => Err(engine.missing()),
    }
}

/// For how long to wait while another connection writes to SQLite. A lease must be extended before it expires.
#[cfg(feature = "cli-sqlite")]
fn busy_timeout(args: &Args) -> Duration {
    const USUAL: Duration = Duration::from_secs(5);
    match &args.command {
        Command::Run(args) => USUAL.min(args.ttl / 3),
        Command::Acquire(args) => USUAL.min(args.ttl / 3),
        _ => USUAL,
    }
}

#[cfg(feature = "cli-sqlite")]
fn open_file(url: &str, creates: bool, timeout: Duration) -> Outcome<diesel::SqliteConnection> {
    use diesel::connection::SimpleConnection;
    // SQLite would create a file that does not exist.
    let is_file = url != ":memory:" && !url.starts_with("file:");
    if is_file && !creates {
        let path = url.strip_prefix("sqlite://").unwrap_or(url);
        if !Path::new(path).is_file() {
            return Err(format!("no such SQLite file: {path}").into());
        }
    }
    let mut conn = diesel::SqliteConnection::establish(url)?;
    conn.batch_execute(&format!("PRAGMA busy_timeout = {}", timeout.as_millis()))?;
    Ok(conn)
}

/// The database, as a command sees it: it opens a connection for each question, and each question has an end.
pub struct Database<C> {
    open: Arc<dyn Fn() -> Outcome<C> + Send + Sync>,
    timeout: Duration,
}

impl<C> Clone for Database<C> {
    fn clone(&self) -> Self {
        Self {
            open: self.open.clone(),
            timeout: self.timeout,
        }
    }
}

impl<C: Looks> Database<C> {
    fn open(&self) -> Outcome<C> {
        let mut conn = (self.open)()?;
        // A connection sends few statements. And behind a pooler that hands out a connection for each transaction, a
        // prepared statement may be there already, or not any more.
        conn.set_prepared_statement_cache_size(CacheSize::Disabled);
        Ok(conn)
    }

    /// Asks the database, within the timeout.
    pub fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut C) -> Outcome<T> + Send + 'static,
    ) -> Outcome<T> {
        let database = self.clone();
        within(self.timeout, move || question(&mut database.open()?))
    }

    /// The same database, for questions that must be answered within this time.
    pub fn at_most(&self, time: Duration) -> Self {
        Self {
            timeout: self.timeout.min(time),
            ..self.clone()
        }
    }

    pub fn timeout(&self) -> Duration {
        self.timeout
    }
}

/// For a `Locker`.
impl<C: Looks> Connections for Database<C> {
    type Connection = C;

    fn connect(&self, _: Option<Duration>) -> Outcome<C> {
        self.open()
    }
}

fn answer<C: Looks>(args: &Args, open: impl Fn() -> Outcome<C> + Send + Sync + 'static) -> Outcome {
    let (open, timeout) = (Arc::new(open), args.timeout());
    let (database, table) = (&Database { open, timeout }, args.table()?);
    match &args.command {
        Command::Migrate => setup::migrate(table, database),
        Command::Verify => setup::verify(table, database),
        Command::List(list) => list::list(list, &table, database),
        Command::Show { lock, json } => show::show(lock, *json, table, database),
        Command::Run(run) => run::run(run, table, database),
        Command::Acquire(acquire) => acquire::acquire(acquire, table, database),
        Command::Extend { lease, ttl } => lease::extend(lease, *ttl, database),
        Command::Release(release) => release::release(release, table, database),
        Command::Purge { filter, older_than } => {
            purge::purge(filter.list(table)?, *older_than, database)
        }
        Command::Migrations(_) | Command::Completions { .. } | Command::Man { .. } => {
            unreachable!("needs no connection")
        }
    }
}
