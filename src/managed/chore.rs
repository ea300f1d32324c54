//! What the background does for guards that are gone.

use std::sync::Arc;
use std::time::Duration;

use super::bell::Bell;
use super::event::{EventKind, Observer};
use super::held_lease::HeldLease;
use super::pool::{Boxed, Runtime};
use super::queue::Queues;
use super::releasing::{Release, tell_given_back};
use super::request::{Database, no_answer};
use crate::clock::Moment;
use crate::error::{Error, Result};
use crate::lock::Lock;
use crate::token::Token;
use crate::wait::jittered;

pub(crate) enum Chore {
    /// A guard was dropped.
    Release(Arc<HeldLease>, Release),
    /// Requests were cancelled before their answers came.
    ReleaseUnseen(Vec<Unseen>, Release),
}

/// A lease that a request may have acquired, although nobody saw an answer.
#[derive(Clone)]
pub(crate) struct Unseen {
    pub(crate) lock: Lock,
    pub(crate) token: Token,
    pub(crate) observer: Observer,
    pub(crate) since: Moment,
}

impl Unseen {
    fn may_be_held(&self) -> bool {
        Moment::now().since(self.since) < self.lock.ttl
    }

    fn not_released(&self, error: &Error) {
        let event = EventKind::NotReleased { error };
        self.observer.tell(&self.lock, None, event);
    }
}

impl Chore {
    /// Does the chore. If it fails, the lock is free after the ttl, and the observer is told. If the lease has expired
    /// meanwhile, the release is skipped: a long queue of chores must not go on asking a database that does not answer.
    pub(crate) async fn run<R: Runtime>(self, database: &dyn Database, queues: &Queues) {
        match self {
            Self::Release(held, _) if held.has_expired() => {}
            Self::Release(held, how) => {
                let ask = || database.release(held.lease(), how);
                let outcome = insist::<R, _>(how, held.lease().lock.ttl, ask).await;
                tell_given_back(&held, queues, &outcome);
            }
            Self::ReleaseUnseen(mut unseen, how) => {
                unseen.retain(Unseen::may_be_held);
                let ttl = unseen.iter().map(|it| it.lock.ttl).max();
                let ask = || database.release_unseen(unseen.clone(), how);
                match insist::<R, _>(how, ttl.unwrap_or_default(), ask).await {
                    Ok(refused) => {
                        for (lease, error) in &refused {
                            lease.not_released(error);
                        }
                    }
                    Err(error) => {
                        for lease in &unseen {
                            lease.not_released(&error);
                        }
                    }
                }
                for lease in &unseen {
                    queues.released(&lease.lock);
                }
            }
        }
    }
}

/// Asks the database, and asks again while the database cannot be reached and the ttl is not over. Each request has the
/// timeout of a release.
async fn insist<R: Runtime, T: Send + 'static>(
    how: Release,
    ttl: Duration,
    ask: impl Fn() -> Boxed<'static, Result<T>>,
) -> Result<T> {
    const SHORTEST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(5);
    let (began, silent, mut pause) = (Moment::now(), Bell::default(), SHORTEST);
    loop {
        let answer = R::in_background(how.within, ask()).await;
        let answer = answer.unwrap_or_else(|| Err(no_answer(Some(how.within))));
        let is_over = Moment::now().since(began) >= ttl;
        match answer {
            Err(Error::NoConnection { .. }) if !is_over => {}
            Err(error) if error.is_connection() && !is_over => {}
            answer => return answer,
        }
        R::wait(&silent, 0, jittered(pause)).await;
        pause = LONGEST.min(pause * 2);
    }
}
