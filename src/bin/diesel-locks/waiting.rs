//! Acquiring a lock for `acquire` and `run`.
//!
//! The wait is made of pieces. Each piece is a question with an end of its own, on a new connection: a database that
//! hangs must not hold up a wait that has an end, and a connection that is dead must not hold up a wait that has none.

use std::error::Error as StdError;
use std::time::{Duration, Instant};

use diesel_locks::blocking::{Guard, Locker};
use diesel_locks::{Attempt, Error, Lock, Wait};

use crate::database::Database;
use crate::duration;
use crate::explain::explain;
use crate::held::Looks;
use crate::outcome::{Outcome, say};
use crate::within::{NoAnswer, within};

/// The last try may begin at the very end of the wait, and has this time for its answer.
const LAST_ANSWER: Duration = Duration::from_secs(2);

/// After so many questions in a row without an answer, the wait ends: each of them has left a thread and a connection
/// behind.
const UNANSWERED: u32 = 5;

/// The value of `--wait forever`.
const FOREVER: Duration = Duration::MAX;

/// `10m`, or `forever`.
pub fn parse(text: &str) -> Result<Duration, String> {
    match text {
        "forever" => Ok(FOREVER),
        _ => duration::parse(text).map_err(|error| format!("{error}, or forever")),
    }
}

/// Acquires the lock. Without a time to wait, it tries once.
///
/// Each piece has a `Locker` of its own: the waiters of one `Locker` queue, and one that hangs would keep its place.
pub fn acquire<C: Looks>(
    database: &Database<C>,
    locker: impl Fn() -> Locker<Database<C>>,
    lock: &Lock,
    wait: Option<Duration>,
) -> Outcome<Attempt<Guard<Database<C>>>> {
    let (began, mut unanswered) = (Instant::now(), 0);
    let rest = || wait.map(|wait| wait.saturating_sub(began.elapsed()));
    loop {
        let answer = piece(database.timeout(), locker(), lock.clone(), rest());
        let goes_on = rest().is_some_and(|rest| !rest.is_zero());
        match answer {
            Ok(Attempt::Busy(_)) if goes_on => unanswered = 0,
            Err(error) if goes_on && may_pass(&*error) => {
                unanswered = if error.is::<NoAnswer>() {
                    unanswered + 1
                } else {
                    0
                };
                if unanswered == UNANSWERED {
                    return Err(in_doubt(error, lock));
                }
                say(&format!(
                    "{}: still waiting: {}",
                    lock.key(),
                    explain(&*error)
                ));
            }
            answer => return answer.map_err(|error| in_doubt(error, lock)),
        }
    }
}

/// A request without an answer may have been carried out.
fn in_doubt(
    error: Box<dyn StdError + Send + Sync>,
    lock: &Lock,
) -> Box<dyn StdError + Send + Sync> {
    if !error.is::<NoAnswer>() {
        return error;
    }
    let key = lock.key();
    format!("{error}; if {key} was acquired all the same, it is free after its ttl").into()
}

/// Waits for as much of the rest as one question may take.
fn piece<C: Looks>(
    timeout: Duration,
    locker: Locker<Database<C>>,
    lock: Lock,
    rest: Option<Duration>,
) -> Outcome<Attempt<Guard<Database<C>>>> {
    let piece = rest.map(|rest| rest.min(timeout));
    let limit = piece.map_or(timeout, |piece| piece + LAST_ANSWER.min(timeout));
    let wait = piece.map_or_else(Wait::never, Wait::up_to);
    within(limit, move || match locker.acquire(lock, wait) {
        Ok(guard) => Ok(Attempt::Acquired(guard)),
        Err(Error::Busy { holder, .. }) => Ok(Attempt::Busy(holder.map(|holder| *holder))),
        Err(error) => Err(error.into()),
    })
}

/// Whether the database may come back while the wait goes on.
fn may_pass(error: &(dyn StdError + Send + Sync + 'static)) -> bool {
    match error.downcast_ref::<Error>() {
        Some(Error::NoConnection { .. } | Error::NoAnswer { .. }) => true,
        Some(error) => error.is_connection(),
        None => error.is::<NoAnswer>(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::parse;

    #[test]
    fn a_wait_has_a_time_or_none() {
        assert_eq!(parse("forever").unwrap(), Duration::MAX);
        assert_eq!(parse("3s").unwrap(), Duration::from_secs(3));
        assert!(parse("ever").unwrap_err().contains("forever"));
    }
}
