//! What a `Locker` stands on: the application's pool, and threads or tasks. All that differs between blocking and async.

use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::bell::Bell;
use crate::error::Result;
use crate::protocol::{Transactions, Winning};

/// A future on the heap.
pub(crate) type Boxed<'b, T> = Pin<Box<dyn Future<Output = T> + Send + 'b>>;

/// Threads or tasks.
pub trait Runtime: Send + Sync + Sized + 'static {
    /// The runtime of the caller, if there is one.
    fn here() -> Option<Self>;

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static);

    /// Waits until the bell is rung once more than `seen`, or this time is over.
    fn wait(bell: &Bell, seen: u32, at_most: Duration) -> impl Future<Output = ()> + Send;

    /// The result of the work. `None` if the work takes longer than this time, or more than a moment once the result is
    /// not wanted any more: then the work is cancelled. A thread cannot be cancelled.
    fn cancel_after<F: Future<Output: Send> + Send>(
        time: Duration,
        is_wanted: impl Fn() -> bool + Send,
        work: F,
    ) -> impl Future<Output = Option<F::Output>> + Send;

    /// The result of the work, for its caller. `None` if the work takes longer than this time: then the work goes on
    /// alone. It goes on alone, too, if the caller stops polling. A thread does its own work, and so waits to its end.
    fn detach_after<F: Future<Output: Send + 'static> + Send + 'static>(
        time: Option<Duration>,
        work: F,
    ) -> impl Future<Output = Option<F::Output>> + Send;

    /// The result of the work, for the background. `None` if the work takes longer than this time, or panics: then it
    /// goes on alone, on a thread, too.
    fn in_background<F: Future<Output: Send + 'static> + Send + 'static>(
        time: Duration,
        work: F,
    ) -> impl Future<Output = Option<F::Output>> + Send;
}

/// A pool of the application's, and the runtime that its mode takes.
pub struct Pooled<R, C> {
    pub(crate) pool: Arc<C>,
    runtime: PhantomData<fn() -> R>,
}

impl<R, C> Pooled<R, C> {
    pub(crate) fn new(pool: C) -> Self {
        Self {
            pool: Arc::new(pool),
            runtime: PhantomData,
        }
    }
}

impl<R, C> Clone for Pooled<R, C> {
    fn clone(&self) -> Self {
        Self {
            pool: self.pool.clone(),
            runtime: PhantomData,
        }
    }
}

/// Where connections come from.
pub trait Pool: Clone + Send + Sync + 'static {
    type Runtime: Runtime;
    type Connection: Send;
    /// A connection that runs the protocol. If it is dropped in the middle of a request, the pool does not use it again.
    type Executor: Transactions<Backend: Winning>;

    /// Checks a connection out, within this time, or within the pool's own.
    fn check_out(
        &self,
        within: Option<Duration>,
    ) -> impl Future<Output = Result<Self::Executor>> + Send;

    /// Gives a connection back on which no request is under way any more.
    fn put_back(executor: Self::Executor);

    /// Whether a request that takes too long can be cancelled.
    fn can_cancel() -> bool;

    fn connection(executor: &mut Self::Executor) -> &mut Self::Connection;
}
