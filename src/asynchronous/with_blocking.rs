//! Blocking work on an async connection, such as Diesel's migrations.
//!
//! A migration gets a connection, and may do anything with it. So the work runs on a thread for blocking work, and the
//! connection moves there and back. Meanwhile the runtime is free to drive that connection. This also works on a runtime
//! with one thread, where diesel-async's own harness panics.

use diesel_async::AsyncConnection;
use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;

/// Does blocking work with an async connection, on a thread for such work, and returns the connection. Use it for
/// Diesel's migrations, which are not async. It also works on a runtime with one thread. It needs tokio.
///
/// ```
/// # use diesel::{Connection, SqliteConnection};
/// # use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// # let conn: SyncConnectionWrapper<_> = SyncConnectionWrapper::new(SqliteConnection::establish(":memory:").unwrap());
/// use diesel_locks::{asynchronous, migrations::Migrations};
/// use diesel_migrations::MigrationHarness;
///
/// // const MIGRATIONS: EmbeddedMigrations = embed_migrations!();
/// # #[allow(non_snake_case)] let MIGRATIONS = Migrations::for_table(diesel_locks::Table::new("other")?);
/// let (conn, done) = asynchronous::with_blocking(conn, |conn| {
///     conn.run_pending_migrations(Migrations::default().with(MIGRATIONS)).map(|done| done.len())
/// }).await;
/// assert_eq!(done?, 2);
/// # drop(conn); Ok(()) }
/// ```
///
/// # Panics
/// If the work does.
pub async fn with_blocking<C, T>(
    conn: C,
    work: impl FnOnce(&mut AsyncConnectionWrapper<C>) -> T + Send + 'static,
) -> (C, T)
where
    C: AsyncConnection + Send + 'static,
    T: Send + 'static,
{
    let task = tokio::task::spawn_blocking(move || {
        let mut conn = AsyncConnectionWrapper::from(conn);
        let done = work(&mut conn);
        (conn.into_inner(), done)
    });
    match task.await {
        Ok(answer) => answer,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
