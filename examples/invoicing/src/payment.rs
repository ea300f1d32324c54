//! Paying an invoice. Only one process pays an invoice at a time: the transaction commits under the lock of the
//! invoice, or not at all.

use std::time::Duration;

use diesel::prelude::*;
use diesel_locks::blocking::LockDsl;
use diesel_locks::{Attempt, Lock, Wait};

use crate::Result;
use crate::database::Pool;
use crate::schema::invoices;

pub fn pay(pool: &Pool, id: i32) -> Result<()> {
    let lock = Lock::in_group("invoices", id.to_string())?;
    let wait = Wait::up_to(Duration::from_secs(1));
    match lock.transaction(&mut pool.get()?, wait, |conn, _| set_paid(conn, id))? {
        Attempt::Acquired(()) => println!("invoice {id} is paid"),
        Attempt::Busy(Some(holder)) => {
            return Err(format!("{} is paying invoice {id}", holder.owner).into());
        }
        Attempt::Busy(None) => return Err(format!("another process is paying invoice {id}").into()),
    }
    Ok(())
}

fn set_paid(conn: &mut SqliteConnection, id: i32) -> Result<()> {
    let unpaid = invoices::table.find(id).filter(invoices::paid.eq(false));
    let rows = diesel::update(unpaid)
        .set(invoices::paid.eq(true))
        .execute(conn)?;
    if rows == 0 {
        return Err(format!("there is no unpaid invoice {id}").into());
    }
    Ok(())
}
