//! The database that a URL names, and the commands that need a connection to it.

#[cfg(feature = "cli-sqlite")]
use std::{path::Path, time::Duration};

use diesel::Connection;
use diesel_locks::blocking::LockConnection;

use crate::args::{Args, Command};
use crate::engine::Engine;
use crate::outcome::Outcome;
use crate::{list, purge, release, run, setup, show};

pub fn url(args: &Args) -> Outcome<&str> {
    let url = args.database_url.as_deref().filter(|url| !url.is_empty());
    Ok(url.ok_or("no database: set DATABASE_URL or pass --database-url")?)
}

/// Executes a command that needs the database.
pub fn execute(args: &Args) -> Outcome {
    let url = url(args)?.to_owned();
    match Engine::of(&url)? {
        #[cfg(feature = "cli-postgres")]
        Engine::Postgres => with(args, move || Ok(diesel::PgConnection::establish(&url)?)),
        #[cfg(feature = "cli-mysql")]
        Engine::Mysql => {
            // Diesel knows one scheme for both.
            let url = url.replacen("mariadb://", "mysql://", 1);
            with(args, move || Ok(diesel::MysqlConnection::establish(&url)?))
        }
        #[cfg(feature = "cli-sqlite")]
        Engine::Sqlite => {
            let creates = matches!(args.command, Command::Migrate);
            let timeout = busy_timeout(args);
            with(args, move || open_file(&url, creates, timeout))
        }
        #[cfg(not(all(
            feature = "cli-postgres",
            feature = "cli-mysql",
            feature = "cli-sqlite"
        )))]
        engine => Err(engine.missing()),
    }
}

/// For how long to wait while another connection writes to SQLite. `run` must be able to extend its lease before the
/// lease expires.
#[cfg(feature = "cli-sqlite")]
fn busy_timeout(args: &Args) -> Duration {
    const USUAL: Duration = Duration::from_secs(5);
    match &args.command {
        Command::Run(args) => USUAL.min(args.ttl / 3),
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

fn with<C, F>(args: &Args, open: F) -> Outcome
where
    C: LockConnection + 'static,
    F: Fn() -> Outcome<C> + Clone + Send + Sync + 'static,
{
    match &args.command {
        Command::Run(run) => run::run(run, args.table()?, open),
        _ => on_connection(args, &mut open()?),
    }
}

fn on_connection<C: LockConnection>(args: &Args, conn: &mut C) -> Outcome {
    let table = args.table()?;
    match &args.command {
        Command::Run(_) => unreachable!("opens its own connections"),
        Command::Migrations(_) => unreachable!("needs no connection"),
        #[cfg(unix)]
        Command::Watchdog { .. } => unreachable!("needs no connection"),
        Command::Migrate => setup::migrate(conn, &table),
        Command::Verify => setup::verify(conn, &table),
        Command::List {
            filter,
            all,
            json,
            watch,
        } => {
            let locks = filter.list(table)?;
            let locks = if *all { locks } else { locks.held() };
            list::list(conn, &locks, *json, *watch)
        }
        Command::Show { lock, json } => show::show(conn, &lock.lock(table)?, *json),
        Command::Release { lock, yes, .. } => release::release(conn, &lock.lock(table)?, *yes),
        Command::Purge { filter, older_than } => {
            purge::purge(conn, &filter.list(table)?, *older_than)
        }
    }
}
