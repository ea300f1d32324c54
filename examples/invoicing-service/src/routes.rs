//! The routes of the service.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use diesel_locks::asynchronous::{LockDsl, Locker};
use diesel_locks::{Attempt, Holder, List, Wait};
use serde_json::{Value, json};

use crate::database::Database;
use crate::invoices::{Invoice, Invoices, NewInvoice};

type Answer<T> = Result<T, Refusal>;

#[derive(Clone)]
struct Service<P: Database> {
    pool: P,
    locker: Locker<P>,
}

pub fn all<P: Database>(pool: P, locker: Locker<P>) -> Router {
    Router::new()
        .route("/invoices", get(list::<P>).post(create::<P>))
        .route("/invoices/{id}/pay", post(pay::<P>))
        .route("/locks", get(held::<P>))
        .with_state(Service { pool, locker })
}

async fn create<P: Database>(
    State(service): State<Service<P>>,
    Json(new): Json<NewInvoice>,
) -> Answer<(StatusCode, Json<Invoice>)> {
    let invoice = service.pool.connect(None).await?.create(new).await?;
    Ok((StatusCode::CREATED, Json(invoice)))
}

async fn list<P: Database>(State(service): State<Service<P>>) -> Answer<Json<Vec<Invoice>>> {
    Ok(Json(service.pool.connect(None).await?.list().await?))
}

/// Pays under the lock of the invoice: the transaction commits under the lock, or not at all. A second payment does not
/// wait for the first one. Its answer names the holder of the lock.
async fn pay<P: Database>(
    State(service): State<Service<P>>,
    Path(id): Path<i32>,
) -> Answer<Json<Invoice>> {
    let lock = service.locker.lock(("invoices", &*id.to_string()))?;
    let mut conn = service.pool.connect(None).await?;
    let paid = lock.transaction(&mut conn, Wait::never(), async |conn, _| {
        conn.pay(id).await?.ok_or(Refusal::NothingToPay)
    });
    match paid.await? {
        Attempt::Acquired(invoice) => Ok(Json(invoice)),
        Attempt::Busy(holder) => Err(Refusal::Busy(holder)),
    }
}

/// The held locks of all instances, and their owners.
async fn held<P: Database>(State(service): State<Service<P>>) -> Answer<Json<Vec<Value>>> {
    let held = service.locker.list(&List::all().held()).await?;
    let held = held.into_iter().map(|lock| {
        json!({ "lock": lock.key, "owner": lock.owner, "fence": lock.fence, "time_left": lock.time_left })
    });
    Ok(Json(held.collect()))
}

enum Refusal {
    Busy(Option<Holder>),
    NothingToPay,
    Failed(Box<dyn std::error::Error + Send + Sync>),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, answer) = match self {
            Self::Busy(holder) => (
                StatusCode::CONFLICT,
                json!({ "error": "this invoice is being paid", "holder": holder.map(|holder| holder.owner) }),
            ),
            Self::NothingToPay => (
                StatusCode::NOT_FOUND,
                json!({ "error": "there is no unpaid invoice with this id" }),
            ),
            Self::Failed(error) => {
                println!("{error}");
                let answer = json!({ "error": "internal error, try again" });
                (StatusCode::INTERNAL_SERVER_ERROR, answer)
            }
        };
        (status, Json(answer)).into_response()
    }
}

impl<E: Into<Box<dyn std::error::Error + Send + Sync>>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}
