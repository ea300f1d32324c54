//! `diesel-locks release`.

use diesel_locks::blocking::{LockConnection, LockDsl};
use diesel_locks::{Forced, Lock, Record};

use crate::confirm::confirm;
use crate::duration;
use crate::outcome::{Exit, Outcome, print};
use crate::record::held_for;

pub fn release<C: LockConnection>(conn: &mut C, lock: &Lock, yes: bool) -> Outcome {
    let held = lock.inspect(conn)?.filter(Record::is_held);
    if let (Some(record), false) = (&held, yes) {
        if !confirm(&question(record))? {
            eprintln!("not released");
            return Ok(Exit::No);
        }
    }
    match lock.force_release(conn)? {
        Forced::Released => {
            print(&format!("{} is released\n", lock.key()))?;
            return Ok(Exit::Done);
        }
        Forced::Free => eprintln!("{} is free: nobody holds it", lock.key()),
        Forced::InUse => eprintln!(
            "{} is in use by an open transaction: try again, or end that transaction",
            lock.key()
        ),
    }
    Ok(Exit::No)
}

fn question(record: &Record) -> String {
    let age = held_for(record).map(duration::short);
    format!(
        "{} has held {} for {} (fence {}). Release it?",
        record.owner,
        record.key,
        age.unwrap_or_default(),
        record.fence
    )
}
