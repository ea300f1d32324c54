//! Reading rows, and removing the rows of unused locks.

use std::borrow::Borrow;
use std::time::Duration;

use super::connection::{Blocking, LockConnection, ready};
use crate::answer::Record;
use crate::error::Result;
use crate::list::List;
use crate::protocol;

/// Reads the rows of a [`List`], and removes the rows of locks that nobody uses any more.
///
/// ```
/// # use diesel::{Connection, SqliteConnection};
/// # let mut conn = SqliteConnection::establish(":memory:").unwrap();
/// # diesel_locks::blocking::migrate(&mut conn).unwrap();
/// use std::time::Duration;
/// use diesel_locks::List;
/// use diesel_locks::blocking::ListDsl;
///
/// let invoices = List::all().in_group("invoices")?;
/// for record in invoices.clone().held().load(&mut conn)? {          // the first hundred
///     println!("{} is held by {}", record.name(), record.owner);
/// }
/// let week = Duration::from_secs(7 * 24 * 60 * 60);
/// let removed = invoices.purge(&mut conn, week)?;
/// println!("removed {removed} rows of locks that nobody has held for a week");
/// # Ok::<(), diesel_locks::Error>(())
/// ```
pub trait ListDsl: Borrow<List> {
    /// Reads the page. Use it for people and dashboards; to decide anything, try to acquire the lock.
    ///
    /// # Errors
    /// Whatever the database says.
    fn load<C: LockConnection>(&self, conn: &mut C) -> Result<Vec<Record>> {
        ready(protocol::list(&mut Blocking::on(conn), self.borrow()))
    }

    /// Removes the rows of all locks within the list's group and prefix that nobody has held for longer than `age`.
    /// Returns the number of removed rows. A held lock is never removed.
    ///
    /// Fences go on growing after a purge, unless the database's clock is set back by more than `age`. So choose a long
    /// `age`, for example a day.
    ///
    /// # Errors
    /// Whatever the database says.
    #[doc(alias = "clear")]
    fn purge<C: LockConnection>(&self, conn: &mut C, age: Duration) -> Result<usize> {
        ready(protocol::purge(&mut Blocking::on(conn), self.borrow(), age))
    }
}

impl ListDsl for List {}
