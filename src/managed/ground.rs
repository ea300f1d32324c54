//! What a `Locks` stands on: the pool of the application, and threads or tasks.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::asking::{Ask, GiveBack, GiveBackUnseen, KeepAlive, ask_on, no_answer};
use super::bell::Bell;
use crate::answer::Outcome;
use crate::error::Result;
use crate::protocol::{Kept, Transactions};

/// Threads or tasks.
pub trait Mode: Send + Sync + Sized + 'static {
    /// Where the background can run, if it can here.
    fn here() -> Option<Self>;

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static);

    /// Until the bell is rung once more than `seen`, for so long at most.
    fn wait(bell: &Bell, seen: u32, at_most: Duration) -> impl Future<Output = ()> + Send;

    /// What the work brings; `None` if it takes longer, or if it takes more than a moment once it is not wanted any more.
    /// Then it is broken off. A thread cannot be told to.
    fn cut<F: Future<Output: Send> + Send>(
        time: Duration,
        is_wanted: impl Fn() -> bool + Send,
        work: F,
    ) -> impl Future<Output = Option<F::Output>> + Send;

    /// What the work brings, for whoever asked for it; `None` if it takes longer, and then it ends by itself. A task
    /// that is no longer polled leaves it alone, too. A thread does its work itself, and so waits as long as it takes.
    fn within<F: Future<Output: Send + 'static> + Send + 'static>(
        time: Option<Duration>,
        work: F,
    ) -> impl Future<Output = Option<F::Output>> + Send;

    /// The same in the background, where threads, too, leave alone what takes longer, or panics.
    fn apart<F: Future<Output: Send + 'static> + Send + 'static>(
        time: Duration,
        work: F,
    ) -> impl Future<Output = Option<F::Output>> + Send;
}

/// Where connections come from.
pub trait Ground: Clone + Send + Sync + 'static {
    type Mode: Mode;
    type Connection: Send;
    /// A connection that runs the protocol. Dropped in the middle of it, it is not used again.
    type Executor: Transactions;

    /// A connection of the pool, fetched within this time, or within the pool's own.
    fn connect(
        &self,
        within: Option<Duration>,
    ) -> impl Future<Output = Result<Self::Executor>> + Send;

    /// Nothing is under way on the connection any more.
    fn put_back(executor: Self::Executor);

    /// Whether a request that takes too long can be broken off.
    fn breaks_off() -> bool;

    fn connection(executor: &mut Self::Executor) -> &mut Self::Connection;
}

/// The answer for whoever asked, or an error where it takes longer.
pub(crate) async fn answer<G: Ground, A: Ask>(
    ground: &G,
    within: Option<Duration>,
    request: A,
) -> Result<A::Answer> {
    let here = Arc::new(());
    let asked = ask_on(ground.clone(), within, Some(Arc::downgrade(&here)), request);
    let answer = G::Mode::within(within, asked).await;
    drop(here);
    answer.unwrap_or_else(|| Err(no_answer(within)))
}

pub(crate) type Boxed<'b, T> = Pin<Box<dyn Future<Output = T> + Send + 'b>>;

/// What the background asks of the database, whatever its connections are.
pub(crate) trait Database: Send + Sync {
    fn keep_alive(&self, request: KeepAlive, within: Duration)
    -> Boxed<'static, Result<Vec<Kept>>>;
    fn give_back(&self, request: GiveBack) -> Boxed<'static, Result<Outcome>>;
    fn give_back_unseen(&self, request: GiveBackUnseen) -> Boxed<'static, Result<()>>;
}

impl<G: Ground> Database for G {
    fn keep_alive(
        &self,
        request: KeepAlive,
        within: Duration,
    ) -> Boxed<'static, Result<Vec<Kept>>> {
        Box::pin(ask_on(self.clone(), Some(within), None, request))
    }

    fn give_back(&self, request: GiveBack) -> Boxed<'static, Result<Outcome>> {
        Box::pin(ask_on(self.clone(), Some(request.1.within), None, request))
    }

    fn give_back_unseen(&self, request: GiveBackUnseen) -> Boxed<'static, Result<()>> {
        Box::pin(ask_on(self.clone(), Some(request.2.within), None, request))
    }
}
