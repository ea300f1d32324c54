//! Creating the table, and checking that locks can work with it, on an async connection.

use std::borrow::Borrow;

use super::connection::{AsyncLockConnection, Asynchronous, in_use};
use crate::error::Result;
use crate::protocol;
use crate::table::Table;

/// Creates or upgrades the table: the async form of [`blocking::migrate`](crate::blocking::migrate).
///
/// # Errors
/// The errors of [`blocking::TableDsl::migrate`](crate::blocking::TableDsl::migrate).
pub async fn migrate<C: AsyncLockConnection>(conn: &mut C) -> Result<()> {
    Table::default().migrate(conn).await
}

/// Checks whether locks can work here: the async form of [`blocking::verify`](crate::blocking::verify).
///
/// # Errors
/// The errors of [`blocking::TableDsl::verify`](crate::blocking::TableDsl::verify).
pub async fn verify<C: AsyncLockConnection>(conn: &mut C) -> Result<()> {
    Table::default().verify(conn).await
}

/// Creates a [`Table`], and checks that locks can work with it: the async form of
/// [`blocking::TableDsl`](crate::blocking::TableDsl).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> diesel_locks::Result<()> {
/// # use diesel::{Connection, SqliteConnection};
/// # use diesel_async::{AsyncConnection, sync_connection_wrapper::SyncConnectionWrapper};
/// # let mut conn = SqliteConnection::establish(":memory:").unwrap();
/// # diesel_locks::blocking::migrate(&mut conn).unwrap();
/// # let mut conn: SyncConnectionWrapper<_> = SyncConnectionWrapper::new(conn);
/// use diesel_locks::asynchronous::TableDsl;
/// use diesel_locks::{Lock, Table};
///
/// let table = Table::new("billing_locks")?;
/// table.migrate(&mut conn).await?;
/// table.verify(&mut conn).await?;
/// let lock = Lock::new("invoice:42")?.in_table(table);
/// # let _ = lock;
/// # Ok(()) }
/// ```
pub trait TableDsl: Borrow<Table> + Sync {
    /// Creates or upgrades the table: the async form of
    /// [`blocking::TableDsl::migrate`](crate::blocking::TableDsl::migrate).
    ///
    /// If the future is dropped, the connection cannot be used any more (see [`AsyncLockConnection`]). The next call, on
    /// another connection, completes what is left half done.
    fn migrate<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
    ) -> impl Future<Output = Result<()>> + Send {
        async move {
            let mut migration = in_use(conn);
            let on = &mut Asynchronous::on(&mut **migration);
            let done = protocol::migrate(on, self.borrow()).await;
            migration.done();
            done
        }
    }

    /// Checks whether locks can work here: the async form of
    /// [`blocking::TableDsl::verify`](crate::blocking::TableDsl::verify).
    fn verify<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
    ) -> impl Future<Output = Result<()>> + Send {
        async move { protocol::verify(&mut Asynchronous::on(conn), self.borrow()).await }
    }
}

impl TableDsl for Table {}
