//! Held locks for a role that may only look: it may read the view of the held locks, and not the table. The view shows
//! no tokens, and who can read a token can act as the holder.

#[cfg(any(feature = "cli-postgres", feature = "cli-mysql"))]
mod view;

use diesel::Connection;
use diesel_locks::blocking::LockConnection;
use diesel_locks::{Error, Result, Table};

use crate::record::Record;

/// A connection on which the view can be read.
pub trait Looks: LockConnection + Connection + 'static {
    /// The held locks, in the order of their keys; `None` if the view cannot be read.
    fn held(&mut self, table: &Table) -> Option<Vec<Record>>;
}

#[cfg(feature = "cli-postgres")]
impl Looks for diesel::PgConnection {
    fn held(&mut self, table: &Table) -> Option<Vec<Record>> {
        view::postgres(self, table).ok()
    }
}

#[cfg(feature = "cli-mysql")]
impl Looks for diesel::MysqlConnection {
    fn held(&mut self, table: &Table) -> Option<Vec<Record>> {
        view::mysql(self, table).ok()
    }
}

/// SQLite knows no rights: where the table cannot be read, the view cannot be read either.
#[cfg(feature = "cli-sqlite")]
impl Looks for diesel::SqliteConnection {
    fn held(&mut self, _: &Table) -> Option<Vec<Record>> {
        None
    }
}

/// What the table says. If the database refuses to read the table, what `instead` finds among the held locks.
pub fn or_held<C: Looks, T>(
    answer: Result<T>,
    conn: &mut C,
    table: &Table,
    instead: impl FnOnce(Vec<Record>) -> Option<T>,
) -> Result<T> {
    match answer {
        Err(Error::Database(error)) => {
            let found = conn.held(table).and_then(instead);
            found.ok_or(Error::Database(error))
        }
        answer => answer,
    }
}
