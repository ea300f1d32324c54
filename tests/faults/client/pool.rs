//! Pools as an application sets them up: r2d2 for threads, bb8 for tasks. The gate before a pool can be closed.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use diesel::ConnectionResult;
use diesel::connection::SimpleConnection;
use diesel::r2d2::{self, ConnectionManager, CustomizeConnection, R2D2Connection};
use diesel_async::AsyncConnection;
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, bb8};
use diesel_locks::asynchronous::{self, AsyncConnections};
use diesel_locks::blocking::{self, Connections};
use diesel_locks_tests::managed::Managed;
use diesel_locks_tests::{Answer, Engine, with_connection_types};

/// The application's settings of its pool and its locks.
#[derive(Clone, Debug)]
pub struct Setup {
    pub pool_size: u32,
    /// Whether the pool checks a connection before it hands it out.
    pub checks: bool,
    /// The `busy_timeout` of SQLite.
    pub patience: Duration,
    pub release_within: Duration,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            pool_size: 4,
            checks: true,
            patience: Duration::from_secs(5),
            release_within: Duration::from_secs(5),
        }
    }
}

impl Setup {
    /// The SQL that each new connection runs first.
    fn sql(&self, engine: Engine) -> Option<String> {
        let patience = self.patience.as_millis();
        let sql = format!("PRAGMA busy_timeout = {patience}");
        engine.is_sqlite().then_some(sql)
    }
}

/// The time after which a pool gives up.
const TIMEOUT: Duration = Duration::from_secs(3);

pub fn blocking(engine: Engine, url: &str, setup: &Setup, gate: &Gate) -> Box<dyn Managed> {
    macro_rules! locks {
        ($blocking:ty, $asynchronous:ty) => {{
            let pool = r2d2_pool::<$blocking>(url, setup, setup.sql(engine));
            Box::new(blocking::Locker::new(gate.before(pool)))
        }};
    }
    let locks: Box<dyn Managed> = with_connection_types!(engine, locks);
    locks.release_within(setup.release_within)
}

fn r2d2_pool<C: R2D2Connection + 'static>(
    url: &str,
    setup: &Setup,
    sql: Option<String>,
) -> r2d2::Pool<ConnectionManager<C>> {
    let mut pool = r2d2::Pool::builder()
        .max_size(setup.pool_size)
        .min_idle(Some(0))
        .test_on_check_out(setup.checks)
        .connection_timeout(TIMEOUT);
    if let Some(sql) = sql {
        pool = pool.connection_customizer(Box::new(Customize(sql)));
    }
    pool.build_unchecked(ConnectionManager::new(url))
}

#[derive(Debug)]
struct Customize(String);

impl<C: SimpleConnection> CustomizeConnection<C, r2d2::Error> for Customize {
    fn on_acquire(&self, conn: &mut C) -> Result<(), r2d2::Error> {
        let set = conn.batch_execute(&self.0);
        set.map_err(r2d2::Error::QueryError)
    }
}

/// Returns the number of connections of a pool, and the number of those that are idle.
pub type State = Box<dyn Fn() -> (u32, u32) + Send + Sync>;

/// Another user of a pool: sends a query of its own on one of the pool's connections.
pub type Stranger = Box<dyn Fn() -> Answer<'static, ()> + Send + Sync>;

pub fn asynchronous(
    engine: Engine,
    url: &str,
    setup: &Setup,
    gate: &Gate,
) -> (Box<dyn Managed>, State, Stranger) {
    let sql = setup.sql(engine);
    /// This is a macro, because the trait bounds of a generic function would be too long.
    macro_rules! locks {
        ($blocking:ty, $asynchronous:ty) => {{
            let mut config = ManagerConfig::<$asynchronous>::default();
            config.custom_setup =
                Box::new(move |url| Box::pin(connected(url.to_owned(), sql.clone())));
            let manager = AsyncDieselConnectionManager::new_with_config(url, config);
            let pool = bb8::Pool::<$asynchronous>::builder()
                .max_size(setup.pool_size)
                .test_on_check_out(setup.checks)
                .connection_timeout(TIMEOUT)
                // Otherwise the pool runs a task of its own.
                .idle_timeout(None)
                .max_lifetime(None)
                .build_unchecked(manager);
            let locks = asynchronous::Locker::new(gate.before(pool.clone()));
            let others = pool.clone();
            let state = move || {
                let state = pool.state();
                (state.connections, state.idle_connections)
            };
            let stranger = move || -> Answer<'static, ()> {
                let others = others.clone();
                Box::pin(async move {
                    if let Ok(mut conn) = others.get().await {
                        let query =
                            diesel::sql_query("SELECT COUNT(*) AS number FROM faults_ledger");
                        let _ = diesel_async::RunQueryDsl::execute(query, &mut *conn).await;
                    }
                })
            };
            (Box::new(locks), Box::new(state), Box::new(stranger))
        }};
    }
    let (locks, state, stranger): (Box<dyn Managed>, State, Stranger) =
        with_connection_types!(engine, locks);
    (locks.release_within(setup.release_within), state, stranger)
}

/// Async locks that open a connection for each use. A connection of a pool belongs to the runtime that opened it.
pub fn own(engine: Engine, url: &str) -> Box<dyn Managed> {
    let (url, sql) = (url.to_owned(), Setup::default().sql(engine));
    macro_rules! locks {
        ($blocking:ty, $asynchronous:ty) => {
            Box::new(asynchronous::Locker::new(move || {
                connected::<$asynchronous>(url.clone(), sql.clone())
            }))
        };
    }
    with_connection_types!(engine, locks)
}

/// Fails if opening takes too long. Without this limit, the pool would wait for the connection for ever.
async fn connected<C: AsyncConnection>(url: String, sql: Option<String>) -> ConnectionResult<C> {
    let connect = C::establish(&url);
    let Ok(conn) = tokio::time::timeout(Duration::from_secs(1), connect).await else {
        return Err(diesel::ConnectionError::BadConnection(
            "too late".to_owned(),
        ));
    };
    let mut conn = conn?;
    if let Some(sql) = sql {
        let set = conn.batch_execute(&sql).await;
        set.map_err(diesel::ConnectionError::CouldntSetupConfiguration)?;
    }
    Ok(conn)
}

/// Stands before a pool. While it is closed, the pool gives no connection.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<AtomicBool>);

impl Gate {
    pub fn close(&self, closed: bool) {
        self.0.store(closed, SeqCst);
    }

    fn before<P>(&self, pool: P) -> Gated<P> {
        let gate = self.clone();
        Gated { pool, gate }
    }

    fn pass(&self) -> Result<(), Box<dyn Error + Send + Sync>> {
        if self.0.load(SeqCst) {
            return Err("the gate is closed".into());
        }
        Ok(())
    }
}

struct Gated<P> {
    pool: P,
    gate: Gate,
}

impl<P: Connections> Connections for Gated<P> {
    type Connection = P::Connection;

    fn connect(
        &self,
        within: Option<Duration>,
    ) -> Result<Self::Connection, Box<dyn Error + Send + Sync>> {
        self.gate.pass()?;
        self.pool.connect(within)
    }
}

impl<P: AsyncConnections> AsyncConnections for Gated<P> {
    type Connection = P::Connection;

    async fn connect(
        &self,
        within: Option<Duration>,
    ) -> Result<Self::Connection, Box<dyn Error + Send + Sync>> {
        self.gate.pass()?;
        self.pool.connect(within).await
    }
}
