//! `diesel-locks migrate` and `verify`.

use diesel_locks::blocking::TableDsl;
use diesel_locks::{Error, Table};

use crate::database::Database;
use crate::explain::explain;
use crate::held::Looks;
use crate::outcome::{Exit, Outcome, print, say};

pub fn migrate<C: Looks>(table: Table, database: &Database<C>) -> Outcome {
    let name = table.name().to_owned();
    match database.ask(move |conn| Ok(table.migrate(conn)))? {
        Ok(()) => print(&format!("{name} is up to date\n"))?,
        Err(Error::Setup { found, .. }) => return Err(foreign(&found).into()),
        Err(error) => return Err(error.into()),
    }
    Ok(Exit::Done)
}

/// Outside a transaction, there is one reason to refuse.
fn foreign(found: &str) -> String {
    format!(
        "{found}: the application's own migrations own it. Run those instead (`diesel migration run`), and check the \
         table with `diesel-locks verify`"
    )
}

pub fn verify<C: Looks>(table: Table, database: &Database<C>) -> Outcome {
    let name = table.name().to_owned();
    match database.ask(move |conn| Ok(table.verify(conn)))? {
        Ok(()) => {
            print(&format!("{name} is ready\n"))?;
            Ok(Exit::Done)
        }
        Err(error @ (Error::Setup { .. } | Error::TableMissing { .. })) => {
            say(&explain(&error));
            Ok(Exit::No)
        }
        Err(error) => Err(error.into()),
    }
}
