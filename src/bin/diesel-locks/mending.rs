//! `diesel-locks release` and `purge`.

use std::time::Duration;

use diesel_locks::blocking::{ListDsl, LockConnection, LockDsl};
use diesel_locks::{Forced, List, Lock};

use crate::{Answer, Outcome, asking, looking, print, spans};

pub fn release<C: LockConnection>(conn: &mut C, lock: &Lock, yes: bool) -> Outcome {
    let held = lock.inspect(conn)?.filter(diesel_locks::Record::is_held);
    if let (Some(record), false) = (&held, yes) {
        let age = looking::held_for(record).map(spans::short);
        let question = format!(
            "{} is held by {}, for {} (fence {}). Take it away?",
            lock.key(),
            record.owner,
            age.unwrap_or_default(),
            record.fence
        );
        if !asking::is_agreed(&question)? {
            eprintln!("not released");
            return Ok(Answer::No);
        }
    }
    match lock.force_release(conn)? {
        Forced::Released => {
            print(&format!("{} is released\n", lock.key()))?;
            return Ok(Answer::Yes);
        }
        Forced::Free => eprintln!("{} is free: nobody holds it", lock.key()),
        Forced::InUse => eprintln!(
            "{} is in use in an open transaction: try again, or end that transaction",
            lock.key()
        ),
    }
    Ok(Answer::No)
}

pub fn purge<C: LockConnection>(conn: &mut C, list: &List, age: Duration) -> Outcome {
    let purged = list.purge(conn, age)?;
    print(&format!("{purged} removed\n"))?;
    Ok(Answer::Yes)
}
