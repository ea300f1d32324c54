//! The end of a `Locker`: its locks are released, it acquires no more locks, and nothing runs any more.

use std::sync::Arc;

use diesel_locks::{Error, LockSet, Released, Wait};

use super::keeping::{Calls, assert_lost};
use super::ledger;
use crate::managed::AnyGuard;
use crate::managed::recorder::Recorder;
use crate::world::{World, ms, secs, soon, spawn};

fn two(world: &World) -> LockSet {
    LockSet::new(&world.lock("b"), ["a"]).unwrap()
}

pub async fn closing_gives_all_back_and_acquires_nothing_more(world: &World) {
    let (mut other, recorder) = (world.session().await, Recorder::default());
    let (locks, traffic) = world.watched_locks(3).await;
    let locks = locks.renew_every(ms(100)).observe(recorder.observer());
    let clone = locks.another();
    let guards = [
        locks.take(&world.lock("x")).await,
        clone.take(&world.lock("y")).await,
    ];
    locks.close().await;
    for guard in &guards {
        assert!(guard.lost_within(ms(1)).await);
        assert_lost(guard);
        assert!(!other.is_held(guard.lock()).await.unwrap());
        assert!(matches!(
            guard.transaction(Box::new(|_| panic!("closed"))).await,
            Err(Error::Lost { .. })
        ));
    }
    // A thread that has finished its work takes a moment to end.
    soon("no thread is left", async || recorder.threads.alive() == 0).await;
    if world.opens_its_own() {
        assert_eq!(traffic.open(), 0);
    }
    for locks in [&locks, &clone] {
        let tried = locks.try_acquire(&world.lock("x")).await;
        assert!(matches!(tried, Err(Error::Closed)), "{tried:?}");
        let waited = locks.acquire(&world.lock("x"), Wait::forever()).await;
        assert!(matches!(waited, Err(Error::Closed)), "{waited:?}");
        let set = locks.acquire_all(&two(world), Wait::forever()).await;
        assert!(matches!(set, Err(Error::Closed)), "{set:?}");
    }
    locks.close().await;
    clone.close().await;
}

/// A heartbeat uses a connection of the application, and the application may be about to stop the database.
pub async fn closing_waits_for_the_beat_that_is_under_way(world: &World) {
    let (locks, traffic) = world.watched_locks(3).await;
    let locks = locks.renew_every(ms(100));
    let _guard = locks.take(&world.lock("x")).await;
    traffic.slow_beats();
    soon("a beat", async || traffic.at_work() > 0).await;
    locks.close().await;
    assert_eq!(traffic.at_work(), 0);
}

pub async fn work_under_a_guard_is_told_of_the_closing(world: &World) {
    let (locks, calls) = (world.locks().await, Calls::default());
    let guard = locks.take(&world.lock("x")).await;
    guard.on_lost(calls.callback());
    locks.close().await;
    assert_lost(&guard);
    assert_eq!(calls.count(), 1);
}

pub async fn what_closing_gave_back_is_given_back_once(world: &World) {
    let recorder = Recorder::default();
    let locks = world.locks().await.observe(recorder.observer());
    let guards = [
        locks.take(&world.lock("x")).await,
        locks.take(&world.lock("y")).await,
    ];
    locks.close().await;
    let [dropped, released] = guards;
    drop(dropped);
    assert_eq!(released.release().await.unwrap(), Released::Lost);
    locks.close().await;
    for key in ["x", "y"] {
        let told = recorder.of(world.lock(key).key());
        assert_eq!(told, ["acquired", "released"], "{key}");
    }
}

pub async fn closing_takes_nothing_from_whoever_holds_a_lease_that_is_adopted_too_late(
    world: &World,
) {
    let mut other = world.session().await;
    let locks = world.locks().await;
    locks.close().await;
    let lease = other.take(&world.lock("x")).await;
    let adopted = locks.adopt(lease.clone()).await;
    assert!(matches!(adopted, Err(Error::Closed)), "{adopted:?}");
    locks.close().await;
    assert!(
        other.is_mine(&lease).await.unwrap(),
        "a copy may be elsewhere"
    );
}

/// The `Locker` is closed after the request was begun and before its answer comes.
pub async fn what_is_acquired_while_it_is_closed_is_given_back(world: &World) {
    let mut other = world.session().await;
    let (locks, traffic) = world.watched_locks(3).await;
    let closing = locks.another();
    traffic.meanwhile(Box::pin(async move { closing.close().await }));
    let set = two(world);
    let late = locks.try_acquire_all(&set).await;
    assert!(matches!(late, Err(Error::Closed)), "{late:?}");
    for lock in set.locks() {
        soon("it is free", async || !other.is_held(lock).await.unwrap()).await;
    }
}

pub async fn closing_ends_every_wait(world: &World) {
    let (mut holder, recorder) = (world.session().await, Recorder::default());
    let lock = world.lock("x").with_ttl(secs(600)).unwrap();
    holder.take(&lock).await;
    let locks = world.locks().await.observe(recorder.observer());
    let waiters: Vec<_> = (0..3)
        .map(|_| {
            let (locks, lock) = (locks.another(), lock.clone());
            let wait = Wait::forever().every(secs(60)).without_jitter();
            spawn(async move { locks.acquire(&lock, wait).await })
        })
        .collect();
    soon("all wait", async || recorder.count("waiting") == 3).await;
    locks.close().await;
    for waiter in waiters {
        let answer = tokio::time::timeout(secs(10), waiter).await;
        let answer = answer.expect("told at once, not at the next look").unwrap();
        assert!(matches!(answer, Err(Error::Closed)), "{answer:?}");
    }
}

pub async fn closing_waits_for_the_guarded_transaction_or_lets_it_commit(world: &World) {
    let mut other = world.session().await;
    let ledger = ledger::ledger(&mut *other).await;
    let (locks, started) = (world.locks().await, Calls::default());
    let guard: Arc<AnyGuard> = Arc::new(locks.take(&world.lock("x")).await);
    let (under, into, start) = (guard.clone(), ledger.clone(), started.callback());
    let transaction = spawn(async move {
        let work = under.transaction(Box::new(move |conn| {
            Box::pin(async move {
                start();
                tokio::time::sleep(ms(700)).await;
                ledger::write(conn, &into, 1).await;
                Ok(())
            })
        }));
        work.await
    });
    soon("it has begun", async || started.count() == 1).await;
    locks.close().await;
    let answer = transaction.await.unwrap();
    answer.expect("pinned, so it may commit");
    assert_eq!(ledger::written(&mut *other, &ledger).await, 1);
    assert!(!guard.is_valid());
    let lock = world.lock("x");
    soon("it is free", async || !other.is_held(&lock).await.unwrap()).await;
}
