//! The holder of a lock, as others see it.

use std::time::Duration;

use chrono::{DateTime, Utc};

/// The holder of a lock at the moment when the database answered.
///
/// Use it to tell people, and to decide when to ask again. Do not use it to decide whether you may go on: when you read
/// it, the lock may have another holder already.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// The label of the holder: [`Lock::with_owner`](crate::Lock::with_owner).
    pub owner: String,
    /// The fence: the number of the holder's acquisition.
    pub fence: i64,
    /// When the holder acquired the lock, on the database's clock.
    pub since: DateTime<Utc>,
    /// How long the lease still lasts if the holder does not extend it.
    pub time_left: Duration,
    /// The text that a holder has left with the lock.
    pub data: Option<String>,
}
