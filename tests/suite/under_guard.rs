//! Guarded transactions of guards.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Instant;

use diesel_locks::{Error, Forced, Outcome, Released};

use super::keeping::{Calls, assert_lost};
use super::ledger::{do_not_wait, ledger, until_run_out, write, written};
use crate::managed::AnyGuard;
use crate::managed::recorder::Recorder;
use crate::session::Work;
use crate::world::{World, ms, secs, soon, spawn};

/// Work that writes into a table of the host, and then returns the result of `then`.
fn writes(ledger: &str, fence: i64, then: fn() -> Result<(), Error>) -> Work {
    let into = ledger.to_owned();
    Box::new(move |conn| {
        Box::pin(async move {
            write(conn, &into, fence).await;
            then()
        })
    })
}

fn own_error() -> Result<(), Error> {
    Err(Error::Database(diesel::result::Error::NotFound))
}

fn is_own_error(answer: &Result<(), Error>) -> bool {
    matches!(
        answer,
        Err(Error::Database(diesel::result::Error::NotFound))
    )
}

pub async fn what_is_written_under_a_guard_commits_or_not_at_all(world: &World) {
    let mut other = world.session().await;
    let ledger = ledger(&mut *other).await;
    let locks = world.locks().await;
    let guard = locks.take(&world.lock("x")).await;
    for fence in 1..=3 {
        let work = writes(&ledger, fence, || Ok(()));
        guard.transaction(work).await.unwrap();
        assert_eq!(written(&mut *other, &ledger).await, fence);
        let failed = guard.transaction(writes(&ledger, 10, own_error)).await;
        assert!(is_own_error(&failed), "{failed:?}");
        assert_eq!(written(&mut *other, &ledger).await, fence);
        assert!(guard.is_valid() && other.is_mine(&guard.lease()).await.unwrap());
    }
    assert_eq!(guard.release().await.unwrap(), Released::InTime);
}

/// A lock that is pinned is in use for a forced release. With one writer, that is so for every lock.
pub async fn one_transaction_pins_the_leases_of_several_guards(world: &World) {
    let (mut other, mut third) = (world.session().await, world.session().await);
    let ledger = ledger(&mut *other).await;
    do_not_wait(world, &mut *third).await;
    let locks = world.locks().await;
    let long = |name| world.lock(name).with_ttl(secs(600)).unwrap();
    let (a, b, c) = (long("a"), long("b"), long("c"));
    let (first, second) = (locks.take(&a).await, locks.take(&b).await);
    let unpinned = locks.take(&c).await;
    let (into, pinned, one_writer) = (ledger.clone(), [a, b.clone()], world.is_sqlite());
    let work: Work = Box::new(move |conn| {
        Box::pin(async move {
            write(conn, &into, 1).await;
            for lock in &pinned {
                assert_eq!(third.force_release(lock).await.unwrap(), Forced::InUse);
            }
            if !one_writer {
                third.take_away(&c).await;
            }
            Ok(())
        })
    });
    locks.transaction(&[&first, &second], work).await.unwrap();
    assert_eq!(written(&mut *other, &ledger).await, 1);
    assert!(first.is_valid() && second.is_valid());
    drop(unpinned);

    other.take_away(&b).await;
    let work = writes(&ledger, 2, || Ok(()));
    let lost = locks.transaction(&[&first, &second], work).await;
    assert!(
        matches!(&lost, Err(Error::Lost { key, .. }) if key == b.key()),
        "{lost:?}"
    );
    assert_eq!(written(&mut *other, &ledger).await, 1);
    assert!(second.lost_within(secs(20)).await && first.is_valid());
    let refused = locks.transaction(&[], writes(&ledger, 3, || Ok(()))).await;
    assert!(matches!(refused, Err(Error::Invalid { .. })), "{refused:?}");
    first
        .transaction(writes(&ledger, 4, || Ok(())))
        .await
        .unwrap();
    assert_eq!(written(&mut *other, &ledger).await, 2);
}

pub async fn a_lost_guard_writes_nothing(world: &World) {
    let mut other = world.session().await;
    let ledger = ledger(&mut *other).await;
    let recorder = Recorder::default();
    // The ttl is long, so heartbeats are rare, and the transaction is the first to find the loss.
    let locks = world.locks().await.observe(recorder.observer());
    for finish in [false, true] {
        let calls = Calls::default();
        let lock = world
            .lock(&format!("x{finish}"))
            .with_ttl(secs(600))
            .unwrap();
        let guard = locks.take(&lock).await;
        guard.on_lost(calls.callback());
        world.let_run_out(&mut *other, &guard.lease()).await;
        let next = other.take(&lock).await;
        assert!(guard.is_valid(), "it cannot know");
        let work = writes(&ledger, 1, || panic!("not without the lock"));
        let answer = if finish {
            guard.finish(work).await
        } else {
            let answer = guard.transaction(work).await;
            assert_lost(&guard);
            answer
        };
        assert!(matches!(answer, Err(Error::Lost { .. })), "{answer:?}");
        assert_eq!(written(&mut *other, &ledger).await, 0);
        assert_eq!(calls.count(), 1, "told at once");
        assert!(other.is_mine(&next).await.unwrap());
    }
    assert_eq!(recorder.count("lost"), 2);
}

pub async fn a_rival_does_not_get_what_is_pinned_under_a_guard(world: &World) {
    let (mut other, started) = (world.session().await, Calls::default());
    let ledger = ledger(&mut *other).await;
    let locks = world.locks().await;
    let ttl = secs(3);
    let lock = world.lock("x").with_ttl(ttl).unwrap();
    let (guard, start) = (locks.take(&lock).await, started.callback());
    let (fence, into) = (guard.fence(), ledger.clone());
    let transaction = spawn(async move {
        let work = guard.transaction(Box::new(move |conn| {
            Box::pin(async move {
                start();
                tokio::time::sleep(ttl + secs(1)).await;
                write(conn, &into, fence).await;
                Ok(())
            })
        }));
        work.await.unwrap();
        guard
    });
    soon("it has begun", async || started.count() == 1).await;
    let mut rival = world.session().await;
    if world.is_sqlite() {
        rival.batch("PRAGMA busy_timeout = 0").await.unwrap();
    }
    while !transaction.is_finished() {
        rival.told_busy(&lock).await;
        tokio::time::sleep(ms(20)).await;
    }
    let guard = transaction.await.unwrap();
    assert!(guard.is_valid());
    assert_eq!(written(&mut *other, &ledger).await, 1);
}

/// The lease expires, and its trust ends, before the work is done. On a server the guard is told, because the session of
/// the pin may be dead. The commit decides.
pub async fn a_deadline_that_passes_in_a_transaction_is_told_and_the_commit_decides(world: &World) {
    let mut other = world.session().await;
    let ledger = ledger(&mut *other).await;
    let recorder = Recorder::default();
    // There is only one connection, so no heartbeat can extend the lease meanwhile.
    let (locks, _) = world.watched_locks(1).await;
    let locks = locks.observe(recorder.observer());
    let lock = world.lock("x").with_ttl(secs(3)).unwrap();
    let guard = locks.take(&lock).await;
    let (into, watched) = (ledger.clone(), lock.clone());
    let work = guard.transaction(Box::new(move |conn| {
        Box::pin(async move {
            until_run_out(conn, &watched).await;
            tokio::time::sleep(ms(300)).await;
            write(conn, &into, 1).await;
            Ok(())
        })
    }));
    work.await.unwrap();
    assert_eq!(written(&mut *other, &ledger).await, 1);
    assert!(other.is_mine(&guard.lease()).await.unwrap());
    assert_eq!(guard.is_valid(), world.is_sqlite());
    assert_eq!(recorder.count("lost"), usize::from(!world.is_sqlite()));
    assert_eq!(guard.release().await.unwrap(), Released::InTime);
}

/// The trust ends before the work is done, but the commit shows that the lock was held all the time.
pub async fn finishing_after_the_deadline_keeps_the_lock_for_the_rest(world: &World) {
    let mut other = world.session().await;
    // There is only one connection, so no heartbeat can extend the lease meanwhile.
    let (locks, _) = world.watched_locks(1).await;
    let locks = locks.hold_at_least(secs(120));
    let lock = world.lock("x").with_ttl(secs(3)).unwrap();
    let guard = locks.take(&lock).await;
    let watched = lock.clone();
    let work: Work = Box::new(move |conn| {
        Box::pin(async move {
            until_run_out(conn, &watched).await;
            Ok(())
        })
    });
    guard.finish(work).await.unwrap();
    assert!(other.time_left(&lock).await.unwrap() > secs(60));
}

pub async fn finishing_a_guard_releases_with_the_commit(world: &World) {
    let mut other = world.session().await;
    let ledger = ledger(&mut *other).await;
    let recorder = Recorder::default();
    let locks = world.locks().await.observe(recorder.observer());
    let lock = world.lock("x");
    for count in 1..=2 {
        let guard = locks.take(&lock).await;
        let done = guard.finish(writes(&ledger, count, || Ok(())));
        done.await.unwrap();
        assert!(!other.is_held(&lock).await.unwrap());
        assert_eq!(written(&mut *other, &ledger).await, count);
    }
    let words = recorder.words_without_beats();
    assert_eq!(words, ["acquired", "released", "acquired", "released"]);
}

pub async fn finishing_with_an_error_gives_back_in_the_background(world: &World) {
    let mut other = world.session().await;
    let ledger = ledger(&mut *other).await;
    let recorder = Recorder::default();
    let locks = world.locks().await.observe(recorder.observer());
    let lock = world.lock("x");
    let guard = locks.take(&lock).await;
    let failed = guard.finish(writes(&ledger, 1, own_error)).await;
    assert!(is_own_error(&failed), "{failed:?}");
    soon("it is free", async || !other.is_held(&lock).await.unwrap()).await;
    assert_eq!(written(&mut *other, &ledger).await, 0);
    soon("it is told", async || recorder.count("released") == 1).await;
    assert_eq!(recorder.words_without_beats(), ["acquired", "released"]);
}

/// A thread cannot be dropped, so there the work panics. Afterwards, the pool's only connection is as good as new.
pub async fn a_transaction_that_is_dropped_leaves_nothing(world: &World) {
    let mut other = world.session().await;
    let ledger = ledger(&mut *other).await;
    let (locks, _) = world.watched_locks(1).await;
    let (lock, started) = (world.lock("x"), Calls::default());
    let guard: Arc<AnyGuard> = Arc::new(locks.take(&lock).await);
    let (under, into, start) = (guard.clone(), ledger.clone(), started.callback());
    let is_blocking = world.is_blocking();
    let transaction = tokio::spawn(async move {
        let work = under.transaction(Box::new(move |conn| {
            Box::pin(async move {
                write(conn, &into, 1).await;
                start();
                if is_blocking {
                    std::panic::resume_unwind(Box::new(()));
                }
                std::future::pending().await
            })
        }));
        work.await.unwrap();
    });
    soon("it has written", async || started.count() == 1).await;
    transaction.abort();
    assert!(transaction.await.is_err());
    assert!(guard.is_valid(), "the lock is still held");
    guard
        .transaction(writes(&ledger, 2, || Ok(())))
        .await
        .unwrap();
    assert_eq!(written(&mut *other, &ledger).await, 1);
    let guard = Arc::into_inner(guard).expect("the only one");
    assert_eq!(guard.release().await.unwrap(), Released::InTime);
}

/// The transaction is dropped at any of its steps.
pub async fn a_transaction_that_is_dropped_anywhere_leaves_nothing(world: &World) {
    let mut other = world.session().await;
    let ledger = ledger(&mut *other).await;
    let (locks, _) = world.watched_locks(1).await;
    let guard = locks.take(&world.lock("x")).await;
    let mut whole = 0;
    for times in 0..24 {
        let work = guard.transaction(writes(&ledger, i64::from(times), || Ok(())));
        if let Some(done) = super::lines::woken_at_most(times, work).await {
            done.unwrap_or_else(|error| panic!("{times}: {error:?}"));
            whole += 1;
        }
    }
    assert!(whole > 0, "none was ever left to its end");
    let count = written(&mut *other, &ledger).await;
    assert!((whole..=whole + 24).contains(&count));
    guard
        .transaction(writes(&ledger, 99, || Ok(())))
        .await
        .unwrap();
    let after = written(&mut *other, &ledger).await;
    assert!(after > count, "the last one has written");
    assert!(guard.is_valid());
    assert_eq!(guard.release().await.unwrap(), Released::InTime);
}

/// If there is one writer, the transactions run one after the other.
pub async fn transactions_under_one_guard_run_side_by_side(world: &World) {
    let mut other = world.session().await;
    let ledger = ledger(&mut *other).await;
    let locks = world.locks().await;
    let guard: Arc<AnyGuard> = Arc::new(locks.take(&world.lock("x")).await);
    let inside = Arc::new(AtomicUsize::new(0));
    let all_at_once = !world.is_sqlite();
    let workers: Vec<_> = (0..4)
        .map(|number| {
            let (guard, into, inside) = (guard.clone(), ledger.clone(), inside.clone());
            spawn(async move {
                let work = guard.transaction(Box::new(move |conn| {
                    Box::pin(async move {
                        write(conn, &into, number).await;
                        inside.fetch_add(1, SeqCst);
                        if all_at_once {
                            all_are_in(&inside).await;
                        }
                        Ok(())
                    })
                }));
                work.await.unwrap();
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    assert_eq!(written(&mut *other, &ledger).await, 4);
    assert!(guard.is_valid());
}

/// While one transaction is open, the lease is trusted without an end. The next transaction must still get its
/// connection.
pub async fn while_one_transaction_is_open_another_can_begin(world: &World) {
    let (locks, started) = (world.locks().await, Calls::default());
    let guard: Arc<AnyGuard> = Arc::new(locks.take(&world.lock("x")).await);
    let (under, start) = (guard.clone(), started.callback());
    let one = spawn(async move {
        let work = under.transaction(Box::new(move |_| {
            Box::pin(async move {
                start();
                tokio::time::sleep(ms(700)).await;
                Ok(())
            })
        }));
        work.await
    });
    soon("it has begun", async || started.count() == 1).await;
    let another = guard.transaction(Box::new(|_| Box::pin(async { Ok(()) })));
    another.await.unwrap();
    assert_eq!(guard.try_extend().await.unwrap(), Outcome::Done);
    assert_eq!(guard.try_set_data(Some("x")).await.unwrap(), Outcome::Done);
    one.await.unwrap().unwrap();
    assert!(guard.is_valid());
}

async fn all_are_in(inside: &AtomicUsize) {
    let deadline = Instant::now() + secs(20);
    while inside.load(SeqCst) < 4 {
        assert!(Instant::now() < deadline, "one waits for another");
        tokio::time::sleep(ms(5)).await;
    }
}

/// The longest time ends while the transaction is open. The transaction commits, and then the guard is lost.
pub async fn a_transaction_may_outlast_the_longest_time(world: &World) {
    let mut other = world.session().await;
    let ledger = ledger(&mut *other).await;
    let locks = world.locks().await.hold_at_most(secs(3));
    let guard = locks.take(&world.lock("x")).await;
    let into = ledger.clone();
    let work = guard.transaction(Box::new(move |conn| {
        Box::pin(async move {
            tokio::time::sleep(ms(3_500)).await;
            write(conn, &into, 1).await;
            Ok(())
        })
    }));
    work.await.unwrap();
    assert_eq!(written(&mut *other, &ledger).await, 1);
    assert!(guard.lost_within(secs(5)).await);
    assert_lost(&guard);
}

/// The heartbeat passes the open transaction, except on `SQLite`, which has one writer. If the transaction fails there
/// after the deadline, the guard is valid only if a heartbeat comes through at once. But the lock is still ours unless
/// another process has taken it over.
pub async fn a_long_transaction_that_fails_loses_no_lock_that_is_still_ours(world: &World) {
    let recorder = Recorder::default();
    let locks = world.locks().await.observe(recorder.observer());
    let guard = locks
        .take(&world.lock("x").with_ttl(secs(4)).unwrap())
        .await;
    let work = guard.transaction(Box::new(|_| {
        Box::pin(async {
            tokio::time::sleep(secs(6)).await;
            own_error()
        })
    }));
    assert!(is_own_error(&work.await));
    let is_valid = guard.is_valid();
    assert!(is_valid || world.is_sqlite());
    assert!(!is_valid || locks.is_held(guard.lock()).await.unwrap());
    assert!(!guard.release().await.unwrap().is_lost());
}

/// The work itself releases the lock. That ends the guard, and is no error.
pub async fn the_work_may_release_the_lock_of_its_guard(world: &World) {
    let mut other = world.session().await;
    let ledger = ledger(&mut *other).await;
    let locks = world.locks().await.renew_every(ms(100));
    let lock = world.lock("x");
    for finish in [true, false] {
        let guard = locks.take(&lock).await;
        let (copy, into) = (guard.lease(), ledger.clone());
        let work: Work = Box::new(move |conn| {
            Box::pin(async move {
                write(conn, &into, 1).await;
                assert_eq!(conn.release(&copy).await?, Released::InTime);
                Ok(())
            })
        });
        if finish {
            guard.finish(work).await.unwrap();
        } else {
            guard.transaction(work).await.unwrap();
            assert!(guard.lost_within(secs(10)).await);
            assert_eq!(guard.release().await.unwrap(), Released::Lost);
        }
        assert!(!other.is_held(&lock).await.unwrap());
    }
    assert_eq!(written(&mut *other, &ledger).await, 2);
}
