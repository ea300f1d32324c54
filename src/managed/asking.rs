//! What a `Locks` asks of the database: each request is a value that runs on one connection from its beginning to its end.
//!
//! A request that has been sent ends by itself, though nobody may want its answer any more: what it acquired would be
//! nobody's, and a connection with half a conversation on it is of no use to its next user. One that takes too long, or
//! longer than a moment after its answer was given up, is broken off together with its connection, which may never answer
//! again.

use std::sync::Weak;
use std::time::Duration;

use super::ground::{Ground, Mode};
use crate::answer::{Forced, Outcome, Record};
use crate::clock::Moment;
use crate::error::{Error, Result};
use crate::lease::Lease;
use crate::list::List;
use crate::lock::Lock;
use crate::protocol::{self, Executor, Kept, Transactions};
use crate::token::Token;
use crate::wait::jittered;

pub(crate) trait Ask: Send + 'static {
    type Answer: Send + 'static;

    fn ask<E: Transactions>(
        self,
        executor: &mut E,
    ) -> impl Future<Output = Result<Self::Answer>> + Send;
}

/// Fetches a connection, asks, and puts it back: each within this time, or the pool's own. Where there is somebody to
/// want the answer, only if he still does.
pub(crate) async fn ask_on<G: Ground, A: Ask>(
    ground: G,
    within: Option<Duration>,
    wanted: Option<Weak<()>>,
    request: A,
) -> Result<A::Answer> {
    let mut executor = ground.connect(within).await?;
    let is_wanted = move || {
        wanted
            .as_ref()
            .is_none_or(|wanted| wanted.strong_count() > 0)
    };
    if !is_wanted() {
        G::put_back(executor);
        return Err(no_answer(within));
    }
    let answer = match within {
        Some(time) if G::breaks_off() => {
            let answer = G::Mode::cut(time, is_wanted, request.ask(&mut executor)).await;
            answer.unwrap_or_else(|| Err(no_answer(within)))
        }
        _ => request.ask(&mut executor).await,
    };
    if !matches!(&answer, Err(error) if error.is_connection()) {
        G::put_back(executor);
    }
    answer
}

pub(crate) fn no_answer(within: Option<Duration>) -> Error {
    Error::NoAnswer {
        within: within.unwrap_or_default(),
    }
}

/// How a lease is given back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Release {
    /// How long it may take.
    pub(crate) within: Duration,
    /// Whether it waits for the disk.
    pub(crate) durable: bool,
}

impl Release {
    /// Releases, and again after contention: there is time for that.
    async fn of<E: Executor>(self, executor: &mut E, lease: &Lease) -> Result<Outcome> {
        const PAUSE: Duration = Duration::from_millis(50);
        let began = Moment::now();
        loop {
            let outcome = if self.durable {
                protocol::release(executor, lease).await
            } else {
                protocol::release_soon(executor, lease).await
            };
            match outcome {
                Err(error) if error.is_transient() && Moment::now().since(began) < self.within => {
                    executor.sleep(jittered(PAUSE)).await;
                }
                outcome => return outcome,
            }
        }
    }
}

pub(crate) struct GiveBack(pub(crate) Lease, pub(crate) Release);

impl Ask for GiveBack {
    type Answer = Outcome;

    async fn ask<E: Transactions>(self, executor: &mut E) -> Result<Outcome> {
        self.1.of(executor, &self.0).await
    }
}

/// Gives back what a request acquired whose answer never came, if it did. It may still be on its way, so this looks
/// more than once.
pub(crate) struct GiveBackUnseen(pub(crate) Lock, pub(crate) Token, pub(crate) Release);

impl Ask for GiveBackUnseen {
    type Answer = ();

    async fn ask<E: Transactions>(self, executor: &mut E) -> Result<()> {
        const LOOKS: [u64; 4] = [0, 30, 100, 300];
        let Self(lock, token, how) = self;
        for pause in LOOKS {
            executor.sleep(Duration::from_millis(pause)).await;
            if let Some(lease) = protocol::find(executor, &lock, token.clone()).await? {
                return how.of(executor, &lease).await.map(drop);
            }
        }
        Ok(())
    }
}

/// Leaves a lease to run out, so long from now.
pub(crate) struct Retire(pub(crate) Lease, pub(crate) Duration);

impl Ask for Retire {
    type Answer = Outcome;

    async fn ask<E: Transactions>(self, executor: &mut E) -> Result<Outcome> {
        protocol::retire(executor, &self.0, self.1).await
    }
}

/// Extends leases of one table. A pinned one that seems lost may just have been released by its own transaction: then
/// it is called locked.
pub(crate) struct KeepAlive(pub(crate) Vec<(Lease, bool)>);

impl Ask for KeepAlive {
    type Answer = Vec<Kept>;

    async fn ask<E: Transactions>(self, executor: &mut E) -> Result<Vec<Kept>> {
        let (leases, pinned): (Vec<Lease>, Vec<bool>) = self.0.into_iter().unzip();
        let mut answers = protocol::keep_alive(executor, &leases).await?;
        for ((answer, lease), is_pinned) in answers.iter_mut().zip(&leases).zip(pinned) {
            if is_pinned && *answer == Kept::Lost && protocol::is_released(executor, lease).await? {
                *answer = Kept::Locked(None);
            }
        }
        Ok(answers)
    }
}

pub(crate) struct Extend(pub(crate) Lease, pub(crate) Duration);

impl Ask for Extend {
    type Answer = (Lease, Outcome);

    async fn ask<E: Transactions>(mut self, executor: &mut E) -> Result<(Lease, Outcome)> {
        let outcome = protocol::extend_to(executor, &mut self.0, self.1).await?;
        Ok((self.0, outcome))
    }
}

pub(crate) struct SetData(pub(crate) Lease, pub(crate) Option<String>);

impl Ask for SetData {
    type Answer = Outcome;

    async fn ask<E: Transactions>(self, executor: &mut E) -> Result<Outcome> {
        protocol::set_data(executor, &self.0, self.1.as_deref()).await
    }
}

pub(crate) struct Inspect(pub(crate) Lock);

impl Ask for Inspect {
    type Answer = Option<Record>;

    async fn ask<E: Transactions>(self, executor: &mut E) -> Result<Option<Record>> {
        protocol::inspect(executor, &self.0).await
    }
}

pub(crate) struct ReadList(pub(crate) List);

impl Ask for ReadList {
    type Answer = Vec<Record>;

    async fn ask<E: Transactions>(self, executor: &mut E) -> Result<Vec<Record>> {
        protocol::list(executor, &self.0).await
    }
}

pub(crate) struct ForceRelease(pub(crate) Lock);

impl Ask for ForceRelease {
    type Answer = Forced;

    async fn ask<E: Transactions>(self, executor: &mut E) -> Result<Forced> {
        protocol::force_release(executor, &self.0).await
    }
}

pub(crate) struct Purge(pub(crate) List, pub(crate) Duration);

impl Ask for Purge {
    type Answer = usize;

    async fn ask<E: Transactions>(self, executor: &mut E) -> Result<usize> {
        protocol::purge(executor, &self.0, self.1).await
    }
}
