//! What a `Locker` tells its observer.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::answer::Holder;
use crate::error::Error;
use crate::lock::Lock;

/// Something that happened to a lock of a `Locker`: what an observer is told, and what the feature `tracing` records.
///
/// Never the token: whoever reads a log is not the holder.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Event<'e> {
    /// What stands in the table's column `name`: `group|name`, or the name alone.
    pub key: &'e str,
    /// The label of this process's holder.
    pub owner: &'e str,
    /// The number of the acquisition, if there is one.
    pub fence: Option<i64>,
    /// What happened.
    pub kind: EventKind<'e>,
}

/// What happened to a lock.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum EventKind<'e> {
    /// It was acquired, after waiting so long.
    Acquired {
        /// From the call to the answer.
        waited: Duration,
    },
    /// It was not acquired, and is not waited for any longer.
    Busy {
        /// Who holds it, if the database could tell.
        holder: Option<&'e Holder>,
        /// From the call to the last answer.
        waited: Duration,
    },
    /// Somebody else holds it, and the wait begins.
    Waiting {
        /// Who holds it, if the database could tell.
        holder: Option<&'e Holder>,
    },
    /// Its lease was extended.
    Renewed {
        /// How long the database took.
        took: Duration,
    },
    /// Its lease could not be extended this time, and is tried again while it is trusted.
    Late {
        /// For how long it still is.
        trusted_for: Duration,
        /// What the database or the pool said; `None` where somebody has the row locked in an open transaction.
        error: Option<&'e Error>,
    },
    /// Its lease is lost: taken over, taken away, or not extended in time. The work is told to stop.
    Lost {
        /// How long it was held.
        held: Duration,
    },
    /// It was given back.
    Released {
        /// How long it was held.
        held: Duration,
    },
    /// As far as is known it could not be given back in time; it is free when its ttl is over, at the latest. (A thread that
    /// asks the database cannot be told to stop, and may still give it back.)
    NotReleased {
        /// What the database or the pool said.
        error: &'e Error,
    },
}

type Told = dyn Fn(&Event<'_>) + Send + Sync;

/// Whoever is told.
#[derive(Clone, Default)]
pub(crate) struct Observer(Option<Arc<Told>>);

impl Observer {
    pub(crate) fn new(observer: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(observer)))
    }

    /// Tells what happened; an observer that panics must not end the keeper of everybody's leases.
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
        /// An event with what all of them have.
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
