//! `diesel-locks migrate` and `verify`.

use diesel_locks::blocking::{LockConnection, TableDsl};
use diesel_locks::{Error, Table};

use crate::{Answer, Outcome, print};

pub fn migrate<C: LockConnection>(conn: &mut C, table: &Table) -> Outcome {
    table.migrate(conn)?;
    print(&format!("{} is there\n", table.name()))?;
    Ok(Answer::Yes)
}

pub fn verify<C: LockConnection>(conn: &mut C, table: &Table) -> Outcome {
    match table.verify(conn) {
        Ok(()) => {
            print(&format!("{} will do\n", table.name()))?;
            Ok(Answer::Yes)
        }
        Err(error @ (Error::Setup { .. } | Error::TableMissing { .. })) => {
            eprintln!("diesel-locks: {error}");
            Ok(Answer::No)
        }
        Err(error) => Err(error.into()),
    }
}
