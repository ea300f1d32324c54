//! Making the table, and looking whether it will do.

use std::borrow::Borrow;

use super::connection::{AsyncLockConnection, Asynchronous};
use crate::error::Result;
use crate::protocol;
use crate::table::Table;

/// [`blocking::migrate`](crate::blocking::migrate), async.
///
/// # Errors
/// Those of [`blocking::TableDsl::migrate`](crate::blocking::TableDsl::migrate).
pub async fn migrate<C: AsyncLockConnection>(conn: &mut C) -> Result<()> {
    Table::default().migrate(conn).await
}

/// [`blocking::verify`](crate::blocking::verify), async.
///
/// # Errors
/// Those of [`blocking::TableDsl::verify`](crate::blocking::TableDsl::verify).
pub async fn verify<C: AsyncLockConnection>(conn: &mut C) -> Result<()> {
    Table::default().verify(conn).await
}

/// Making a [`Table`], and looking whether it will do: [`blocking::TableDsl`](crate::blocking::TableDsl), async.
pub trait TableDsl: Borrow<Table> + Sync {
    /// [`blocking::TableDsl::migrate`](crate::blocking::TableDsl::migrate), async.
    fn migrate<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
    ) -> impl Future<Output = Result<()>> + Send {
        async move { protocol::migrate(&mut Asynchronous::on(conn), self.borrow()).await }
    }

    /// [`blocking::TableDsl::verify`](crate::blocking::TableDsl::verify), async.
    fn verify<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
    ) -> impl Future<Output = Result<()>> + Send {
        async move { protocol::verify(&mut Asynchronous::on(conn), self.borrow()).await }
    }
}

impl TableDsl for Table {}
