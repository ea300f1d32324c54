//! What the service does with locks.

use axum::http::StatusCode;
use diesel_async::AsyncPgConnection;
use diesel_async::pooled_connection::deadpool::Pool;
use diesel_locks::asynchronous::Locker;
use diesel_locks::{Error, Wait};

use crate::send_all;

pub type Locks = Locker<Pool<AsyncPgConnection>>;

pub fn new(pool: Pool<AsyncPgConnection>) -> Locks {
    Locker::new(pool)
}

/// Sends the reminders, unless another instance is sending them. What a stale instance sends does not commit.
pub async fn send_reminders(locks: &Locks) -> Result<usize, Error> {
    let guard = locks.acquire("reminders", Wait::never()).await?;
    let fence = guard.fence();
    guard
        .finish(async |conn| Ok(send_all(conn, fence).await?))
        .await
}

pub fn status(error: &Error) -> StatusCode {
    match error {
        Error::Busy { .. } => StatusCode::CONFLICT,
        error if error.is_transient() => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
