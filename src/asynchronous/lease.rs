//! What the holder of a lease can do on an async connection.

use std::borrow::BorrowMut;
use std::time::Duration;

use super::connection::{AsyncLockConnection, Asynchronous, in_use};
use crate::answer::{LeaseStatus, Outcome, Pin, Released};
use crate::error::{Error, Result};
use crate::lease::Lease;
use crate::protocol::guarded::{self, End};
use crate::protocol::{self, Extension};
use crate::work::AsyncWork;

/// What the holder of a [`Lease`] can do with it: the async form of [`blocking::LeaseDsl`](crate::blocking::LeaseDsl).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> diesel_locks::Result<()> {
/// # use diesel::{Connection, SqliteConnection};
/// # use diesel_async::{AsyncConnection, sync_connection_wrapper::SyncConnectionWrapper};
/// # let mut conn = SqliteConnection::establish(":memory:").unwrap();
/// # diesel_locks::blocking::migrate(&mut conn).unwrap();
/// # let mut conn: SyncConnectionWrapper<_> = SyncConnectionWrapper::new(conn);
/// use diesel_locks::asynchronous::{LeaseDsl, LockDsl};
/// use diesel_locks::{Error, Lock};
///
/// let lock = Lock::new("import")?;
/// let mut lease = lock.try_acquire(&mut conn).await?.acquired().expect("nobody else imports");
/// for page in 0..3 {
///     lease.extend(&mut conn).await?;           // an error if the lease is lost: the work must stop
///     lease.transaction(&mut conn, async |conn| {
///         // … write the page: this commits under the lease, or not at all …
///         Ok::<_, Error>(())
///     }).await?;
/// }
/// lease.release(&mut conn).await?;
/// # Ok(()) }
/// ```
pub trait LeaseDsl: BorrowMut<Lease> + Send + Sync {
    /// Proves in this transaction that the lease is still held: the async form of
    /// [`blocking::LeaseDsl::pin`](crate::blocking::LeaseDsl::pin).
    fn pin<C: AsyncLockConnection>(&self, conn: &mut C) -> impl Future<Output = Result<()>> + Send {
        async move { protocol::pin(&mut Asynchronous::on(conn), self.borrow()).await }
    }

    /// Pins, and returns all three answers as a value: the async form of
    /// [`blocking::LeaseDsl::try_pin`](crate::blocking::LeaseDsl::try_pin).
    fn try_pin<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
    ) -> impl Future<Output = Result<Pin>> + Send {
        async move { protocol::try_pin(&mut Asynchronous::on(conn), self.borrow()).await }
    }

    /// Does the work in a transaction that pins the lease: the async form of
    /// [`blocking::LeaseDsl::transaction`](crate::blocking::LeaseDsl::transaction).
    ///
    /// Write the work as an async closure: `async |conn| { … }`. The compiler refuses `|conn| async move { … }`: it
    /// says that the implementation of `AsyncFnOnce` is not general enough. Boxed futures (`scope_boxed`, `Box::pin`)
    /// are not needed.
    ///
    /// If the future is dropped, nothing is committed, and the connection cannot be used any more: see
    /// [`AsyncLockConnection`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> diesel_locks::Result<()> {
    /// # use diesel::{Connection, SqliteConnection};
    /// # use diesel_async::{AsyncConnection, sync_connection_wrapper::SyncConnectionWrapper};
    /// # let mut conn = SqliteConnection::establish(":memory:").unwrap();
    /// # diesel_locks::blocking::migrate(&mut conn).unwrap();
    /// # let mut conn: SyncConnectionWrapper<_> = SyncConnectionWrapper::new(conn);
    /// # use diesel_locks::asynchronous::{LeaseDsl, LockDsl};
    /// # use diesel_locks::{Error, Lock};
    /// # let mut lease = Lock::new("import")?.try_acquire(&mut conn).await?.acquired().unwrap();
    /// lease.transaction(&mut conn, async |conn| {
    ///     // … the writes …
    ///     Ok::<_, Error>(())
    /// }).await?;
    /// # Ok(()) }
    /// ```
    fn transaction<'a, C, T, X, F>(
        &'a mut self,
        conn: &'a mut C,
        work: F,
    ) -> impl Future<Output = Result<T, X>> + Send + 'a
    where
        C: AsyncLockConnection,
        T: Send + 'a,
        X: From<Error> + Send + 'a,
        for<'r> F: AsyncFnOnce(&'r mut C) -> Result<T, X>
            + AsyncWork<&'r mut C, Result<T, X>, Future: Send>
            + Send
            + 'a,
    {
        run_guarded(self.borrow_mut(), conn, End::Keep, work)
    }

    /// Does the work in a pinned transaction, and releases the lock with the commit: the async form of
    /// [`blocking::LeaseDsl::finish`](crate::blocking::LeaseDsl::finish).
    /// Write the work as an async closure, as for [`transaction`](Self::transaction).
    fn finish<'a, C, T, X, F>(
        &'a mut self,
        conn: &'a mut C,
        work: F,
    ) -> impl Future<Output = Result<T, X>> + Send + 'a
    where
        C: AsyncLockConnection,
        T: Send + 'a,
        X: From<Error> + Send + 'a,
        for<'r> F: AsyncFnOnce(&'r mut C) -> Result<T, X>
            + AsyncWork<&'r mut C, Result<T, X>, Future: Send>
            + Send
            + 'a,
    {
        run_guarded(self.borrow_mut(), conn, End::Release, work)
    }

    /// Releases the lock: the async form of
    /// [`blocking::LeaseDsl::release`](crate::blocking::LeaseDsl::release).
    #[doc(alias = "unlock")]
    fn release<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
    ) -> impl Future<Output = Result<Released>> + Send {
        async move {
            protocol::release(&mut Asynchronous::on(conn), self.borrow())
                .await
                .map(Into::into)
        }
    }

    /// Extends the lease: the async form of
    /// [`blocking::LeaseDsl::extend`](crate::blocking::LeaseDsl::extend).
    #[doc(alias = "renew")]
    #[doc(alias = "refresh")]
    #[doc(alias = "keep_alive")]
    fn extend<C: AsyncLockConnection>(
        &mut self,
        conn: &mut C,
    ) -> impl Future<Output = Result<()>> + Send {
        async move {
            let outcome = self.try_extend(conn).await?;
            outcome.or_lost(self.borrow_mut())
        }
    }

    /// Extends the lease. A lost lease is an answer: the async form of
    /// [`blocking::LeaseDsl::try_extend`](crate::blocking::LeaseDsl::try_extend).
    fn try_extend<C: AsyncLockConnection>(
        &mut self,
        conn: &mut C,
    ) -> impl Future<Output = Result<Outcome>> + Send {
        async move {
            let ttl = self.borrow_mut().lock.ttl;
            self.try_extend_to(conn, ttl).await
        }
    }

    /// Extends the lease to this ttl: the async form of
    /// [`blocking::LeaseDsl::extend_to`](crate::blocking::LeaseDsl::extend_to).
    fn extend_to<C: AsyncLockConnection>(
        &mut self,
        conn: &mut C,
        ttl: Duration,
    ) -> impl Future<Output = Result<()>> + Send {
        async move {
            let outcome = self.try_extend_to(conn, ttl).await?;
            outcome.or_lost(self.borrow_mut())
        }
    }

    /// Extends the lease to this ttl. A lost lease is an answer: the async form of
    /// [`blocking::LeaseDsl::try_extend_to`](crate::blocking::LeaseDsl::try_extend_to).
    fn try_extend_to<C: AsyncLockConnection>(
        &mut self,
        conn: &mut C,
        ttl: Duration,
    ) -> impl Future<Output = Result<Outcome>> + Send {
        async move {
            let how = Extension::To(ttl);
            protocol::extend_for(&mut Asynchronous::on(conn), self.borrow_mut(), how).await
        }
    }

    /// Adds this time to the lease: the async form of
    /// [`blocking::LeaseDsl::extend_by`](crate::blocking::LeaseDsl::extend_by).
    fn extend_by<C: AsyncLockConnection>(
        &mut self,
        conn: &mut C,
        time: Duration,
    ) -> impl Future<Output = Result<()>> + Send {
        async move {
            let outcome = self.try_extend_by(conn, time).await?;
            outcome.or_lost(self.borrow_mut())
        }
    }

    /// Adds this time to the lease. A lost lease is an answer: the async form of
    /// [`blocking::LeaseDsl::try_extend_by`](crate::blocking::LeaseDsl::try_extend_by).
    fn try_extend_by<C: AsyncLockConnection>(
        &mut self,
        conn: &mut C,
        time: Duration,
    ) -> impl Future<Output = Result<Outcome>> + Send {
        async move {
            let how = Extension::By(time);
            protocol::extend_for(&mut Asynchronous::on(conn), self.borrow_mut(), how).await
        }
    }

    /// Reads what has become of the lease: the async form of
    /// [`blocking::LeaseDsl::status`](crate::blocking::LeaseDsl::status).
    #[doc(alias = "is_mine")]
    #[doc(alias = "time_left")]
    #[doc(alias = "ttl")]
    fn status<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
    ) -> impl Future<Output = Result<LeaseStatus>> + Send {
        async move { protocol::status(&mut Asynchronous::on(conn), self.borrow()).await }
    }

    /// Replaces the text that is left with the lock: the async form of
    /// [`blocking::LeaseDsl::set_data`](crate::blocking::LeaseDsl::set_data).
    fn set_data<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
        data: Option<&str>,
    ) -> impl Future<Output = Result<()>> + Send {
        async move { self.try_set_data(conn, data).await?.or_lost(self.borrow()) }
    }

    /// Replaces the text that is left with the lock. A lost lease is an answer: the async form of
    /// [`blocking::LeaseDsl::try_set_data`](crate::blocking::LeaseDsl::try_set_data).
    fn try_set_data<C: AsyncLockConnection>(
        &self,
        conn: &mut C,
        data: Option<&str>,
    ) -> impl Future<Output = Result<Outcome>> + Send {
        async move { protocol::set_data(&mut Asynchronous::on(conn), self.borrow(), data).await }
    }
}

impl LeaseDsl for Lease {}

async fn run_guarded<'a, C, T, X, F>(
    lease: &'a mut Lease,
    conn: &'a mut C,
    end: End,
    work: F,
) -> Result<T, X>
where
    C: AsyncLockConnection,
    T: Send,
    X: From<Error> + Send,
    for<'r> F: AsyncFnOnce(&'r mut C) -> Result<T, X>
        + AsyncWork<&'r mut C, Result<T, X>, Future: Send>
        + Send
        + 'a,
{
    let leases = std::slice::from_mut(lease);
    let mut transaction = in_use(conn);
    let opened = guarded::open(&mut Asynchronous::on(&mut **transaction), leases).await;
    let done = match opened {
        Ok(opened) => {
            let done = work(&mut **transaction).await;
            let conn = &mut Asynchronous::on(&mut **transaction);
            let closed = guarded::close(conn, leases, opened, end, done).await;
            closed.map(|closed| closed.value)
        }
        Err(error) => Err(error.into()),
    };
    transaction.done();
    done
}
