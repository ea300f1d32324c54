//! Runs the application's own migrations when several instances start at once.
//!
//! - The lock is in a separate table, which this call creates itself. It cannot be in the table of all other locks,
//!   because the migrations that are run may create or remove that table.
//! - The lease is extended before each migration. So the ttl only has to be longer than the longest single migration.
//!   An instance that finds its lease lost stops.

use std::time::Duration;

use diesel::migration::{MigrationSource, MigrationVersion, Result};
use diesel_migrations::MigrationHarness;

use super::{LeaseDsl, LockConnection, LockDsl, TableDsl};
use crate::answer::Attempt;
#[cfg(doc)]
use crate::error::Error;
use crate::lease::Lease;
use crate::lock::Lock;
use crate::table::Table;
use crate::wait::Wait;

/// Long enough for one migration, and short enough to wait for if an instance has died during one.
const TTL: Duration = Duration::from_secs(10 * 60);

/// Runs the application's pending migrations while no other instance does. Use it if several instances may start at
/// once: Diesel's own `run_pending_migrations` is not made for that.
///
/// The answer is the versions that this call has run. There are none if another instance was quicker. If the wait was
/// over before the other instance was ready, the answer is busy.
///
/// The lock is `migrations` in the table `diesel_locks_turns`. The table is created if it does not exist. An instance
/// that dies keeps the lock for up to ten minutes, and one migration may take up to ten minutes.
///
/// ```
/// # use diesel::{Connection, SqliteConnection};
/// # use std::time::Duration;
/// # let mut conn = SqliteConnection::establish(":memory:").unwrap();
/// use diesel_locks::{Wait, blocking, migrations::Migrations};
///
/// // const MIGRATIONS: EmbeddedMigrations = embed_migrations!();
/// # #[allow(non_snake_case)] let MIGRATIONS = Migrations::for_table(diesel_locks::Table::new("other")?);
/// let all = Migrations::default().with(MIGRATIONS);    // or only your own migrations
/// let wait = Wait::up_to(Duration::from_secs(300));
/// if blocking::run_migrations_in_turn(&mut conn, wait, all)?.is_busy() {
///     return Err("another instance is still migrating".into());
/// }
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
///
/// # Errors
/// The errors of the migrations and of [`migrate`](super::migrate), and [`Error::Lost`] if the lock was lost between
/// two migrations.
pub fn run_migrations_in_turn<C, S>(
    conn: &mut C,
    wait: Wait,
    source: S,
) -> Result<Attempt<Vec<MigrationVersion<'static>>>>
where
    C: LockConnection + MigrationHarness<C::Dialect>,
    S: MigrationSource<C::Dialect>,
{
    let table = Table::new("diesel_locks_turns")?;
    table.migrate(conn)?;
    let lock = Lock::new("migrations")?.with_ttl(TTL)?.in_table(table);
    let mut lease = match lock.acquire(conn, wait)? {
        Attempt::Acquired(lease) => lease,
        Attempt::Busy(holder) => return Ok(Attempt::Busy(holder)),
    };
    let done = run_pending(conn, &mut lease, source);
    let _ = lease.release(conn); // otherwise it is free after the ttl
    done.map(Attempt::Acquired)
}

fn run_pending<C, S>(
    conn: &mut C,
    lease: &mut Lease,
    source: S,
) -> Result<Vec<MigrationVersion<'static>>>
where
    C: LockConnection + MigrationHarness<C::Dialect>,
    S: MigrationSource<C::Dialect>,
{
    let mut done = Vec::new();
    for migration in conn.pending_migrations(source)? {
        lease.extend(conn)?;
        done.push(conn.run_migration(&*migration)?);
    }
    Ok(done)
}
