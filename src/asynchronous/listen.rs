//! Hearing of releases on a connection of PostgreSQL.

use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use diesel::result::Error as DieselError;
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use futures_core::Stream;

use super::connections::AsyncConnections;
use super::locker::Locker;
use crate::error::{Error, Result};
use crate::managed::listening::{Ear, LISTEN, Open};
use crate::managed::pool::Boxed;

impl<P: AsyncConnections> Locker<P> {
    /// Those who wait are woken by PostgreSQL (`LISTEN` and `NOTIFY`) when another process releases the lock, instead of
    /// looking every two seconds. For this one connection is opened by this URL when somebody waits, and closed when
    /// nobody has for a while.
    ///
    /// It must reach the server itself, and not a pooler in transaction mode like PgBouncer. With the feature
    /// `async-listen`; in blocking mode it is `listen`.
    #[must_use]
    pub fn listen(self, url: &str) -> Self {
        let url = url.to_owned();
        self.listen_with(move || {
            let url = url.clone();
            async move { AsyncPgConnection::establish(&url).await }
        })
    }

    /// The same on connections that you open yourself, for TLS: with
    /// [`AsyncPgConnection::try_from_client_and_connection`], because one that is made of a client alone hears nothing.
    #[must_use]
    pub fn listen_with(
        self,
        connect: impl AsyncConnections<Connection = AsyncPgConnection> + Clone,
    ) -> Self {
        let open: Open = Box::new(move || Box::pin(open(connect.clone())));
        self.notified_by(open)
    }
}

async fn open(
    connect: impl AsyncConnections<Connection = AsyncPgConnection>,
) -> Result<Box<dyn Ear>> {
    let opened = connect.connect().await;
    let mut conn = opened.map_err(|source| Error::NoConnection { source })?;
    conn.batch_execute(LISTEN).await?;
    Ok(Box::new(conn))
}

impl Ear for AsyncPgConnection {
    fn hear(&mut self, at_most: Duration) -> Boxed<'_, Result<Option<String>>> {
        Box::pin(async move {
            let mut stream = pin!(self.notifications_stream());
            let next = poll_fn(|context| stream.as_mut().poll_next(context));
            match tokio::time::timeout(at_most, next).await {
                Ok(Some(heard)) => Ok(Some(heard?.payload)),
                Ok(None) => Err(Error::Database(DieselError::BrokenTransactionManager)),
                Err(_) => Ok(None),
            }
        })
    }
}
