//! Reading rows, and removing the rows of unused locks.

use std::borrow::Borrow;
use std::time::Duration;

use super::connection::{AsyncLockConnection, Asynchronous};
use crate::answer::Record;
use crate::error::Result;
use crate::list::List;
use crate::protocol;

/// Reads the rows of a [`List`], and removes the rows of unused locks: the async form of
/// [`blocking::ListDsl`](crate::blocking::ListDsl).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> diesel_locks::Result<()> {
/// # use diesel::{Connection, SqliteConnection};
/// # use diesel_async::{AsyncConnection, sync_connection_wrapper::SyncConnectionWrapper};
/// # let mut conn = SqliteConnection::establish(":memory:").unwrap();
/// # diesel_locks::blocking::migrate(&mut conn).unwrap();
/// # let mut conn: SyncConnectionWrapper<_> = SyncConnectionWrapper::new(conn);
/// use diesel_locks::List;
/// use diesel_locks::asynchronous::ListDsl;
///
/// for record in List::all().in_group("invoices")?.held().load(&mut conn).await? {    // the first hundred
///     println!("{} is held by {}", record.name(), record.owner);
/// }
/// # Ok(()) }
/// ```
pub trait ListDsl: Borrow<List> + Sync {
    /// Reads the page: the async form of [`blocking::ListDsl::load`](crate::blocking::ListDsl::load).
    fn load<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
    ) -> impl Future<Output = Result<Vec<Record>>> + Send {
        async move { protocol::list(&mut Asynchronous::on(conn), self.borrow()).await }
    }

    /// Removes the rows of locks that nobody uses any more: the async form of
    /// [`blocking::ListDsl::purge`](crate::blocking::ListDsl::purge).
    #[doc(alias = "clear")]
    fn purge<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
        age: Duration,
    ) -> impl Future<Output = Result<usize>> + Send {
        async move { protocol::purge(&mut Asynchronous::on(conn), self.borrow(), age).await }
    }
}

impl ListDsl for List {}
