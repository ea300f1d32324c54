//! The span of the work under a lock, for traces, with the feature `tracing`.

use crate::lease::Lease;

#[cfg(feature = "tracing")]
fn span(lease: &Lease) -> tracing::Span {
    let (lock, owner) = (lease.lock.key(), &*lease.lock.owner);
    tracing::info_span!(target: "diesel_locks", "locked", lock, owner, fence = lease.fence)
}

#[cfg(all(feature = "async", feature = "tracing"))]
pub(crate) fn around<F: Future>(lease: &Lease, work: F) -> impl Future<Output = F::Output> {
    tracing::Instrument::instrument(work, span(lease))
}

#[cfg(feature = "tracing")]
pub(crate) fn within<T>(lease: &Lease, work: impl FnOnce() -> T) -> T {
    span(lease).in_scope(work)
}

#[cfg(all(feature = "async", not(feature = "tracing")))]
pub(crate) fn around<F: Future>(_: &Lease, work: F) -> F {
    work
}

#[cfg(not(feature = "tracing"))]
pub(crate) fn within<T>(_: &Lease, work: impl FnOnce() -> T) -> T {
    work()
}
