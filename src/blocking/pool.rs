//! Managed locks on threads, and on a pool of blocking connections.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::connection::{Blocking, Statements, ready};
use super::connections::Connections;
use crate::error::{Error, Result};
use crate::in_use::InUse;
use crate::managed::bell::Bell;
use crate::managed::pool::{Boxed, Pool, Pooled, Runtime};
use crate::managed::request::{is_inside_transaction, no_connection};
use crate::protocol::Executor;

#[derive(Clone, Debug)]
pub struct Threads;

impl Runtime for Threads {
    type Place = ();

    fn here() -> Option<Self> {
        Some(Self)
    }

    fn place(&self) {}

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let thread = thread::Builder::new().name("diesel-locks".to_owned());
        // If the system has no thread left, the work is dropped. The next start of such work tries again.
        let _ = thread.spawn(move || ready(work));
    }

    fn start(&self, work: Boxed<'static, ()>) -> Option<Boxed<'static, ()>> {
        Some(work)
    }

    async fn wait(bell: &Bell, seen: u32, at_most: Duration) {
        bell.block(seen, at_most);
    }

    async fn cancel_after<F: Future<Output: Send> + Send>(
        _: Duration,
        _: impl Fn() -> bool + Send,
        work: F,
    ) -> Option<F::Output> {
        Some(work.await)
    }

    async fn detach_after<F: Future<Output: Send + 'static> + Send + 'static>(
        _: Option<Duration>,
        work: F,
    ) -> Option<F::Output> {
        Some(work.await)
    }

    async fn in_background<T: Send + 'static>(
        time: Duration,
        work: Boxed<'static, T>,
    ) -> Option<T> {
        let (tell, told) = mpsc::sync_channel(1);
        Self.spawn(async move {
            let _ = tell.send(work.await); // unless it came too late
        });
        told.recv_timeout(time).ok()
    }
}

/// A pool of blocking connections.
pub(super) type BlockingPool<P> = Pooled<Threads, P>;

impl<P: Connections> Pool for BlockingPool<P> {
    type Runtime = Threads;
    type Connection = P::Connection;
    type Executor = Blocking<InUse<P::Connection>>;

    async fn check_out(&self, within: Option<Duration>) -> Result<Self::Executor> {
        let checkout = self.pool.connect(within);
        let conn = checkout.map_err(no_connection)?;
        let mut executor = Blocking::owning(InUse::new(conn, Statements::discard));
        if executor.is_broken() {
            return Err(no_connection(Error::BrokenConnection));
        }
        if executor.in_transaction() {
            return Err(is_inside_transaction());
        }
        Ok(executor)
    }

    fn put_back(executor: Self::Executor) {
        executor.conn.done();
    }

    fn can_cancel() -> bool {
        false
    }

    fn connection(executor: &mut Self::Executor) -> &mut P::Connection {
        &mut executor.conn.conn
    }
}
