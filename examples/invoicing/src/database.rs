//! The pool, and the migrations: the application's own, with those of the locks between them.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::r2d2::{self, ConnectionManager, CustomizeConnection};
use diesel::sqlite::SqliteConnection;
use diesel_locks::{Wait, blocking};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};

use crate::Result;

pub type Pool = r2d2::Pool<ConnectionManager<SqliteConnection>>;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!();

/// The database, after migrating it. Several instances may start at once: they take turns.
pub fn open() -> Result<Pool> {
    let file = std::env::var("DATABASE_URL").unwrap_or_else(|_| "invoicing.db".to_owned());
    let pool = Pool::builder()
        .max_size(4)
        .connection_customizer(Box::new(Patience))
        .build(ConnectionManager::new(file))?;
    let conn = &mut pool.get()?;
    let turn = Wait::up_to(Duration::from_secs(60));
    if blocking::run_migrations_in_turn(conn, turn, MIGRATIONS)?.is_busy() {
        return Err("another instance is still migrating".into());
    }
    blocking::verify(conn)?;
    Ok(pool)
}

/// `SQLite` has one writer; the others wait for it a while, and readers don't.
#[derive(Debug)]
struct Patience;

impl CustomizeConnection<SqliteConnection, r2d2::Error> for Patience {
    fn on_acquire(&self, conn: &mut SqliteConnection) -> Result<(), r2d2::Error> {
        conn.batch_execute("PRAGMA busy_timeout = 2000; PRAGMA journal_mode = WAL")
            .map_err(r2d2::Error::QueryError)
    }
}
