//! An application that cleans up in the background. Several instances of it run on one database.

pub mod locks;

use std::error::Error;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::r2d2::{self, ConnectionManager, CustomizeConnection};

pub type Pool = r2d2::Pool<ConnectionManager<SqliteConnection>>;
pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

diesel::table! {
    cleanups (id) {
        id -> Integer,
        fence -> BigInt,
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
    let mut conn = pool.get()?;
    conn.batch_execute(
        "CREATE TABLE IF NOT EXISTS cleanups (id INTEGER PRIMARY KEY, fence BIGINT NOT NULL)",
    )?;
    locks::migrate(&mut conn)?;
    Ok(pool)
}

/// Cleans up in each tick, until the application stops.
pub fn schedule(pool: Pool, tick: Duration, stop: Receiver<()>) -> JoinHandle<()> {
    thread::spawn(move || {
        let locks = locks::new(pool, tick);
        while stop.recv_timeout(tick) == Err(RecvTimeoutError::Timeout) {
            if let Err(error) = locks::clean_up(&locks) {
                eprintln!("not cleaned up: {error}");
            }
        }
    })
}

/// Notes that this fence has cleaned up.
pub fn clean(conn: &mut SqliteConnection, fence: i64) -> QueryResult<usize> {
    diesel::insert_into(cleanups::table)
        .values(cleanups::fence.eq(fence))
        .execute(conn)
}
