//! Diesel's migrations on async connections.
//!
//! A migration is blocking: it gets a connection, and may do anything with it. So it runs on a thread for blocking
//! work, and the connection moves there and back. Meanwhile the runtime is free to drive that connection. This also
//! works on a runtime with one thread, where diesel-async's own harness panics.

use diesel::migration::{MigrationSource, MigrationVersion, Result};
use diesel_async::AsyncConnection;
use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;
use diesel_migrations::MigrationHarness;

use crate::answer::Attempt;
use crate::blocking::{self, LockConnection};
use crate::wait::Wait;

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

/// Runs the application's pending migrations while no other instance does: the async form of
/// [`blocking::run_migrations_in_turn`]. The connection comes back with the answer.
///
/// # Errors
/// The errors of the blocking form.
pub async fn run_migrations_in_turn<C, S>(
    conn: C,
    wait: Wait,
    source: S,
) -> (C, Result<Attempt<Vec<MigrationVersion<'static>>>>)
where
    C: AsyncConnection + Send + 'static,
    AsyncConnectionWrapper<C>: LockConnection<Dialect = C::Backend> + MigrationHarness<C::Backend>,
    S: MigrationSource<C::Backend> + Send + 'static,
{
    with_blocking(conn, |conn| {
        blocking::run_migrations_in_turn(conn, wait, source)
    })
    .await
}
