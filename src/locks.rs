//! Managed locks: what [`blocking::Locks`](crate::blocking::Locks) and [`asynchronous::Locks`](crate::asynchronous::Locks)
//! have in common.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Result};
pub use crate::guard::Guard;
use crate::lock::{Lock, valid_ttl};
pub use crate::managed::event::{Event, What};
use crate::managed::ground::Ground;
use crate::managed::manager::Manager;
pub use crate::managed::purging::Purging;
pub use crate::managed::settings::Named;
use crate::managed::settings::Settings;
use crate::table::Table;

/// Locks on the application's pool: they wait, keep alive, tell the work, and let go.
///
/// Make one when the application starts, and clone it to wherever locks are needed: a clone is cheap and shares the
/// keeper, so that all leases of the process are extended together. Settings belong to the handle they are made on:
/// `locks.clone().ttl(…)?` holds its locks in another way.
///
/// This is [`blocking::Locks`](crate::blocking::Locks) or [`asynchronous::Locks`](crate::asynchronous::Locks), with the
/// same methods; see there. `G` is what it stands on: threads or tasks, and the pool.
pub struct Locks<G: Ground> {
    pub(crate) manager: Manager<G>,
}

/// How locks are held.
impl<G: Ground> Locks<G> {
    /// How long a lease lives unless it is extended: 30 seconds if you don't say. While the process lives it is extended
    /// every third of that, so this is how long others wait when it dies, and how long a database may be away
    /// before the work is told to stop.
    ///
    /// # Errors
    /// [`Error::Invalid`] for less than 1 ms or more than 100 years.
    pub fn ttl(self, ttl: Duration) -> Result<Self> {
        let ttl = valid_ttl(ttl)?;
        Ok(self.with(|settings| settings.pattern.ttl = ttl))
    }

    /// The label by which people recognise the holder; `program[process]@host` if you don't say.
    ///
    /// # Errors
    /// [`Error::Invalid`] for more than 255 characters, or control characters.
    pub fn owner(self, label: &str) -> Result<Self> {
        let pattern = self.manager.settings.pattern.clone().owner(label)?;
        Ok(self.with(|settings| settings.pattern = pattern))
    }

    /// The table that the locks live in, if it isn't `diesel_locks`.
    #[must_use]
    pub fn table(self, table: Table) -> Self {
        self.with(|settings| settings.pattern.table = table)
    }

    /// How often leases are extended, if every third of their ttl is not often enough.
    #[must_use]
    pub fn renew_every(self, interval: Duration) -> Self {
        self.with(|settings| settings.every = Some(interval))
    }

    /// How long giving a lock back may take: 5 seconds if you don't say. After that it is left to run out; in
    /// the background it is tried again, while the lease lives and the database cannot be reached.
    #[must_use]
    pub fn release_within(self, time: Duration) -> Self {
        self.with(|settings| settings.release.within = time)
    }

    /// Waits for the disk when a lock is given back, too. Without it, a PostgreSQL server that crashes right after may
    /// forget that the lock was given back, which costs the ttl and nothing else; and giving back is quicker.
    #[must_use]
    pub fn release_durably(self) -> Self {
        self.with(|settings| settings.release.durable = true)
    }

    /// `run` keeps its lock for so long at least, even if the work is done sooner: so that nobody does it again
    /// whose clock is a little late. Work that panics, or is dropped, gives it back at once.
    #[must_use]
    pub fn at_least(self, time: Duration) -> Self {
        self.with(|settings| settings.at_least = time)
    }

    /// Locks are held for so long at most, however long the work takes: then it is told that the lock is lost.
    #[must_use]
    pub fn at_most(self, time: Duration) -> Self {
        self.with(|settings| settings.at_most = Some(time))
    }

    /// Tells this observer what happens to the locks: for logs, metrics and alarms. It is called in the midst of things, so
    /// let it be quick. With the feature `tracing` the same is recorded there as well.
    ///
    /// ```
    /// # use diesel::{Connection, SqliteConnection};
    /// use diesel_locks::blocking::Locks;
    /// use diesel_locks::locks::What;
    ///
    /// let locks = Locks::new(|| SqliteConnection::establish("app.db")).observe(|event| match event.what {
    ///     What::Lost { held } => eprintln!("{} was lost after {held:?}", event.key),
    ///     What::Late { trusted_for, .. } => eprintln!("{} has {trusted_for:?} left", event.key),
    ///     _ => {}
    /// });
    /// # let _ = locks;
    /// ```
    #[must_use]
    pub fn observe(self, observer: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Self {
        self.with(|settings| settings.observer = crate::managed::event::Observer::new(observer))
    }

    /// The lock of this name, as it is held here: to make a set of it with [`Lock::and`].
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that cannot be used.
    pub fn lock(&self, name: impl Named) -> Result<Lock> {
        self.manager.lock(name)
    }

    pub(crate) fn standing_on(ground: G) -> Self {
        Self {
            manager: Manager::new(ground),
        }
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.manager.settings));
        self
    }
}

impl<G: Ground> Clone for Locks<G> {
    fn clone(&self) -> Self {
        Self {
            manager: self.manager.clone(),
        }
    }
}

impl<G: Ground> fmt::Debug for Locks<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Locks")
            .field(&self.manager.settings)
            .finish()
    }
}

/// A wait that ended without the lock.
pub(crate) fn busy(lock: &Lock, holder: Option<crate::answer::Holder>) -> Error {
    Error::Busy {
        name: lock.key().to_owned(),
        holder: holder.map(Box::new),
    }
}
