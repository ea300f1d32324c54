//! Calls on a connection of the caller's own that are dropped before their answers. A thread cannot drop a call, so on
//! blocking connections nothing is dropped here.

use std::sync::Arc;

use diesel_locks::{Attempt, Error, Forced, Lease, Lock, Pin, Result, Wait};

use tokio::sync::Mutex;

use super::ledger::{ledger, write, written};
use super::lines::woken_at_most;
use super::setup::sql;
use crate::session::{Session, Work};
use crate::world::{World, own_table, secs, soon, spawn};

/// A sequence of numbers that is the same in every run.
struct Random(u32);

impl Random {
    fn below(&mut self, end: u32) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) % end
    }
}

/// A connection whose calls are dropped, and a second connection that knows the truth.
struct Ground<'w> {
    world: &'w World,
    conn: Box<dyn Session>,
    truth: Box<dyn Session>,
    random: Random,
    dropped: u32,
    broken: u32,
}

impl Ground<'_> {
    /// Makes a call, and drops it after a random number of polls. `None` if it was dropped, or refused because the
    /// connection is broken: then there is a new connection.
    async fn call<T>(
        &mut self,
        drops: bool,
        call: impl for<'c> FnOnce(&'c mut dyn Session) -> diesel_locks_tests::Answer<'c, Result<T>>,
    ) -> Option<Result<T>> {
        let polls = if drops {
            self.random.below(6)
        } else {
            u32::MAX
        };
        match woken_at_most(polls, call(&mut *self.conn)).await {
            Some(Err(Error::BrokenConnection)) => {
                self.broken += 1;
                self.conn = self.world.session().await;
                None
            }
            None => {
                self.dropped += 1;
                None
            }
            answer => answer,
        }
    }

    /// Whether the answer of a try is the truth.
    async fn is_true(&mut self, lock: &Lock, answer: &Attempt) -> bool {
        match answer {
            Attempt::Acquired(lease) => self.truth.is_mine(lease).await.unwrap(),
            Attempt::Busy(_) => self.truth.is_held(lock).await.unwrap(),
        }
    }
}

pub async fn after_a_dropped_call_no_answer_is_wrong(world: &World) {
    const ROUNDS: u32 = 60;
    let mut on = Ground {
        world,
        conn: world.session().await,
        truth: world.session().await,
        random: Random(7),
        dropped: 0,
        broken: 0,
    };
    for round in 0..ROUNDS {
        let lock = world
            .lock(&format!("n{round}"))
            .with_ttl(secs(600))
            .unwrap();
        let foreign = on.truth.take(&world.lock(&format!("foreign{round}"))).await;
        for drops in [true, false] {
            let lock = lock.clone();
            let answer = on.call(drops, |conn| {
                Box::pin(async move { conn.try_acquire(&lock).await })
            });
            let Some(answer) = answer.await else { continue };
            let answer = answer.unwrap();
            let lock = world.lock(&format!("n{round}"));
            assert!(on.is_true(&lock, &answer).await, "{round}: {answer:?}");
            let Attempt::Acquired(lease) = answer else {
                continue;
            };
            steps(&mut on, round, lease, &foreign).await;
        }
    }
    assert_eq!(on.dropped == 0, world.is_blocking());
    // Only the async driver of MySQL and MariaDB leaves the answer of a dropped call in the connection.
    assert_eq!(on.broken > 0, world.is_mysql() && !world.is_blocking());
}

/// What a holder does. Some of the calls are dropped.
async fn steps(on: &mut Ground<'_>, round: u32, lease: Lease, foreign: &Lease) {
    for _ in 0..4 {
        let drops = on.random.below(2) == 0;
        let (mine, theirs) = (lease.clone(), foreign.clone());
        match on.random.below(4) {
            0 => {
                let mut copy = mine.clone();
                let call = on.call(drops, |conn| {
                    Box::pin(async move { conn.try_extend(&mut copy).await })
                });
                if let Some(answer) = call.await {
                    assert!(!answer.unwrap().is_lost(), "{round}: the lease is held");
                }
            }
            1 => {
                let call = on.call(drops, |conn| {
                    Box::pin(async move { conn.status(&mine).await })
                });
                if let Some(answer) = call.await {
                    assert!(answer.unwrap().is_held(), "{round}: the lease is held");
                }
            }
            2 => {
                let call = on.call(drops, |conn| {
                    Box::pin(async move { conn.try_pin(&mine).await })
                });
                if let Some(answer) = call.await {
                    assert_eq!(answer.unwrap(), Pin::Pinned, "{round}: the lease is held");
                }
            }
            _ => {
                let mut stale = theirs;
                soon("it is taken away", async || {
                    let forced = on.truth.force_release(stale.lock()).await;
                    forced.unwrap() != Forced::InUse
                })
                .await;
                let call = on.call(drops, |conn| {
                    Box::pin(async move { conn.try_extend(&mut stale).await })
                });
                if let Some(answer) = call.await {
                    assert!(answer.unwrap().is_lost(), "{round}: it was taken away");
                }
            }
        }
    }
    assert!(on.truth.is_mine(&lease).await.unwrap(), "{round}");
}

/// The pin of a live lease is dropped. Then a lost lease is pinned: the answer to the first pin would say "pinned".
pub async fn a_pin_is_not_answered_by_the_pin_before_it(world: &World) {
    let mut truth = world.session().await;
    let live = truth.take(&world.lock("live")).await;
    let lost = truth.take(&world.lock("lost")).await;
    truth.take_away(lost.lock()).await;
    for polls in 0..8 {
        let mut conn = world.session().await;
        conn.begin().await.unwrap();
        drop(woken_at_most(polls, conn.pin(&live)).await);
        let answer = conn.try_pin(&lost).await;
        let is_right = matches!(answer, Ok(Pin::Lost) | Err(Error::BrokenConnection));
        assert!(is_right, "{polls}: {answer:?}");
    }
}

/// The work of a guarded transaction is dropped. The connection is inside the transaction then, so nothing else may be
/// done on it.
pub async fn after_a_dropped_transaction_the_connection_is_refused(world: &World) {
    let (mut conn, mut other) = (world.session().await, world.session().await);
    let ledger = ledger(&mut *other).await;
    let lock = world.lock("x");
    let mut lease = conn.take(&lock).await;
    let into = ledger.clone();
    let is_blocking = world.is_blocking();
    let work: Work = Box::new(move |conn| {
        Box::pin(async move {
            write(conn, &into, 1).await;
            if !is_blocking {
                std::future::pending::<()>().await;
            }
            Ok(())
        })
    });
    let time = std::time::Duration::from_millis(500);
    let done = tokio::time::timeout(time, conn.transaction_under(&mut lease, work)).await;
    if is_blocking {
        return done.unwrap().unwrap(); // a thread cannot drop its work
    }
    assert!(done.is_err());
    let refused = conn.try_acquire(&world.lock("y")).await;
    assert!(
        matches!(refused, Err(Error::BrokenConnection)),
        "{refused:?}"
    );
    let refused = conn.try_extend(&mut lease).await;
    assert!(
        matches!(refused, Err(Error::BrokenConnection)),
        "{refused:?}"
    );
    assert!(Error::BrokenConnection.is_connection() && !Error::BrokenConnection.is_transient());
    drop(conn);
    assert_eq!(written(&mut *other, &ledger).await, 0);
    assert!(other.is_mine(&lease).await.unwrap());
}

/// A panic drops the work as well. (A thread's connection stays inside the transaction, as with Diesel's own transactions.
/// The wrapper of an async SQLite connection cannot be used again after a panic.)
pub async fn after_work_that_panics_the_connection_is_refused(world: &World) {
    let conn = Arc::new(Mutex::new(world.session().await));
    let mut lease = conn.lock().await.take(&world.lock("x")).await;
    let used = conn.clone();
    let panics = spawn(async move {
        let work: Work = Box::new(|_| Box::pin(async { std::panic::resume_unwind(Box::new(())) }));
        used.lock().await.transaction_under(&mut lease, work).await
    });
    assert!(panics.await.is_err());
    let next = conn.lock().await.try_acquire(&world.lock("y")).await;
    assert!(matches!(next, Err(Error::BrokenConnection)), "{next:?}");
}

/// A transaction that was begun for a dropped call would swallow whatever is done next on the connection. So the next call
/// is refused, or its answer is true for others, too.
pub async fn a_transaction_that_is_dropped_anywhere_swallows_nothing(world: &World) {
    let mut truth = world.session().await;
    for polls in 0..24 {
        let (under, on) = (format!("under{polls}"), format!("on{polls}"));
        let mut conn = world.session().await;
        let mut lease = truth.take(&world.lock(&under)).await;
        let nothing = || -> Work { Box::new(|_| Box::pin(async { Ok(()) })) };
        let done = woken_at_most(polls, conn.transaction_under(&mut lease, nothing())).await;
        if done.is_none() {
            let next = conn.try_acquire(&world.lock(&under)).await;
            assert!(
                matches!(next, Err(Error::BrokenConnection)),
                "{polls}: {next:?}"
            );
            conn = world.session().await;
        }
        let lock = world.lock(&on);
        let done = woken_at_most(polls, conn.transaction_on(&lock, Wait::never(), nothing())).await;
        let next = world.lock(&format!("next{polls}"));
        match conn.try_acquire(&next).await {
            Ok(Attempt::Acquired(lease)) => {
                assert!(truth.is_mine(&lease).await.unwrap(), "{polls}");
            }
            Err(Error::BrokenConnection) => assert!(done.is_none(), "{polls}"),
            other => panic!("{polls}: {other:?}"),
        }
    }
}

/// A connection that has begun to migrate may be inside a transaction.
pub async fn a_migration_that_is_dropped_anywhere_is_completed_by_the_next(world: &World) {
    for polls in 0..24 {
        let table = own_table("dropped");
        let mut conn = world.session().await;
        let done = woken_at_most(polls, conn.migrate(&table)).await;
        if done.is_none() {
            let next = conn.migrate(&table).await;
            assert!(
                matches!(next, Err(Error::BrokenConnection)),
                "{polls}: {next:?}"
            );
            drop(conn);
            conn = world.session().await;
        }
        conn.migrate(&table).await.unwrap();
        conn.verify(&table).await.unwrap();
        conn.batch(&sql(world, &table).1).await.unwrap();
    }
}
