//! Creating the table, and checking that locks can work with it, on a blocking connection.

use std::borrow::Borrow;

use super::connection::{Blocking, LockConnection, ready};
use crate::error::Result;
use crate::protocol;
use crate::table::Table;

/// Creates or upgrades the table `diesel_locks`. Use it in an application that keeps the table out of its own
/// migrations. For another table use [`TableDsl::migrate`].
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
/// The errors of [`TableDsl::migrate`].
pub fn migrate<C: LockConnection>(conn: &mut C) -> Result<()> {
    Table::default().migrate(conn)
}

/// Checks whether locks can work on this connection, with the table `diesel_locks`. Call it at start-up. For another
/// table use [`TableDsl::verify`].
///
/// # Errors
/// The errors of [`TableDsl::verify`].
pub fn verify<C: LockConnection>(conn: &mut C) -> Result<()> {
    Table::default().verify(conn)
}

/// Creates a [`Table`], and checks that locks can work with it. Import this trait for a table other than
/// `diesel_locks`; for that one there are [`migrate`] and [`verify`].
///
/// ```
/// # use diesel::{Connection, SqliteConnection};
/// # let mut conn = SqliteConnection::establish(":memory:").unwrap();
/// use diesel_locks::blocking::TableDsl;
/// use diesel_locks::{Lock, Table};
///
/// let table = Table::new("billing_locks")?;
/// table.migrate(&mut conn)?;
/// table.verify(&mut conn)?;
/// let lock = Lock::new("invoice:42")?.in_table(table);
/// # let _ = lock;
/// # Ok::<(), diesel_locks::Error>(())
/// ```
pub trait TableDsl: Borrow<Table> {
    /// Creates the table with its view, or upgrades it. The table `diesel_locks_setup` records the migrations that were
    /// run. If all were run already, this call is one SELECT, which needs no right to create anything.
    ///
    /// Call it at every start. Any number of processes may call it at once. Use it in an application that keeps the
    /// table out of its own migrations. If the application's migrations create the table, use [`verify`](Self::verify)
    /// instead.
    ///
    /// Do not call it in a transaction that Diesel did not begin: this call cannot see such a transaction, and on MySQL
    /// and MariaDB commits it.
    ///
    /// # Errors
    /// [`Error::Setup`](crate::Error::Setup) inside a transaction, and if the table exists but was not created by this
    /// call; and whatever the database says.
    fn migrate<C: LockConnection>(&self, conn: &mut C) -> Result<()> {
        ready(protocol::migrate(&mut Blocking::on(conn), self.borrow()))
    }

    /// Checks whether locks can work here. It is one statement, which changes nothing. Call it at start-up.
    ///
    /// The check passes if
    /// - the table exists, and has everything that this version needs, whichever way it was created;
    /// - its key, collation and engine keep different names apart, and its rows can be locked;
    /// - every session sees it, and it survives a crash: it is no temporary table, and on PostgreSQL not UNLOGGED (a
    ///   temporary table of MySQL or MariaDB cannot be seen);
    /// - the role may SELECT, INSERT and UPDATE, as locks need;
    /// - the server is PostgreSQL, MySQL, MariaDB or SQLite, and new enough;
    /// - on PostgreSQL no schema comes before `pg_catalog` in the `search_path`;
    /// - on MySQL and MariaDB `autocommit` is on.
    ///
    /// # Errors
    /// [`Error::TableMissing`](crate::Error::TableMissing); [`Error::Setup`](crate::Error::Setup), which says what does
    /// not fit and what to do about it; and whatever the database says.
    fn verify<C: LockConnection>(&self, conn: &mut C) -> Result<()> {
        ready(protocol::verify(&mut Blocking::on(conn), self.borrow()))
    }
}

impl TableDsl for Table {}
