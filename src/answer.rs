//! What the database can answer about a lock or a lease. All of these are values, none is an error.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::holder::Holder;
use crate::lease::Lease;
use crate::name;

/// The result of a try to acquire a lock.
#[derive(Debug)]
#[must_use = "only who acquired the lock may go on"]
pub enum Attempt<T = Lease> {
    /// The lock was acquired. The value is the lease, the guards or the fence, as the call says. If the call also did
    /// work under the lock, the value is the result of the work.
    Acquired(T),
    /// Another holder has the lock: this one, if the database could tell. The database cannot name the holder in three
    /// cases: an open transaction is acquiring the lock for the first time; the lock was released, but an open
    /// transaction still pins it; or, for a moment, the lock was released while a heartbeat for it was under way.
    Busy(Option<Holder>),
}

impl<T> Attempt<T> {
    /// The lease, if the lock was acquired.
    #[must_use]
    pub fn acquired(self) -> Option<T> {
        match self {
            Self::Acquired(lease) => Some(lease),
            Self::Busy(_) => None,
        }
    }

    /// Replaces the value of `Acquired` by what the function makes of it.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Attempt<U> {
        match self {
            Self::Acquired(lease) => Attempt::Acquired(f(lease)),
            Self::Busy(holder) => Attempt::Busy(holder),
        }
    }

    /// Whether another holder has the lock.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Busy(_))
    }
}

/// The result of work that was to be done under a lock.
#[derive(Debug, PartialEq, Eq)]
pub enum Run<T> {
    /// The work is done, and the lock was held from its beginning to its end. The value is what the work returned.
    Done(T),
    /// The lock was lost before the work was done, or the longest time was over for which it may be held
    /// ([`hold_at_most`](crate::locker::Locker::hold_at_most)). Async work was dropped. Blocking work was told through
    /// its guard. The value is what the work returned, if it returned all the same.
    Lost(Option<T>),
    /// The work was not begun, because another holder has the lock.
    Busy(Option<Holder>),
}

impl<T> Run<T> {
    /// What the work returned, if the lock was held until the work was done.
    #[must_use]
    pub fn done(self) -> Option<T> {
        match self {
            Self::Done(value) => Some(value),
            Self::Lost(_) | Self::Busy(_) => None,
        }
    }
}

/// The result of a request to extend or release a lease, or to replace its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Done,
    /// Done, although the lease had expired. Nobody had taken the lock over in between, so it is still the same lease
    /// with the same fence. Another process could have taken it over: the holder extended the lease too late.
    DoneLate,
    /// Nothing was done: the lock was taken over, released or removed. This lease can never be used again.
    Lost,
}

impl Outcome {
    /// Whether nothing was done because the lease is lost.
    #[must_use]
    pub fn is_lost(self) -> bool {
        self == Self::Lost
    }
}

/// The answer to a transaction that wants to work under a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "unless the lease is pinned, a stale holder is about to commit"]
pub enum Pin {
    /// Until this transaction ends, nobody can take the lock over.
    Pinned,
    /// The lease has expired, although nobody has taken the lock over yet. Extend the lease, then begin the transaction
    /// again.
    RunOut,
    /// The lock was taken over, released or removed. Do not do the work.
    Lost,
}

/// The result of taking a lock away from its holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a lock that is in use was not released"]
pub enum Forced {
    /// The lock is free. The old holder's pins, extensions and releases will find the lease lost.
    Released,
    /// The lock's row names no holder, or there is no row.
    Free,
    /// A transaction that has pinned the lock, or is acquiring it, is still open. The lock is not taken away during
    /// that transaction. Try again when the transaction has ended.
    InUse,
}

/// A lock's row, without the token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// The key, as it stands in the column `name`: `group|name`, or the name alone.
    pub key: String,
    /// The label of the holder, or of the last holder if the lock is free.
    pub owner: String,
    /// The number of the latest acquisition.
    pub fence: i64,
    /// When the latest acquisition happened, on the database's clock.
    pub acquired_at: DateTime<Utc>,
    /// When the lease of that acquisition expires or expired.
    pub expires_at: DateTime<Utc>,
    /// How long the lease still lasts if the holder does not extend it; `None` if nobody holds the lock.
    pub time_left: Option<Duration>,
    /// The text that a holder has left with the lock.
    pub data: Option<String>,
}

impl Record {
    /// The name, without the group.
    #[must_use]
    pub fn name(&self) -> &str {
        name::parts(&self.key).1
    }

    /// The group, or `None` if the lock is in no group.
    #[must_use]
    pub fn group(&self) -> Option<&str> {
        name::parts(&self.key).0
    }

    /// Whether somebody holds the lock. An expired lease counts as free, although its holder may still extend it until
    /// another process takes the lock over.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.time_left.is_some()
    }
}
