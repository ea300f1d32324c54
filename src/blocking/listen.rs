//! Notifications of releases, on a blocking connection of PostgreSQL.

use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};

use super::connections::Connections;
use super::locker::Locker;
use crate::error::{Error, Result};
use crate::managed::listening::{Ear, LISTEN, Open};
use crate::managed::pool::Boxed;

impl<P: Connections> Locker<P> {
    /// Wakes waiters by notifications of PostgreSQL (`LISTEN` and `NOTIFY`) when another process releases the lock.
    /// Without this, a waiter notices the release at its next poll: with the default rhythm up to two seconds later.
    /// One connection is opened by this URL when somebody waits, and closed when nobody has waited for a while.
    ///
    /// The URL must reach the server itself, and not a pooler in transaction mode like PgBouncer. This method needs the
    /// feature `listen`.
    #[must_use]
    pub fn listen(self, url: &str) -> Self {
        let url = url.to_owned();
        let open: Open = Box::new(move || {
            let opened = open(&url);
            Box::pin(async { opened })
        });
        self.notified_by(open)
    }
}

fn open(url: &str) -> Result<Box<dyn Ear>> {
    let mut conn = PgConnection::establish(url).map_err(|error| Error::NoConnection {
        source: error.into(),
    })?;
    conn.batch_execute(LISTEN)?;
    Ok(Box::new(conn))
}

/// libpq cannot wait for a notification. It can only be asked whether one has arrived.
const TICK: Duration = Duration::from_millis(1);

impl Ear for PgConnection {
    fn hear(&mut self, at_most: Duration) -> Boxed<'_, Result<Option<String>>> {
        let heard = listen_for(self, at_most);
        Box::pin(async { heard })
    }
}

fn listen_for(conn: &mut PgConnection, at_most: Duration) -> Result<Option<String>> {
    let until = Instant::now() + at_most;
    loop {
        if let Some(heard) = conn.notifications_iter().next() {
            return Ok(Some(heard?.payload));
        }
        if Instant::now() >= until {
            // Nothing else would show that the connection is broken.
            conn.batch_execute("SELECT 1")?;
            return Ok(None);
        }
        thread::sleep(TICK);
    }
}
