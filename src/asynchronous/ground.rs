//! Managed locks on tasks, and on a pool of async connections.

use std::error::Error as StdError;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::Handle;

use super::connection::{AsyncLockConnection, Asynchronous};
use super::connections::AsyncConnections;
use crate::dialect::Dialect;
use crate::error::{Error, Result};
use crate::managed::bell::Bell;
use crate::managed::fetched::Fetched;
use crate::managed::ground::{Ground, Mode};

pub struct Tasks(Handle);

impl Mode for Tasks {
    fn here() -> Option<Self> {
        Handle::try_current().ok().map(Self)
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(work);
    }

    #[expect(
        clippy::manual_async_fn,
        reason = "an async fn holds its arguments twice, and there may be many who wait"
    )]
    fn wait(bell: &Bell, seen: u32, at_most: Duration) -> impl Future<Output = ()> + Send {
        async move {
            let rung = bell.rung_since(seen);
            // A timer is large, so it is on the heap: those who wait behind others mostly need none.
            if at_most == Duration::MAX {
                rung.await;
            } else {
                let _ = Box::pin(tokio::time::timeout(at_most, rung)).await;
            }
        }
    }

    async fn cut<F: Future<Output: Send> + Send>(
        time: Duration,
        is_wanted: impl Fn() -> bool + Send,
        work: F,
    ) -> Option<F::Output> {
        const MOMENT: Duration = Duration::from_secs(1);
        let (mut work, mut rest) = (pin!(work), time);
        while !rest.is_zero() {
            let moment = rest.min(MOMENT);
            if let Ok(answer) = tokio::time::timeout(moment, &mut work).await {
                return Some(answer);
            }
            if !is_wanted() {
                break;
            }
            rest = rest.saturating_sub(moment);
        }
        None
    }

    async fn within<F: Future<Output: Send + 'static> + Send + 'static>(
        time: Option<Duration>,
        work: F,
    ) -> Option<F::Output> {
        let task = tokio::spawn(work);
        let ended = match time {
            Some(time) => tokio::time::timeout(time, task).await.ok()?,
            None => task.await,
        };
        match ended {
            Ok(answer) => Some(answer),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => None,
        }
    }

    async fn apart<F: Future<Output: Send + 'static> + Send + 'static>(
        time: Duration,
        work: F,
    ) -> Option<F::Output> {
        tokio::time::timeout(time, tokio::spawn(work))
            .await
            .ok()?
            .ok()
    }
}

pub struct Pooled<P>(Arc<P>);

impl<P> Pooled<P> {
    pub(super) fn new(pool: P) -> Self {
        Self(Arc::new(pool))
    }
}

impl<P> Clone for Pooled<P> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<P: AsyncConnections> Ground for Pooled<P> {
    type Mode = Tasks;
    type Connection = P::Connection;
    type Executor = Asynchronous<Fetched<P::Connection>>;

    async fn connect(&self, within: Option<Duration>) -> Result<Self::Executor> {
        let fetched = match within {
            Some(time) => self.fetch_within(time).await,
            None => self.0.connect().await,
        };
        let conn = fetched.map_err(|source| Error::NoConnection { source })?;
        Ok(Asynchronous::owning(Fetched::new(
            conn,
            AsyncLockConnection::discard,
        )))
    }

    fn put_back(executor: Self::Executor) {
        executor.conn.put_back();
    }

    /// SQLite's statements run on another thread, and diesel-async waits for them where they are dropped.
    fn breaks_off() -> bool {
        <P::Connection as AsyncLockConnection>::Dialect::ENGINE != "sqlite"
    }

    fn connection(executor: &mut Self::Executor) -> &mut P::Connection {
        &mut executor.conn.conn
    }
}

impl<P: AsyncConnections> Pooled<P> {
    /// In a task of its own: a pool that is dropped while it looks whether a connection still works may give it to the
    /// next one with the answer unread.
    async fn fetch_within(
        &self,
        time: Duration,
    ) -> Result<P::Connection, Box<dyn StdError + Send + Sync>> {
        let pool = self.0.clone();
        let fetching = tokio::spawn(async move { pool.connect().await });
        tokio::time::timeout(time, fetching).await??
    }
}

/// The one of two that is ready first.
pub(super) enum First<A, B> {
    One(A),
    Other(B),
}

pub(super) async fn first_of<A, B>(
    one: impl Future<Output = A>,
    other: impl Future<Output = B>,
) -> First<A, B> {
    let (mut one, mut other) = (pin!(one), pin!(other));
    std::future::poll_fn(|context| {
        if let Poll::Ready(answer) = one.as_mut().poll(context) {
            return Poll::Ready(First::One(answer));
        }
        other.as_mut().poll(context).map(First::Other)
    })
    .await
}
