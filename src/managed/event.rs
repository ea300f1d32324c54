//! The events that a `Locker` tells its observer.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::holder::Holder;
use crate::lock::Lock;

/// Something that happened to a lock of a `Locker`. An observer is told of it, and the feature `tracing` records it.
///
/// An event never contains the token, because the reader of a log is not the holder.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Event<'e> {
    /// The lock's key, as it stands in the table's column `name`: `group|name`, or the name alone.
    pub key: &'e str,
    /// The label with which this process holds the lock, or tries to acquire it.
    pub owner: &'e str,
    /// The number of the acquisition, if it is known.
    pub fence: Option<i64>,
    /// What happened.
    pub kind: EventKind<'e>,
}

/// What happened to a lock.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum EventKind<'e> {
    /// The lock was acquired.
    Acquired {
        /// The time from the call to the answer.
        waited: Duration,
    },
    /// The lock was not acquired, and the wait is over.
    Busy {
        /// The holder, if the database named one.
        holder: Option<&'e Holder>,
        /// The time from the call to the last answer.
        waited: Duration,
    },
    /// The first try did not acquire the lock, usually because another holder has it. The wait begins.
    Waiting {
        /// The holder, if the database named one.
        holder: Option<&'e Holder>,
    },
    /// The lease was extended.
    Renewed {
        /// How long the request took.
        took: Duration,
    },
    /// The lease could not be extended this time. The extension is tried again while the lease is trusted.
    Late {
        /// How long the lease is still trusted.
        trusted_for: Duration,
        /// The error of the database or the pool; `None` if an open transaction has the row locked.
        error: Option<&'e Error>,
    },
    /// The lease is lost: another holder took the lock over, the lock was taken away, the lease was not extended in
    /// time, or its longest time is over. The work is told to stop.
    Lost {
        /// How long the lock was held.
        held: Duration,
    },
    /// The lock was given back.
    Released {
        /// How long the lock was held.
        held: Duration,
    },
    /// As far as is known, the lock could not be given back in time. It is free when its ttl is over, at the latest. (A
    /// thread that asks the database cannot be told to stop, and may still give the lock back.)
    NotReleased {
        /// The error of the database or the pool.
        error: &'e Error,
    },
}

type Told = dyn Fn(&Event<'_>) + Send + Sync;

/// The observer that is told of events, if there is one.
#[derive(Clone, Default)]
pub(crate) struct Observer(Option<Arc<Told>>);

impl Observer {
    pub(crate) fn new(observer: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(observer)))
    }

    /// Tells the observer what happened. An observer that panics must not end the keeper, which extends all leases of
    /// the process.
    pub(crate) fn tell(&self, lock: &Lock, fence: Option<i64>, kind: EventKind<'_>) {
        let event = Event {
            key: lock.key(),
            owner: &lock.owner,
            fence,
            kind,
        };
        #[cfg(feature = "tracing")]
        event.trace();
        if let Some(observer) = &self.0 {
            let _ = catch_unwind(AssertUnwindSafe(|| observer(&event)));
        }
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Observer" } else { "None" })
    }
}

#[cfg(feature = "tracing")]
impl Event<'_> {
    fn trace(&self) {
        /// Records an event, with the fields that all events have.
        macro_rules! record {
            ($level:ident, $text:literal, $($fields:tt)*) => {
                tracing::$level!(
                    target: "diesel_locks", lock = self.key, owner = self.owner, fence = self.fence,
                    $($fields)*, $text
                )
            };
        }
        match self.kind {
            EventKind::Acquired { waited } => record!(debug, "acquired", waited = ?waited),
            EventKind::Busy { holder, waited } => {
                record!(debug, "busy", holder = holder.map(|holder| &*holder.owner), waited = ?waited);
            }
            EventKind::Waiting { holder } => {
                record!(
                    debug,
                    "waiting",
                    holder = holder.map(|holder| &*holder.owner)
                );
            }
            EventKind::Renewed { took } => record!(trace, "renewed", took = ?took),
            EventKind::Late { trusted_for, error } => {
                let error = error.map(tracing::field::display);
                record!(warn, "late", trusted_for = ?trusted_for, error = error);
            }
            EventKind::Lost { held } => record!(error, "lost", held = ?held),
            EventKind::Released { held } => record!(debug, "released", held = ?held),
            EventKind::NotReleased { error } => record!(warn, "not released", error = %error),
        }
    }
}
