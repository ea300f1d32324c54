//! What the holder of a guard can do on a blocking connection.

use std::time::Duration;

use super::connection::ready;
use super::connections::Connections;
use super::pool::BlockingPool;
use crate::answer::{LeaseStatus, Outcome, Released};
use crate::error::{Error, Result};
use crate::guard;
use crate::protocol::Extension;

/// A lock that is held. Its lease is extended in the background until the lock is released or lost, or the guard is
/// dropped. The methods that do not ask the database are at [`locker::Guard`](crate::locker::Guard).
///
/// ```
/// # use diesel::{Connection, SqliteConnection};
/// # let file = std::env::temp_dir().join(format!("diesel-locks-doc-guard-{}", std::process::id()));
/// # let url = file.display().to_string();
/// # diesel_locks::blocking::migrate(&mut SqliteConnection::establish(&url).unwrap()).unwrap();
/// # let locker = diesel_locks::blocking::Locker::new(move || SqliteConnection::establish(&url));
/// use diesel_locks::{Error, Wait};
///
/// let guard = locker.acquire("import", Wait::forever())?;
/// for page in 0..3 {
///     guard.check()?;                       // an error if the lock is lost: the work must stop
///     // … read the page …
///     guard.transaction(|conn| {
///         // … write the page: this commits under the lock, or not at all …
///         Ok::<_, Error>(())
///     })?;
/// }
/// if guard.release()?.is_lost() {
///     println!("lost after the last page was written");
/// }
/// # let _ = std::fs::remove_file(file);
/// # Ok::<(), Error>(())
/// ```
pub type Guard<P> = guard::Guard<BlockingPool<P>>;

/// On a pool of blocking connections.
impl<P: Connections> Guard<P> {
    /// Waits until the lock is lost, or this time is over. Returns whether the lock is lost. Use it in a thread that
    /// stops the work.
    #[must_use]
    pub fn lost_within(&self, time: Duration) -> bool {
        ready(self.wait_for_loss(Some(time)))
    }

    /// Does the work in a transaction on a connection of the pool. The lease is pinned in this transaction: what the
    /// work writes commits under this lock, or not at all.
    ///
    /// The work is not begun unless the lock is held. While the transaction is open nobody can take the lock over, so
    /// the end of the ttl does not end the lease, however long the transaction takes. At the end of the transaction the
    /// lease is extended if necessary. If the work fails, the transaction is rolled back, and the work's own error
    /// comes back unchanged.
    ///
    /// Use it for each of several transactions under one lock. For the last one use [`finish`](Self::finish).
    ///
    /// # Errors
    /// [`Error::Lost`] if the lock is lost, the work's own errors, and whatever the pool or the database says.
    pub fn transaction<T, X>(
        &self,
        work: impl FnOnce(&mut P::Connection) -> Result<T, X>,
    ) -> Result<T, X>
    where
        X: From<Error>,
    {
        self.locker.transaction(&[self], work)
    }

    /// Does the work in a transaction like [`transaction`](Self::transaction), and releases the lock with the commit.
    /// Use it for the last transaction under the lock. Where a transaction sees a snapshot (PostgreSQL at REPEATABLE READ
    /// and above, MariaDB from 11.6 by default), the lock is released right after the commit. If that fails, the work is
    /// committed, and the lock is released in the background.
    ///
    /// # Errors
    /// The errors of [`transaction`](Self::transaction). After an error the lock is released in the background.
    pub fn finish<T, X>(self, work: impl FnOnce(&mut P::Connection) -> Result<T, X>) -> Result<T, X>
    where
        X: From<Error>,
    {
        let mut guarded = ready(self.locker.open_transaction(&[&self]))?;
        let done = work(guarded.connection());
        ready(guarded.finish(done))
    }

    /// Extends the lease now. The keeper extends the lease by itself, so use this only before something expensive.
    ///
    /// # Errors
    /// [`Error::Lost`], and whatever the pool or the database says. After another error than `Lost` it is
    /// unknown whether the lease was extended: the guard trusts it only as long as before.
    #[doc(alias = "renew")]
    #[doc(alias = "refresh")]
    #[doc(alias = "keep_alive")]
    pub fn extend(&self) -> Result<()> {
        self.or_lost(self.try_extend())
    }

    /// Extends the lease now, like [`extend`](Self::extend). A lost lease is an answer, and not an error.
    ///
    /// # Errors
    /// Whatever the pool or the database says.
    pub fn try_extend(&self) -> Result<Outcome> {
        ready(self.extend_lease(None))
    }

    /// Extends the lease to this ttl. Later extensions use this ttl, too.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a ttl out of bounds, and the errors of [`extend`](Self::extend).
    pub fn extend_to(&self, ttl: Duration) -> Result<()> {
        self.or_lost(self.try_extend_to(ttl))
    }

    /// Extends the lease to this ttl, like [`extend_to`](Self::extend_to). A lost lease is an answer, and not an error.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a ttl out of bounds, and whatever the pool or the database says.
    pub fn try_extend_to(&self, ttl: Duration) -> Result<Outcome> {
        ready(self.extend_lease(Some(Extension::To(ttl))))
    }

    /// Adds this time to the time that is left of the lease. Use it before one step that takes longer than the ttl and
    /// keeps the process from extending the lease, such as a pause of the whole machine.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a time out of the bounds of a ttl, and the errors of [`extend`](Self::extend).
    pub fn extend_by(&self, time: Duration) -> Result<()> {
        self.or_lost(self.try_extend_by(time))
    }

    /// Adds this time to the lease, like [`extend_by`](Self::extend_by). A lost lease is an answer, and not an error.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a time out of the bounds of a ttl, and whatever the pool or the database says.
    pub fn try_extend_by(&self, time: Duration) -> Result<Outcome> {
        ready(self.extend_lease(Some(Extension::By(time))))
    }

    /// Reads what has become of the lease: held, and for how long; expired; or lost, and to whom. Use it to tell
    /// people. To decide whether to go on, use [`is_valid`](crate::locker::Guard::is_valid) or
    /// [`check`](crate::locker::Guard::check), which do not ask the database.
    ///
    /// # Errors
    /// Whatever the pool or the database says.
    #[doc(alias = "is_mine")]
    #[doc(alias = "time_left")]
    #[doc(alias = "ttl")]
    pub fn status(&self) -> Result<LeaseStatus> {
        ready(self.read_status())
    }

    /// Replaces the text that is left with the lock, or removes it with `None`.
    ///
    /// # Errors
    /// [`Error::Lost`], [`Error::Invalid`] for more than 4,096 bytes, and whatever the pool or the database says.
    pub fn set_data(&self, data: Option<&str>) -> Result<()> {
        self.or_lost(self.try_set_data(data))
    }

    /// Replaces the text, like [`set_data`](Self::set_data). A lost lease is an answer, and not an error.
    ///
    /// # Errors
    /// [`Error::Invalid`] for more than 4,096 bytes, and whatever the pool or the database says.
    pub fn try_set_data(&self, data: Option<&str>) -> Result<Outcome> {
        ready(self.replace_data(data))
    }

    /// Releases the lock, and tells whether it was still held. Use it if you want to know that; dropping the guard
    /// releases the lock, too, in the background.
    ///
    /// # Errors
    /// Whatever the pool or the database says. After an error the lock is free when the ttl is over.
    #[doc(alias = "unlock")]
    pub fn release(self) -> Result<Released> {
        ready(self.give_back()).map(Into::into)
    }
}
