//! How a `Locker` holds its locks.

use std::time::Duration;

use super::event::Observer;
use super::releasing::Release;
use crate::clock::Moment;
use crate::lock::Lock;
use crate::name::Name;

/// The settings of a `Locker`. Each clone of a `Locker` has its own settings, but all clones share the keeper.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The ttl, owner and table of locks that are named by a text.
    pub(crate) prototype: Lock,
    pub(crate) every: Option<Duration>,
    pub(crate) release: Release,
    pub(crate) at_least: Duration,
    pub(crate) at_most: Option<Duration>,
    pub(crate) observer: Observer,
}

const RELEASE_WITHIN: Duration = Duration::from_secs(5);
/// How many times a lease is extended in a ttl. Two of these extensions may fail.
const BEATS: u32 = 3;

/// The shortest interval between two extensions. A shorter one would be no use, and a load on the database.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

impl Settings {
    pub(crate) fn new() -> Self {
        Self {
            prototype: Lock::named(Name::placeholder()),
            every: None,
            release: Release {
                within: RELEASE_WITHIN,
                durable: false,
                until: Moment::default(),
            },
            at_least: Duration::ZERO,
            at_most: None,
            observer: Observer::default(),
        }
    }

    /// The interval at which a lease of this ttl is extended.
    pub(crate) fn every(&self, ttl: Duration) -> Duration {
        let third = ttl / BEATS;
        let every = self.every.map_or(third, |every| every.min(third));
        every.max(SHORTEST_INTERVAL)
    }

    /// The moment at which a lease ends, however often it is extended; `None` if there is no such moment. The request
    /// that acquired the lease was sent at `sent`.
    pub(crate) fn ends(&self, sent: Moment) -> Option<Moment> {
        self.at_most.map(|time| sent.after(time))
    }
}
