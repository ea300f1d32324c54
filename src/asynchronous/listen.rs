//! Notifications of releases, on an async connection of PostgreSQL.

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
    /// Wakes waiters by notifications of PostgreSQL (`LISTEN` and `NOTIFY`) when another process releases the lock.
    /// Without this, a waiter notices the release at its next poll: with the default rhythm up to two seconds later.
    /// One connection is opened by this URL when somebody waits, and closed when nobody has waited for a while.
    ///
    /// The URL must reach the server itself, and not a pooler in transaction mode like PgBouncer. This method needs the
    /// feature `async-listen`; in blocking mode the feature is `listen`.
    #[must_use]
    pub fn listen(self, url: &str) -> Self {
        let url = url.to_owned();
        self.listen_with(move || {
            let url = url.clone();
            async move { AsyncPgConnection::establish(&url).await }
        })
    }

    /// Wakes waiters like [`listen`](Self::listen), but on connections that you open yourself, for TLS. Open them with
    /// [`AsyncPgConnection::try_from_client_and_connection`]: a connection that is made of a client alone gets no
    /// notifications.
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
    let opened = connect.connect(None).await;
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
