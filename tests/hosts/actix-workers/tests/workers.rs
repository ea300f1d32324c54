//! Many clients of three workers.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;

use actix_web::rt::{self, System};
use actix_workers::{invoices, pool, serve};
use diesel::prelude::*;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

const CLIENTS: usize = 24;

const REQUEST: &str =
    "POST /invoices HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// The answer to one request.
fn ask(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(REQUEST.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// What each invoice has: its number, and the fence under which it was written.
async fn written(url: &str) -> Vec<(i32, i64)> {
    let pool = pool(url).await;
    let mut conn = pool.get().await.unwrap();
    conn.batch_execute("CREATE TABLE invoices (number INTEGER PRIMARY KEY, fence BIGINT NOT NULL)")
        .await
        .unwrap();
    diesel_locks::asynchronous::migrate(&mut conn)
        .await
        .unwrap();

    let (server, address) = serve(pool.clone()).unwrap();
    let handle = server.handle();
    rt::spawn(server);
    let clients = rt::task::spawn_blocking(move || {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| thread::spawn(move || ask(address)))
            .collect();
        clients
            .into_iter()
            .map(|client| client.join().unwrap())
            .collect::<Vec<_>>()
    });
    for answer in clients.await.unwrap() {
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    handle.stop(true).await;
    invoices::table
        .order(invoices::number)
        .load(&mut conn)
        .await
        .unwrap()
}

#[test]
fn the_workers_take_turns() {
    let server = std::env::var("PG_DATABASE_URL").expect("the URL of a PostgreSQL server");
    let schema = format!("diesel_locks_actix_{}", std::process::id());
    System::new().block_on(async {
        let mut conn = AsyncPgConnection::establish(&server).await.unwrap();
        conn.batch_execute(&format!("CREATE SCHEMA {schema}"))
            .await
            .unwrap();
        let url = format!("{server}?options=-csearch_path%3D{schema}");
        let done = rt::spawn(async move { written(&url).await }).await;
        conn.batch_execute(&format!("DROP SCHEMA {schema} CASCADE"))
            .await
            .unwrap();

        let written = done.unwrap();
        assert!(
            written
                .iter()
                .map(|(number, _)| *number)
                .eq(1..=i32::try_from(CLIENTS).unwrap())
        );
        let fences: HashSet<i64> = written.iter().map(|(_, fence)| *fence).collect();
        assert_eq!(fences.len(), CLIENTS);
        assert!(written.is_sorted_by_key(|(_, fence)| *fence));
    });
}
