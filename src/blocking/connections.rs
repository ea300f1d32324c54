//! The source of a `Locker`'s connections.

use std::error::Error as StdError;
use std::time::Duration;

use super::connection::LockConnection;

/// The source of a [`Locker`](super::Locker)'s connections: a pool of r2d2 (with the feature `r2d2`), such a pool of
/// the application's own objects (`WithinPool`), or any closure that returns a connection. Implement it yourself only for
/// a pool that no closure can express.
///
/// ```
/// # use diesel::{Connection, SqliteConnection};
/// use diesel_locks::blocking::Locker;
///
/// let locker = Locker::new(|| SqliteConnection::establish("app.db"));
/// # let _ = locker;
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` yields no connections for locks",
    note = "enable the feature `r2d2` of diesel-locks for a pool of r2d2",
    note = "or give a closure without arguments that returns a connection: `move || pool.get()`",
    note = "for a pool of r2d2 with connections of your own type use `diesel_locks::blocking::WithinPool`"
)]
pub trait Connections: Send + Sync + 'static {
    /// The connection that the source yields.
    type Connection: LockConnection + 'static;

    /// Fetches or opens a connection. A pool that knows timeouts does it within this time, or fails.
    ///
    /// # Errors
    /// Whatever the pool or the database says.
    fn connect(
        &self,
        within: Option<Duration>,
    ) -> Result<Self::Connection, Box<dyn StdError + Send + Sync>>;
}

#[diagnostic::do_not_recommend]
impl<F, C, X> Connections for F
where
    F: Fn() -> Result<C, X> + Send + Sync + 'static,
    C: LockConnection + 'static,
    X: Into<Box<dyn StdError + Send + Sync>>,
{
    type Connection = C;

    fn connect(&self, _: Option<Duration>) -> Result<C, Box<dyn StdError + Send + Sync>> {
        self().map_err(Into::into)
    }
}

#[cfg(feature = "r2d2")]
pub(super) mod r2d2 {
    use std::time::Duration;

    use diesel::r2d2::{
        ConnectionManager, ManageConnection, Pool, PooledConnection, R2D2Connection,
    };

    use super::{Connections, LockConnection, StdError};

    impl<C> Connections for Pool<ConnectionManager<C>>
    where
        C: R2D2Connection + 'static,
        PooledConnection<ConnectionManager<C>>: LockConnection,
    {
        type Connection = PooledConnection<ConnectionManager<C>>;

        fn connect(
            &self,
            within: Option<Duration>,
        ) -> Result<Self::Connection, Box<dyn StdError + Send + Sync>> {
            get(self, within)
        }
    }

    pub(in crate::blocking) fn get<M: ManageConnection>(
        pool: &Pool<M>,
        within: Option<Duration>,
    ) -> Result<PooledConnection<M>, Box<dyn StdError + Send + Sync>> {
        Ok(match within {
            Some(time) => pool.get_timeout(time)?,
            None => pool.get()?,
        })
    }
}
