//! Making the table, and looking whether it will do.

use std::borrow::Borrow;

use super::connection::{Blocking, LockConnection, ready};
use crate::error::Result;
use crate::protocol;
use crate::table::Table;

/// Creates or upgrades the table `diesel_locks`, for applications that keep it out of their own migrations:
/// [`TableDsl::migrate`] for the default table.
///
/// ```
/// # use diesel::{Connection, SqliteConnection};
/// let mut conn = SqliteConnection::establish(":memory:")?;
/// diesel_locks::blocking::migrate(&mut conn)?;
/// diesel_locks::blocking::verify(&mut conn)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Those of [`TableDsl::migrate`].
pub fn migrate<C: LockConnection>(conn: &mut C) -> Result<()> {
    Table::default().migrate(conn)
}

/// Looks whether locks will work on this connection: [`TableDsl::verify`] for the default table.
///
/// # Errors
/// Those of [`TableDsl::verify`].
pub fn verify<C: LockConnection>(conn: &mut C) -> Result<()> {
    Table::default().verify(conn)
}

/// Making a [`Table`], and looking whether it will do.
pub trait TableDsl: Borrow<Table> {
    /// Creates the table with its view, or upgrades it, through a table of its own (`diesel_locks_setup`) that notes
    /// what has run. Where all has run this is one SELECT, which needs no right to create anything.
    ///
    /// Call it at every start: it is safe in as many processes at once as you like. It is for applications that keep
    /// the table out of their own migrations; where those own it, use [`verify`](Self::verify). A transaction that Diesel
    /// did not begin is not seen, and on MySQL and MariaDB committed.
    ///
    /// # Errors
    /// [`Error::Setup`](crate::Error::Setup) inside a transaction, and where the table is there but was not made here; and
    /// whatever the database says.
    fn migrate<C: LockConnection>(&self, conn: &mut C) -> Result<()> {
        ready(protocol::migrate(&mut Blocking::on(conn), self.borrow()))
    }

    /// Looks, at start-up for one, whether locks will work here: the table is there with all that this version needs,
    /// whoever made it, its key, collation and engine keep different names apart and rows lockable, the server is new
    /// enough, and on MySQL and MariaDB `autocommit` is on. One statement, which changes nothing.
    ///
    /// # Errors
    /// [`Error::TableMissing`](crate::Error::TableMissing); [`Error::Setup`](crate::Error::Setup), which says what will not
    /// do and what to do about it; and whatever the database says.
    fn verify<C: LockConnection>(&self, conn: &mut C) -> Result<()> {
        ready(protocol::verify(&mut Blocking::on(conn), self.borrow()))
    }
}

impl TableDsl for Table {}
