//! The holder of a lock, as others see it.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::lock::micros;

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
    /// How long the holder has held the lock, by the database's clock.
    pub held_for: Duration,
    /// How long the lease still lasts if the holder does not extend it.
    pub time_left: Duration,
    /// The text that a holder has left with the lock.
    pub data: Option<String>,
}

impl Holder {
    /// When the database named this holder, by its clock, in microseconds since 1970.
    pub(crate) fn seen_at(&self) -> i64 {
        self.since
            .timestamp_micros()
            .saturating_add(micros(self.held_for))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use chrono::DateTime;

    use super::Holder;

    pub(crate) fn holder(fence: i64) -> Holder {
        Holder {
            owner: String::new(),
            fence,
            since: DateTime::default(),
            held_for: Duration::ZERO,
            time_left: Duration::from_secs(1),
            data: None,
        }
    }
}
