//! The queries, written once for both databases.

use diesel::dsl::{max, min};
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use diesel_async::pooled_connection::deadpool::Object;
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use diesel_locks::asynchronous::AsyncLockConnection;
use serde::{Deserialize, Serialize};

use crate::schema::invoices;

#[derive(Queryable, Selectable, Serialize)]
pub struct Invoice {
    id: i32,
    customer: String,
    cents: i32,
    paid: bool,
    number: Option<i32>,
    numbered_by: Option<String>,
    numbered_under: Option<i64>,
}

#[derive(Deserialize, Insertable)]
#[diesel(table_name = invoices)]
pub struct NewInvoice {
    customer: String,
    cents: i32,
}

/// The queries on a connection. An application with one database has plain functions here.
pub trait Invoices: AsyncLockConnection {
    fn create(&mut self, new: NewInvoice) -> impl Future<Output = QueryResult<Invoice>> + Send;

    fn list(&mut self) -> impl Future<Output = QueryResult<Vec<Invoice>>> + Send;

    /// Marks the invoice as paid, and returns it. `None` if there is no unpaid invoice with this id.
    fn pay(&mut self, id: i32) -> impl Future<Output = QueryResult<Option<Invoice>>> + Send;

    /// The last number that was given, or zero.
    fn last_number(&mut self) -> impl Future<Output = QueryResult<i32>> + Send;

    /// Gives the number to the oldest invoice without one. Returns whether there was such an invoice.
    fn number_one(
        &mut self,
        number: i32,
        fence: i64,
    ) -> impl Future<Output = QueryResult<bool>> + Send;
}

macro_rules! on_both {
    ($($connection:ty),+) => {$(
        impl Invoices for Object<$connection> {
            async fn create(&mut self, new: NewInvoice) -> QueryResult<Invoice> {
                diesel::insert_into(invoices::table)
                    .values(new)
                    .returning(Invoice::as_returning())
                    .get_result(self)
                    .await
            }

            async fn list(&mut self) -> QueryResult<Vec<Invoice>> {
                invoices::table
                    .select(Invoice::as_select())
                    .order(invoices::id)
                    .load(self)
                    .await
            }

            async fn pay(&mut self, id: i32) -> QueryResult<Option<Invoice>> {
                diesel::update(invoices::table.find(id).filter(invoices::paid.eq(false)))
                    .set(invoices::paid.eq(true))
                    .returning(Invoice::as_returning())
                    .get_result(self)
                    .await
                    .optional()
            }

            async fn last_number(&mut self) -> QueryResult<i32> {
                let last: Option<i32> = invoices::table
                    .select(max(invoices::number))
                    .get_result(self)
                    .await?;
                Ok(last.unwrap_or(0))
            }

            async fn number_one(&mut self, number: i32, fence: i64) -> QueryResult<bool> {
                let oldest: Option<i32> = invoices::table
                    .filter(invoices::number.is_null())
                    .select(min(invoices::id))
                    .get_result(self)
                    .await?;
                let Some(id) = oldest else { return Ok(false) };
                diesel::update(invoices::table.find(id))
                    .set((
                        invoices::number.eq(number),
                        invoices::numbered_by.eq(std::process::id().to_string()),
                        invoices::numbered_under.eq(fence),
                    ))
                    .execute(self)
                    .await?;
                Ok(true)
            }
        }
    )+};
}

on_both!(AsyncPgConnection, SyncConnectionWrapper<SqliteConnection>);
