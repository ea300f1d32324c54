//! `run` acquires, does the work, and releases in every case.

use std::time::Instant;

use diesel_locks::{Error, Lock, Pin, Released, Run, Wait};

use super::keeping::Calls;
use crate::managed::Job;
use crate::managed::recorder::Recorder;
use crate::session::{Session, Work};
use crate::world::{World, ms, secs, soon, spawn};

/// Work that never ends by itself. On a thread it asks its guard whether the lock is lost.
fn until_lost(world: &World, begin: Box<dyn FnOnce() + Send>) -> Job {
    let is_blocking = world.is_blocking();
    Box::new(move |guard| {
        Box::pin(async move {
            begin();
            if is_blocking {
                assert!(guard.lost_within(secs(20)).await);
                return 1;
            }
            std::future::pending().await
        })
    })
}

fn lost(lock: &Lock, value: Option<i64>) -> Run<i64> {
    let key = lock.key().to_owned();
    Run::Lost { key, value }
}

fn brings(value: i64) -> Job {
    Box::new(move |guard| {
        Box::pin(async move {
            assert!(guard.is_valid());
            value
        })
    })
}

pub async fn work_that_is_done_brings_its_value_and_the_lock_is_free(world: &World) {
    let (mut other, recorder) = (world.session().await, Recorder::default());
    let locks = world.locks().await.observe(recorder.observer());
    let lock = world.lock("x");
    for value in [1, 2] {
        let run = locks.run(&lock, Wait::never(), brings(value)).await;
        assert_eq!(run.unwrap(), Run::Done(value));
        assert!(!other.is_held(&lock).await.unwrap());
    }
    let words = recorder.words_without_beats();
    assert_eq!(words, ["acquired", "released", "acquired", "released"]);
}

pub async fn work_is_not_begun_while_somebody_else_holds_the_lock(world: &World) {
    let mut other = world.session().await;
    let (locks, lock) = (world.locks().await, world.lock("x"));
    let lease = other.take(&lock).await;
    let never = || -> Job { Box::new(|_| panic!("not without the lock")) };
    for wait in [Wait::never(), Wait::up_to(ms(100))] {
        let run = locks.run(&lock, wait, never()).await.unwrap();
        assert!(
            matches!(run, Run::Busy { holder: Some(holder), .. } if holder.fence == lease.fence())
        );
    }
    let (here, wanted) = (locks.another(), lock.clone());
    let waits = spawn(async move {
        let wait = Wait::forever().every(ms(50));
        here.run(&wanted, wait, brings(7)).await.unwrap()
    });
    other.release(&lease).await.unwrap();
    assert_eq!(waits.await.unwrap(), Run::Done(7));
}

/// Async work is dropped at its next `await`. A thread is told, and its result is passed on.
pub async fn work_whose_lock_is_lost_is_told_or_dropped(world: &World) {
    let (mut other, began) = (world.session().await, Calls::default());
    let locks = world.locks().await.renew_every(ms(100));
    let lock = world.lock("x");
    let (here, wanted, job) = (
        locks.another(),
        lock.clone(),
        until_lost(world, began.callback()),
    );
    let run = spawn(async move { here.run(&wanted, Wait::never(), job).await.unwrap() });
    soon("it has begun", async || began.count() == 1).await;
    world.grow_old(&mut *other, &lock, secs(60)).await;
    soon("it is taken over", async || {
        let _in_use_during_a_beat = other.force_release(&lock).await.unwrap();
        other.try_acquire(&lock).await.unwrap().acquired().is_some()
    })
    .await;
    let expected = lost(&lock, world.is_blocking().then_some(1));
    assert_eq!(run.await.unwrap(), expected);
    assert!(other.is_held(&lock).await.unwrap(), "by its new holder");
}

pub async fn work_that_takes_too_long_is_told_though_the_lock_is_kept_alive(world: &World) {
    let (mut other, recorder) = (world.session().await, Recorder::default());
    let most = secs(4);
    let locks = world.locks().await.hold_at_most(most).renew_every(ms(200));
    let locks = locks.observe(recorder.observer());
    let lock = world.lock("x");
    let began = Instant::now();
    let job = until_lost(world, Box::new(|| {}));
    let run = locks.run(&lock, Wait::never(), job).await;
    let expected = lost(&lock, world.is_blocking().then_some(1));
    assert_eq!(run.unwrap(), expected);
    assert!(began.elapsed() >= most && began.elapsed() < secs(20));
    assert!(recorder.count("renewed") > 1, "it was kept alive");
    assert!(!other.is_held(&lock).await.unwrap(), "and given back");
}

pub async fn work_that_is_done_early_keeps_its_lock_for_the_rest(world: &World) {
    let mut other = world.session().await;
    let locks = world.locks().await.hold_at_least(secs(6));
    let lock = world.lock("x");
    let began = Instant::now();
    let run = locks.run(&lock, Wait::never(), brings(1)).await;
    assert_eq!(run.unwrap(), Run::Done(1));
    let row = other.row(&lock).await;
    let left = row.time_left.expect("still held");
    assert!(left <= secs(6), "no longer than asked: {left:?}");
    while began.elapsed() < secs(2) {
        other.told_busy(&lock).await.expect("a holder");
        tokio::time::sleep(ms(50)).await;
    }
    soon("it is free", async || !other.is_held(&lock).await.unwrap()).await;
    assert!(began.elapsed() < secs(20));
    let next = other.take(&lock).await;
    assert!(next.fence() > row.fence);
    other.release(&next).await.unwrap();
    let longer: Job = Box::new(|_| {
        Box::pin(async {
            tokio::time::sleep(ms(300)).await;
            2
        })
    });
    let short = locks.hold_at_least(ms(200));
    let run = short.run(&lock, Wait::never(), longer).await.unwrap();
    assert_eq!(run, Run::Done(2));
    assert!(!other.is_held(&lock).await.unwrap(), "given back at once");
}

/// Asserts that a lease of ten minutes is given back soon, and is held for the rest of a minute.
async fn assert_retired(other: &mut dyn Session, lock: &Lock, way: &str) {
    soon("given back", async || {
        other.time_left(lock).await.unwrap() <= secs(60)
    })
    .await;
    let left = other.time_left(lock).await.unwrap();
    assert!(left > secs(20), "{way}: held for the rest, {left:?}");
}

pub async fn every_way_of_giving_back_keeps_the_lock_for_the_rest(world: &World) {
    let mut other = world.session().await;
    let locks = world.locks().await.hold_at_least(secs(60));
    for way in ["release", "finish", "drop", "close"] {
        let lock = world.lock(way).with_ttl(secs(600)).unwrap();
        let guard = locks.take(&lock).await;
        match way {
            "release" => assert_eq!(guard.release().await.unwrap(), Released::InTime),
            "finish" => {
                let work: Work = Box::new(|_| Box::pin(async { Ok(()) }));
                guard.finish(work).await.unwrap();
            }
            "drop" => drop(guard),
            _ => locks.close().await,
        }
        assert_retired(&mut *other, &lock, way).await;
    }
}

/// The closed `Locker` has given the lock back when its guard, or its run, gives it back once more.
pub async fn after_the_closing_a_lock_is_held_for_the_rest_nevertheless(world: &World) {
    let mut other = world.session().await;
    let long = |name| world.lock(name).with_ttl(secs(600)).unwrap();
    for way in ["release", "run"] {
        let (locks, lock) = (world.locks().await.hold_at_least(secs(60)), long(way));
        if way == "release" {
            let guard = locks.take(&lock).await;
            locks.close().await;
            assert_eq!(guard.release().await.unwrap(), Released::Lost);
        } else {
            let closing = locks.another();
            let job: Job = Box::new(move |_| {
                Box::pin(async move {
                    closing.close().await;
                    1
                })
            });
            let run = locks.run(&lock, Wait::never(), job).await.unwrap();
            assert!(matches!(run, Run::Lost { .. }), "{run:?}");
        }
        assert_retired(&mut *other, &lock, way).await;
    }
}

/// The heartbeats wait for the one connection, which the transaction has.
pub async fn a_heartbeat_that_was_on_its_way_does_not_prolong_the_rest(world: &World) {
    let mut other = world.session().await;
    let (locks, _) = world.watched_locks(1).await;
    let locks = locks.hold_at_least(secs(60)).renew_every(ms(20));
    let lock = world.lock("x").with_ttl(secs(600)).unwrap();
    let guard = locks.take(&lock).await;
    let work: Work = Box::new(|_| {
        Box::pin(async {
            tokio::time::sleep(ms(500)).await;
            Ok(())
        })
    });
    guard.finish(work).await.unwrap();
    let began = Instant::now();
    while began.elapsed() < secs(2) {
        let left = other.time_left(&lock).await.unwrap();
        assert!(left > secs(20) && left <= secs(60), "{left:?}");
        tokio::time::sleep(ms(20)).await;
    }
}

pub async fn a_lost_lock_is_not_held_for_the_rest(world: &World) {
    let mut other = world.session().await;
    let locks = world.locks().await.hold_at_least(secs(60));
    let lock = world.lock("x");
    let guard = locks.take(&lock).await;
    other.take_away(&lock).await;
    assert_eq!(guard.release().await.unwrap(), Released::Lost);
    assert!(!other.is_held(&lock).await.unwrap());
}

#[test]
fn a_run_is_one_result() {
    let key = || "x".to_owned();
    let busy = || Run::<i64>::Busy {
        key: key(),
        holder: None,
    };
    assert_eq!(Run::Done(1).into_result().unwrap(), 1);
    let busy = busy().into_result().unwrap_err();
    assert!(
        matches!(&busy, Error::Busy { key, holder: None, .. } if key == "x") && busy.is_transient()
    );
    for value in [None, Some(1)] {
        let lost = Run::Lost { key: key(), value }.into_result().unwrap_err();
        assert!(matches!(&lost, Error::Lost { key, .. } if key == "x") && lost.is_stale());
    }
}

pub async fn who_waits_behind_a_rest_gets_the_lock_after_it(world: &World) {
    let locks = world.locks().await.hold_at_least(secs(4));
    let lock = world.lock("x");
    let run = locks.run(&lock, Wait::never(), brings(1)).await;
    assert_eq!(run.unwrap(), Run::Done(1));
    let began = Instant::now();
    let next = locks.acquire(&lock, Wait::up_to(secs(20))).await.unwrap();
    assert!(began.elapsed() > ms(200) && began.elapsed() < secs(15));
    next.release().await.unwrap();
}

/// The rest may end long before the ttl that the lease got at its acquisition.
pub async fn after_the_rest_no_copy_of_the_lease_can_be_pinned(world: &World) {
    let locks = world.locks().await.hold_at_least(secs(3));
    let (mut conn, lock) = (world.session().await, world.lock("x"));
    let guard = locks.take(&lock.with_ttl(secs(600)).unwrap()).await;
    let copy = guard.lease();
    guard.release().await.unwrap();
    assert!(conn.is_held(copy.lock()).await.unwrap(), "for the rest");
    soon("the rest is over", async || {
        !conn.is_held(copy.lock()).await.unwrap()
    })
    .await;
    conn.begin().await.unwrap();
    assert_eq!(conn.try_pin(&copy).await.unwrap(), Pin::Expired);
    conn.rollback().await.unwrap();
}

pub async fn work_s_own_error_is_what_it_brought(world: &World) {
    let (mut other, lock) = (world.session().await, world.lock("x"));
    let locks = world.locks().await;
    let failed: Job = Box::new(|guard| {
        Box::pin(async {
            let work = guard.transaction(Box::new(|_| {
                Box::pin(async { Err(diesel::result::Error::NotFound.into()) })
            }));
            i64::from(work.await.is_err())
        })
    });
    let run = locks.run(&lock, Wait::never(), failed).await.unwrap();
    assert_eq!(run, Run::Done(1));
    assert!(!other.is_held(&lock).await.unwrap());
}
