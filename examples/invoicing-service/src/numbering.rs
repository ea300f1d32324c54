//! The job that one instance does at a time: every invoice gets a number, without gaps and none twice.
//!
//! The last number is read once and then counted on in memory, which is right only while nobody else gives numbers. The lock
//! sees to that; and the guarded transactions see to it that an instance that was paused, and has lost the lock without
//! knowing, commits no number any more.

use std::convert::Infallible;
use std::time::Duration;

use diesel_locks::asynchronous::{Guard, Locks};
use diesel_locks::{Error, Result, Run, Wait};
use tokio::time::sleep;

use crate::database::Database;
use crate::invoices::Invoices;

const PAUSE: Duration = Duration::from_millis(200);

/// Waits until it is this instance's turn, gives numbers, and waits again if the lock is lost; until the locks are closed.
pub async fn go_on<P: Database>(locks: Locks<P>) {
    loop {
        println!("waiting for my turn to give numbers");
        let turn = locks.run("invoice-numbers", Wait::forever(), number_all);
        match turn.await {
            Err(Error::Closed) => return,
            Ok(Run::Done(Err(error))) | Err(error) => {
                println!("{error}");
                sleep(PAUSE).await;
            }
            Ok(Run::Lost(_) | Run::Busy(_)) => println!("the lock is lost"),
        }
    }
}

/// Dropped at an `await` when the lock is lost.
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
