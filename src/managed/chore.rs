//! What is done in the background for guards that are gone.

use std::sync::Arc;
use std::time::Duration;

use super::asking::{GiveBack, GiveBackUnseen, Release, no_answer};
use super::bell::Bell;
use super::event::{Observer, What};
use super::ground::{Boxed, Database, Mode};
use super::hold::given_back;
use super::kept::Kept;
use super::line::Lines;
use crate::clock::Moment;
use crate::error::{Error, Result};
use crate::lock::Lock;
use crate::token::Token;
use crate::wait::jittered;

pub(crate) enum Chore {
    /// A guard was dropped.
    Release(Arc<Kept>, Release),
    /// A request broke off before its answer came.
    ReleaseUnseen(Lock, Token, Release, Observer),
}

impl Chore {
    /// Does it: what fails costs the ttl, and is told. What comes too late for that is left alone: a long queue of
    /// them must not go on asking a database that does not answer.
    pub(crate) async fn run<M: Mode>(self, database: &dyn Database, lines: &Lines) {
        match self {
            Self::Release(kept, _) if kept.has_run_out() => {}
            Self::Release(kept, how) => {
                let ask = || database.give_back(GiveBack(kept.lease(), how));
                let answer = insist::<M, _>(how, kept.lease().lock.ttl, ask).await;
                given_back(&kept, lines, &answer);
            }
            Self::ReleaseUnseen(lock, token, how, observer) => {
                let request = || GiveBackUnseen(lock.clone(), token.clone(), how);
                let ask = || database.give_back_unseen(request());
                if let Err(error) = insist::<M, _>(how, lock.ttl, ask).await {
                    observer.tell(&lock, None, What::NotReleased { error: &error });
                }
                lines.released(&lock);
            }
        }
    }
}

/// Asks, and again as long as the database cannot be reached, for as long as the lease lives: each time for as long as
/// giving back may take.
async fn insist<M: Mode, T: Send + 'static>(
    how: Release,
    ttl: Duration,
    ask: impl Fn() -> Boxed<'static, Result<T>>,
) -> Result<T> {
    const SHORTEST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(5);
    let (began, nobody_rings, mut pause) = (Moment::now(), Bell::default(), SHORTEST);
    loop {
        let answer = M::apart(how.within, ask()).await;
        let answer = answer.unwrap_or_else(|| Err(no_answer(Some(how.within))));
        let is_over = Moment::now().since(began) >= ttl;
        match answer {
            Err(Error::NoConnection { .. }) if !is_over => {}
            Err(error) if error.is_connection() && !is_over => {}
            answer => return answer,
        }
        M::wait(&nobody_rings, 0, jittered(pause)).await;
        pause = LONGEST.min(pause * 2);
    }
}
