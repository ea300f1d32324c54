//! Gives the `Locker` of a world its connections, each set up as the host does it, and observed.

use std::sync::Arc;

use diesel::connection::Connection;
use diesel::r2d2::{
    ConnectionManager, CustomizeConnection, Pool, PooledConnection, R2D2Connection,
};
use diesel::{ConnectionError, ConnectionResult};
use diesel_async::AsyncConnection;
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, bb8};
use diesel_locks::{asynchronous, blocking};
use diesel_locks_tests::{Answer, with_connection_types};

use super::{Mode, POOL_SIZE, Source, World, setup};
use crate::managed::Managed;
use crate::managed::traffic::Traffic;
use crate::session::Session;

/// The source of a `Locker`'s connections.
#[derive(Clone)]
struct Host {
    url: String,
    setup: Vec<String>,
    /// Whether each connection comes with a transaction that Diesel has begun.
    begins: bool,
    connections: u32,
    /// How many of them a blocking pool opens before they are asked for.
    idle: u32,
    traffic: Arc<Traffic>,
}

impl World {
    /// A `Locker` on this world's kind of connections.
    pub async fn locks(&self) -> Box<dyn Managed> {
        self.watched_locks(POOL_SIZE).await.0
    }

    /// A `Locker` with at most this many connections, and their traffic.
    pub async fn watched_locks(&self, connections: u32) -> (Box<dyn Managed>, Arc<Traffic>) {
        let host = self.host(connections);
        let traffic = host.traffic.clone();
        (self.locks_on(host, None).await, traffic)
    }

    /// A `Locker` whose keeper has a connection of its own.
    pub async fn locks_kept_apart(&self, connections: u32) -> Box<dyn Managed> {
        self.locks_on(self.host(connections), Some(self.host(1)))
            .await
    }

    /// A `Locker` whose connections are inside a transaction that Diesel has begun.
    pub async fn locks_inside_transactions(&self) -> Box<dyn Managed> {
        let host = Host {
            begins: true,
            ..self.host(POOL_SIZE)
        };
        self.locks_on(host, None).await
    }

    /// A `Locker` on MySQL or MariaDB whose connections have no autocommit.
    pub async fn locks_without_autocommit(&self) -> Box<dyn Managed> {
        self.locks_on(self.host_without_autocommit(), None).await
    }

    /// A `Locker` on MySQL or MariaDB of whose connections those of the keeper have no autocommit.
    pub async fn locks_kept_without_autocommit(&self) -> Box<dyn Managed> {
        let keeper = self.host_without_autocommit();
        self.locks_on(self.host(POOL_SIZE), Some(keeper)).await
    }

    fn host_without_autocommit(&self) -> Host {
        let mut host = self.host(POOL_SIZE);
        host.setup.push("SET autocommit = 0".to_owned());
        host.idle = 1; // with none, r2d2 replaces no broken connection for those who wait already
        host
    }

    /// A `Locker` that listens for releases on PostgreSQL. On other engines it polls.
    pub fn listening(&self, locks: &dyn Managed) -> Box<dyn Managed> {
        self.listening_at(locks, &self.url)
    }

    /// A `Locker` that tries to listen where no server is. On engines other than PostgreSQL it polls.
    pub fn deaf(&self, locks: &dyn Managed) -> Box<dyn Managed> {
        self.listening_at(locks, "postgres://nobody@127.0.0.1:1/nowhere")
    }

    #[cfg_attr(not(feature = "postgres"), expect(unused_variables))]
    fn listening_at(&self, locks: &dyn Managed, url: &str) -> Box<dyn Managed> {
        #[cfg(feature = "postgres")]
        if self.is_postgres() {
            return locks.listen(url);
        }
        locks.another()
    }

    fn host(&self, connections: u32) -> Host {
        Host {
            url: self.url.clone(),
            setup: setup(self.engine),
            begins: false,
            connections,
            idle: 0,
            traffic: Traffic::of(connections),
        }
    }

    async fn locks_on(&self, host: Host, keeper: Option<Host>) -> Box<dyn Managed> {
        /// Makes the `Locker` for the two connection types of a backend.
        macro_rules! locks {
            ($blocking:ty, $asynchronous:ty) => {
                match (self.mode, self.source) {
                    (Mode::Blocking, Source::Own) => {
                        blocking_locks(|host| own_blocking::<$blocking>(host), host, keeper)
                    }
                    (Mode::Blocking, Source::Pool) => {
                        blocking_locks(|host| pool_blocking::<$blocking>(&host), host, keeper)
                    }
                    (Mode::Async, Source::Own) => {
                        let locks = asynchronous::Locker::new(own_async::<$asynchronous>(host));
                        match keeper {
                            Some(host) => {
                                Box::new(locks.keep_with(own_async::<$asynchronous>(host)))
                            }
                            None => Box::new(locks),
                        }
                    }
                    (Mode::Async, Source::Pool) => {
                        let locks = asynchronous::Locker::new(pool_async!($asynchronous, host));
                        match keeper {
                            Some(host) => {
                                Box::new(locks.keep_with(pool_async!($asynchronous, host)))
                            }
                            None => Box::new(locks),
                        }
                    }
                }
            };
        }
        with_connection_types!(self.engine, locks)
    }
}

impl Host {
    async fn set_up(&self, conn: &mut dyn Session) {
        for setup in &self.setup {
            let done = conn.batch(setup).await;
            done.expect("a connection that can be set up");
        }
        if self.begins {
            conn.begin().await.expect("a transaction");
        }
        self.traffic.let_happen().await;
    }

    /// Does the setup on a thread of the host, where the future is ready at once.
    fn set_up_now(&self, conn: &mut dyn Session) {
        use std::task::{Context, Waker};
        let set_up = std::pin::pin!(self.set_up(conn));
        assert!(
            set_up
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_ready()
        );
    }
}

fn blocking_locks<P: blocking::Connections>(
    pool: impl Fn(Host) -> P,
    host: Host,
    keeper: Option<Host>,
) -> Box<dyn Managed>
where
    P::Connection: Session,
{
    let locks = blocking::Locker::new(pool(host));
    match keeper {
        Some(host) => Box::new(locks.keep_with(pool(host))),
        None => Box::new(locks),
    }
}

fn own_blocking<C>(host: Host) -> impl Fn() -> ConnectionResult<C>
where
    C: Connection + Session,
{
    move || {
        let slot = host.traffic.slot_of_a_thread();
        let mut conn = C::establish(&host.url)?;
        host.set_up_now(&mut conn);
        conn.instrument(host.traffic.watch(Some(slot)));
        Ok(conn)
    }
}

fn own_async<C>(host: Host) -> impl Fn() -> Answer<'static, Result<C, ConnectionError>>
where
    C: AsyncConnection + Session + 'static,
{
    move || {
        let host = host.clone();
        Box::pin(async move {
            let slot = host.traffic.slot().await;
            let mut conn = C::establish(&host.url).await?;
            host.set_up(&mut conn).await;
            conn.instrument(host.traffic.watch(Some(slot)));
            Ok(conn)
        })
    }
}

fn pool_blocking<C>(host: &Host) -> Pool<ConnectionManager<C>>
where
    C: R2D2Connection + Session + 'static,
    PooledConnection<ConnectionManager<C>>: Session,
{
    Pool::builder()
        .max_size(host.connections)
        .min_idle(Some(host.idle))
        .connection_customizer(Box::new(SetUp(host.clone())))
        .build(ConnectionManager::<C>::new(&host.url))
        .expect("a pool")
}

struct SetUp(Host);

impl std::fmt::Debug for SetUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SetUp")
    }
}

impl<C: Session + 'static> CustomizeConnection<C, diesel::r2d2::Error> for SetUp {
    fn on_acquire(&self, conn: &mut C) -> Result<(), diesel::r2d2::Error> {
        self.0.set_up_now(conn);
        conn.instrument(self.0.traffic.watch(None));
        Ok(())
    }
}

/// This is a macro, because the trait bounds of a generic function would be too long.
macro_rules! pool_async {
    ($connection:ty, $host:ident) => {{
        let (connections, url) = ($host.connections, $host.url.clone());
        let mut config = ManagerConfig::<$connection>::default();
        config.custom_setup = Box::new(move |url| {
            let (host, url) = ($host.clone(), url.to_owned());
            Box::pin(async move {
                let mut conn = <$connection>::establish(&url).await?;
                host.set_up(&mut conn).await;
                conn.instrument(host.traffic.watch(None));
                Ok(conn)
            })
        });
        let manager = AsyncDieselConnectionManager::new_with_config(url, config);
        let pool = bb8::Pool::<$connection>::builder().max_size(connections);
        pool.build(manager).await.expect("a pool")
    }};
}
use pool_async;
