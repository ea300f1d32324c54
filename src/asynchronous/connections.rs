//! The source of a `Locker`'s connections.

use std::error::Error as StdError;

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
    note = "or give a closure without arguments that returns a connection: `move || {{ let pool = pool.clone(); async move {{ pool.get().await }} }}`"
)]
pub trait AsyncConnections: Send + Sync + 'static {
    /// The connection that the source yields.
    type Connection: AsyncLockConnection + 'static;

    /// Fetches or opens a connection.
    fn connect(
        &self,
    ) -> impl Future<Output = Result<Self::Connection, Box<dyn StdError + Send + Sync>>> + Send;
}

impl<F, R, C, X> AsyncConnections for F
where
    F: Fn() -> R + Send + Sync + 'static,
    R: Future<Output = Result<C, X>> + Send,
    C: AsyncLockConnection + 'static,
    X: Into<Box<dyn StdError + Send + Sync>>,
{
    type Connection = C;

    async fn connect(&self) -> Result<C, Box<dyn StdError + Send + Sync>> {
        self().await.map_err(Into::into)
    }
}

#[cfg(feature = "bb8")]
impl<M> AsyncConnections for bb8::Pool<M>
where
    M: bb8::ManageConnection<Error: StdError + Sync>,
    Bb8Connection<M>: AsyncLockConnection,
{
    type Connection = Bb8Connection<M>;

    async fn connect(&self) -> Result<Self::Connection, Box<dyn StdError + Send + Sync>> {
        self.get_owned()
            .await
            .map(Bb8Connection)
            .map_err(Into::into)
    }
}

/// A connection of a pool of bb8. It replaces `bb8::PooledConnection<'static, M>`, whose lifetime keeps the compiler
/// from seeing that a transaction on it can be spawned.
#[cfg(feature = "bb8")]
pub struct Bb8Connection<M: bb8::ManageConnection>(bb8::PooledConnection<'static, M>);

#[cfg(feature = "bb8")]
impl<M: bb8::ManageConnection> std::ops::Deref for Bb8Connection<M> {
    type Target = M::Connection;

    fn deref(&self) -> &M::Connection {
        &self.0
    }
}

#[cfg(feature = "bb8")]
impl<M: bb8::ManageConnection> std::ops::DerefMut for Bb8Connection<M> {
    fn deref_mut(&mut self) -> &mut M::Connection {
        &mut self.0
    }
}

#[cfg(feature = "deadpool")]
impl<M> AsyncConnections for deadpool::managed::Pool<M>
where
    M: deadpool::managed::Manager<Error: StdError + Send + Sync> + 'static,
    deadpool::managed::Object<M>: AsyncLockConnection,
{
    type Connection = deadpool::managed::Object<M>;

    async fn connect(&self) -> Result<Self::Connection, Box<dyn StdError + Send + Sync>> {
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

    async fn connect(&self) -> Result<Self::Connection, Box<dyn StdError + Send + Sync>> {
        Ok(self.get().await?)
    }
}
