//! Managed locks on threads, and on a pool of blocking connections.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use super::connection::{Blocking, LockConnection, at_once};
use super::connections::Connections;
use crate::error::{Error, Result};
use crate::managed::bell::Bell;
use crate::managed::fetched::Fetched;
use crate::managed::ground::{Ground, Mode};

pub struct Threads;

impl Mode for Threads {
    fn here() -> Option<Self> {
        Some(Self)
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let thread = thread::Builder::new().name("diesel-locks".to_owned());
        // A system that has no thread left drops the work: it is tried again with the next.
        let _ = thread.spawn(move || at_once(work));
    }

    async fn wait(bell: &Bell, seen: u32, at_most: Duration) {
        bell.block(seen, at_most);
    }

    async fn cut<F: Future<Output: Send> + Send>(
        _: Duration,
        _: impl Fn() -> bool + Send,
        work: F,
    ) -> Option<F::Output> {
        Some(work.await)
    }

    async fn within<F: Future<Output: Send + 'static> + Send + 'static>(
        _: Option<Duration>,
        work: F,
    ) -> Option<F::Output> {
        Some(work.await)
    }

    async fn apart<F: Future<Output: Send + 'static> + Send + 'static>(
        time: Duration,
        work: F,
    ) -> Option<F::Output> {
        let (tell, told) = mpsc::sync_channel(1);
        Self.spawn(async move {
            let _ = tell.send(work.await); // unless it came too late
        });
        told.recv_timeout(time).ok()
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

impl<P: Connections> Ground for Pooled<P> {
    type Mode = Threads;
    type Connection = P::Connection;
    type Executor = Blocking<Fetched<P::Connection>>;

    async fn connect(&self, within: Option<Duration>) -> Result<Self::Executor> {
        let fetched = self.0.connect(within);
        let conn = fetched.map_err(|source| Error::NoConnection { source })?;
        Ok(Blocking::owning(Fetched::new(
            conn,
            LockConnection::discard,
        )))
    }

    fn put_back(executor: Self::Executor) {
        executor.conn.put_back();
    }

    fn breaks_off() -> bool {
        false
    }

    fn connection(executor: &mut Self::Executor) -> &mut P::Connection {
        &mut executor.conn.conn
    }
}
