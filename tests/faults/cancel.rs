//! Every future is dropped after its first poll, after its second poll, and so on until it is ready. Then many futures
//! are dropped at random. Afterwards nothing must be left over in the row, the queue, the pool and the runtime.

#[path = "cancel/cut.rs"]
mod cut;
#[path = "cancel/ground.rs"]
mod ground;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Instant;

use diesel_locks::{Attempt, LockSet, Outcome, Wait};

use crate::client::tasks::{Writing, writing};
use crate::place::{Place, ms};
use cut::{Cut, Random, every_cut, until};
use ground::{Ground, SOON, TTL, on_ground};

pub fn a_cancelled_acquisition_leaves_nothing(place: &Place) {
    on_ground(place, async |on| {
        let (tasks, lock) = (&on.tasks, &on.lock);
        every_cut("acquire", async |cut| {
            let done = until(cut, tasks.acquire(lock, Wait::up_to(SOON))).await;
            let ended = done.is_some();
            drop(done);
            on.is_free(lock, &format!("acquire, {cut:?}")).await;
            ended
        })
        .await;
        every_cut("try_acquire", async |cut| {
            let done = until(cut, tasks.try_acquire(lock)).await;
            let ended = done.is_some();
            drop(done);
            on.is_free(lock, &format!("try_acquire, {cut:?}")).await;
            ended
        })
        .await;
        let (one, other) = (place.lock("one", TTL), place.lock("other", TTL));
        let set = LockSet::new(&one, ["other"]).expect("a set");
        every_cut("acquire_all", async |cut| {
            let ended = until(cut, tasks.acquire_all(&set)).await.is_some();
            for lock in [&one, &other] {
                on.is_free(lock, &format!("acquire_all, {cut:?}")).await;
            }
            ended
        })
        .await;
        every_cut("acquire_any", async |cut| {
            let ended = until(cut, tasks.acquire_any(&set)).await.is_some();
            for lock in [&one, &other] {
                on.is_free(lock, &format!("acquire_any, {cut:?}")).await;
            }
            ended
        })
        .await;
    });
}

/// The first waiter is cancelled while the second waiter waits behind it.
pub fn a_cancelled_wait_leaves_the_line(place: &Place) {
    on_ground(place, async |on| {
        for polls in 0..12 {
            let held = on.guard().await;
            let first = until(
                Cut {
                    polls,
                    when_woken: true,
                },
                on.tasks.acquire(&on.lock, Wait::forever()),
            );
            // The second waiter polls so rarely that it acquires the lock in time only if it is woken.
            let seldom = Wait::up_to(ms(60_000)).every(ms(30_000));
            let second = on.tasks.acquire(&on.lock, seldom);
            let released = async {
                tokio::time::sleep(ms(5)).await;
                held.release().await.expect("an answer");
                Instant::now()
            };
            let waits = async {
                let guard = second.await.expect("the lock");
                (guard, Instant::now())
            };
            let cancelled = async { drop(first.await) };
            let ((), (next, got), released) = tokio::join!(cancelled, waits, released);
            let took = got.saturating_duration_since(released);
            assert!(took < ms(10_000), "{polls}: after {took:?}");
            next.release().await.expect("an answer");
        }
        on.is_free(&on.lock, "cancelled waits").await;
    });
}

pub fn cancelled_work_leaves_nothing(place: &Place) {
    on_ground(place, async |on| {
        let scope = &*place.group;
        every_cut("run", async |cut| {
            let run = on.tasks.run(&on.lock, scope);
            let ended = until(cut, run).await.is_some();
            on.is_free(&on.lock, &format!("run, {cut:?}")).await;
            ended
        })
        .await;
        every_cut("release", async |cut| {
            let ended = until(cut, on.guard().await.release()).await.is_some();
            on.is_free(&on.lock, &format!("release, {cut:?}")).await;
            ended
        })
        .await;
        every_cut("finish", async |cut| {
            let guard = on.guard().await;
            let (work, _) = writing(scope, guard.fence());
            let done = until(cut, guard.finish(work)).await;
            on.is_free(&on.lock, &format!("finish, {cut:?}")).await;
            done.transpose().expect("a commit").is_some()
        })
        .await;
    });
}

pub fn a_guard_survives_what_is_cancelled_under_it(place: &Place) {
    on_ground(place, async |on| {
        let scope = &*place.group;
        let guard = on.guard().await;
        let mut probe = place.probe();
        let mut holds = |what: &str| {
            assert!(guard.is_valid(), "{what}");
            assert_eq!(probe.holder(&on.lock), Some(guard.fence()), "{what}");
        };
        every_cut("extend", async |cut| {
            let done = until(cut, guard.try_extend()).await;
            holds(&format!("extend, {cut:?}"));
            done.transpose().expect("an answer").is_some()
        })
        .await;
        every_cut("transaction", async |cut| {
            let done = until(cut, guard.write(scope)).await;
            holds(&format!("transaction, {cut:?}"));
            done.transpose().expect("a commit").is_some()
        })
        .await;
        assert_eq!(guard.write(scope).await.expect("a commit"), 0);
        // A transaction that was begun but not committed may lock the row a little longer, but not for ever.
        guard.release().await.expect("an answer");
        on.is_free(&on.lock, "after all of that").await;
        adopted(on).await;
    });
}

/// If an adoption is cancelled, the lease still belongs to its owner.
async fn adopted(on: &Ground<'_>) {
    let lease = on.guard().await.into_lease();
    every_cut("adopt", async |cut| {
        let adopted = until(cut, on.tasks.adopt(lease.clone())).await;
        if let Some(guard) = adopted {
            drop(guard.expect("still held").into_lease());
            return true;
        }
        false
    })
    .await;
    let guard = on.tasks.adopt(lease).await.expect("still held");
    guard.release().await.expect("an answer");
    on.is_free(&on.lock, "adopted").await;
}

/// Many tasks at once. Each request is cancelled at a random poll, or not at all.
pub fn a_storm_of_cancellations(place: &Place) {
    const TASKS: usize = 8;
    const ROUNDS: usize = 25;
    let seed = Instant::now();
    on_ground(place, async |on| {
        let holders = Arc::new(AtomicUsize::new(0));
        let storm: Vec<_> = (0..TASKS)
            .map(|number| {
                let (tasks, lock, holders) = (on.tasks.clone(), on.lock.clone(), holders.clone());
                tokio::spawn(async move {
                    let mut random = Random::new(number);
                    for _ in 0..ROUNDS {
                        let cut = Cut {
                            polls: random.below(24),
                            when_woken: random.below(2) == 0,
                        };
                        let asked = tasks.acquire(&lock, Wait::up_to(ms(300)));
                        if let Some(Ok(guard)) = until(cut, asked).await {
                            assert_eq!(holders.fetch_add(1, SeqCst), 0, "two at once");
                            tokio::task::yield_now().await;
                            holders.fetch_sub(1, SeqCst);
                            let cut = Cut {
                                polls: random.below(12),
                                ..cut
                            };
                            let _ = until(cut, guard.release()).await;
                        }
                    }
                })
            })
            .collect();
        for task in storm {
            task.await.expect("no panic");
        }
        on.is_free(&on.lock, "after the storm").await;
    });
    eprintln!("{}: a storm of {:?}", place.engine.name(), seed.elapsed());
}

/// Other users of the pool drop their queries before the answers. On MySQL and MariaDB such a connection then answers each
/// question with the answer to the one before. The pool itself may fall for that, and time out; no answer may be wrong.
pub fn others_who_drop_their_calls_cause_no_wrong_answer(place: &Place) {
    const ROUNDS: usize = 40;
    on_ground(place, async |on| {
        let (mut random, mut probe, mut acquired) = (Random::new(0), place.probe(), 0);
        for round in 0..ROUNDS {
            for _ in 0..3 {
                let cut = Cut {
                    polls: random.below(10),
                    when_woken: random.below(2) == 0,
                };
                until(cut, on.tasks.stranger()).await;
            }
            let lock = place.lock(&format!("round {round}"), TTL);
            let guard = match on.tasks.try_acquire(&lock).await {
                Ok(Attempt::Acquired(guard)) => guard,
                Err(error) if error.is_transient() => continue,
                other => panic!("{round}: nobody else wants it: {other:?}"),
            };
            acquired += 1;
            assert_eq!(probe.holder(&lock), Some(guard.fence()), "{round}");
            match guard.try_extend().await {
                Ok(outcome) => assert_eq!(outcome, Outcome::Done, "{round}"),
                Err(error) => assert!(error.is_transient(), "{round}: {error:?}"),
            }
            match guard.write(&place.group).await {
                Ok(_) => assert!(probe.written(&place.group, guard.fence()) > 0, "{round}"),
                Err(error) => assert!(error.is_transient(), "{round}: {error:?}"),
            }
            match guard.release().await {
                Ok(_) => assert_eq!(probe.holder(&lock), None, "{round}"),
                Err(error) => assert!(error.is_transient(), "{round}: {error:?}"),
            }
        }
        assert!(acquired > ROUNDS / 2, "only {acquired} of {ROUNDS}");
    });
}
