//! The source of a `Locker`'s connections.

use std::error::Error as StdError;
use std::time::Duration;

use super::connection::AsyncLockConnection;

/// The source of a [`Locker`](super::Locker)'s connections: a pool of bb8, deadpool or mobc (with the feature of that
/// name), or any closure that returns a connection.
///
/// ```
/// # use diesel::SqliteConnection;
/// # use diesel_async::{AsyncConnection, sync_connection_wrapper::SyncConnectionWrapper};
/// use diesel_locks::asynchronous::Locker;
///
/// let locker = Locker::new(async || SyncConnectionWrapper::<SqliteConnection>::establish("app.db").await);
/// # let _ = locker;
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` yields no connections for locks",
    note = "enable the feature `bb8`, `deadpool` or `mobc` of diesel-locks for a pool of theirs",
    note = "or give a closure without arguments that returns a connection: `move || {{ let pool = pool.clone(); async move {{ pool.get().await }} }}`",
    note = "if `cargo tree --duplicates` shows two versions of diesel-async or of the pool, make them one with `cargo update --precise`"
)]
pub trait AsyncConnections: Send + Sync + 'static {
    /// The connection that the source yields.
    type Connection: AsyncLockConnection + 'static;

    /// Fetches or opens a connection. A source that knows timeouts may use this time. The caller stops waiting after
    /// this time in any case.
    fn connect(
        &self,
        within: Option<Duration>,
    ) -> impl Future<Output = Result<Self::Connection, Box<dyn StdError + Send + Sync>>> + Send;
}

#[diagnostic::do_not_recommend]
impl<F, R, C, X> AsyncConnections for F
where
    F: Fn() -> R + Send + Sync + 'static,
    R: Future<Output = Result<C, X>> + Send,
    C: AsyncLockConnection + 'static,
    X: Into<Box<dyn StdError + Send + Sync>>,
{
    type Connection = C;

    async fn connect(&self, _: Option<Duration>) -> Result<C, Box<dyn StdError + Send + Sync>> {
        self().await.map_err(Into::into)
    }
}

#[cfg(feature = "bb8")]
pub use self::bb8::Bb8Connection;

#[cfg(feature = "bb8")]
mod bb8 {
    use std::fmt;
    use std::ops::{Deref, DerefMut};
    use std::time::Duration;

    use ::bb8::{ManageConnection, Pool, PooledConnection};

    use super::{AsyncConnections, AsyncLockConnection, StdError};

    impl<M> AsyncConnections for Pool<M>
    where
        M: ManageConnection<Error: StdError + Sync>,
        Bb8Connection<M>: AsyncLockConnection,
    {
        type Connection = Bb8Connection<M>;

        async fn connect(
            &self,
            _: Option<Duration>,
        ) -> Result<Self::Connection, Box<dyn StdError + Send + Sync>> {
            let conn = self.get_owned().await;
            conn.map(Bb8Connection).map_err(Into::into)
        }
    }

    /// A connection of a pool of bb8. It replaces `PooledConnection<'static, M>`, whose lifetime keeps the compiler from
    /// seeing that a transaction on it can be spawned.
    pub struct Bb8Connection<M: ManageConnection>(PooledConnection<'static, M>);

    impl<M: ManageConnection> fmt::Debug for Bb8Connection<M> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Bb8Connection")
        }
    }

    impl<M: ManageConnection> Deref for Bb8Connection<M> {
        type Target = M::Connection;

        fn deref(&self) -> &M::Connection {
            &self.0
        }
    }

    impl<M: ManageConnection> DerefMut for Bb8Connection<M> {
        fn deref_mut(&mut self) -> &mut M::Connection {
            &mut self.0
        }
    }
}

#[cfg(feature = "deadpool")]
impl<M> AsyncConnections for deadpool::managed::Pool<M>
where
    M: deadpool::managed::Manager<Error: StdError + Send + Sync> + 'static,
    deadpool::managed::Object<M>: AsyncLockConnection,
{
    type Connection = deadpool::managed::Object<M>;

    async fn connect(
        &self,
        _: Option<Duration>,
    ) -> Result<Self::Connection, Box<dyn StdError + Send + Sync>> {
        Ok(self.get().await?)
    }
}

#[cfg(feature = "mobc")]
impl<M> AsyncConnections for mobc::Pool<M>
where
    M: mobc::Manager<Error: StdError + Send + Sync> + 'static,
    mobc::Connection<M>: AsyncLockConnection,
{
    type Connection = mobc::Connection<M>;

    async fn connect(
        &self,
        _: Option<Duration>,
    ) -> Result<Self::Connection, Box<dyn StdError + Send + Sync>> {
        Ok(self.get().await?)
    }
}
