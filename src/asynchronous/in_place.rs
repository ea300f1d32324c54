//! Work that its caller polls. If the caller drops it before its end, it goes on in a task of its own. So a request costs
//! no task, unless its caller gives up.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;

pub(super) struct InPlace<F: Future<Output: Send> + Send + 'static> {
    work: Option<Pin<Box<F>>>,
    runtime: Handle,
}

impl<F: Future<Output: Send> + Send + 'static> InPlace<F> {
    /// Must be called in the caller's runtime, where the work goes on if it is dropped.
    pub(super) fn new(work: F) -> Self {
        Self {
            work: Some(Box::pin(work)),
            runtime: Handle::current(),
        }
    }
}

impl<F: Future<Output: Send> + Send + 'static> Future for InPlace<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        // Taken out while it is polled: work that has panicked must not be polled again, and so does not go on.
        let mut work = self.work.take().expect("work that has not ended");
        let polled = work.as_mut().poll(context);
        if polled.is_pending() {
            self.work = Some(work);
        }
        polled
    }
}

/// What is left goes on alone. Not by `tokio::spawn`: if the runtime is being shut down, that drops the work while tokio's
/// own state is borrowed, and SQLite's async connection needs that state when it is dropped in the middle of a statement.
impl<F: Future<Output: Send> + Send + 'static> Drop for InPlace<F> {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            self.runtime.spawn(work);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, poll_fn};
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::pin::Pin;
    use std::sync::mpsc;
    use std::task::{Context, Poll, Waker};
    use std::time::Duration;

    use tokio::runtime::{Builder, Handle};
    use tokio::sync::mpsc::unbounded_channel;
    use tokio::sync::oneshot;

    use super::InPlace;

    fn poll<F: Future<Output: Send> + Send>(work: &mut InPlace<F>) -> Poll<F::Output> {
        Pin::new(work).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[tokio::test]
    async fn work_ends_at_its_caller() {
        assert_eq!(InPlace::new(async { 1 }).await, 1);
    }

    #[tokio::test]
    async fn dropped_work_goes_on_alone_from_where_it_was() {
        for polls in 0..3 {
            let (tell, mut told) = unbounded_channel();
            let mut work = InPlace::new(async move {
                for step in 0..4 {
                    tell.send(step).unwrap();
                    tokio::task::yield_now().await;
                }
            });
            for _ in 0..polls {
                assert!(poll(&mut work).is_pending());
            }
            drop(work);
            for step in 0..4 {
                assert_eq!(told.recv().await, Some(step));
            }
            assert_eq!(told.recv().await, None);
        }
    }

    /// A panic is its caller's. The rest of the work is dropped.
    #[tokio::test]
    async fn work_that_panics_does_not_go_on() {
        let (alive, dropped) = oneshot::channel::<()>();
        let mut work = InPlace::new(async move {
            poll_fn(|_| -> Poll<()> { std::panic::resume_unwind(Box::new("planned")) }).await;
            pending::<()>().await;
            drop(alive);
        });
        assert!(catch_unwind(AssertUnwindSafe(|| poll(&mut work))).is_err());
        drop(work);
        assert!(dropped.await.is_err());
    }

    /// Stands for SQLite's async connection, which waits for its statement when it is dropped in the middle of it.
    struct WaitsWhenDropped(Handle, mpsc::Sender<&'static str>);

    impl Drop for WaitsWhenDropped {
        fn drop(&mut self) {
            tokio::task::block_in_place(|| self.0.block_on(async {}));
            self.1.send("waited").unwrap();
        }
    }

    #[test]
    fn work_may_wait_when_it_is_dropped_with_its_runtime() {
        let runtime = Builder::new_multi_thread().build().unwrap();
        let here = runtime.handle().clone();
        let _entered = here.enter();
        let (tell, told) = mpsc::channel();
        let waits = WaitsWhenDropped(here.clone(), tell);
        let mut work = InPlace::new(async move {
            pending::<()>().await;
            drop(waits);
        });
        assert!(poll(&mut work).is_pending());
        runtime.shutdown_timeout(Duration::from_secs(60));
        drop(work);
        assert_eq!(told.recv(), Ok("waited"));
    }
}
