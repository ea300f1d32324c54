//! A web service for invoices, as many instances as you like: see README.md.

mod database;
mod invoices;
mod numbering;
mod routes;
mod schema;

use std::time::Duration;

use diesel_locks::asynchronous::Locks;
use tokio::net::TcpListener;

use crate::database::Database;

type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

/// So long the other instances wait for what a killed one held.
const TTL: Duration = Duration::from_secs(5);

/// `invoicing-service [ADDRESS]`, on the database that `DATABASE_URL` names: a PostgreSQL, or a file of SQLite.
#[tokio::main]
async fn main() -> Result<()> {
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("127.0.0.1:3000");
    match std::env::var("DATABASE_URL") {
        Ok(url) if url.starts_with("postgres") => {
            let pool = database::postgres(&url).await?;
            // Whoever waits is woken by a release in another instance, instead of asking again and again.
            let locks = Locks::new(pool.clone()).listen(&url);
            serve(address, pool, locks).await
        }
        file => {
            let file = file.as_deref().unwrap_or("invoicing-service.db");
            let pool = database::sqlite(file).await?;
            serve(address, pool.clone(), Locks::new(pool)).await
        }
    }
}

async fn serve<P: Database>(address: &str, pool: P, locks: Locks<P>) -> Result<()> {
    let locks = locks.ttl(TTL)?;
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let numbering = tokio::spawn(numbering::go_on(locks.clone()));
    axum::serve(listener, routes::all(pool, locks.clone()))
        .with_graceful_shutdown(told_to_end())
        .await?;
    locks.close().await; // so that the others need not wait for the ttl
    Ok(numbering.await?)
}

async fn told_to_end() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
