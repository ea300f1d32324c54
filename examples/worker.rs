//! Several workers take jobs from a table. Each job is done by one worker at a time, in whichever process. Ctrl-C ends
//! them.
//!
//! `cargo run --example worker --features sqlite,async`: on a database file of SQLite; start it twice and watch.
//! `cargo run --example worker --features sqlite,async-listen -- postgres://…`: on PostgreSQL, woken by it.
//! `cargo run --example worker --features sqlite,_async-mysql -- mysql://…`: on MySQL or MariaDB.

use std::time::Duration;

use diesel_locks::asynchronous::{AsyncConnections, Locker};
use diesel_locks::locker::EventKind;
use diesel_locks::{Run, Wait};

type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

const JOBS: u32 = 5;
const WORKERS: u32 = 3;

#[tokio::main]
async fn main() -> Result<()> {
    match std::env::args().nth(1) {
        #[cfg(feature = "async-listen")]
        Some(url) if url.starts_with("postgres") => work(postgres::locker(url).await?).await,
        #[cfg(feature = "_async-mysql")]
        Some(url) if url.starts_with("mysql") => work(mysql::locker(url).await?).await,
        Some(url) if url.contains("://") => {
            Err(format!("no feature for {url} is enabled: see the head of this example").into())
        }
        file => work(sqlite::locker(file.unwrap_or_else(|| "worker.db".to_owned())).await?).await,
    }
}

/// Works until Ctrl-C. Then each running job stops, and its lock is free for other processes at once.
async fn work<P: AsyncConnections>(locker: Locker<P>) -> Result<()> {
    let locker = locker
        .with_ttl(Duration::from_secs(10))?
        .observe(|event| match event.kind {
            EventKind::Lost { .. } | EventKind::Late { .. } => println!("! {event:?}"),
            _ => {}
        });
    for number in 1..=WORKERS {
        tokio::spawn(worker(locker.clone(), number));
    }
    tokio::signal::ctrl_c().await?;
    println!("giving everything back");
    locker.close().await;
    Ok(())
}

async fn worker<P: AsyncConnections>(locker: Locker<P>, number: u32) -> diesel_locks::Result<()> {
    let me = format!("{}, worker {number}", std::process::id());
    for job in (1..=JOBS).cycle().skip(number as usize) {
        let name = format!("job {job}");
        let done = locker.run(("jobs", &*name), Wait::never(), async |guard| {
            println!("{me} does {name} under fence {}", guard.fence());
            tokio::time::sleep(Duration::from_secs(2)).await;
        });
        match done.await? {
            Run::Done(()) => println!("{me} has done {name}"),
            Run::Lost { .. } => println!("{me} lost {name} and stopped"),
            Run::Busy { .. } => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
    Ok(())
}

/// Each of these makes the table, and opens a connection whenever one is wanted. A real application gives its pool to
/// `Locker::new`.
mod sqlite {
    use diesel::SqliteConnection;
    use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
    use diesel_async::{AsyncConnection, SimpleAsyncConnection};
    use diesel_locks::asynchronous::{AsyncConnections, Locker, migrate};

    const SETUP: &str = "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL";

    pub async fn locker(file: String) -> super::Result<Locker<impl AsyncConnections>> {
        migrate(&mut open(file.clone()).await?).await?;
        println!("on {file}; start this once more, and press Ctrl-C to end it");
        Ok(Locker::new(move || open(file.clone())))
    }

    async fn open(file: String) -> super::Result<SyncConnectionWrapper<SqliteConnection>> {
        let mut conn = SyncConnectionWrapper::establish(&file).await?;
        conn.batch_execute(SETUP).await?;
        Ok(conn)
    }
}

#[cfg(feature = "async-listen")]
mod postgres {
    use diesel_async::{AsyncConnection, AsyncPgConnection};
    use diesel_locks::asynchronous::{AsyncConnections, Locker, migrate};

    pub async fn locker(url: String) -> super::Result<Locker<impl AsyncConnections>> {
        migrate(&mut open(url.clone()).await?).await?;
        let to_listen = url.clone();
        Ok(Locker::new(move || open(url.clone())).listen(&to_listen))
    }

    async fn open(url: String) -> super::Result<AsyncPgConnection> {
        Ok(AsyncPgConnection::establish(&url).await?)
    }
}

#[cfg(feature = "_async-mysql")]
mod mysql {
    use diesel_async::{AsyncConnection, AsyncMysqlConnection};
    use diesel_locks::asynchronous::{AsyncConnections, Locker, migrate};

    pub async fn locker(url: String) -> super::Result<Locker<impl AsyncConnections>> {
        migrate(&mut open(url.clone()).await?).await?;
        Ok(Locker::new(move || open(url.clone())))
    }

    async fn open(url: String) -> super::Result<AsyncMysqlConnection> {
        Ok(AsyncMysqlConnection::establish(&url).await?)
    }
}
