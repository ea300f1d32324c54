//! An application that sends reminders. It runs on PostgreSQL, MySQL, MariaDB or SQLite. Several instances of it run on one
//! database.

pub mod locks;

use std::error::Error;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::r2d2::{self, ConnectionManager, CustomizeConnection};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};

#[derive(diesel::MultiConnection)]
pub enum AnyConnection {
    Postgres(PgConnection),
    Mysql(MysqlConnection),
    Sqlite(SqliteConnection),
}

pub type Manager = ConnectionManager<AnyConnection>;
pub type Pool = r2d2::Pool<Manager>;
pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

pub const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");
pub const MYSQL: EmbeddedMigrations = embed_migrations!("migrations/mysql");
pub const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

diesel::table! {
    reminders (id) {
        id -> Integer,
        sent_to -> Text,
        fence -> Nullable<BigInt>,
    }
}

/// Lets a connection to SQLite wait for other writers.
#[derive(Debug)]
struct Patient;

impl CustomizeConnection<AnyConnection, r2d2::Error> for Patient {
    fn on_acquire(&self, conn: &mut AnyConnection) -> std::result::Result<(), r2d2::Error> {
        match conn {
            AnyConnection::Sqlite(conn) => conn
                .batch_execute("PRAGMA busy_timeout = 5000")
                .map_err(r2d2::Error::QueryError),
            _ => Ok(()),
        }
    }
}

pub fn open(url: &str) -> Result<Pool> {
    let pool = r2d2::Pool::builder()
        .max_size(4)
        .connection_customizer(Box::new(Patient))
        .build(Manager::new(url))?;
    locks::migrate(&mut *pool.get()?)?;
    Ok(pool)
}

/// Marks all reminders as sent that are not yet, under this fence.
pub fn send_all(conn: &mut AnyConnection, fence: i64) -> QueryResult<usize> {
    diesel::update(reminders::table.filter(reminders::fence.is_null()))
        .set(reminders::fence.eq(fence))
        .execute(conn)
}
