//! What a `Locker` stands on: the application's pool, and threads or tasks. All differences between blocking and async
//! are here.

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
pub trait Runtime: Clone + Send + Sync + Sized + 'static {
    /// What tells one runtime from another. Threads are all in one place.
    type Place: Copy + Eq + Send;

    /// The runtime of the caller, if there is one.
    fn here() -> Option<Self>;

    fn place(&self) -> Self::Place;

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static);

    /// Starts work that several callers wait for. Threads give it back: one of the callers does it.
    fn start(&self, work: Boxed<'static, ()>) -> Option<Boxed<'static, ()>>;

    /// Waits until the bell is rung once more than `seen`, or this time is over.
    fn wait(bell: &Bell, seen: u32, at_most: Duration) -> impl Future<Output = ()> + Send;

    /// Returns the result of the work. The work is cancelled, and the result is `None`, in two cases: the work takes
    /// longer than this time, or it takes more than a moment after the result is not wanted any more. A thread cannot
    /// be cancelled.
    fn cancel_after<F: Future<Output: Send> + Send>(
        time: Duration,
        is_wanted: impl Fn() -> bool + Send,
        work: F,
    ) -> impl Future<Output = Option<F::Output>> + Send;

    /// Returns the result of the work to its caller, who polls it. If the work takes longer than this time, the result is
    /// `None`, and the work goes on alone. The work also goes on alone if the caller drops it. A thread waits until the
    /// end of the work.
    fn detach_after<F: Future<Output: Send + 'static> + Send + 'static>(
        time: Option<Duration>,
        work: F,
    ) -> impl Future<Output = Option<F::Output>> + Send;

    /// Returns the result of the work to the background. The result is `None` if the work panics, or takes longer than
    /// this time. Work that takes longer goes on alone, also on a thread.
    ///
    /// The work is boxed here, because Rust 1.86 cannot see that a future is `Send` which waits for work of any type.
    fn in_background<T: Send + 'static>(
        time: Duration,
        work: Boxed<'static, T>,
    ) -> impl Future<Output = Option<T>> + Send;
}

/// The application's pool, and the runtime of its mode.
#[derive(Debug)]
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

/// What a [`Locker`](crate::locker::Locker) stands on: the application's pool of blocking or of async connections, and
/// threads or tasks for the background.
///
/// This trait is sealed. Any pool with [`blocking::Connections`](crate::blocking::Connections) or with
/// `asynchronous::AsyncConnections` becomes a `Pool` in [`blocking::Locker::new`](crate::blocking::Locker::new) or
/// `asynchronous::Locker::new`. Use it as a bound in code that only handles what both modes of a `Locker` have in common:
///
/// ```
/// use diesel_locks::locker::{Guard, Pool};
///
/// fn describe<P: Pool>(guard: &Guard<P>) -> String {
///     format!("{} under fence {}", guard.lock().key(), guard.fence())
/// }
/// ```
pub trait Pool: Clone + Send + Sync + 'static {
    #[doc(hidden)]
    type Runtime: Runtime;
    /// The connections of the application's pool.
    type Connection: Send;
    /// A connection that runs the protocol. If it is dropped in the middle of a request, the pool does not use it again.
    #[doc(hidden)]
    type Executor: Transactions<Backend: Winning>;

    /// Checks a connection out, within this time, or within the pool's own timeout.
    #[doc(hidden)]
    fn check_out(
        &self,
        within: Option<Duration>,
    ) -> impl Future<Output = Result<Self::Executor>> + Send;

    /// Gives a connection back. No request may be under way on it any more.
    #[doc(hidden)]
    fn put_back(executor: Self::Executor);

    /// Whether a request that takes too long can be cancelled.
    #[doc(hidden)]
    fn can_cancel() -> bool;

    #[doc(hidden)]
    fn connection(executor: &mut Self::Executor) -> &mut Self::Connection;
}
