//! Runs in a child: prints what a client asks and is answered. Each line is written before the next step.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use diesel_locks::locker::EventKind;
use diesel_locks::{Error, Holder};
use diesel_locks_tests::clock::now;
use diesel_locks_tests::managed::Observer;

use crate::operation::{Act, Answer, Claim, Client, Event, Operation, Told, Word};

/// Prints that the client asks, and returns the number of the operation.
pub fn ask(client: Client, act: Act, name: &str, fence: i64) -> i64 {
    static LAST: AtomicI64 = AtomicI64::new(0);
    let last = LAST.fetch_add(1, Ordering::Relaxed);
    let id = i64::try_from(client.process).expect("a small number") * 1_000_000_000 + last + 1;
    let (name, asked) = (name.to_owned(), now());
    tell(&Event::Asked(Operation {
        id,
        client,
        act,
        name,
        fence,
        asked,
        answer: None,
    }));
    id
}

pub fn answer(id: i64, (word, number): (Word, i64)) {
    let at = now();
    tell(&Event::Answered(id, Answer { at, word, number }));
}

/// Prints how long the client may rely on its lease. The time is read before the lease is asked, so the claim is never
/// longer than what the lease said.
pub fn claim(name: &str, fence: i64, trusted_for: impl FnOnce() -> Duration) {
    let asked = now();
    let micros = trusted_for().as_micros();
    let Some(until) = i64::try_from(micros)
        .ok()
        .and_then(|time| asked.checked_add(time))
    else {
        return; // a pin on SQLite: trusted without an end
    };
    let from = now();
    if until > from {
        tell(&Event::Claimed(Claim {
            name: name.to_owned(),
            fence,
            from,
            until,
        }));
    }
}

/// Prints when a `Locker` has given a lease back. The event `NotReleased` is no end: the database may still do what it was
/// asked to do.
pub fn observer() -> Observer {
    Box::new(|event| {
        let is_over = matches!(event.kind, EventKind::Released { .. });
        if let (true, Some(fence)) = (is_over, event.fence) {
            let (name, at) = (event.key.to_owned(), now());
            tell(&Event::Told(Told { name, fence, at }));
        }
    })
}

fn tell(event: &Event) {
    println!("{event}");
}

pub fn busy(holder: Option<&Holder>) -> (Word, i64) {
    (Word::Busy, holder.map_or(0, |holder| holder.fence))
}

/// What an error means for the record. An error that is not known leaves open what the database did.
pub fn refused(error: &Error) -> (Word, i64) {
    match error {
        Error::Busy { holder, .. } => busy(holder.as_deref()),
        Error::Lost { .. } => (Word::Lost, 0),
        Error::Expired { .. } => (Word::Expired, 0),
        Error::Invalid { .. } | Error::Setup { .. } | Error::TableMissing { .. } => {
            panic!("{error}")
        }
        _ => (Word::Failed, 0),
    }
}
