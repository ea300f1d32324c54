//! Managed locks on tasks, and on a pool of async connections.

use std::error::Error as StdError;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::{Handle, Id};

use super::connection::{Asynchronous, Statements};
use super::connections::AsyncConnections;
use super::in_place::InPlace;
use crate::clock::Moment;
use crate::dialect::Dialect;
use crate::error::{Error, Result};
use crate::in_use::InUse;
use crate::managed::bell::Bell;
use crate::managed::pool::{Boxed, Pool, Pooled, Runtime};
use crate::managed::request::{is_inside_transaction, no_answer, no_connection};
use crate::protocol::{self, Executor, Session};

#[derive(Clone, Debug)]
pub struct Tasks(Handle);

impl Runtime for Tasks {
    type Place = Id;

    fn here() -> Option<Self> {
        Handle::try_current().ok().map(Self)
    }

    fn place(&self) -> Id {
        self.0.id()
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(work);
    }

    fn start(&self, work: Boxed<'static, ()>) -> Option<Boxed<'static, ()>> {
        self.spawn(work);
        None
    }

    #[expect(
        clippy::manual_async_fn,
        reason = "an async fn holds its arguments twice, and there may be many who wait"
    )]
    fn wait(bell: &Bell, seen: u32, at_most: Duration) -> impl Future<Output = ()> + Send {
        async move {
            let rung = bell.rung_since(seen);
            // A timer is large, so it is on the heap. Waiters that are not the first of their queue mostly need no
            // timer.
            if at_most == Duration::MAX {
                rung.await;
            } else {
                let _ = Box::pin(tokio::time::timeout(at_most, rung)).await;
            }
        }
    }

    async fn cancel_after<F: Future<Output: Send> + Send>(
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

    async fn detach_after<F: Future<Output: Send + 'static> + Send + 'static>(
        time: Option<Duration>,
        work: F,
    ) -> Option<F::Output> {
        let work = InPlace::new(work);
        match time {
            Some(time) => tokio::time::timeout(time, work).await.ok(),
            None => Some(work.await),
        }
    }

    async fn in_background<T: Send + 'static>(
        time: Duration,
        work: Boxed<'static, T>,
    ) -> Option<T> {
        tokio::time::timeout(time, tokio::spawn(work))
            .await
            .ok()?
            .ok()
    }
}

/// A pool of async connections.
pub(super) type AsyncPool<P> = Pooled<Tasks, P>;

impl<P: AsyncConnections> Pool for AsyncPool<P> {
    type Runtime = Tasks;
    type Connection = P::Connection;
    type Executor = Asynchronous<InUse<P::Connection>>;

    async fn check_out(&self, within: Option<Duration>) -> Result<Self::Executor> {
        let began = Moment::now();
        let left = || within.map(|time| time.saturating_sub(Moment::now().since(began)));
        let mut last = Error::BrokenConnection;
        for _ in 0..MOST_OUT_OF_STEP {
            let mut executor = self.connect(left()).await?;
            match session(&mut executor, left()).await {
                Ok(Session::Ready) => return Ok(executor),
                Ok(Session::Open) => return Err(is_inside_transaction()),
                Ok(Session::OutOfStep) => last = Error::BrokenConnection,
                Err(error) => last = error,
            }
            if left().is_some_and(|left| left.is_zero()) {
                break;
            }
        }
        Err(no_connection(last))
    }

    fn put_back(executor: Self::Executor) {
        executor.conn.done();
    }

    /// SQLite's statements run on another thread, and diesel-async waits for them where they are dropped.
    fn can_cancel() -> bool {
        <P::Connection as Statements>::Sql::ENGINE != "sqlite"
    }

    fn connection(executor: &mut Self::Executor) -> &mut P::Connection {
        &mut executor.conn.conn
    }
}

/// How many connections of a pool may be out of step, one after the other. Each is dropped, so that the pool closes it.
const MOST_OUT_OF_STEP: u32 = 10;

/// Asks whether the connection can be used. Other users of the pool may have dropped a call on it: then it answers
/// something else, or never.
async fn session<E: Executor>(executor: &mut E, within: Option<Duration>) -> Result<Session> {
    const LONGEST: Duration = Duration::from_secs(5);
    let time = within.unwrap_or(LONGEST).min(LONGEST);
    let answer = tokio::time::timeout(time, protocol::session(executor)).await;
    answer.unwrap_or_else(|_| Err(no_answer(Some(time))))
}

impl<P: AsyncConnections> AsyncPool<P> {
    async fn connect(
        &self,
        within: Option<Duration>,
    ) -> Result<Asynchronous<InUse<P::Connection>>> {
        let connected = match within {
            Some(time) => self.connect_within(time).await,
            None => self.pool.connect(None).await,
        };
        let conn = connected.map_err(no_connection)?;
        Ok(Asynchronous::owning(InUse::new(conn, Statements::discard)))
    }

    /// A checkout that takes too long goes on alone. If a pool is dropped while it checks whether a connection still
    /// works, it may give that connection, with the answer unread, to its next user.
    async fn connect_within(
        &self,
        time: Duration,
    ) -> Result<P::Connection, Box<dyn StdError + Send + Sync>> {
        let pool = self.pool.clone();
        let connecting = InPlace::new(async move { pool.connect(Some(time)).await });
        tokio::time::timeout(time, connecting).await?
    }
}

/// The result of the work, unless the other future ends first: then the work is dropped.
pub(super) async fn unless<T>(
    ended: impl Future<Output = ()>,
    work: impl Future<Output = T>,
) -> Option<T> {
    let (mut ended, mut work) = (pin!(ended), pin!(work));
    std::future::poll_fn(|context| {
        if let Poll::Ready(value) = work.as_mut().poll(context) {
            return Poll::Ready(Some(value));
        }
        ended.as_mut().poll(context).map(|()| None)
    })
    .await
}
