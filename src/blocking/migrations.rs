//! The application's own migrations, where several instances start at once.
//!
//! - The lock lives in a table of its own, which makes itself: the migrations that are run may be the ones that make
//!   or remove the table of all other locks.
//! - The lease is extended before each migration, so its ttl must only be longer than the longest of them. Who finds
//!   it lost stops.

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

/// Long for a migration, and short enough to wait for when an instance died in the middle of one.
const TTL: Duration = Duration::from_secs(10 * 60);

/// Runs the application's pending migrations while no other instance does: Diesel's `run_pending_migrations` itself is not
/// made for several that start at once.
///
/// The answer is the versions that this call has run (none, where another instance was quicker), or busy where the
/// wait was over before the other one was done. The lock is `migrations`, in a table `diesel_locks_turns` that is made
/// if it is not there; an instance that dies keeps it for up to ten minutes, and so long may one migration take.
///
/// ```
/// # use diesel::{Connection, SqliteConnection};
/// # use std::time::Duration;
/// # let mut conn = SqliteConnection::establish(":memory:").unwrap();
/// use diesel_locks::{Wait, blocking, migrations::Migrations};
///
/// // const MIGRATIONS: EmbeddedMigrations = embed_migrations!();
/// # #[allow(non_snake_case)] let MIGRATIONS = Migrations::for_table(diesel_locks::Table::new("other")?);
/// let all = Migrations::default().with(MIGRATIONS);    // or just your own
/// let wait = Wait::up_to(Duration::from_secs(300));
/// if blocking::run_migrations_in_turn(&mut conn, wait, all)?.is_busy() {
///     return Err("another instance is still migrating".into());
/// }
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
///
/// # Errors
/// Those of the migrations, of [`migrate`](super::migrate), and [`Error::Lost`] if the lock was lost in between.
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
        if lease.extend(conn)?.is_lost() {
            return Err(lease.lost().into());
        }
        done.push(conn.run_migration(&*migration)?);
    }
    Ok(done)
}
