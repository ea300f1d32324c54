//! Contestants on diesel-async's connections to PostgreSQL, each client in a task of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel_async::pooled_connection::AsyncDieselConnectionManager;
use diesel_async::pooled_connection::bb8::Pool;
use diesel_async::{AsyncConnection, AsyncPgConnection};
use diesel_locks::asynchronous::{AsyncConnections, LeaseDsl, LockDsl, Locker};
use diesel_locks::{Lock, Wait};
use tokio::runtime::Runtime;
use tokio::sync::Mutex;
use tokio_postgres::{Client, NoTls, Statement};

use crate::bare::{Acquire, Release, Sql, TOKEN, label};
use crate::lease::expect_acquired;
use crate::names::Share;
use crate::rounds::{Contestant, number};

pub fn runtime() -> Runtime {
    Runtime::new().unwrap()
}

/// The two statements of the limit, prepared by hand on the driver that diesel-async uses.
pub struct Bare {
    client: Client,
    acquire: Statement,
    release: Statement,
}

impl Bare {
    pub async fn connect(url: &str) -> Self {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
        tokio::spawn(connection);
        Self {
            acquire: client.prepare(&numbered::<Acquire>()).await.unwrap(),
            release: client.prepare(&numbered::<Release>()).await.unwrap(),
            client,
        }
    }

    pub async fn pair(&self, name: &str) {
        assert_eq!(
            self.client
                .execute(&self.acquire, &[&TOKEN, &name])
                .await
                .unwrap(),
            1
        );
        assert_eq!(
            self.client
                .execute(&self.release, &[&name, &TOKEN])
                .await
                .unwrap(),
            1
        );
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

pub fn shares(clients: usize) -> Vec<Arc<Share>> {
    let share = |client| Arc::new(Share::of(client, clients));
    (0..clients).map(share).collect()
}

/// The limit: the bare statements.
pub fn limit<'r>(runtime: &'r Runtime, url: &str, shares: &[Arc<Share>]) -> Contestant<'r> {
    tasks(
        runtime,
        format!("async: {}", label(shares.len())),
        each(shares, || Arc::new(runtime.block_on(Bare::connect(url)))),
        |(bare, share)| async move { bare.pair(&share.next()).await },
    )
}

pub fn on_connections<'r>(
    runtime: &'r Runtime,
    url: &str,
    shares: &[Arc<Share>],
) -> Contestant<'r> {
    let connect = || {
        let conn = runtime.block_on(AsyncPgConnection::establish(url));
        Arc::new(Mutex::new(conn.unwrap()))
    };
    tasks(
        runtime,
        "async: try_acquire + release",
        each(shares, connect),
        |(conn, share)| async move {
            let conn = &mut *conn.lock().await;
            let lock = Lock::new(share.next()).unwrap();
            let lease = expect_acquired(lock.try_acquire(conn).await);
            lease.release(conn).await.unwrap();
        },
    )
}

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
pub async fn locks(url: &str, clients: usize) -> Locker<Pool<AsyncPgConnection>> {
    let manager = AsyncDieselConnectionManager::<AsyncPgConnection>::new(url);
    let pool = Pool::builder()
        .test_on_check_out(false)
        .max_size(u32::try_from(clients).unwrap());
    Locker::new(pool.build(manager).await.unwrap())
}
