//! How a `Locker` holds its locks.

use std::time::Duration;

use super::event::Observer;
use super::releasing::Release;
use crate::clock::Moment;
use crate::error::Result;
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
            },
            at_least: Duration::ZERO,
            at_most: None,
            observer: Observer::default(),
        }
    }

    /// The lock of this name, with these settings.
    pub(crate) fn lock(&self, name: Name) -> Lock {
        Lock {
            name,
            ..self.prototype.clone()
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

/// What names a lock: a text, a group and a text, or a [`Lock`]. A [`Lock`] is held with its own settings instead of
/// those of the `Locker`.
pub trait IntoLock: sealed::Sealed {
    #[doc(hidden)]
    fn lock(self, settings: &SettingsOf) -> Result<Lock>;
}

/// Keeps [`Settings`] out of the public trait.
#[doc(hidden)]
pub struct SettingsOf<'s>(pub(crate) &'s Settings);

mod sealed {
    pub trait Sealed {}
    impl Sealed for &str {}
    impl Sealed for &String {}
    impl Sealed for (&str, &str) {}
    impl Sealed for crate::Lock {}
    impl Sealed for &crate::Lock {}
}

impl IntoLock for &str {
    fn lock(self, settings: &SettingsOf) -> Result<Lock> {
        Ok(settings.0.lock(Name::new(self)?))
    }
}

impl IntoLock for &String {
    fn lock(self, settings: &SettingsOf) -> Result<Lock> {
        self.as_str().lock(settings)
    }
}

impl IntoLock for (&str, &str) {
    fn lock(self, settings: &SettingsOf) -> Result<Lock> {
        Ok(settings.0.lock(Name::in_group(self.0, self.1)?))
    }
}

impl IntoLock for Lock {
    fn lock(self, _: &SettingsOf) -> Result<Lock> {
        Ok(self)
    }
}

impl IntoLock for &Lock {
    fn lock(self, _: &SettingsOf) -> Result<Lock> {
        Ok(self.clone())
    }
}
