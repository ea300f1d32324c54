//! `diesel-locks purge`.

use std::time::Duration;

use diesel_locks::List;
use diesel_locks::blocking::ListDsl;

use crate::database::Database;
use crate::held::Looks;
use crate::outcome::{Exit, Outcome, print};

pub fn purge<C: Looks>(list: List, age: Duration, database: &Database<C>) -> Outcome {
    let purged = database.ask(move |conn| Ok(list.purge(conn, age)?))?;
    print(&format!("{purged} removed\n"))?;
    Ok(Exit::Done)
}
