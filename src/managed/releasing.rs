//! How a lease is given back, and how the observer and the waiters are told.

use std::time::Duration;

use super::event::EventKind;
use super::held_lease::HeldLease;
use super::queue::Queues;
use crate::answer::Outcome;
use crate::clock::Moment;
use crate::error::Result;
use crate::lease::Lease;
use crate::lock::Lock;
use crate::protocol::{self, Executor};
use crate::token::Token;
use crate::wait::jittered;

/// How a lease is given back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Release {
    /// The timeout of the release.
    pub(crate) within: Duration,
    /// Whether the release waits for the disk.
    pub(crate) durable: bool,
    /// Until when the lock stays held after it was given back: [`hold_at_least`](crate::locker::Locker::hold_at_least).
    pub(crate) until: Moment,
}

impl Release {
    pub(crate) fn not_before(self, until: Moment) -> Self {
        Self { until, ..self }
    }

    /// Gives a lease back. After contention it tries again until the timeout: a release has time for that.
    pub(crate) async fn lease<E: Executor>(
        self,
        executor: &mut E,
        lease: &Lease,
    ) -> Result<Outcome> {
        const PAUSE: Duration = Duration::from_millis(50);
        let began = Moment::now();
        loop {
            match self.once(executor, lease).await {
                Err(error) if error.is_transient() && Moment::now().since(began) < self.within => {
                    executor.sleep(jittered(PAUSE)).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn once<E: Executor>(self, executor: &mut E, lease: &Lease) -> Result<Outcome> {
        let rest = self.until.since(Moment::now());
        if !rest.is_zero() {
            protocol::retire(executor, lease, rest).await
        } else if self.durable {
            protocol::release(executor, lease).await
        } else {
            protocol::release_async(executor, lease).await
        }
    }

    /// Releases the lease of a request whose answer never came. The request may still be on its way, so this looks for
    /// the lease more than once.
    pub(crate) async fn unseen<E: Executor>(
        self,
        executor: &mut E,
        lock: &Lock,
        token: &Token,
    ) -> Result<()> {
        const LOOKS: [u64; 4] = [0, 30, 100, 300];
        for pause in LOOKS {
            executor.sleep(Duration::from_millis(pause)).await;
            if let Some(lease) = protocol::find(executor, lock, token.clone()).await? {
                return self.lease(executor, &lease).await.map(drop);
            }
        }
        Ok(())
    }
}

/// Tells the observer and the waiters of this process how the release ended.
pub(crate) fn tell_given_back(held: &HeldLease, queues: &Queues, outcome: &Result<Outcome>) {
    match held.turn {
        Some(turn) if matches!(outcome, Ok(Outcome::Done | Outcome::DoneLate)) => {
            queues.released_in(turn, held.lock());
        }
        _ => queues.released(held.lock()),
    }
    match outcome {
        Ok(Outcome::Lost) => held.tell_lost(),
        Ok(_) => held.tell(EventKind::Released {
            held: held.held_for(),
        }),
        Err(error) => held.tell(EventKind::NotReleased { error }),
    }
}
