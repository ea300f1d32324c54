//! A scheduled job on threads. Of all processes that start it, one does the job. If that process dies, the next process
//! does it.
//!
//! `cargo run --example blocking_job --features sqlite`: on a database file of SQLite; start it in two terminals, end
//! the one that works with Ctrl-C, and see the other go on.
//! `cargo run --example blocking_job --features cli -- postgres://…` (or `mysql://…`): there. The feature `cli` brings the
//! drivers, which an application chooses by itself.

use std::thread::sleep;
use std::time::Duration;

use diesel::prelude::*;
use diesel_locks::blocking::{Connections, Locker};
use diesel_locks::{Dialect, Run, Wait};

type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

const TTL: Duration = Duration::from_secs(5);
const STEPS: u32 = 10;

fn main() -> Result<()> {
    match std::env::args().nth(1) {
        #[cfg(feature = "cli-postgres")]
        Some(url) if url.starts_with("postgres") => job(&locker::<PgConnection, _>(url)?),
        #[cfg(feature = "cli-mysql")]
        Some(url) if url.starts_with("mysql") => job(&locker::<MysqlConnection, _>(url)?),
        Some(url) if url.contains("://") => {
            Err(format!("no feature for {url} is enabled: see the head of this example").into())
        }
        file => job(&locker::<SqliteConnection, _>(
            file.unwrap_or_else(|| "blocking_job.db".to_owned()),
        )?),
    }
}

fn job<P: Connections>(locker: &Locker<P>) -> Result<()> {
    println!("waiting for the job; others may be at it");
    let done = locker.run("nightly-report", Wait::forever(), |guard| {
        for step in 1..=STEPS {
            guard.check()?; // somebody else took over: stop
            println!("step {step} of {STEPS}, fence {}", guard.fence());
            sleep(Duration::from_secs(1));
        }
        Ok::<_, diesel_locks::Error>(())
    })?;
    match done {
        Run::Done(result) => result?,
        Run::Lost { .. } => println!("lost before the end: somebody else does it again"),
        Run::Busy { .. } => unreachable!("waited for ever"),
    }
    locker.close();
    Ok(())
}

/// A real application gives its pool to `Locker::new`.
fn locker<C, DB>(url: String) -> Result<Locker<impl Connections + use<C, DB>>>
where
    C: Connection<Backend = DB> + diesel_locks::blocking::LockConnection + 'static,
    DB: Dialect,
{
    diesel_locks::blocking::migrate(&mut C::establish(&url)?)?;
    let locker = Locker::new(move || open::<C>(&url)).with_ttl(TTL)?;
    Ok(locker.observe(|event| println!("  {:?}", event.kind)))
}

fn open<C: Connection>(url: &str) -> Result<C> {
    let mut conn = C::establish(url)?;
    if !url.contains("://") {
        conn.batch_execute("PRAGMA busy_timeout = 2000; PRAGMA journal_mode = WAL")?;
    }
    Ok(conn)
}
