//! A web service for invoices, in any number of instances: see README.md.

mod database;
mod invoices;
mod numbering;
mod routes;
mod schema;

use std::time::Duration;

use diesel_locks::asynchronous::Locker;
use tokio::net::TcpListener;

use crate::database::Database;

type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

/// The longest time until other instances can acquire the locks of a killed one.
const TTL: Duration = Duration::from_secs(5);

/// `invoicing-service [ADDRESS]`. `DATABASE_URL` names the database: a PostgreSQL, or a file of SQLite.
#[tokio::main]
async fn main() -> Result<()> {
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("127.0.0.1:3000");
    match std::env::var("DATABASE_URL") {
        Ok(url) if url.starts_with("postgres") => {
            let pool = database::postgres(&url).await?;
            // A release in another instance notifies the waiters here, so that they acquire the lock at once.
            let locker = Locker::new(pool.clone()).listen(&url);
            serve(address, pool, locker).await
        }
        file => {
            let file = file.as_deref().unwrap_or("invoicing-service.db");
            let pool = database::sqlite(file).await?;
            serve(address, pool.clone(), Locker::new(pool)).await
        }
    }
}

async fn serve<P: Database>(address: &str, pool: P, locker: Locker<P>) -> Result<()> {
    let locker = locker.with_ttl(TTL)?;
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let numbering = tokio::spawn(numbering::run(locker.clone()));
    axum::serve(listener, routes::all(pool, locker.clone()))
        .with_graceful_shutdown(ctrl_c())
        .await?;
    locker.close().await; // releases the locks, so that no instance waits for the ttl
    Ok(numbering.await?)
}

async fn ctrl_c() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
