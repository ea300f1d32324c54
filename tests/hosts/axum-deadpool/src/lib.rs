//! A service that sends reminders when it is asked to. Several instances of it run on one database.

pub mod locks;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use diesel::prelude::*;
use diesel_async::pooled_connection::AsyncDieselConnectionManager;
use diesel_async::pooled_connection::deadpool::{BuildError, Pool};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use locks::Locks;

diesel::table! {
    reminders (id) {
        id -> Integer,
        sent_to -> Text,
        fence -> Nullable<BigInt>,
    }
}

#[derive(Clone)]
pub struct App {
    pub pool: Pool<AsyncPgConnection>,
    pub locks: Locks,
}

impl App {
    pub fn new(url: &str) -> Result<Self, BuildError> {
        let manager = AsyncDieselConnectionManager::new(url);
        let pool = Pool::builder(manager).max_size(4).build()?;
        let locks = locks::new(pool.clone());
        Ok(Self { pool, locks })
    }

    pub fn router(self) -> Router {
        Router::new()
            .route("/reminders", post(send))
            .with_state(self)
    }
}

/// Tells how many reminders it has sent.
async fn send(State(app): State<App>) -> Result<String, StatusCode> {
    let sent = locks::send_reminders(&app.locks).await;
    sent.map(|sent| sent.to_string())
        .map_err(|error| locks::status(&error))
}

/// Marks all reminders as sent that are not yet, under this fence.
pub async fn send_all(conn: &mut AsyncPgConnection, fence: i64) -> QueryResult<usize> {
    diesel::update(reminders::table.filter(reminders::fence.is_null()))
        .set(reminders::fence.eq(fence))
        .execute(conn)
        .await
}
