//! A client: it acquires a lock, works under it for a while, and gives it up in some way, again and again.

use std::time::Duration;

use diesel_locks::{Attempt, Forced, Lock, Outcome, Released, Result, Wait};
use diesel_locks_tests::clock::{Time, now};
use diesel_locks_tests::ms;
use diesel_locks_tests::session::Work;

use crate::control;
use crate::ground::{Ground, Rule};
use crate::hand::{Hand, Means};
use crate::log;
use crate::operation::{Act, Client, Kind, Word};
use crate::random::Random;
use crate::recorder::{answer, ask, busy, claim, refused};

pub struct Player {
    pub client: Client,
    pub ground: Ground,
    pub random: Random,
    /// The ttl of the lock that the client asks for now.
    ttl: Duration,
}

/// Whether the means can still be used.
pub type Usable = bool;

/// No call takes longer, not even on a connection that no answer comes on any more.
const PATIENCE: Duration = ms(3_000);

impl Player {
    pub fn new(ground: &Ground, client: Client) -> Self {
        let user = (client.process << 16) + ((client.kind as u64) << 8) + client.number;
        Self {
            client,
            ground: ground.clone(),
            random: Random::of(ground.seed, user),
            ttl: ms(0),
        }
    }

    pub async fn round(&mut self, means: &mut Means) -> Usable {
        if self.client.kind == Kind::ManagedAsync && self.random.one_in(2) {
            rest_with_others().await;
        } else {
            self.rest(4).await;
        }
        // So short that leases run out when a process is stopped, and that late answers come too late.
        self.ttl = match self.ground.rule {
            Rule::NoPin => self.random.ms(60, 160),
            _ => self.random.ms(150, 600),
        };
        let lock = self.ground.lock(self.client, self.ttl, &mut self.random);
        if self.random.one_in(40) {
            return self.force(means, &lock).await;
        }
        if let (Rule::EarlyTakeover, Means::Connection(conn)) = (self.ground.rule, &mut *means) {
            if control::take_over_early(&self.ground, self.client, &mut **conn, &lock).await {
                return true;
            }
        }
        if self.ground.rule == Rule::FalseBusy && self.random.one_in(5) {
            return control::say_busy(self.client, &lock);
        }
        match means {
            Means::Locker(locker) if self.random.one_in(6) => self.run(&**locker, &lock).await,
            means => self.work(means, &lock).await,
        }
    }

    async fn work(&mut self, means: &mut Means, lock: &Lock) -> Usable {
        let waits = self.random.one_in(4);
        let wait = waits.then(|| Wait::up_to(self.random.ms(20, 500)));
        let act = wait.as_ref().map_or(Act::Try, |_| Act::Wait);
        let id = ask(self.client, act, lock.key(), 0);
        let hand = match self.within(means.acquire(lock, wait)).await {
            Some(Ok(Attempt::Acquired(hand))) => hand,
            Some(Ok(Attempt::Busy(holder))) => return done(id, busy(holder.as_ref())),
            Some(Err(error)) => return done(id, refused(&error)),
            None => return done(id, (Word::Cancelled, 0)),
        };
        answer(id, (Word::Acquired, hand.fence()));
        claim(lock.key(), hand.fence(), || hand.trusted_for());
        self.hold(hand, lock).await
    }

    async fn hold(&mut self, mut hand: Hand<'_>, lock: &Lock) -> Usable {
        for _ in 0..self.random.below(4) {
            let usable = match self.random.below(6) {
                0 => self.extend(&mut hand, lock).await,
                1..4 => self.commit(&mut hand, lock).await,
                _ => {
                    self.linger().await;
                    true
                }
            };
            claim(lock.key(), hand.fence(), || hand.trusted_for());
            match (usable, &hand) {
                (true, _) => {}
                (false, Hand::Guard(_)) => break,
                // The connection may still be in the middle of a transaction.
                (false, Hand::Lease(..)) => return false,
            }
        }
        self.give_up(hand, lock).await
    }

    async fn extend(&mut self, hand: &mut Hand<'_>, lock: &Lock) -> Usable {
        let id = ask(self.client, Act::Extend, lock.key(), hand.fence());
        let answer = self.within(hand.try_extend()).await;
        done(
            id,
            word(answer, |outcome| match outcome {
                Outcome::Done => Word::Done,
                Outcome::DoneLate => Word::Late,
                Outcome::Lost => Word::Lost,
            }),
        )
    }

    async fn commit(&mut self, hand: &mut Hand<'_>, lock: &Lock) -> Usable {
        let id = ask(self.client, Act::Commit, lock.key(), hand.fence());
        let hold = self.hold_time();
        if let (Rule::NoPin, Hand::Lease(conn, lease)) = (self.ground.rule, &mut *hand) {
            let written = control::write_without_pin(&mut **conn, lease, id, hold).await;
            return done(id, word(Some(written), |()| Word::Done));
        }
        let work = work(lock, hand.fence(), id, hold);
        let by_hand = self.random.one_in(2);
        let answer = self.within(hand.transaction(work, by_hand)).await;
        done(id, word(answer, |()| Word::Done))
    }

    async fn give_up(&mut self, hand: Hand<'_>, lock: &Lock) -> Usable {
        let (client, name, fence) = (self.client, lock.key(), hand.fence());
        match self.random.below(20) {
            0..11 => {
                let id = ask(client, Act::Release, name, fence);
                let answer = self.within(hand.release()).await;
                done(
                    id,
                    word(answer, |released| match released {
                        Released::InTime => Word::Done,
                        Released::Late => Word::Late,
                        Released::Lost => Word::Lost,
                    }),
                )
            }
            11..14 => {
                let id = ask(client, Act::Finish, name, fence);
                let work = work(lock, fence, id, self.hold_time());
                let answer = self.within(hand.finish(work)).await;
                done(id, word(answer, |()| Word::Done))
            }
            14..17 if matches!(hand, Hand::Guard(_)) => {
                ask(client, Act::Drop, name, fence);
                drop(hand);
                true
            }
            _ => {
                hand.leave();
                true
            }
        }
    }

    async fn force(&mut self, means: &mut Means, lock: &Lock) -> Usable {
        let id = ask(self.client, Act::Force, lock.key(), 0);
        let answer = self.within(means.force_release(lock)).await;
        done(
            id,
            word(answer, |forced| match forced {
                Forced::Released => Word::Done,
                Forced::Free => Word::Free,
                Forced::InUse => Word::InUse,
            }),
        )
    }

    /// The answer. `None` if the call was dropped before: sometimes right after it was begun. A blocking call cannot be
    /// dropped, because its future is ready at the first poll.
    pub async fn within<T>(&mut self, call: impl Future<Output = T>) -> Option<T> {
        let is_impatient = self.random.one_in(25);
        let limit = if is_impatient {
            self.random.ms(0, 6)
        } else {
            PATIENCE
        };
        tokio::time::timeout(limit, call).await.ok()
    }

    /// Works outside of the database.
    async fn linger(&mut self) {
        tokio::time::sleep(self.hold_time()).await;
    }

    /// The time that work takes: mostly a moment, sometimes longer than the ttl.
    pub fn hold_time(&mut self) -> Duration {
        let is_long = match self.ground.rule {
            Rule::NoPin => self.random.one_in(5),
            _ if self.client.kind.is_managed() => self.random.one_in(25),
            _ => self.random.one_in(8),
        };
        if is_long {
            self.ttl + ms(5)
        } else {
            self.random.ms(0, 8)
        }
    }

    /// Rests between two rounds. Clients with statements rest for longer, because most operations are
    /// to be of the managed async clients.
    pub async fn rest(&mut self, most: u64) {
        let most = if self.client.kind == Kind::ManagedAsync {
            most
        } else {
            most * 6
        };
        tokio::time::sleep(self.random.ms(0, most)).await;
    }
}

/// Rests until a moment at which others end their rest, too, so that a crowd asks at once.
async fn rest_with_others() {
    const EVERY: Time = 40_000;
    let rest = EVERY - now().rem_euclid(EVERY);
    tokio::time::sleep(Duration::from_micros(rest.unsigned_abs())).await;
}

/// Prints the answer. Returns whether the means can still be used.
pub fn done(id: i64, (word, number): (Word, i64)) -> Usable {
    answer(id, (word, number));
    !matches!(word, Word::Failed | Word::Cancelled)
}

/// The word for an answer, for an error, or for no answer.
pub fn word<T>(answer: Option<Result<T>>, of: impl FnOnce(T) -> Word) -> (Word, i64) {
    match answer {
        Some(Ok(value)) => (of(value), 0),
        Some(Err(error)) => refused(&error),
        None => (Word::Cancelled, 0),
    }
}

/// The work of a transaction under a lease: its two rows in the record.
pub fn work(lock: &Lock, fence: i64, id: i64, hold: Duration) -> Work {
    let name = lock.key().to_owned();
    Box::new(move |conn| {
        Box::pin(
            async move { log::write(conn, (&name, fence, id), tokio::time::sleep(hold)).await },
        )
    })
}
