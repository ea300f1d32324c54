//! What the service does with locks.

use std::time::Duration;

use diesel_async::AsyncPgConnection;
use diesel_async::pooled_connection::bb8::Pool;
use diesel_locks::asynchronous::Locker;
use diesel_locks::{Error, Wait};

use crate::write;

pub type Locks = Locker<Pool<AsyncPgConnection>>;

pub fn new(pool: Pool<AsyncPgConnection>) -> Locks {
    Locker::new(pool)
}

/// Writes the next invoice. One worker of one instance does so at a time.
pub async fn next_invoice(locks: &Locks) -> Result<i32, Error> {
    let guard = locks
        .acquire("invoices", Wait::up_to(Duration::from_secs(60)))
        .await?;
    let fence = guard.fence();
    guard
        .finish(async |conn| Ok(write(conn, fence).await?))
        .await
}
