//! What the application does with locks.

use std::time::Duration;

use diesel::SqliteConnection;
use diesel_locks::blocking::{self, Locker};
use diesel_locks::{Error, Run, Wait};

use crate::{Pool, Result, clean};

pub fn migrate(conn: &mut SqliteConnection) -> Result<()> {
    Ok(blocking::migrate(conn)?)
}

/// Whoever has a lock keeps it for most of the tick. So no other instance repeats a job that is done quickly.
pub fn new(pool: Pool, tick: Duration) -> Locker<Pool> {
    Locker::new(pool).hold_at_least(tick * 9 / 10)
}

/// Cleans up, unless another instance does it in this tick.
pub fn clean_up(locks: &Locker<Pool>) -> Result<bool> {
    let cleaned = locks.run("clean-up", Wait::never(), |guard| {
        guard.transaction(|conn| Ok::<_, Error>(clean(conn, guard.fence())?))
    })?;
    Ok(matches!(cleaned, Run::Done(Ok(_))))
}
