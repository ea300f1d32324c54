//! `diesel-locks show`.

use diesel_locks::Table;
use diesel_locks::blocking::LockDsl;

use crate::database::Database;
use crate::held::{Looks, or_held};
use crate::outcome::{Exit, Outcome, print, say};
use crate::record::{Record, utc};
use crate::which::LockName;
use crate::{duration, json};

pub fn show<C: Looks>(
    name: &LockName,
    as_json: bool,
    table: Table,
    database: &Database<C>,
) -> Outcome {
    let lock = name.lock(table.clone())?;
    let key = lock.key().to_owned();
    let record = database.ask(move |conn| {
        let row = lock.inspect(conn).map(|row| row.map(Record::from));
        let is_this = |record: &Record| record.key == lock.key();
        let this = |held: Vec<Record>| held.into_iter().find(is_this);
        Ok(or_held(row, conn, &table, |held| this(held).map(Some))?)
    })?;
    let Some(record) = record else {
        say(&format!("{key} was never used, or has been purged since"));
        return Ok(Exit::No);
    };
    if as_json {
        print(&(json::object(&record) + "\n"))?;
    } else {
        print(&lines(&record))?;
    }
    Ok(Exit::Done)
}

fn lines(record: &Record) -> String {
    let state = match (record.held_for(), record.time_left) {
        (Some(age), Some(left)) => format!(
            "held for {}, {} left",
            duration::short(age),
            duration::short(left)
        ),
        _ => "free".to_owned(),
    };
    let owner = if record.is_held() {
        "owner"
    } else {
        "last owner"
    };
    let data = record.data.as_deref().map(|data| ("data", data.to_owned()));
    let lines = [
        ("lock", record.key.clone()),
        ("state", state),
        (owner, record.owner.clone()),
        ("fence", record.fence.to_string()),
        ("acquired", utc(record.acquired_at)),
        ("lease ends", utc(record.expires_at)),
    ];
    let lines = lines.into_iter().chain(data);
    lines
        .map(|(label, text)| format!("{label:<11} {text}\n"))
        .collect::<Vec<_>>()
        .concat()
}
