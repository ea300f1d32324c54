//! `diesel-locks purge`.

use std::time::Duration;

use diesel_locks::List;
use diesel_locks::blocking::{ListDsl, LockConnection};

use crate::outcome::{Exit, Outcome, print};

pub fn purge<C: LockConnection>(conn: &mut C, list: &List, age: Duration) -> Outcome {
    let purged = list.purge(conn, age)?;
    print(&format!("{purged} removed\n"))?;
    Ok(Exit::Done)
}
