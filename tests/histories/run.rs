//! A client that leaves all to one call: it waits, works under the lock, and gives the lock back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use diesel_locks::{Lock, Run, Wait};
use diesel_locks_tests::managed::{Held, Job, Managed};

use crate::client::{Player, Usable, done, word, work};
use crate::operation::{Act, Client, Word};
use crate::recorder::{answer, ask, busy, claim, refused};

impl Player {
    pub async fn run(&mut self, locker: &dyn Managed, lock: &Lock) -> Usable {
        let (hold, wait) = (self.hold_time(), Wait::up_to(self.random.ms(20, 500)));
        let id = ask(self.client, Act::Run, lock.key(), 0);
        let begun = Arc::new(AtomicBool::new(false));
        let job = job(self.client, lock.clone(), id, hold, begun.clone());
        let ended = self.within(locker.run(lock, wait, job)).await;
        if begun.load(Ordering::SeqCst) {
            return true; // the work has given the answer
        }
        match ended {
            Some(Ok(Run::Busy { holder, .. })) => done(id, busy(holder.as_ref())),
            Some(Ok(_)) => done(id, (Word::Lost, 0)),
            Some(Err(error)) => done(id, refused(&error)),
            None => done(id, (Word::Cancelled, 0)),
        }
    }
}

fn job(client: Client, lock: Lock, id: i64, hold: Duration, begun: Arc<AtomicBool>) -> Job {
    Box::new(move |guard: &dyn Held| {
        begun.store(true, Ordering::SeqCst);
        answer(id, (Word::Acquired, guard.fence()));
        Box::pin(async move {
            let (name, fence) = (lock.key().to_owned(), guard.fence());
            let _ends = Ends {
                client,
                name: name.clone(),
                fence,
            };
            claim(&name, fence, || guard.trusted_for());
            let commit = ask(client, Act::Commit, &name, fence);
            let committed = guard.transaction(work(&lock, fence, commit, hold)).await;
            answer(commit, word(Some(committed), |()| Word::Done));
            claim(&name, fence, || guard.trusted_for());
            0
        })
    })
}

/// Dropped when the work is done, and when it is stopped before. After that the call gives the lock back.
struct Ends {
    client: Client,
    name: String,
    fence: i64,
}

impl Drop for Ends {
    fn drop(&mut self) {
        ask(self.client, Act::Drop, &self.name, self.fence);
    }
}
