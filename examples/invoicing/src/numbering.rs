//! A job that only one instance does at a time: it numbers the invoices, without gaps and without duplicates.
//!
//! The job reads the last number once, and then counts in memory. That is correct only while no other instance gives
//! numbers. The lock ensures that. The guarded transactions ensure that an instance that was paused, and does not know
//! that it has lost the lock, cannot commit another number.

use std::convert::Infallible;
use std::thread::sleep;
use std::time::Duration;

use diesel::dsl::{max, min};
use diesel::prelude::*;
use diesel_locks::blocking::{Guard, Locker};
use diesel_locks::{Result, Run, Wait};

use crate::database::Pool;
use crate::schema::invoices;

/// The longest time until another instance takes over from a killed one.
const TTL: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(200);

/// Waits for the lock, then gives numbers. Waits again if the lock is lost.
pub fn run(pool: &Pool) -> crate::Result<()> {
    let locker = Locker::new(pool.clone()).with_ttl(TTL)?;
    loop {
        println!("waiting for the lock");
        match locker.run("invoice-numbers", Wait::forever(), number_all) {
            Ok(Run::Done(Err(error))) | Err(error) => {
                println!("{error}");
                sleep(PAUSE);
            }
            Ok(Run::Lost { .. } | Run::Busy { .. }) => println!("lost the lock"),
        }
    }
}

fn number_all(guard: &Guard<Pool>) -> Result<Infallible> {
    println!("giving numbers under fence {}", guard.fence());
    let mut last = guard.transaction(|conn| last_number(conn))?;
    loop {
        if guard.transaction(|conn| number_one(conn, last + 1, guard.fence()))? {
            last += 1;
        } else if guard.lost_within(PAUSE) {
            guard.check()?;
        }
    }
}

fn last_number(conn: &mut SqliteConnection) -> Result<i32> {
    let last: Option<i32> = invoices::table
        .select(max(invoices::number))
        .get_result(conn)?;
    Ok(last.unwrap_or(0))
}

/// Gives the number to the oldest invoice without one. Returns whether there was such an invoice.
fn number_one(conn: &mut SqliteConnection, number: i32, fence: i64) -> Result<bool> {
    let oldest: Option<i32> = invoices::table
        .filter(invoices::number.is_null())
        .select(min(invoices::id))
        .get_result(conn)?;
    let Some(id) = oldest else { return Ok(false) };
    diesel::update(invoices::table.find(id))
        .set((
            invoices::number.eq(number),
            invoices::numbered_by.eq(std::process::id().to_string()),
            invoices::numbered_under.eq(fence),
        ))
        .execute(conn)?;
    Ok(true)
}
