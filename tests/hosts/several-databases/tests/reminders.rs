//! Two instances of the application on one database, on each kind of database.

use std::env::{temp_dir, var};
use std::process;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel_locks::blocking::{LockConnection, LockDsl};
use diesel_locks::{Error, Forced, Lock, Wait};
use several_databases::locks::{Locks, send_reminders};
use several_databases::{AnyConnection, Pool, open, reminders, send_all};

/// A database that is removed at the end.
struct Database {
    url: String,
    /// The server's own database, and the name of this one on the server.
    server: Option<(String, String)>,
}

impl Database {
    /// On the server whose URL is in this variable of the environment, or a file for SQLite.
    fn new(variable: Option<&str>) -> Self {
        let name = format!("diesel_locks_host_{}", process::id());
        let server = variable.map(|variable| {
            var(variable).unwrap_or_else(|_| panic!("{variable} must have the URL of a server"))
        });
        let Some(server) = server else {
            let file = temp_dir().join(name + ".db");
            let url = format!("sqlite://{}", file.display());
            return Self { url, server: None };
        };
        connect(&server)
            .batch_execute(&format!("CREATE DATABASE {name}"))
            .unwrap();
        let url = format!("{}/{name}", server.rsplit_once('/').unwrap().0);
        Self {
            url,
            server: Some((server, name)),
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let Some((server, name)) = &self.server else {
            let _ = std::fs::remove_file(self.url.trim_start_matches("sqlite://"));
            return;
        };
        if let Ok(mut conn) = AnyConnection::establish(server) {
            let _ = conn.batch_execute(&format!("DROP DATABASE {name}"));
        }
    }
}

fn connect(url: &str) -> AnyConnection {
    AnyConnection::establish(url).unwrap()
}

fn remind(pool: &Pool, id: i32, whom: &str) {
    diesel::insert_into(reminders::table)
        .values((reminders::id.eq(id), reminders::sent_to.eq(whom)))
        .execute(&mut *pool.get().unwrap())
        .unwrap();
}

fn take_away<C: LockConnection>(conn: &mut C) -> Forced {
    Lock::new("reminders").unwrap().force_release(conn).unwrap()
}

/// Does the same with the `Locker` of each kind.
macro_rules! with_locker {
    ($locks:expr, $locker:ident => $work:expr) => {
        match &$locks {
            Locks::Postgres($locker) => $work,
            Locks::Mysql($locker) => $work,
            Locks::Sqlite($locker) => $work,
        }
    };
}

fn works(database: &Database) {
    let (first, second) = (open(&database.url).unwrap(), open(&database.url).unwrap());
    let locks = [&first, &second].map(|pool| Locks::new(pool.clone()).unwrap());

    remind(&first, 1, "ada");
    with_locker!(locks[0], locker => {
        let held = locker.acquire("reminders", Wait::never()).unwrap();
        assert_eq!(locks[1].send_reminders().unwrap(), None);
        held.release().unwrap();
    });
    assert_eq!(locks[1].send_reminders().unwrap(), Some(1));
    assert_eq!(locks[0].send_reminders().unwrap(), Some(0));

    remind(&first, 2, "bob");
    with_locker!(locks[0], locker => {
        let held = locker.acquire("reminders", Wait::never()).unwrap();
        let forced = match &mut *second.get().unwrap() {
            AnyConnection::Postgres(conn) => take_away(conn),
            AnyConnection::Mysql(conn) => take_away(conn),
            AnyConnection::Sqlite(conn) => take_away(conn),
        };
        assert_eq!(forced, Forced::Released);
        let refused = held.transaction(|conn| Ok::<_, Error>(send_all(conn, held.fence())?));
        assert!(matches!(refused, Err(Error::Lost { .. })), "{refused:?}");

        let other = locker.acquire("other", Wait::never()).unwrap();
        let failed: Result<(), Error> = other.finish(|conn| {
            send_all(conn, -1)?;
            Err(diesel::result::Error::RollbackTransaction.into())
        });
        assert!(failed.is_err());
        assert_eq!(send_reminders(locker).unwrap(), Some(1), "the failed work was rolled back");
    });
    for locks in locks {
        with_locker!(locks, locker => locker.close());
    }
}

#[test]
fn on_postgres() {
    works(&Database::new(Some("PG_DATABASE_URL")));
}

#[test]
fn on_mariadb() {
    works(&Database::new(Some("MARIADB_DATABASE_URL")));
}

#[test]
fn on_mysql() {
    works(&Database::new(Some("MYSQL_DATABASE_URL")));
}

#[test]
fn on_sqlite() {
    works(&Database::new(None));
}
