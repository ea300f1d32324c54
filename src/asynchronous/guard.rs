//! What the holder of a guard can do on an async connection.

use std::time::Duration;

use super::connections::AsyncConnections;
use super::pool::AsyncPool;
use crate::answer::{LeaseStatus, Outcome, Released};
use crate::error::{Error, Result};
use crate::guard;
use crate::protocol::Extension;
use crate::work::AsyncWork;

/// A lock that is held, and whose lease is extended in the background: the async form of
/// [`blocking::Guard`](crate::blocking::Guard). The methods that do not ask the database are at
/// [`locker::Guard`](crate::locker::Guard).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> diesel_locks::Result<()> {
/// # use diesel::{Connection, SqliteConnection};
/// # use diesel_async::{AsyncConnection, sync_connection_wrapper::SyncConnectionWrapper};
/// # let file = std::env::temp_dir().join(format!("diesel-locks-doc-async-guard-{}", std::process::id()));
/// # let url = file.display().to_string();
/// # diesel_locks::blocking::migrate(&mut SqliteConnection::establish(&url).unwrap()).unwrap();
/// # let locker = diesel_locks::asynchronous::Locker::new(move || { let url = url.clone(); async move {
/// #     SyncConnectionWrapper::<SqliteConnection>::establish(&url).await
/// # } });
/// # async fn read_page() {}
/// use diesel_locks::{Error, Wait};
///
/// let guard = locker.acquire("import", Wait::forever()).await?;
/// tokio::select! {
///     () = read_page() => {}                    // work that stops when the lock is lost
///     () = guard.lost() => {}
/// }
/// guard.check()?;                               // an error if the lock is lost
/// guard.transaction(async |conn| {
///     // … write the page: this commits under the lock, or not at all …
///     Ok::<_, Error>(())
/// }).await?;
/// guard.release().await?;
/// # let _ = std::fs::remove_file(file);
/// # Ok(()) }
/// ```
pub type Guard<P> = guard::Guard<AsyncPool<P>>;

/// On a pool of async connections.
impl<P: AsyncConnections> Guard<P> {
    /// Waits until the lock is lost, and stays pending while the lock is held. Use it in a `select!` beside the work.
    pub async fn lost(&self) {
        self.wait_for_loss(None).await;
    }

    /// Does the work in a transaction that pins the lease: the async form of
    /// [`blocking::Guard::transaction`](crate::blocking::Guard::transaction).
    ///
    /// Write the work as an async closure: `async |conn| { … }`. The compiler refuses `|conn| async move { … }`: it
    /// says that the implementation of `AsyncFnOnce` is not general enough. Boxed futures (`scope_boxed`, `Box::pin`)
    /// are not needed.
    ///
    /// If the future is dropped, the connection is dropped, and with it the transaction.
    ///
    /// # Errors
    /// The errors of the blocking form.
    pub async fn transaction<'a, T, X, F>(&'a self, work: F) -> Result<T, X>
    where
        T: Send,
        X: From<Error> + Send,
        for<'r> F: AsyncFnOnce(&'r mut P::Connection) -> Result<T, X>
            + AsyncWork<&'r mut P::Connection, Result<T, X>, Future: Send>
            + Send
            + 'a,
    {
        self.locker.transaction(&[self], work).await
    }

    /// Does the work in a pinned transaction, and releases the lock with the commit: the async form of
    /// [`blocking::Guard::finish`](crate::blocking::Guard::finish).
    /// Write the work as an async closure, as for [`transaction`](Self::transaction).
    ///
    /// # Errors
    /// The errors of the blocking form.
    pub async fn finish<'a, T, X, F>(self, work: F) -> Result<T, X>
    where
        T: Send,
        X: From<Error> + Send,
        for<'r> F: AsyncFnOnce(&'r mut P::Connection) -> Result<T, X>
            + AsyncWork<&'r mut P::Connection, Result<T, X>, Future: Send>
            + Send
            + 'a,
    {
        let mut guarded = self.locker.open_transaction(&[&self]).await?;
        let done = work(guarded.connection()).await;
        guarded.finish(done).await
    }

    /// Extends the lease: the async form of
    /// [`blocking::Guard::extend`](crate::blocking::Guard::extend).
    ///
    /// # Errors
    /// The errors of the blocking form.
    #[doc(alias = "renew")]
    #[doc(alias = "refresh")]
    #[doc(alias = "keep_alive")]
    pub async fn extend(&self) -> Result<()> {
        self.or_lost(self.try_extend().await)
    }

    /// Extends the lease. A lost lease is an answer: the async form of
    /// [`blocking::Guard::try_extend`](crate::blocking::Guard::try_extend).
    ///
    /// # Errors
    /// The errors of the blocking form.
    pub async fn try_extend(&self) -> Result<Outcome> {
        self.extend_lease(None).await
    }

    /// Extends the lease to this ttl: the async form of
    /// [`blocking::Guard::extend_to`](crate::blocking::Guard::extend_to).
    ///
    /// # Errors
    /// The errors of the blocking form.
    pub async fn extend_to(&self, ttl: Duration) -> Result<()> {
        self.or_lost(self.try_extend_to(ttl).await)
    }

    /// Extends the lease to this ttl. A lost lease is an answer: the async form of
    /// [`blocking::Guard::try_extend_to`](crate::blocking::Guard::try_extend_to).
    ///
    /// # Errors
    /// The errors of the blocking form.
    pub async fn try_extend_to(&self, ttl: Duration) -> Result<Outcome> {
        self.extend_lease(Some(Extension::To(ttl))).await
    }

    /// Adds this time to the lease: the async form of
    /// [`blocking::Guard::extend_by`](crate::blocking::Guard::extend_by).
    ///
    /// # Errors
    /// The errors of the blocking form.
    pub async fn extend_by(&self, time: Duration) -> Result<()> {
        self.or_lost(self.try_extend_by(time).await)
    }

    /// Adds this time to the lease. A lost lease is an answer: the async form of
    /// [`blocking::Guard::try_extend_by`](crate::blocking::Guard::try_extend_by).
    ///
    /// # Errors
    /// The errors of the blocking form.
    pub async fn try_extend_by(&self, time: Duration) -> Result<Outcome> {
        self.extend_lease(Some(Extension::By(time))).await
    }

    /// Reads what has become of the lease: the async form of
    /// [`blocking::Guard::status`](crate::blocking::Guard::status).
    ///
    /// # Errors
    /// The errors of the blocking form.
    #[doc(alias = "is_mine")]
    #[doc(alias = "time_left")]
    #[doc(alias = "ttl")]
    pub async fn status(&self) -> Result<LeaseStatus> {
        self.read_status().await
    }

    /// Replaces the text that is left with the lock: the async form of
    /// [`blocking::Guard::set_data`](crate::blocking::Guard::set_data).
    ///
    /// # Errors
    /// The errors of the blocking form.
    pub async fn set_data(&self, data: Option<&str>) -> Result<()> {
        self.or_lost(self.try_set_data(data).await)
    }

    /// Replaces the text. A lost lease is an answer: the async form of
    /// [`blocking::Guard::try_set_data`](crate::blocking::Guard::try_set_data).
    ///
    /// # Errors
    /// The errors of the blocking form.
    pub async fn try_set_data(&self, data: Option<&str>) -> Result<Outcome> {
        self.replace_data(data).await
    }

    /// Releases the lock: the async form of [`blocking::Guard::release`](crate::blocking::Guard::release).
    ///
    /// If the future is dropped, the lock is released in the background.
    ///
    /// # Errors
    /// The errors of the blocking form.
    #[doc(alias = "unlock")]
    pub async fn release(self) -> Result<Released> {
        self.give_back().await.map(Into::into)
    }
}
