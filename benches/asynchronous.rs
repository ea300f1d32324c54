//! Contestants on diesel-async's connections, each client in a task of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::SqliteConnection;
use diesel_async::pooled_connection::bb8::Pool;
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig};
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
use diesel_async::{
    AsyncConnection, AsyncMysqlConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection,
};
use diesel_locks::asynchronous::{
    AsyncConnections, AsyncLockConnection, LeaseDsl, LockDsl, Locker,
};
use diesel_locks::{Lock, Wait};
use tokio::runtime::Runtime;
use tokio::sync::Mutex;

use crate::bare::{Acquire, Bare, Bench, Release, TOKEN, label};
use crate::lease::expect_acquired;
use crate::names::Share;
use crate::rounds::{Contestant, number};

pub fn runtime() -> Runtime {
    Runtime::new().unwrap()
}

/// A connection for both the limit and the locks.
pub trait AsyncBench: AsyncLockConnection + Sized + 'static {
    type Pool: AsyncConnections + Clone;

    fn open(url: &str) -> impl Future<Output = Self> + Send;

    /// A pool of `size` connections. It does not test a connection before each use.
    fn pool(url: &str, size: usize) -> impl Future<Output = Self::Pool> + Send;

    /// Acquires the lock by the bare statements, and releases it.
    fn pair(&mut self, name: &str) -> impl Future<Output = ()> + Send;
}

macro_rules! bench {
    ($connection:ty, as $blocking:ty) => {
        impl AsyncBench for $connection {
            type Pool = Pool<Self>;

            async fn open(url: &str) -> Self {
                let mut conn = Self::establish(url).await.unwrap();
                conn.batch_execute(<$blocking>::SETUP).await.unwrap();
                conn
            }

            async fn pool(url: &str, size: usize) -> Self::Pool {
                let mut config = ManagerConfig::default();
                config.custom_setup = Box::new(|url| {
                    let url = url.to_owned();
                    Box::pin(async move { Ok(<Self as AsyncBench>::open(&url).await) })
                });
                let manager = AsyncDieselConnectionManager::<Self>::new_with_config(url, config);
                let pool = Pool::builder().max_size(u32::try_from(size).unwrap());
                pool.test_on_check_out(false).build(manager).await.unwrap()
            }

            async fn pair(&mut self, name: &str) {
                let acquired = Bare::<Acquire>::new(&[TOKEN, name]).execute(self).await;
                assert_eq!(acquired.unwrap(), 1);
                let released = Bare::<Release>::new(&[name, TOKEN]).execute(self).await;
                assert_eq!(released.unwrap(), 1);
            }
        }
    };
}

bench!(AsyncPgConnection, as diesel::PgConnection);
bench!(AsyncMysqlConnection, as diesel::MysqlConnection);
bench!(SyncConnectionWrapper<SqliteConnection>, as SqliteConnection);

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
    let open = || Arc::new(Mutex::new(runtime.block_on(C::open(url))));
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

/// A contestant with one task for each client. What ends after the time does not count.
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
        number(done) / time.as_secs_f64()
    })
}

async fn repeat<C: Clone, F: Future<Output = ()>>(
    client: C,
    once: impl Fn(C) -> F,
    time: Duration,
) -> usize {
    let (began, mut done) = (Instant::now(), 0);
    loop {
        once(client.clone()).await;
        if began.elapsed() >= time {
            return done;
        }
        done += 1;
    }
}

/// Locks with a pool of `size` connections.
pub async fn locks<C: AsyncBench>(url: &str, size: usize) -> Locker<C::Pool> {
    Locker::new(C::pool(url, size).await)
}
