//! Two instances of the service on one database.

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use axum_deadpool::{App, reminders};
use diesel::prelude::*;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use diesel_locks::{Wait, asynchronous};
use tower::ServiceExt;

const TABLE: &str =
    "CREATE TABLE reminders (id INTEGER PRIMARY KEY, sent_to TEXT NOT NULL, fence BIGINT)";

async fn ask(app: &App) -> (StatusCode, String) {
    let request = Request::post("/reminders").body(Body::empty()).unwrap();
    let answer = app.clone().router().oneshot(request).await.unwrap();
    let status = answer.status();
    let body = to_bytes(answer.into_body(), 100).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn remind(app: &App, id: i32) {
    diesel::insert_into(reminders::table)
        .values((reminders::id.eq(id), reminders::sent_to.eq("ada")))
        .execute(&mut app.pool.get().await.unwrap())
        .await
        .unwrap();
}

async fn two_instances(url: &str) {
    let (first, second) = (App::new(url).unwrap(), App::new(url).unwrap());
    let mut conn = first.pool.get().await.unwrap();
    conn.batch_execute(TABLE).await.unwrap();
    asynchronous::migrate(&mut conn).await.unwrap();
    drop(conn);
    remind(&first, 1).await;

    let held = first
        .locks
        .acquire("reminders", Wait::never())
        .await
        .unwrap();
    assert_eq!(ask(&second).await.0, StatusCode::CONFLICT);
    held.release().await.unwrap();
    assert_eq!(ask(&second).await, (StatusCode::OK, "1".to_owned()));
    assert_eq!(ask(&first).await, (StatusCode::OK, "0".to_owned()));
    first.locks.close().await;
    second.locks.close().await;
}

#[tokio::test]
async fn one_instance_sends_at_a_time() {
    let server = std::env::var("PG_DATABASE_URL").expect("the URL of a PostgreSQL server");
    let schema = format!("diesel_locks_axum_{}", std::process::id());
    let mut conn = AsyncPgConnection::establish(&server).await.unwrap();
    conn.batch_execute(&format!("CREATE SCHEMA {schema}"))
        .await
        .unwrap();
    let url = format!("{server}?options=-csearch_path%3D{schema}");
    let done = tokio::spawn(async move { two_instances(&url).await }).await;
    conn.batch_execute(&format!("DROP SCHEMA {schema} CASCADE"))
        .await
        .unwrap();
    done.unwrap();
}
