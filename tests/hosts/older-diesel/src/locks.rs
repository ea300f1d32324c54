//! What the application does with locks.

use diesel::SqliteConnection;
use diesel_locks::blocking::{Locker, run_migrations_in_turn};
use diesel_locks::migrations::Migrations;
use diesel_locks::{Run, Wait};

use crate::{MIGRATIONS, Pool, Result, send_all};

/// Runs the migrations of the application and those of the locks. Instances that start at once take turns.
pub fn migrate(conn: &mut SqliteConnection) -> Result<()> {
    let all = Migrations::default().with(MIGRATIONS);
    run_migrations_in_turn(conn, Wait::forever(), all).map(drop)
}

/// Sends the reminders, unless another instance is sending them. What a stale instance sends does not commit.
pub fn send_reminders(locks: &Locker<Pool>) -> Result<Option<usize>> {
    let sent = locks.run("reminders", Wait::never(), |guard| {
        guard.transaction(|conn| Ok::<_, diesel_locks::Error>(send_all(conn, guard.fence())?))
    })?;
    Ok(match sent {
        Run::Done(sent) => Some(sent?),
        _ => None,
    })
}
