//! A job that only one instance does at a time: it numbers the invoices, without gaps and without duplicates.
//!
//! The job reads the last number once, and then counts in memory. That is correct only while no other instance gives
//! numbers. The lock ensures that. The guarded transactions ensure that an instance that was paused, and does not know
//! that it has lost the lock, cannot commit another number.

use std::convert::Infallible;
use std::time::Duration;

use diesel_locks::asynchronous::{Guard, Locker};
use diesel_locks::{Error, Result, Run, Wait};
use tokio::time::sleep;

use crate::database::Database;
use crate::invoices::Invoices;

const PAUSE: Duration = Duration::from_millis(200);

/// Waits for the lock, then gives numbers. Waits again if the lock is lost. Returns when the locks are closed.
pub async fn run<P: Database>(locker: Locker<P>) {
    loop {
        println!("waiting for the lock of the numbers");
        let turn = locker.run("invoice-numbers", Wait::forever(), number_all);
        match turn.await {
            Err(Error::Closed) => return,
            Ok(Run::Done(Err(error))) | Err(error) => {
                println!("{error}");
                sleep(PAUSE).await;
            }
            Ok(Run::Lost { .. } | Run::Busy { .. }) => println!("lost the lock"),
        }
    }
}

/// Gives numbers until the lock is lost: then this future is dropped at an `await`.
async fn number_all<P: Database>(guard: &Guard<P>) -> Result<Infallible> {
    let fence = guard.fence();
    println!("giving numbers under fence {fence}");
    let mut last = guard
        .transaction(async |conn| Ok::<_, Error>(conn.last_number().await?))
        .await?;
    loop {
        let next = last + 1;
        let numbered = guard
            .transaction(async |conn| Ok::<_, Error>(conn.number_one(next, fence).await?))
            .await?;
        if numbered {
            last = next;
        } else {
            sleep(PAUSE).await;
        }
    }
}
