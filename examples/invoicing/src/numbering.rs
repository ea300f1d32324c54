//! The job that one instance does at a time: every invoice gets a number, without gaps and none twice.
//!
//! The last number is read once and then counted on in memory, which is right only while nobody else gives numbers. The lock
//! sees to that; and the guarded transactions see to it that an instance that was paused, and has lost the lock without
//! knowing, commits no number any more.

use std::convert::Infallible;
use std::thread::sleep;
use std::time::Duration;

use diesel::dsl::{max, min};
use diesel::prelude::*;
use diesel_locks::blocking::{Guard, Locks};
use diesel_locks::{Result, Run, Wait};

use crate::database::Pool;
use crate::schema::invoices;

/// So long the others wait when the one that gives numbers dies.
const TTL: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(200);

/// Waits until it is this instance's turn, gives numbers, and waits again if the lock is lost.
pub fn go_on(pool: &Pool) -> crate::Result<()> {
    let locks = Locks::new(pool.clone()).ttl(TTL)?;
    loop {
        println!("waiting for my turn");
        match locks.run("invoice-numbers", Wait::forever(), number_all) {
            Ok(Run::Done(Err(error))) | Err(error) => {
                println!("{error}");
                sleep(PAUSE);
            }
            Ok(Run::Lost(_) | Run::Busy(_)) => println!("the lock is lost"),
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

/// Gives the number to the oldest invoice that has none; whether there was one.
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
