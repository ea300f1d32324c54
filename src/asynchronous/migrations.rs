//! Runs the application's own migrations when several instances start at once, on an async connection.

use diesel::migration::{MigrationSource, MigrationVersion, Result};
use diesel_async::AsyncConnection;
use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;
use diesel_migrations::MigrationHarness;

use super::with_blocking;
use crate::answer::Attempt;
use crate::blocking::{self, LockConnection};
use crate::wait::Wait;

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
