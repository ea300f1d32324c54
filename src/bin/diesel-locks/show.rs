//! `diesel-locks show`.

use diesel_locks::blocking::{LockConnection, LockDsl};
use diesel_locks::{Lock, Record};

use crate::outcome::{Exit, Outcome, print};
use crate::record::{held_for, utc};
use crate::{duration, json};

pub fn show<C: LockConnection>(conn: &mut C, lock: &Lock, as_json: bool) -> Outcome {
    let Some(record) = lock.inspect(conn)? else {
        eprintln!("{} was never used, or has been purged since", lock.key());
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
    let state = match (held_for(record), record.time_left) {
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
