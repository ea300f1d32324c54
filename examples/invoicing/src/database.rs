//! The pool, and the migrations: those of the application and those of the locks, in one folder.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::r2d2::{self, ConnectionManager, CustomizeConnection};
use diesel::sqlite::SqliteConnection;
use diesel_locks::{Wait, blocking};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};

use crate::Result;

pub type Pool = r2d2::Pool<ConnectionManager<SqliteConnection>>;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!();

/// Opens the database, and migrates it. Several instances can start at the same time: they migrate one after the other.
pub fn open() -> Result<Pool> {
    let file = std::env::var("DATABASE_URL").unwrap_or_else(|_| "invoicing.db".to_owned());
    let pool = Pool::builder()
        .max_size(4)
        .connection_customizer(Box::new(Pragmas))
        .build(ConnectionManager::new(file))?;
    let conn = &mut pool.get()?;
    let wait = Wait::up_to(Duration::from_secs(60));
    if blocking::run_migrations_in_turn(conn, wait, MIGRATIONS)?.is_busy() {
        return Err("another instance is still migrating".into());
    }
    blocking::verify(conn)?;
    Ok(pool)
}

/// `SQLite` allows one writer at a time. The other writers wait for it for two seconds, and readers do not wait.
#[derive(Debug)]
struct Pragmas;

impl CustomizeConnection<SqliteConnection, r2d2::Error> for Pragmas {
    fn on_acquire(&self, conn: &mut SqliteConnection) -> Result<(), r2d2::Error> {
        conn.batch_execute("PRAGMA busy_timeout = 2000; PRAGMA journal_mode = WAL")
            .map_err(r2d2::Error::QueryError)
    }
}
