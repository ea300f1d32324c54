//! `diesel-locks migrate` and `verify`.

use diesel_locks::blocking::{LockConnection, TableDsl};
use diesel_locks::{Error, Table};

use crate::outcome::{Exit, Outcome, print};

pub fn migrate<C: LockConnection>(conn: &mut C, table: &Table) -> Outcome {
    table.migrate(conn)?;
    print(&format!("{} is up to date\n", table.name()))?;
    Ok(Exit::Done)
}

pub fn verify<C: LockConnection>(conn: &mut C, table: &Table) -> Outcome {
    match table.verify(conn) {
        Ok(()) => {
            print(&format!("{} is ready\n", table.name()))?;
            Ok(Exit::Done)
        }
        Err(error @ (Error::Setup { .. } | Error::TableMissing { .. })) => {
            eprintln!("diesel-locks: {error}");
            Ok(Exit::No)
        }
        Err(error) => Err(error.into()),
    }
}
