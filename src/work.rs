//! Async closures whose futures can be named.

/// An async closure whose future can be named, to say that it is `Send`. Every async closure is one.
///
/// The bound `for<'r> F: AsyncFnOnce(&'r mut C) -> T + AsyncWork<&'r mut C, T, Future: Send> + Send` means: an async closure
/// that takes a connection of any lifetime, and that another thread may call and poll.
#[doc(hidden)]
pub trait AsyncWork<A, R>:
    AsyncFnOnce(A) -> R + FnOnce(A) -> <Self as AsyncWork<A, R>>::Future
{
    type Future: Future<Output = R>;
}

impl<F, A, R, W> AsyncWork<A, R> for F
where
    F: AsyncFnOnce(A) -> R + FnOnce(A) -> W,
    W: Future<Output = R>,
{
    type Future = W;
}

/// [`AsyncWork`] for closures with two arguments.
#[doc(hidden)]
pub trait AsyncLeasedWork<A, B, R>:
    AsyncFnOnce(A, B) -> R + FnOnce(A, B) -> <Self as AsyncLeasedWork<A, B, R>>::Future
{
    type Future: Future<Output = R>;
}

impl<F, A, B, R, W> AsyncLeasedWork<A, B, R> for F
where
    F: AsyncFnOnce(A, B) -> R + FnOnce(A, B) -> W,
    W: Future<Output = R>,
{
    type Future = W;
}
