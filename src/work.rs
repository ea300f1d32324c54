//! Async closures whose futures can be named.

/// An async closure whose future can be named, to say that the future is `Send`. Every async closure implements this
/// trait. Use it as a bound in a function of your own that takes work as the methods of this crate do.
///
/// The bound `for<'r> F: AsyncFnOnce(&'r mut C) -> T + AsyncWork<&'r mut C, T, Future: Send> + Send` means: an async
/// closure that takes a connection of any lifetime, and that another thread may call and poll.
///
/// ```
/// # #[cfg(feature = "async")] mod helper {
/// use diesel_locks::Result;
/// use diesel_locks::asynchronous::{AsyncConnections, AsyncWork, Guard};
///
/// /// Does the work in a guarded transaction, and says how it ended.
/// async fn logged<'a, P, T, F>(guard: &'a Guard<P>, work: F) -> Result<T>
/// where
///     P: AsyncConnections,
///     T: Send,
///     for<'r> F: AsyncFnOnce(&'r mut P::Connection) -> Result<T>
///         + AsyncWork<&'r mut P::Connection, Result<T>, Future: Send>
///         + Send
///         + 'a,
/// {
///     let done = guard.transaction(work).await;
///     println!("{}: {}", guard.lock().key(), if done.is_ok() { "committed" } else { "failed" });
///     done
/// }
/// # }
/// ```
pub trait AsyncWork<A, R>:
    AsyncFnOnce(A) -> R + FnOnce(A) -> <Self as AsyncWork<A, R>>::Future
{
    /// The future of the closure.
    type Future: Future<Output = R>;
}

impl<F, A, R, W> AsyncWork<A, R> for F
where
    F: AsyncFnOnce(A) -> R + FnOnce(A) -> W,
    W: Future<Output = R>,
{
    type Future = W;
}

/// [`AsyncWork`] for closures with two arguments: the connection and the lease, as
/// [`LockDsl::transaction`](crate::blocking::LockDsl::transaction) gives them.
#[cfg(feature = "async")]
pub trait AsyncLeasedWork<A, B, R>:
    AsyncFnOnce(A, B) -> R + FnOnce(A, B) -> <Self as AsyncLeasedWork<A, B, R>>::Future
{
    /// The future of the closure.
    type Future: Future<Output = R>;
}

#[cfg(feature = "async")]
impl<F, A, B, R, W> AsyncLeasedWork<A, B, R> for F
where
    F: AsyncFnOnce(A, B) -> R + FnOnce(A, B) -> W,
    W: Future<Output = R>,
{
    type Future = W;
}
