//! Blocking clients, on a pool of r2d2.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::r2d2::{ConnectionManager, CustomizeConnection, Pool, PooledConnection};
use diesel_locks::blocking::{self, Connections, LockConnection, Locks};
use diesel_locks::{Attempt, List, Lock, Outcome, Result, Wait};

use super::{Client, Gate, Guard, Log, Setup, panic_quietly};

pub struct Blocking<C: diesel::r2d2::R2D2Connection + 'static>
where
    PooledConnection<ConnectionManager<C>>: LockConnection,
{
    locks: Locks<Gated<C>>,
    gate: Gate,
    log: Log,
}

pub struct Gated<C: diesel::r2d2::R2D2Connection + 'static> {
    pool: Pool<ConnectionManager<C>>,
    gate: Gate,
}

impl<C: diesel::r2d2::R2D2Connection + 'static> Connections for Gated<C>
where
    PooledConnection<ConnectionManager<C>>: LockConnection,
{
    type Connection = PooledConnection<ConnectionManager<C>>;

    fn connect(
        &self,
        within: Option<Duration>,
    ) -> Result<Self::Connection, Box<dyn std::error::Error + Send + Sync>> {
        self.gate.pass()?;
        self.pool.connect(within)
    }
}

#[derive(Debug)]
struct Customize(String);

impl<C: SimpleConnection> CustomizeConnection<C, diesel::r2d2::Error> for Customize {
    fn on_acquire(&self, conn: &mut C) -> Result<(), diesel::r2d2::Error> {
        let set = conn.batch_execute(&self.0);
        set.map_err(diesel::r2d2::Error::QueryError)
    }
}

macro_rules! client {
    ($feature:literal, $connection:ident, $customize:expr) => {
        #[cfg(feature = $feature)]
        impl Blocking<diesel::$connection> {
            pub fn client(url: &str, setup: &Setup) -> Box<dyn Client> {
                let mut pool = Pool::builder()
                    .max_size(setup.pool_size)
                    .min_idle(Some(0))
                    .test_on_check_out(setup.checks)
                    .connection_timeout(Duration::from_secs(3));
                let customize: fn(&Setup) -> Option<String> = $customize;
                if let Some(sql) = customize(setup) {
                    pool = pool.connection_customizer(Box::new(Customize(sql)));
                }
                let pool = pool.build_unchecked(ConnectionManager::new(url));
                let (gate, log) = (Gate::default(), Log::default());
                let (gated, hears) = (gate.clone(), log.clone());
                let locks = Locks::new(Gated { pool, gate: gated })
                    .release_within(setup.release_within)
                    .observe(move |event| hears.hear(event));
                Box::new(Self { locks, gate, log })
            }
        }

        #[cfg(feature = $feature)]
        impl Client for Blocking<diesel::$connection> {
            fn acquire(&self, lock: &Lock, wait: Wait) -> Result<Box<dyn Guard>> {
                Ok(Box::new(self.locks.acquire(lock, wait)?))
            }

            fn acquire_within(
                &self,
                _: Duration,
                lock: &Lock,
                wait: Wait,
            ) -> Option<Result<Box<dyn Guard>>> {
                Some(self.acquire(lock, wait))
            }

            fn try_acquire(&self, lock: &Lock) -> Result<Attempt<Box<dyn Guard>>> {
                let attempt = self.locks.try_acquire(lock)?;
                Ok(attempt.map(|guard| Box::new(guard) as Box<dyn Guard>))
            }

            fn run_panicking(&self, lock: &Lock) {
                let run = self.locks.run(lock, Wait::never(), |_| panic_quietly());
                let _: diesel_locks::Run<()> = run.expect("the lock");
            }

            fn ask(&self) -> Result<()> {
                self.locks.list(&List::all().limit(1)).map(drop)
            }

            fn gate(&self) -> &Gate {
                &self.gate
            }

            fn log(&self) -> &Log {
                &self.log
            }

            fn close(&self) {
                self.locks.close();
            }
        }

        #[cfg(feature = $feature)]
        impl Guard for blocking::Guard<Gated<diesel::$connection>> {
            fn fence(&self) -> i64 {
                Self::fence(self)
            }

            fn is_valid(&self) -> bool {
                Self::is_valid(self)
            }

            fn trusted_for(&self) -> Duration {
                Self::trusted_for(self)
            }

            fn on_lost(&self, callback: Box<dyn FnOnce() + Send>) {
                Self::on_lost(self, callback);
            }

            fn lost_within(&self, time: Duration) -> bool {
                Self::lost_within(self, time)
            }

            fn extend(&self) -> Result<Outcome> {
                Self::extend(self)
            }

            fn write(&self, scope: &str) -> Result<i64> {
                let [write, look] = crate::probe::write_sql(scope, Self::fence(self));
                self.transaction(|conn| {
                    conn.batch_execute(&write)?;
                    let look = diesel::sql_query(look);
                    let rows: Vec<diesel_locks_tests::Number> =
                        diesel::RunQueryDsl::load(look, &mut **conn)?;
                    Ok(rows[0].number)
                })
            }

            fn write_panicking(&self, scope: &str) {
                let [write, _] = crate::probe::write_sql(scope, Self::fence(self));
                let done: Result<()> = self.transaction(|conn| {
                    conn.batch_execute(&write)?;
                    panic_quietly()
                });
                done.expect("a panic");
            }

            fn release(self: Box<Self>) -> Result<Outcome> {
                Self::release(*self)
            }
        }
    };
}

client!("postgres", PgConnection, |_| None);
client!("mysql", MysqlConnection, |_| None);
client!("sqlite", SqliteConnection, |setup| Some(format!(
    "PRAGMA busy_timeout = {}",
    setup.patience.as_millis()
)));
