//! Async clients, on a pool of bb8. A module for each connection, because what a pool asks of one cannot be written
//! shorter than its types.

use std::sync::Arc;
use std::time::Duration;

use diesel_async::SimpleAsyncConnection;
use diesel_async::pooled_connection::bb8::{Pool, PooledConnection};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig};
use diesel_locks::asynchronous::{self, AsyncConnections, Locks};
use diesel_locks::{Attempt, Error, Lease, List, Lock, LockSet, Outcome, Result, Wait};
use diesel_locks_tests::Answer;
use tokio::runtime::Handle;

use super::tasks::{Tasked, Tasks};
use super::{Client, Gate, Guard, Log, Setup, panic_quietly};

macro_rules! clients {
    ($feature:literal, $module:ident, $connection:ty, $customize:expr) => {
        #[cfg(feature = $feature)]
        pub mod $module {
            use super::*;

            pub struct Asynchronous {
                locks: Locks<Gated>,
                gate: Gate,
                log: Log,
                pool: Pool<$connection>,
                runtime: Handle,
            }

            pub struct Gated {
                pool: Pool<$connection>,
                gate: Gate,
            }

            /// Without bb8's lifetime in its type, which futures that must be `Send` cannot have in a closure.
            pub struct Pooled(PooledConnection<'static, $connection>);

            impl std::ops::Deref for Pooled {
                type Target = $connection;

                fn deref(&self) -> &$connection {
                    &self.0
                }
            }

            impl std::ops::DerefMut for Pooled {
                fn deref_mut(&mut self) -> &mut $connection {
                    &mut self.0
                }
            }

            /// A guard outside of its runtime.
            struct Outside {
                guard: Option<asynchronous::Guard<Gated>>,
                runtime: Handle,
            }

            impl AsyncConnections for Gated {
                type Connection = Pooled;

                async fn connect(
                    &self,
                ) -> Result<Self::Connection, Box<dyn std::error::Error + Send + Sync>> {
                    self.gate.pass()?;
                    Ok(Pooled(self.pool.get_owned().await?))
                }
            }

            pub fn client(url: &str, setup: &Setup, runtime: &Handle) -> Arc<Asynchronous> {
                let customize: fn(&Setup) -> Option<String> = $customize;
                let sql = customize(setup);
                let mut config = ManagerConfig::<$connection>::default();
                config.custom_setup =
                    Box::new(move |url| Box::pin(connected(url.to_owned(), sql.clone())));
                let manager = AsyncDieselConnectionManager::new_with_config(url, config);
                let pool = Pool::builder()
                    .max_size(setup.pool_size)
                    .test_on_check_out(setup.checks)
                    .connection_timeout(Duration::from_secs(3))
                    // Otherwise it has a task of its own.
                    .idle_timeout(None)
                    .max_lifetime(None)
                    .build_unchecked(manager);
                let (gate, log) = (Gate::default(), Log::default());
                let (hears, gated) = (
                    log.clone(),
                    Gated {
                        pool: pool.clone(),
                        gate: gate.clone(),
                    },
                );
                let locks = Locks::new(gated)
                    .release_within(setup.release_within)
                    .observe(move |event| hears.hear(event));
                let runtime = runtime.clone();
                Arc::new(Asynchronous {
                    locks,
                    gate,
                    log,
                    pool,
                    runtime,
                })
            }

            /// A connection that takes too long to be made would never be missed by the pool.
            async fn connected(
                url: String,
                sql: Option<String>,
            ) -> diesel::ConnectionResult<$connection> {
                let connect = <$connection as diesel_async::AsyncConnection>::establish(&url);
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

            impl Asynchronous {
                fn outside(&self, guard: asynchronous::Guard<Gated>) -> Box<dyn Guard> {
                    Box::new(Outside {
                        guard: Some(guard),
                        runtime: self.runtime.clone(),
                    })
                }
            }

            impl Client for Arc<Asynchronous> {
                fn acquire(&self, lock: &Lock, wait: Wait) -> Result<Box<dyn Guard>> {
                    let guard = self.runtime.block_on(self.locks.acquire(lock, wait))?;
                    Ok(self.outside(guard))
                }

                fn acquire_within(
                    &self,
                    time: Duration,
                    lock: &Lock,
                    wait: Wait,
                ) -> Option<Result<Box<dyn Guard>>> {
                    let acquire =
                        async { tokio::time::timeout(time, self.locks.acquire(lock, wait)).await };
                    let answer = self.runtime.block_on(acquire).ok()?;
                    Some(answer.map(|guard| self.outside(guard)))
                }

                fn try_acquire(&self, lock: &Lock) -> Result<Attempt<Box<dyn Guard>>> {
                    let attempt = self.runtime.block_on(self.locks.try_acquire(lock))?;
                    Ok(attempt.map(|guard| self.outside(guard)))
                }

                fn run_panicking(&self, lock: &Lock) {
                    let run = self
                        .locks
                        .run(lock, Wait::never(), async |_| panic_quietly());
                    let _: diesel_locks::Run<()> = self.runtime.block_on(run).expect("the lock");
                }

                fn ask(&self) -> Result<()> {
                    let within = Duration::from_secs(2);
                    let asked = async { tokio::time::timeout(within, Tasks::ask(&**self)).await };
                    let answer = self.runtime.block_on(asked);
                    answer.unwrap_or(Err(Error::NoAnswer { within }))
                }

                fn gate(&self) -> &Gate {
                    &self.gate
                }

                fn log(&self) -> &Log {
                    &self.log
                }

                fn close(&self) {
                    self.runtime.block_on(self.locks.close());
                }
            }

            impl Tasks for Asynchronous {
                fn acquire<'a>(
                    &'a self,
                    lock: &'a Lock,
                    wait: Wait,
                ) -> Answer<'a, Result<Box<dyn Tasked>>> {
                    Box::pin(async move { Ok(tasked(self.locks.acquire(lock, wait).await?)) })
                }

                fn try_acquire<'a>(
                    &'a self,
                    lock: &'a Lock,
                ) -> Answer<'a, Result<Attempt<Box<dyn Tasked>>>> {
                    Box::pin(async move { Ok(self.locks.try_acquire(lock).await?.map(tasked)) })
                }

                fn acquire_all<'a>(
                    &'a self,
                    set: &'a LockSet,
                ) -> Answer<'a, Result<Vec<Box<dyn Tasked>>>> {
                    Box::pin(async move {
                        let guards = self.locks.acquire_all(set, Wait::forever()).await?;
                        Ok(guards.into_iter().map(tasked).collect())
                    })
                }

                fn acquire_any<'a>(
                    &'a self,
                    set: &'a LockSet,
                ) -> Answer<'a, Result<Box<dyn Tasked>>> {
                    Box::pin(async move {
                        Ok(tasked(self.locks.acquire_any(set, Wait::forever()).await?))
                    })
                }

                fn adopt(&self, lease: Lease) -> Answer<'_, Result<Box<dyn Tasked>>> {
                    Box::pin(async move { Ok(tasked(self.locks.adopt(lease).await?)) })
                }

                fn run<'a>(&'a self, lock: &'a Lock, scope: &'a str) -> Answer<'a, Result<bool>> {
                    Box::pin(async move {
                        let run = self.locks.run(lock, Wait::forever(), async |guard| {
                            write(guard, scope).await
                        });
                        Ok(run.await?.done().transpose()?.is_some())
                    })
                }

                fn ask(&self) -> Answer<'_, Result<()>> {
                    Box::pin(async move { self.locks.list(&List::all().limit(1)).await.map(drop) })
                }

                fn close(&self) -> Answer<'_, ()> {
                    Box::pin(self.locks.close())
                }

                fn connections(&self) -> (u32, u32) {
                    let state = self.pool.state();
                    (state.connections, state.idle_connections)
                }
            }

            fn tasked(guard: asynchronous::Guard<Gated>) -> Box<dyn Tasked> {
                Box::new(guard)
            }

            async fn write(guard: &asynchronous::Guard<Gated>, scope: &str) -> Result<i64> {
                let [write, look] = crate::probe::write_sql(scope, guard.fence());
                guard
                    .transaction(async |conn| work(conn, write, look).await)
                    .await
            }

            async fn work(conn: &mut Pooled, write: String, look: String) -> Result<i64> {
                conn.batch_execute(&write).await?;
                let look = diesel::sql_query(look);
                let rows: Vec<diesel_locks_tests::Number> =
                    diesel_async::RunQueryDsl::load(look, &mut **conn).await?;
                Ok(rows[0].number)
            }

            impl Tasked for asynchronous::Guard<Gated> {
                fn fence(&self) -> i64 {
                    Self::fence(self)
                }

                fn is_valid(&self) -> bool {
                    Self::is_valid(self)
                }

                fn lost(&self) -> Answer<'_, ()> {
                    Box::pin(Self::lost(self))
                }

                fn extend(&self) -> Answer<'_, Result<Outcome>> {
                    Box::pin(Self::extend(self))
                }

                fn write<'a>(&'a self, scope: &'a str) -> Answer<'a, Result<i64>> {
                    Box::pin(write(self, scope))
                }

                fn finish(self: Box<Self>, scope: &str) -> Answer<'_, Result<i64>> {
                    let [write, look] = crate::probe::write_sql(scope, Self::fence(&self));
                    Box::pin(Self::finish(*self, async |conn| {
                        work(conn, write, look).await
                    }))
                }

                fn release(self: Box<Self>) -> Answer<'static, Result<Outcome>> {
                    Box::pin(Self::release(*self))
                }

                fn into_lease(self: Box<Self>) -> Lease {
                    Self::into_lease(*self)
                }
            }

            impl Outside {
                fn guard(&self) -> &asynchronous::Guard<Gated> {
                    self.guard.as_ref().expect("a guard")
                }
            }

            impl Guard for Outside {
                fn fence(&self) -> i64 {
                    self.guard().fence()
                }

                fn is_valid(&self) -> bool {
                    self.guard().is_valid()
                }

                fn trusted_for(&self) -> Duration {
                    self.guard().trusted_for()
                }

                fn on_lost(&self, callback: Box<dyn FnOnce() + Send>) {
                    self.guard().on_lost(callback);
                }

                fn lost_within(&self, time: Duration) -> bool {
                    let lost = async { tokio::time::timeout(time, self.guard().lost()).await };
                    self.runtime.block_on(lost).is_ok()
                }

                fn extend(&self) -> Result<Outcome> {
                    self.runtime.block_on(self.guard().extend())
                }

                fn write(&self, scope: &str) -> Result<i64> {
                    self.runtime.block_on(write(self.guard(), scope))
                }

                fn write_panicking(&self, scope: &str) {
                    let [write, _] = crate::probe::write_sql(scope, Guard::fence(self));
                    let done = self.guard().transaction(async |conn| {
                        conn.batch_execute(&write).await?;
                        panic_quietly()
                    });
                    let done: Result<()> = self.runtime.block_on(done);
                    done.expect("a panic");
                }

                fn release(mut self: Box<Self>) -> Result<Outcome> {
                    let guard = self.guard.take().expect("a guard");
                    self.runtime.block_on(guard.release())
                }
            }

            impl Drop for Outside {
                fn drop(&mut self) {
                    let _inside = self.runtime.enter();
                    drop(self.guard.take());
                }
            }
        }
    };
}

clients!(
    "postgres",
    postgres,
    diesel_async::AsyncPgConnection,
    |_| None
);
clients!("mysql", mysql, diesel_async::AsyncMysqlConnection, |_| None);
clients!(
    "sqlite",
    sqlite,
    diesel_async::sync_connection_wrapper::SyncConnectionWrapper<diesel::SqliteConnection>,
    |setup| Some(format!(
        "PRAGMA busy_timeout = {}",
        setup.patience.as_millis()
    ))
);
