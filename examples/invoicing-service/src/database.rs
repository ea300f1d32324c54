//! The pools, and the migrations: those of the application, combined with those of the locks.

use std::time::{Duration, Instant};

use diesel::migration::MigrationVersion;
use diesel::sqlite::SqliteConnection;
use diesel::{ConnectionError, ConnectionResult};
use diesel_async::pooled_connection::deadpool::Pool;
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig};
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use diesel_locks::asynchronous::{self, AsyncConnections};
use diesel_locks::migrations::Migrations;
use diesel_locks::{Attempt, Wait};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};

use crate::Result;
use crate::invoices::Invoices;

/// A pool for either database. An application with one database needs no such trait, and names the type of its pool.
pub trait Database: AsyncConnections<Connection: Invoices> + Clone {}

impl<P: AsyncConnections<Connection: Invoices> + Clone> Database for P {}

const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");
const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

pub async fn postgres(url: &str) -> Result<Pool<AsyncPgConnection>> {
    let conn = AsyncPgConnection::establish(url).await?;
    let all = Migrations::default().with(POSTGRES);
    let (mut conn, done) = asynchronous::run_migrations_in_turn(conn, wait_to_migrate(), all).await;
    check(done)?;
    asynchronous::verify(&mut conn).await?;
    Ok(Pool::builder(AsyncDieselConnectionManager::new(url)).build()?)
}

pub async fn sqlite(file: &str) -> Result<Pool<SyncConnectionWrapper<SqliteConnection>>> {
    let mut conn = open(file).await?;
    write_ahead(&mut conn).await?;
    let all = Migrations::default().with(SQLITE);
    let (mut conn, done) = asynchronous::run_migrations_in_turn(conn, wait_to_migrate(), all).await;
    check(done)?;
    asynchronous::verify(&mut conn).await?;
    let mut config = ManagerConfig::default();
    config.custom_setup = Box::new(|file| Box::pin(open(file)));
    let manager = AsyncDieselConnectionManager::new_with_config(file, config);
    Ok(Pool::builder(manager).build()?)
}

/// Several instances can start at the same time. The others wait for the instance that migrates.
fn wait_to_migrate() -> Wait {
    Wait::up_to(Duration::from_secs(60))
}

fn check(done: Result<Attempt<Vec<MigrationVersion<'_>>>>) -> Result<()> {
    if done?.is_busy() {
        return Err("another instance is still migrating".into());
    }
    Ok(())
}

/// `SQLite` allows one writer at a time. The other writers wait for it for two seconds, and readers do not wait.
async fn open(file: &str) -> ConnectionResult<SyncConnectionWrapper<SqliteConnection>> {
    let mut conn = SyncConnectionWrapper::establish(file).await?;
    conn.batch_execute("PRAGMA busy_timeout = 2000")
        .await
        .map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(conn)
}

/// Turns on write-ahead logging, which the file then keeps. The switch ignores the timeout and fails if the file is in
/// use, so it is tried again.
async fn write_ahead(conn: &mut SyncConnectionWrapper<SqliteConnection>) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match conn.batch_execute("PRAGMA journal_mode = WAL").await {
            Err(error) if is_locked(&error) && Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            done => return Ok(done?),
        }
    }
}

fn is_locked(error: &diesel::result::Error) -> bool {
    use diesel::result::Error::DatabaseError;
    matches!(error, DatabaseError(_, info) if info.message() == "database is locked")
}
