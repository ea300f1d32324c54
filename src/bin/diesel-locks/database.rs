//! Which database a URL means, and the connection to it.

#[cfg(feature = "cli-sqlite")]
use std::{path::Path, time::Duration};

use diesel::Connection;
use diesel_locks::blocking::LockConnection;

use crate::args::{Args, Command, Engine};
use crate::{Outcome, looking, mending, running, setup};

impl Engine {
    /// As the Diesel CLI reads a URL: what has no known scheme is the path of an SQLite file.
    pub fn of(url: &str) -> Self {
        match url.split_once("://") {
            Some(("postgres" | "postgresql", _)) => Self::Postgres,
            Some(("mysql" | "mariadb", _)) => Self::Mysql,
            _ => Self::Sqlite,
        }
    }
}

pub fn url(args: &Args) -> Outcome<&str> {
    let url = args.database_url.as_deref().filter(|url| !url.is_empty());
    Ok(url.ok_or("no database: set DATABASE_URL, or use --database-url")?)
}

/// Connects, and does what was asked.
pub fn ask(args: &Args) -> Outcome {
    let url = url(args)?.to_owned();
    match Engine::of(&url) {
        #[cfg(feature = "cli-postgres")]
        Engine::Postgres => with(args, move || Ok(diesel::PgConnection::establish(&url)?)),
        #[cfg(feature = "cli-mysql")]
        Engine::Mysql => with(args, move || Ok(diesel::MysqlConnection::establish(&url)?)),
        #[cfg(feature = "cli-sqlite")]
        Engine::Sqlite => {
            let creates = matches!(args.command, Command::Migrate);
            let patience = patience(args);
            with(args, move || open_file(&url, creates, patience))
        }
        #[cfg(not(all(
            feature = "cli-postgres",
            feature = "cli-mysql",
            feature = "cli-sqlite"
        )))]
        engine => Err(missing(engine)),
    }
}

/// What this program was built without.
#[cfg(not(all(
    feature = "cli-postgres",
    feature = "cli-mysql",
    feature = "cli-sqlite"
)))]
pub fn missing(engine: Engine) -> Box<dyn std::error::Error + Send + Sync> {
    let name = format!("{engine:?}").to_lowercase();
    format!(
        "this program was built without {name}: cargo install diesel-locks --features cli-{name}"
    )
    .into()
}

/// How long to wait for SQLite's one writer: who keeps a lock must not wait for longer than it is trusted.
#[cfg(feature = "cli-sqlite")]
fn patience(args: &Args) -> Duration {
    const USUAL: Duration = Duration::from_secs(5);
    match &args.command {
        Command::Run(job) => USUAL.min(job.ttl / 3),
        _ => USUAL,
    }
}

#[cfg(feature = "cli-sqlite")]
fn open_file(url: &str, creates: bool, patience: Duration) -> Outcome<diesel::SqliteConnection> {
    use diesel::connection::SimpleConnection;
    // SQLite would create it.
    let is_file = url != ":memory:" && !url.starts_with("file:");
    if is_file && !creates {
        let path = url.strip_prefix("sqlite://").unwrap_or(url);
        if !Path::new(path).is_file() {
            return Err(format!("no such SQLite file: {path}").into());
        }
    }
    let mut conn = diesel::SqliteConnection::establish(url)?;
    conn.batch_execute(&format!("PRAGMA busy_timeout = {}", patience.as_millis()))?;
    Ok(conn)
}

fn with<C, F>(args: &Args, open: F) -> Outcome
where
    C: LockConnection + 'static,
    F: Fn() -> Outcome<C> + Clone + Send + Sync + 'static,
{
    match &args.command {
        Command::Run(job) => running::run(job, args.table()?, open),
        _ => run(args, &mut open()?),
    }
}

fn run<C: LockConnection>(args: &Args, conn: &mut C) -> Outcome {
    let table = args.table()?;
    match &args.command {
        Command::Migrations(_) | Command::Run(_) => unreachable!("it needs none, or several"),
        #[cfg(unix)]
        Command::WatchOver { .. } => unreachable!("it needs none"),
        Command::Migrate => setup::migrate(conn, &table),
        Command::Verify => setup::verify(conn, &table),
        Command::List {
            filter,
            all,
            json,
            watch,
        } => {
            let list = filter.list(table);
            let list = if *all { list } else { list.held() };
            looking::list(conn, &list, *json, *watch)
        }
        Command::Show { lock, json } => looking::show(conn, &lock.lock(table)?, *json),
        Command::Release { lock, yes, .. } => mending::release(conn, &lock.lock(table)?, *yes),
        Command::Purge { filter, older_than } => {
            mending::purge(conn, &filter.list(table), *older_than)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Engine;

    #[test]
    fn a_url_says_its_database() {
        for (url, engine) in [
            ("postgres://u@h/d", Engine::Postgres),
            ("postgresql:///d", Engine::Postgres),
            ("mysql://u@h/d", Engine::Mysql),
            ("mariadb://u@h/d", Engine::Mysql),
            ("app.db", Engine::Sqlite),
            ("sqlite://app.db", Engine::Sqlite),
            (":memory:", Engine::Sqlite),
        ] {
            assert_eq!(Engine::of(url), engine, "{url}");
        }
    }
}
