//! A service that numbers invoices without a gap.

pub mod locks;

use std::net::SocketAddr;

use actix_web::dev::Server;
use actix_web::web::{self, Data};
use actix_web::{App, HttpResponse, HttpServer};
use diesel::dsl::max;
use diesel::prelude::*;
use diesel_async::pooled_connection::AsyncDieselConnectionManager;
use diesel_async::pooled_connection::bb8::Pool;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use locks::Locks;

diesel::table! {
    invoices (number) {
        number -> Integer,
        fence -> BigInt,
    }
}

pub async fn pool(url: &str) -> Pool<AsyncPgConnection> {
    let manager = AsyncDieselConnectionManager::new(url);
    Pool::builder()
        .max_size(4)
        .build(manager)
        .await
        .expect("a pool")
}

/// The server, and where it listens. Its workers share the pool.
pub fn serve(pool: Pool<AsyncPgConnection>) -> std::io::Result<(Server, SocketAddr)> {
    let locks = Data::new(locks::new(pool));
    let app = move || {
        App::new()
            .app_data(locks.clone())
            .route("/invoices", web::post().to(invoice))
    };
    let server = HttpServer::new(app).workers(3).bind(("127.0.0.1", 0))?;
    let address = server.addrs()[0];
    Ok((server.run(), address))
}

async fn invoice(locks: Data<Locks>) -> HttpResponse {
    match locks::next_invoice(&locks).await {
        Ok(number) => HttpResponse::Ok().body(number.to_string()),
        Err(error) => HttpResponse::ServiceUnavailable().body(error.to_string()),
    }
}

/// Writes an invoice with the next number.
pub async fn write(conn: &mut AsyncPgConnection, fence: i64) -> QueryResult<i32> {
    let last: Option<i32> = invoices::table
        .select(max(invoices::number))
        .get_result(conn)
        .await?;
    let number = last.unwrap_or(0) + 1;
    diesel::insert_into(invoices::table)
        .values((invoices::number.eq(number), invoices::fence.eq(fence)))
        .execute(conn)
        .await?;
    Ok(number)
}
