//! Managed locks: what [`blocking::Locker`](crate::blocking::Locker) and
//! [`asynchronous::Locker`](crate::asynchronous::Locker) have in common.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

#[cfg(doc)]
use crate::error::Error;
use crate::error::Result;
pub use crate::guard::Guard;
use crate::list::List;
use crate::lock::{Lock, valid_ttl};
use crate::managed::attempt::Try;
use crate::managed::crowd::Crowd;
use crate::managed::event::Observer;
pub use crate::managed::event::{Event, EventKind};
pub use crate::managed::into_lock::IntoLock;
use crate::managed::keeper::Keeper;
use crate::managed::listening::Listening;
pub use crate::managed::pool::Pool;
use crate::managed::pool::Runtime;
pub use crate::managed::purging::Purging;
use crate::managed::queue::Queues;
use crate::managed::releasing::GiveBack;
use crate::managed::request::{Database, no_answer, on_connection};
use crate::managed::settings::Settings;
use crate::table::Table;
use crate::work::AsyncWork;

/// Locks on the application's pool. A `Locker` waits for locks, keeps their leases alive, tells the work when a lock is
/// lost, and gives locks back.
///
/// Make one `Locker` when the application starts, and clone it to every place that needs locks. A clone is cheap and
/// shares the keeper, so all leases of the process are extended together. Each clone has its own settings:
/// `locker.clone().with_ttl(…)?` holds its locks with another ttl.
///
/// This is [`blocking::Locker`](crate::blocking::Locker) or [`asynchronous::Locker`](crate::asynchronous::Locker). Both
/// have the same methods: see their pages. `P` is what the `Locker` stands on: threads or tasks, and the pool.
///
/// ```
/// # use diesel::{Connection, SqliteConnection};
/// # let file = std::env::temp_dir().join(format!("diesel-locks-doc-settings-{}", std::process::id()));
/// # let url = file.display().to_string();
/// # diesel_locks::blocking::migrate(&mut SqliteConnection::establish(&url).unwrap()).unwrap();
/// # let pool = move || SqliteConnection::establish(&url);
/// use std::time::Duration;
/// use diesel_locks::Wait;
/// use diesel_locks::blocking::Locker;
///
/// let locker = Locker::new(pool).with_ttl(Duration::from_secs(60))?.with_owner("billing on host 3")?;
///
/// // Another ttl for the locks of one part of the application. All leases are still extended together.
/// let jobs = locker.clone().with_ttl(Duration::from_secs(10))?.hold_at_most(Duration::from_secs(3600));
/// let guard = jobs.acquire(("jobs", "42"), Wait::never())?;
/// // … the work …
/// guard.release()?;
///
/// locker.close();                                                // when the application ends
/// # let _ = std::fs::remove_file(file);
/// # Ok::<(), diesel_locks::Error>(())
/// ```
pub struct Locker<P: Pool> {
    pub(crate) pool: P,
    pub(crate) keeper: Arc<Keeper<P::Runtime>>,
    pub(crate) queues: Arc<Queues>,
    pub(crate) listening: Option<Arc<Listening>>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) tries: Arc<Crowd<Try<P>>>,
    pub(crate) releases: Arc<Crowd<GiveBack<P>>>,
}

/// How locks are held.
impl<P: Pool> Locker<P> {
    /// How long a lease lives unless it is extended: 30 seconds by default. While the process lives, it extends the
    /// lease every third of this time. So the ttl is how long others wait when the process dies, and how long the
    /// database may be unreachable before the work is told to stop.
    ///
    /// # Errors
    /// [`Error::Invalid`] for less than 1 ms or more than 100 years.
    pub fn with_ttl(self, ttl: Duration) -> Result<Self> {
        let ttl = valid_ttl(ttl)?;
        Ok(self.with(|settings| settings.prototype.ttl = ttl))
    }

    /// The label by which people recognise the holder: `program[process]@host` by default.
    ///
    /// # Errors
    /// [`Error::Invalid`] for more than 255 characters, or control characters.
    pub fn with_owner(self, label: impl AsRef<str>) -> Result<Self> {
        let prototype = self.settings.prototype.clone().with_owner(label)?;
        Ok(self.with(|settings| settings.prototype = prototype))
    }

    /// The table that the locks live in, if it isn't `diesel_locks`.
    #[must_use]
    pub fn in_table(self, table: Table) -> Self {
        self.with(|settings| settings.prototype.table = table)
    }

    /// How often leases are extended, if every third of their ttl is not often enough.
    #[must_use]
    pub fn renew_every(self, interval: Duration) -> Self {
        self.with(|settings| settings.every = Some(interval))
    }

    /// How long giving a lock back may take: 5 seconds by default. After this time the lease is left to expire. In the
    /// background the release is tried again, while the lease lives and the database cannot be reached.
    #[must_use]
    pub fn release_within(self, time: Duration) -> Self {
        self.with(|settings| settings.release.within = time)
    }

    /// Waits for the disk when a lock is given back, too. Without this setting giving back is quicker, but a PostgreSQL
    /// server that crashes right afterwards may forget that the lock was given back. That costs the ttl and nothing
    /// else.
    #[must_use]
    pub fn release_durably(self) -> Self {
        self.with(|settings| settings.release.durable = true)
    }

    /// Locks are held for at least this time after they were acquired, even if they are given back sooner. So a process
    /// whose clock is a little late does not do the work again. Every way of giving a lock back keeps the time: the end
    /// of [`run`](crate::blocking::Locker::run), `release`, `finish`, a drop, and `close`. The row names the holder
    /// until the time is over.
    ///
    /// There are limits. If the process crashes, or the database cannot be reached, the lock is free when its ttl is
    /// over. A waiter in another process gets no notification when the time is over: it polls.
    #[must_use]
    pub fn hold_at_least(self, time: Duration) -> Self {
        self.with(|settings| settings.at_least = time)
    }

    /// Locks are held for at most this time, however long the work takes. After this time the work is told that the
    /// lock is lost.
    #[must_use]
    pub fn hold_at_most(self, time: Duration) -> Self {
        self.with(|settings| settings.at_most = Some(time))
    }

    /// Tells this observer what happens to the locks: for logs, metrics and alarms. The observer is called while locks
    /// are being handled, so it must be quick. With the feature `tracing` the same events are recorded there as well.
    ///
    /// ```
    /// # use diesel::{Connection, SqliteConnection};
    /// use diesel_locks::blocking::Locker;
    /// use diesel_locks::locker::EventKind;
    ///
    /// let locker = Locker::new(|| SqliteConnection::establish("app.db")).observe(|event| match event.kind {
    ///     EventKind::Lost { held } => eprintln!("{} was lost after {held:?}", event.key),
    ///     EventKind::Late { trusted_for, .. } => eprintln!("{} has {trusted_for:?} left", event.key),
    ///     _ => {}
    /// });
    /// # let _ = locker;
    /// ```
    #[must_use]
    pub fn observe(self, observer: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Self {
        self.with(|settings| settings.observer = Observer::new(observer))
    }

    /// The lock of this name, with the settings of this `Locker`: to make a set of it with
    /// [`LockSet::new`](crate::LockSet::new).
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that cannot be used.
    pub fn lock(&self, name: impl IntoLock) -> Result<Lock> {
        name.into_lock(&self.settings.prototype)
    }

    /// The list, in the table of this `Locker` unless the list has a table of its own.
    pub(crate) fn listed(&self, list: &List) -> List {
        list.clone().or_in(&self.settings.prototype.table)
    }

    pub(crate) fn on(pool: P) -> Self {
        let queues = Arc::new(Queues::default());
        let database: Arc<dyn Database> = Arc::new(pool.clone());
        Self {
            keeper: Arc::new(Keeper::new(database, queues.clone())),
            pool,
            queues,
            listening: None,
            settings: Arc::new(Settings::new()),
            tries: Arc::default(),
            releases: Arc::default(),
        }
    }

    /// Gives the `Locker` a keeper of its own, whose connections come from elsewhere.
    pub(crate) fn kept_by(mut self, database: Arc<dyn Database>) -> Self {
        self.keeper = Arc::new(Keeper::new(database, self.queues.clone()));
        self
    }

    /// Gives the `Locker` notifications of releases.
    #[cfg(any(feature = "listen", feature = "async-listen"))]
    pub(crate) fn notified_by(mut self, open: crate::managed::listening::Open) -> Self {
        self.listening = Some(Arc::new(Listening::new(open, self.queues.clone())));
        self
    }

    /// Asks the database for a caller that may give up. No answer within this time is an error.
    pub(crate) async fn ask<T, F>(&self, within: Option<Duration>, request: F) -> Result<T>
    where
        T: Send + 'static,
        for<'r> F: AsyncFnOnce(&'r mut P::Executor) -> Result<T>
            + AsyncWork<&'r mut P::Executor, Result<T>, Future: Send>
            + Send
            + 'static,
    {
        self.ask_holding((), within, request).await
    }

    /// Asks the database. What is held is dropped when the connection is free again.
    pub(crate) async fn ask_holding<H, T, F>(
        &self,
        held: H,
        within: Option<Duration>,
        request: F,
    ) -> Result<T>
    where
        H: Send + 'static,
        T: Send + 'static,
        for<'r> F: AsyncFnOnce(&'r mut P::Executor) -> Result<T>
            + AsyncWork<&'r mut P::Executor, Result<T>, Future: Send>
            + Send
            + 'static,
    {
        let caller = Arc::new(());
        let (pool, wanted_by) = (self.pool.clone(), Arc::downgrade(&caller));
        let asked = async move {
            let _held = held;
            let is_wanted = move || wanted_by.strong_count() > 0;
            on_connection(pool, within, is_wanted, request).await
        };
        let answer = P::Runtime::detach_after(within, asked).await;
        drop(caller);
        answer.unwrap_or_else(|| Err(no_answer(within)))
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }
}

impl<P: Pool> Clone for Locker<P> {
    fn clone(&self) -> Self {
        Self {
            pool: self.pool.clone(),
            keeper: self.keeper.clone(),
            queues: self.queues.clone(),
            listening: self.listening.clone(),
            settings: self.settings.clone(),
            tries: self.tries.clone(),
            releases: self.releases.clone(),
        }
    }
}

impl<P: Pool> fmt::Debug for Locker<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Locker").field(&self.settings).finish()
    }
}
