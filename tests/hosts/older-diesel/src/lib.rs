//! An application that sends reminders. Several instances of it run on one database.

pub mod locks;

use std::error::Error;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::r2d2::{self, ConnectionManager, CustomizeConnection};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};

pub type Pool = r2d2::Pool<ConnectionManager<SqliteConnection>>;
pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

pub const MIGRATIONS: EmbeddedMigrations = embed_migrations!();

diesel::table! {
    reminders (id) {
        id -> Integer,
        sent_to -> Text,
        fence -> Nullable<BigInt>,
    }
}

/// Lets a connection wait for other writers.
#[derive(Debug)]
struct Patient;

impl CustomizeConnection<SqliteConnection, r2d2::Error> for Patient {
    fn on_acquire(&self, conn: &mut SqliteConnection) -> std::result::Result<(), r2d2::Error> {
        conn.batch_execute("PRAGMA busy_timeout = 5000")
            .map_err(r2d2::Error::QueryError)
    }
}

pub fn open(url: &str) -> Result<Pool> {
    let pool = r2d2::Pool::builder()
        .max_size(4)
        .connection_customizer(Box::new(Patient))
        .build(ConnectionManager::new(url))?;
    locks::migrate(&mut *pool.get()?)?;
    Ok(pool)
}

/// Marks all reminders as sent that are not yet, under this fence.
pub fn send_all(conn: &mut SqliteConnection, fence: i64) -> QueryResult<usize> {
    diesel::update(reminders::table.filter(reminders::fence.is_null()))
        .set(reminders::fence.eq(fence))
        .execute(conn)
}
