//! A scheduled job on threads: of all processes that start it, one does it; and if that one dies, the next.
//!
//! `cargo run --example blocking_job --features sqlite`: on a database file of SQLite; start it in two terminals, end
//! the one that works with Ctrl-C, and see the other go on.
//! `cargo run --example blocking_job --features cli -- postgres://…` (or `mysql://…`): there. The feature `cli` brings the
//! drivers, which an application chooses by itself.

use std::thread::sleep;
use std::time::Duration;

use diesel::prelude::*;
use diesel_locks::blocking::{Connections, Locks};
use diesel_locks::{Dialect, Run, Wait};

type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

const TTL: Duration = Duration::from_secs(5);
const STEPS: u32 = 10;

fn main() -> Result<()> {
    match std::env::args().nth(1) {
        #[cfg(feature = "cli-postgres")]
        Some(url) if url.starts_with("postgres") => job(&locks::<PgConnection, _>(url)?),
        #[cfg(feature = "cli-mysql")]
        Some(url) if url.starts_with("mysql") => job(&locks::<MysqlConnection, _>(url)?),
        Some(url) if url.contains("://") => {
            Err(format!("no feature for {url} is enabled: see the head of this example").into())
        }
        file => job(&locks::<SqliteConnection, _>(
            file.unwrap_or_else(|| "blocking_job.db".to_owned()),
        )?),
    }
}

fn job<P: Connections>(locks: &Locks<P>) -> Result<()> {
    println!("waiting for the job; others may be at it");
    let done = locks.run("nightly-report", Wait::forever(), |guard| {
        for step in 1..=STEPS {
            guard.check()?; // somebody else took over: stop
            println!("step {step} of {STEPS}, fence {}", guard.fence());
            sleep(Duration::from_secs(1));
        }
        Ok::<_, diesel_locks::Error>(())
    })?;
    match done {
        Run::Done(result) => result?,
        Run::Lost(_) => println!("lost before the end: somebody else does it again"),
        Run::Busy(_) => unreachable!("waited for ever"),
    }
    locks.close();
    Ok(())
}

/// A real application gives its pool to `Locks::new`.
fn locks<C, DB>(url: String) -> Result<Locks<impl Connections + use<C, DB>>>
where
    C: Connection<Backend = DB> + diesel_locks::blocking::LockConnection + 'static,
    DB: Dialect,
{
    diesel_locks::blocking::migrate(&mut C::establish(&url)?)?;
    let locks = Locks::new(move || open::<C>(&url)).ttl(TTL)?;
    Ok(locks.observe(|event| println!("  {:?}", event.what)))
}

fn open<C: Connection>(url: &str) -> Result<C> {
    let mut conn = C::establish(url)?;
    if !url.contains("://") {
        conn.batch_execute("PRAGMA busy_timeout = 2000; PRAGMA journal_mode = WAL")?;
    }
    Ok(conn)
}
