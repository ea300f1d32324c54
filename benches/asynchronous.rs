//! Contestants on diesel-async's connections, each client in a task of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::SqliteConnection;
use diesel_async::pooled_connection::bb8::Pool;
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig};
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
use diesel_async::{
    AsyncConnection, AsyncMysqlConnection, AsyncPgConnection, SimpleAsyncConnection,
};
use diesel_locks::asynchronous::{
    AsyncConnections, AsyncLockConnection, LeaseDsl, LockDsl, Locker,
};
use diesel_locks::{Lock, Wait};
use tokio::runtime::Runtime;
use tokio::sync::Mutex;
use tokio_postgres::{Client, NoTls, Statement};

use crate::bare::{Acquire, Bare, Bench, Release, Sql, TOKEN, label};
use crate::lease::expect_acquired;
use crate::names::Share;
use crate::rounds::{Contestant, number};

pub fn runtime() -> Runtime {
    Runtime::new().unwrap()
}

/// A connection for the locks.
pub trait AsyncBench: AsyncLockConnection + Sized + 'static {
    /// A connection for the limit.
    type Limit: Limit;
    type Pool: AsyncConnections + Clone;

    fn open(url: &str) -> impl Future<Output = Self> + Send;

    /// A pool with one connection for each client.
    fn pool(url: &str, clients: usize) -> impl Future<Output = Self::Pool> + Send;
}

/// The limit: the two bare statements.
pub trait Limit: Sized + Send + 'static {
    fn open(url: &str) -> impl Future<Output = Self> + Send;
    fn pair(&mut self, name: &str) -> impl Future<Output = ()> + Send;
}

/// The statements, prepared by hand on the driver that diesel-async uses.
pub struct Prepared {
    client: Client,
    acquire: Statement,
    release: Statement,
}

impl Limit for Prepared {
    async fn open(url: &str) -> Self {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
        tokio::spawn(connection);
        Self {
            acquire: client.prepare(&numbered::<Acquire>()).await.unwrap(),
            release: client.prepare(&numbered::<Release>()).await.unwrap(),
            client,
        }
    }

    async fn pair(&mut self, name: &str) {
        let Self {
            client,
            acquire,
            release,
        } = self;
        let acquired = client.execute(acquire, &[&TOKEN, &name]).await;
        assert_eq!(acquired.unwrap(), 1);
        let released = client.execute(release, &[&name, &TOKEN]).await;
        assert_eq!(released.unwrap(), 1);
    }
}

/// The SQL with `$1`, `$2` between its parts.
pub fn numbered<S: Sql<diesel::pg::Pg>>() -> String {
    let first = S::PARTS[0].to_owned();
    let rest = S::PARTS[1..].iter().zip(1..);
    rest.fold(first, |text, (part, number)| {
        format!("{text}${number}{part}")
    })
}

macro_rules! bench {
    ($connection:ty, limit $limit:ty, as $blocking:ty) => {
        impl AsyncBench for $connection {
            type Limit = $limit;
            type Pool = Pool<Self>;

            async fn open(url: &str) -> Self {
                let mut conn = Self::establish(url).await.unwrap();
                conn.batch_execute(<$blocking>::SETUP).await.unwrap();
                conn
            }

            async fn pool(url: &str, clients: usize) -> Self::Pool {
                let mut config = ManagerConfig::default();
                config.custom_setup = Box::new(|url| {
                    let url = url.to_owned();
                    Box::pin(async move { Ok(<Self as AsyncBench>::open(&url).await) })
                });
                let manager = AsyncDieselConnectionManager::<Self>::new_with_config(url, config);
                let pool = Pool::builder().max_size(u32::try_from(clients).unwrap());
                pool.test_on_check_out(false).build(manager).await.unwrap()
            }
        }
    };
}

bench!(AsyncPgConnection, limit Prepared, as diesel::PgConnection);
bench!(AsyncMysqlConnection, limit Self, as diesel::MysqlConnection);
bench!(SyncConnectionWrapper<SqliteConnection>, limit Self, as SqliteConnection);

/// The statements, prepared by Diesel.
macro_rules! limit {
    ($($connection:ty),+) => {$(
        impl Limit for $connection {
            async fn open(url: &str) -> Self {
                <Self as AsyncBench>::open(url).await
            }

            async fn pair(&mut self, name: &str) {
                use diesel_async::RunQueryDsl;
                let acquired = Bare::<Acquire>::new(&[TOKEN, name]).execute(self).await;
                assert_eq!(acquired.unwrap(), 1);
                let released = Bare::<Release>::new(&[name, TOKEN]).execute(self).await;
                assert_eq!(released.unwrap(), 1);
            }
        }
    )+};
}

limit!(
    AsyncMysqlConnection,
    SyncConnectionWrapper<SqliteConnection>
);

/// Calls a generic function with the async connection type of an engine.
macro_rules! on_async {
    ($engine:expr, $function:ident($($argument:expr),*)) => {{
        use diesel_async::{AsyncMysqlConnection, AsyncPgConnection};
        use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
        match $engine {
            $crate::engine::Engine::Postgres => $function::<AsyncPgConnection>($($argument),*),
            $crate::engine::Engine::MariaDb | $crate::engine::Engine::MySql => {
                $function::<AsyncMysqlConnection>($($argument),*)
            }
            $crate::engine::Engine::Sqlite => {
                $function::<SyncConnectionWrapper<diesel::SqliteConnection>>($($argument),*)
            }
        }
    }};
}
pub(crate) use on_async;

pub fn shares(clients: usize) -> Vec<Arc<Share>> {
    let share = |client| Arc::new(Share::of(client, clients));
    (0..clients).map(share).collect()
}

/// The limit.
pub fn limit<'r, C: AsyncBench>(
    runtime: &'r Runtime,
    url: &str,
    shares: &[Arc<Share>],
) -> Contestant<'r> {
    let open = || Arc::new(Mutex::new(runtime.block_on(C::Limit::open(url))));
    tasks(
        runtime,
        format!("async: {}", label(shares.len())),
        each(shares, open),
        |(conn, share)| async move { conn.lock().await.pair(&share.next()).await },
    )
}

/// `try_acquire` and `release` on a connection.
pub fn on_connections<'r, C: AsyncBench>(
    runtime: &'r Runtime,
    url: &str,
    shares: &[Arc<Share>],
) -> Contestant<'r> {
    let open = || Arc::new(Mutex::new(runtime.block_on(C::open(url))));
    tasks(
        runtime,
        "async: try_acquire + release",
        each(shares, open),
        |(conn, share)| async move {
            let conn = &mut *conn.lock().await;
            let lock = Lock::new(share.next()).unwrap();
            let lease = expect_acquired(lock.try_acquire(conn).await);
            lease.release(conn).await.unwrap();
        },
    )
}

/// Guards of a `Locker`.
pub fn guards<'r, P: AsyncConnections>(
    runtime: &'r Runtime,
    what: impl Into<String>,
    locks: &Locker<P>,
    shares: &[Arc<Share>],
) -> Contestant<'r> {
    tasks(
        runtime,
        what,
        each(shares, || locks.clone()),
        |(locks, share)| async move {
            let guard = locks.acquire(&share.next(), Wait::never()).await.unwrap();
            guard.release().await.unwrap();
        },
    )
}

/// One value for each share.
pub fn each<T>(shares: &[Arc<Share>], new: impl Fn() -> T) -> Vec<(T, Arc<Share>)> {
    shares.iter().map(|share| (new(), share.clone())).collect()
}

/// A contestant with one task for each client.
pub fn tasks<C, W, F>(
    runtime: &Runtime,
    what: impl Into<String>,
    clients: Vec<C>,
    once: W,
) -> Contestant<'_>
where
    C: Clone + Send + Sync + 'static,
    W: Fn(C) -> F + Copy + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    Contestant::new(what, move |time| {
        let began = Instant::now();
        let done = runtime.block_on(async {
            let spawned: Vec<_> = clients
                .iter()
                .cloned()
                .map(|client| tokio::spawn(repeat(client, once, time)))
                .collect();
            let mut done = 0;
            for task in spawned {
                done += task.await.unwrap();
            }
            done
        });
        number(done) / began.elapsed().as_secs_f64()
    })
}

async fn repeat<C: Clone, F: Future<Output = ()>>(
    client: C,
    once: impl Fn(C) -> F,
    time: Duration,
) -> usize {
    let (began, mut done) = (Instant::now(), 0);
    while began.elapsed() < time {
        once(client.clone()).await;
        done += 1;
    }
    done
}

/// Locks with a pool that has one connection for each client.
pub async fn locks<C: AsyncBench>(url: &str, clients: usize) -> Locker<C::Pool> {
    Locker::new(C::pool(url, clients).await)
}
