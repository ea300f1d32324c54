//! What the database can answer about a lock or a lease. All of these are values, none is an error.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::lease::Lease;
use crate::name;

/// What became of a try to acquire.
#[derive(Debug)]
#[must_use = "only who acquired the lock may go on"]
pub enum Attempt<T = Lease> {
    /// The lock is held by this lease; or was, and this is what the work under it brought.
    Acquired(T),
    /// Somebody else holds it: this one, if the database could tell. It cannot while the lock is being
    /// acquired for the first time in an open transaction, or was released but is still pinned; and for the moment
    /// in which it was released while a heartbeat for it was under way.
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

    /// The same with something else in place of the lease.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Attempt<U> {
        match self {
            Self::Acquired(lease) => Attempt::Acquired(f(lease)),
            Self::Busy(holder) => Attempt::Busy(holder),
        }
    }

    /// Whether somebody else has the lock.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Busy(_))
    }
}

/// What became of work that was to be done under a lock.
#[derive(Debug, PartialEq, Eq)]
pub enum Run<T> {
    /// The work is done, this is what it brought, and the lock was held all the while.
    Done(T),
    /// The lock was lost before the work was done, or the time was over for which it may be held
    /// (`hold_at_most`). Async work was dropped; blocking work was told, and this is what it brought all the same.
    Lost(Option<T>),
    /// Nothing was done: somebody else holds the lock.
    Busy(Option<Holder>),
}

impl<T> Run<T> {
    /// What the work brought, if the lock was held all the while.
    #[must_use]
    pub fn done(self) -> Option<T> {
        match self {
            Self::Done(value) => Some(value),
            Self::Lost(_) | Self::Busy(_) => None,
        }
    }
}

/// Who holds a lock, at the moment the database answered. For people and for deciding when to ask again: by
/// the time you read it the lock may have changed hands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// The label of the holder: [`Lock::with_owner`](crate::Lock::with_owner).
    pub owner: String,
    /// The number of its acquisition.
    pub fence: i64,
    /// When it acquired the lock, on the database's clock.
    pub since: DateTime<Utc>,
    /// How long the lease lives if nobody extends it.
    pub time_left: Duration,
    /// The text left with the lock.
    pub data: Option<String>,
}

/// What became of a request to extend or release a lease, or to replace its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Done,
    /// Done, although the lease had run out: nobody had taken the lock over in between, so it is still the
    /// same lease with the same fence. Somebody could have, so the time to extend it was too short.
    DoneLate,
    /// Nothing was done: the lock was taken over, released or removed. The lease is worthless for ever.
    Lost,
}

impl Outcome {
    /// Whether nothing was done because the lease is lost.
    #[must_use]
    pub fn is_lost(self) -> bool {
        self == Self::Lost
    }
}

/// What a transaction that wants to work under a lease learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "unless the lease is pinned, a stale holder is about to commit"]
pub enum Pin {
    /// Until this transaction ends, nobody takes the lock over.
    Pinned,
    /// The lease's time is over, although nobody has taken the lock over yet. Extend it, then begin again.
    RunOut,
    /// The lock was taken over, released or removed: do nothing.
    Lost,
}

/// What became of taking a lock away from its holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forced {
    /// The lock is free; the old holder's pins, extensions and releases will say lost.
    Released,
    /// The row names no holder.
    Free,
    /// A transaction that pinned it, or is acquiring it, is still open. The lock is not pulled away from
    /// under it: try again when it has ended.
    InUse,
}

/// A lock's row, without the token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// What stands in the column `name`: `group|name`, or the name alone.
    pub key: String,
    /// The label of the holder, or of the last one.
    pub owner: String,
    /// The number of the latest acquisition.
    pub fence: i64,
    /// When the latest acquisition was, on the database's clock.
    pub acquired_at: DateTime<Utc>,
    /// When its lease ends or ended.
    pub expires_at: DateTime<Utc>,
    /// How long the lease still lives if nobody extends it; `None` where nobody holds the lock.
    pub time_left: Option<Duration>,
    /// The text left with the lock.
    pub data: Option<String>,
}

impl Record {
    /// The name, without the group.
    #[must_use]
    pub fn name(&self) -> &str {
        name::parts(&self.key).1
    }

    /// The group, if the lock is in one.
    #[must_use]
    pub fn group(&self) -> Option<&str> {
        name::parts(&self.key).0
    }

    /// Whether somebody holds the lock. A lease that has run out reads as free, although its holder may still
    /// extend it if nobody takes the lock over first.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.time_left.is_some()
    }
}
