//! A connection inside an object of the application's own.

use std::fmt;
use std::ops::{Deref, DerefMut};

use diesel::result::{Error as DieselError, QueryResult};

use super::connection::Statements;
use crate::error::{Error, Result};
use crate::fact::Fact;
use crate::row::{LeaseState, LockRow};
use crate::statement::Statement;

/// How a connection is found in an object.
type Find<T, C> = fn(&mut <T as Deref>::Target) -> Option<&mut C>;

/// One of Diesel's connections inside an object of your own, for example inside an enum of connections
/// ([`MultiConnection`](diesel::MultiConnection)). Locks work on it as on the connection itself, and it derefs to your
/// object.
///
/// Use it where your pool gives such objects: [`WithinPool`] makes a [`Locker`](super::Locker) on a pool of r2d2, and a
/// closure with [`find`](Self::find) makes one on any other pool. Do not use it where you have the connection itself.
///
/// A transaction of the object must be a transaction of the connection that is found in it, as with `MultiConnection`. An
/// object that counts transactions by itself would end a guarded transaction too early. And only what is written through
/// that connection is guarded: nothing that the object writes on another connection.
///
/// ```
/// # use diesel::prelude::*;
/// use diesel_locks::Lock;
/// use diesel_locks::blocking::{LockDsl, Within};
///
/// enum AnyConnection {
///     Sqlite(SqliteConnection), // and Postgres(PgConnection), …
/// }
///
/// fn sqlite(any: &mut AnyConnection) -> Option<&mut SqliteConnection> {
///     match any {
///         AnyConnection::Sqlite(conn) => Some(conn), // and _ => None
///     }
/// }
///
/// # let mut any = AnyConnection::Sqlite(SqliteConnection::establish(":memory:")?);
/// # diesel_locks::blocking::migrate(sqlite(&mut any).unwrap())?;
/// let mut within = Within::find(&mut any, sqlite)?;
/// let lease = Lock::new("invoices")?.try_acquire(&mut within)?.acquired();
/// # assert!(lease.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Within<T: Deref, C> {
    object: T,
    find: Find<T, C>,
}

impl<T: DerefMut, C> Within<T, C> {
    /// Finds the connection in the object. The function is called again for each statement, and must then find the same
    /// connection. If it finds none, because the object was replaced, the connection counts as broken.
    ///
    /// # Errors
    /// [`Error::Setup`] if the function finds no connection: the object has a connection to another database.
    pub fn find(object: T, find: fn(&mut T::Target) -> Option<&mut C>) -> Result<Self> {
        let mut within = Self { object, find };
        match within.connection() {
            Ok(_) => Ok(within),
            Err(_) => Err(Error::Setup {
                found: "the object has no connection of the kind that is looked for".to_owned(),
                remedy: "look for the connection to the database that is configured: each database has a `Locker` of its own",
            }),
        }
    }

    fn connection(&mut self) -> QueryResult<&mut C> {
        (self.find)(&mut self.object).ok_or(DieselError::BrokenTransactionManager)
    }
}

impl<T: Deref, C> Deref for Within<T, C> {
    type Target = T::Target;

    fn deref(&self) -> &T::Target {
        &self.object
    }
}

impl<T: DerefMut, C> DerefMut for Within<T, C> {
    fn deref_mut(&mut self) -> &mut T::Target {
        &mut self.object
    }
}

impl<T: Deref, C> fmt::Debug for Within<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Within")
    }
}

/// Passes everything on to the connection.
macro_rules! statements {
    ($($name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)+) => {
        $(
            async fn $name(&mut self, $($argument: $type),*) -> QueryResult<$answer> {
                self.connection()?.$name($($argument),*).await
            }
        )+
    };
}

impl<T, C> Statements for Within<T, C>
where
    T: DerefMut + Send,
    C: Statements,
{
    type Sql = C::Sql;

    statements! {
        load_rows(statement: Statement) -> Vec<LockRow>;
        load_states(statement: Statement) -> Vec<LeaseState>;
        load_numbers(statement: Statement) -> Vec<i64>;
        load_facts(statement: Statement) -> Vec<Fact>;
        batch(sql: &str) -> ();
        count(statement: Statement) -> usize;
        begin() -> ();
        commit() -> ();
        rollback() -> ();
    }

    /// A connection that is gone may have left a transaction open.
    fn is_in_transaction(&mut self) -> bool {
        self.connection()
            .map_or(true, Statements::is_in_transaction)
    }

    fn is_broken(&mut self) -> bool {
        self.connection().map_or(true, Statements::is_broken)
    }

    fn discard(&mut self) {
        if let Ok(conn) = self.connection() {
            conn.discard();
        }
    }
}

#[cfg(feature = "r2d2")]
pub use self::pool::WithinPool;

#[cfg(feature = "r2d2")]
mod pool {
    use std::error::Error as StdError;
    use std::fmt;
    use std::time::Duration;

    use diesel::r2d2::{ManageConnection, Pool, PooledConnection};

    use super::super::connections::r2d2::get;
    use super::super::{Connections, LockConnection};
    use super::{Find, Within};

    /// A pool of r2d2 whose connections are objects of your own that contain one of Diesel's connections: for a
    /// [`Locker`](super::super::Locker) on the application's own pool. The manager can be of your own, too. Its `has_broken`
    /// must then say that an object is broken when Diesel's transaction manager says so, as `ConnectionManager` does.
    ///
    /// Use it in an application that runs on several databases. Make a `Locker` for each database, with the function that
    /// finds the connection to that database. The work in a guarded transaction gets a [`Within`], which derefs to the
    /// application's own object. Do not use it for a pool of Diesel's own connections, which is given to `Locker::new` as
    /// it is.
    ///
    /// ```
    /// use diesel::prelude::*;
    /// use diesel::r2d2::{ConnectionManager, Pool};
    /// use diesel_locks::blocking::{Locker, WithinPool};
    /// use diesel_locks::{Error, Wait};
    ///
    /// #[derive(diesel::MultiConnection)]
    /// enum AnyConnection {
    ///     Sqlite(SqliteConnection), // and Postgres(PgConnection), …
    /// }
    ///
    /// fn sqlite(any: &mut AnyConnection) -> Option<&mut SqliteConnection> {
    ///     match any {
    ///         AnyConnection::Sqlite(conn) => Some(conn), // and _ => None
    ///     }
    /// }
    ///
    /// fn create_invoices(any: &mut AnyConnection) -> QueryResult<usize> {
    ///     diesel::sql_query("CREATE TABLE invoices (id INTEGER)").execute(any)
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// # let file = std::env::temp_dir().join(format!("diesel-locks-doc-within-{}", std::process::id()));
    /// # let url = format!("sqlite://{}", file.display());
    /// let pool = Pool::new(ConnectionManager::<AnyConnection>::new(url))?;
    /// # diesel_locks::blocking::migrate(sqlite(&mut *pool.get()?).unwrap())?;
    /// let locker = Locker::new(WithinPool::new(pool, sqlite));
    /// let guard = locker.acquire("invoices", Wait::never())?;
    /// guard.finish(|conn| Ok::<_, Error>(create_invoices(conn)?))?;
    /// # let _ = std::fs::remove_file(file);
    /// # Ok(()) }
    /// ```
    pub struct WithinPool<M: ManageConnection, C> {
        pool: Pool<M>,
        find: Find<PooledConnection<M>, C>,
    }

    impl<M: ManageConnection, C> WithinPool<M, C> {
        /// The pool, and how a connection is found in one of its objects.
        pub fn new(pool: Pool<M>, find: fn(&mut M::Connection) -> Option<&mut C>) -> Self {
            Self { pool, find }
        }
    }

    impl<M: ManageConnection, C> fmt::Debug for WithinPool<M, C> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("WithinPool")
        }
    }

    impl<M, C> Connections for WithinPool<M, C>
    where
        M: ManageConnection,
        C: 'static,
        Within<PooledConnection<M>, C>: LockConnection,
    {
        type Connection = Within<PooledConnection<M>, C>;

        fn connect(
            &self,
            within: Option<Duration>,
        ) -> Result<Self::Connection, Box<dyn StdError + Send + Sync>> {
            let object = get(&self.pool, within)?;
            Ok(Within::find(object, self.find)?)
        }
    }
}
