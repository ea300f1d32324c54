//! A database for one test: on the server of `PG_DATABASE_URL`, or a file of `SQLite`.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use diesel::sqlite::SqliteConnection;
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use diesel_locks::asynchronous::{LeaseDsl, LockDsl};
use diesel_locks::{Lease, Lock};

/// The database is removed when this is dropped.
pub enum Database {
    Postgres { server: String, name: String },
    Sqlite { folder: PathBuf },
}

/// Does the same work on a connection of either database.
macro_rules! on_connection {
    ($database:expr, $conn:ident => $work:expr) => {
        now(async {
            match $database {
                Database::Postgres { .. } => {
                    let $conn = &mut connect::<AsyncPgConnection>(&$database.url()).await;
                    $work
                }
                Database::Sqlite { .. } => {
                    let url = $database.url();
                    let $conn = &mut connect::<SyncConnectionWrapper<SqliteConnection>>(&url).await;
                    $conn
                        .batch_execute("PRAGMA busy_timeout = 20000")
                        .await
                        .unwrap();
                    $work
                }
            }
        })
    };
}

impl Database {
    pub fn postgres() -> Self {
        let server = std::env::var("PG_DATABASE_URL")
            .expect("PG_DATABASE_URL is not set: run the tests with `cargo xtask test`");
        let name = unique().replace('-', "_");
        on_server(&server, &format!("CREATE DATABASE {name}"));
        Self::Postgres { server, name }
    }

    pub fn sqlite() -> Self {
        let folder = std::env::temp_dir().join(unique());
        std::fs::create_dir_all(&folder).unwrap();
        Self::Sqlite { folder }
    }

    pub fn url(&self) -> String {
        match self {
            Self::Postgres { server, name } => {
                let (server, _) = server.rsplit_once('/').expect("the name of a database");
                format!("{server}/{name}")
            }
            Self::Sqlite { folder } => folder.join("app.db").display().to_string(),
        }
    }

    pub fn hold(&self, group: &str, name: &str) -> Lease {
        let lock = Lock::in_group(group, name).unwrap();
        let lock = lock.with_owner("the test").unwrap();
        let attempt = on_connection!(self, conn => lock.try_acquire(conn).await);
        attempt.unwrap().acquired().expect("the lock is free")
    }

    pub fn release(&self, lease: &Lease) {
        let released = on_connection!(self, conn => lease.release(conn).await);
        assert!(!released.unwrap().is_lost());
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        match self {
            Self::Postgres { server, name } => {
                on_server(server, &format!("DROP DATABASE {name} WITH (FORCE)"));
            }
            Self::Sqlite { folder } => {
                let _ = std::fs::remove_dir_all(folder);
            }
        }
    }
}

fn on_server(url: &str, sql: &str) {
    now(async {
        let mut conn = connect::<AsyncPgConnection>(url).await;
        conn.batch_execute(sql).await.unwrap();
    });
}

async fn connect<C: AsyncConnection>(url: &str) -> C {
    let conn = C::establish(url).await;
    conn.unwrap_or_else(|error| panic!("{url}: {error}"))
}

fn now<T>(work: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(work)
}

/// A name that no other process and no other call returns.
fn unique() -> String {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    format!("invoicing-service-{}-{call}", std::process::id())
}
