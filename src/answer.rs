//! What the database can answer about a lock or a lease. All of these are values, none is an error.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::error::{Error, Result};
use crate::holder::Holder;
use crate::lease::Lease;
use crate::name;

/// The result of a try to acquire a lock.
///
/// ```
/// # use diesel::Connection;
/// # let mut conn = diesel::SqliteConnection::establish(":memory:").unwrap();
/// # diesel_locks::blocking::migrate(&mut conn).unwrap();
/// use diesel_locks::blocking::{LeaseDsl, LockDsl};
/// use diesel_locks::{Attempt, Lock};
///
/// match Lock::new("report")?.try_acquire(&mut conn)? {
///     Attempt::Acquired(lease) => {
///         // … the work …
///         lease.release(&mut conn)?;
///     }
///     Attempt::Busy(Some(holder)) => println!("{} holds it for {:?} more", holder.owner, holder.time_left),
///     Attempt::Busy(None) => println!("busy"),
/// }
/// # Ok::<(), diesel_locks::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "only who acquired the lock may go on"]
pub enum Attempt<T = Lease> {
    /// The lock was acquired. The value is the lease, the guards or the fence, as the call says. If the call also did
    /// work under the lock, the value is the result of the work.
    Acquired(T),
    /// Another holder has the lock: this one, if the database could tell. The database cannot name the holder if the row
    /// has no live lease, but another transaction has the row locked: it is acquiring the lock, or it still pins a lease
    /// that was released or has expired. For a moment, a statement of any other holder may have the row locked, too. On
    /// MySQL and MariaDB, a try inside a SERIALIZABLE transaction names nobody.
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
///
/// ```
/// # use diesel::{Connection, SqliteConnection};
/// # let file = std::env::temp_dir().join(format!("diesel-locks-doc-run-{}", std::process::id()));
/// # let url = file.display().to_string();
/// # diesel_locks::blocking::migrate(&mut SqliteConnection::establish(&url).unwrap()).unwrap();
/// # let locker = diesel_locks::blocking::Locker::new(move || SqliteConnection::establish(&url));
/// # fn report() -> Result<u32, std::num::ParseIntError> { "42".parse() }
/// use diesel_locks::{Run, Wait};
///
/// match locker.run("report", Wait::never(), |_| report())? {
///     Run::Done(pages) => println!("{} pages", pages?),
///     Run::Busy { holder, .. } => println!("another process is at it: {holder:?}"),
///     Run::Lost { .. } => println!("lost before it was done"),
/// }
///
/// // Shorter, if a busy lock and a lost lock are errors like others:
/// let pages = locker.run("report", Wait::never(), |_| report())?.into_result()??;
/// assert_eq!(pages, 42);
/// # let _ = std::fs::remove_file(file);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, PartialEq, Eq)]
#[must_use = "the work may not have been done, or not under the lock"]
pub enum Run<T> {
    /// The work is done, and the lock was held from its beginning to its end. The value is what the work returned.
    Done(T),
    /// The lock was lost before the work was done, or the longest time was over for which it may be held
    /// ([`hold_at_most`](crate::locker::Locker::hold_at_most)). Async work was dropped. Blocking work was told through
    /// its guard.
    Lost {
        /// The key of the lock.
        key: String,
        /// What the work returned, if it returned all the same.
        value: Option<T>,
    },
    /// The work was not begun, because another holder has the lock.
    Busy {
        /// The key of the lock.
        key: String,
        /// The holder, if the database could tell.
        holder: Option<Holder>,
    },
}

impl<T> Run<T> {
    /// What the work returned, if the lock was held until the work was done.
    #[must_use]
    pub fn done(self) -> Option<T> {
        self.into_result().ok()
    }

    /// What the work returned, if the lock was held until the work was done; otherwise an error.
    ///
    /// # Errors
    /// [`Error::Busy`] and [`Error::Lost`].
    pub fn into_result(self) -> Result<T> {
        match self {
            Self::Done(value) => Ok(value),
            Self::Lost { key, .. } => Err(Error::Lost { key }),
            Self::Busy { key, holder } => Err(Error::Busy {
                key,
                holder: holder.map(Box::new),
            }),
        }
    }
}

/// The result of a request to extend a lease, or to replace its data.
///
/// The short forms, such as [`extend`](crate::blocking::LeaseDsl::extend), make an error of `Lost`. Use the forms with
/// `try_` if a lost lease is nothing unusual, or to learn that the lease had expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "unless the answer is looked at, a holder whose lease is lost goes on"]
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

/// The result of a release. It may be ignored: in each case the lock is not held by this lease any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    /// The lease was held until the release.
    InTime,
    /// The lease had expired before the release, but nobody had taken the lock over.
    Late,
    /// The lease was lost before the release: the lock was taken over, released or removed. If the work was not
    /// protected by a pin or a fence, it may have overlapped with the work of the next holder.
    Lost,
}

impl Released {
    /// Whether the lease was lost before the release.
    #[must_use]
    pub fn is_lost(self) -> bool {
        self == Self::Lost
    }
}

impl From<Outcome> for Released {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::InTime,
            Outcome::DoneLate => Self::Late,
            Outcome::Lost => Self::Lost,
        }
    }
}

/// What has become of a lease, as its row says.
///
/// ```
/// # use diesel::Connection;
/// # let mut conn = diesel::SqliteConnection::establish(":memory:").unwrap();
/// # diesel_locks::blocking::migrate(&mut conn).unwrap();
/// # use diesel_locks::{Lock, blocking::{LeaseDsl, LockDsl}};
/// # let lease = Lock::new("import")?.try_acquire(&mut conn)?.acquired().unwrap();
/// use diesel_locks::LeaseStatus;
///
/// match lease.status(&mut conn)? {
///     LeaseStatus::Held { time_left } => println!("held for {time_left:?} more"),
///     LeaseStatus::Expired => println!("expired: it can still be extended"),
///     LeaseStatus::TakenOver(holder) => println!("lost to {}", holder.owner),
///     LeaseStatus::Free => println!("lost, and nobody holds the lock"),
/// }
/// # Ok::<(), diesel_locks::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseStatus {
    /// The lease is held. It lasts for this time if it is not extended.
    Held {
        /// The time until the lease expires, on the database's clock.
        time_left: Duration,
    },
    /// The lease has expired, and nobody has taken the lock over: the lease can still be extended.
    Expired,
    /// The lease is lost: another holder has the lock.
    TakenOver(Holder),
    /// The lease is lost, and nobody holds the lock: it was released, taken away or removed; or another holder took it
    /// over, and that holder's lease has expired, too.
    Free,
}

impl LeaseStatus {
    /// Whether the lease is held.
    #[must_use]
    pub fn is_held(&self) -> bool {
        matches!(self, Self::Held { .. })
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
    Expired,
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
    /// A transaction that has pinned the lock, or is acquiring it, is still open; or a heartbeat is just extending the
    /// lease; or, on SQLite, another connection writes. The lock is not taken away. Try again a moment later, or when the
    /// transaction has ended.
    InUse,
}

/// A lock's row, without the token.
///
/// ```
/// # use diesel::Connection;
/// # let mut conn = diesel::SqliteConnection::establish(":memory:").unwrap();
/// # diesel_locks::blocking::migrate(&mut conn).unwrap();
/// use diesel_locks::Lock;
/// use diesel_locks::blocking::LockDsl;
///
/// let lock = Lock::new("report")?;
/// let lease = lock.try_acquire(&mut conn)?.acquired().expect("nobody holds it");
/// let record = lock.inspect(&mut conn)?.expect("a lock that was used has a row");
/// assert!(record.is_held());
/// assert_eq!((record.key.as_str(), record.fence), ("report", lease.fence()));
/// println!("held by {} until {}", record.owner, record.expires_at);
/// # Ok::<(), diesel_locks::Error>(())
/// ```
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
