//! Tasks that give up in a crowd, at any moment. The others do not notice.

use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use diesel_locks::{Lock, Released, Wait};
use tokio::runtime::Runtime;
use tokio::sync::Notify;

use super::crowd::{LONG, acquire_all, all_at_once, locks, watched};
use crate::managed::AnyGuard;
use crate::session::Answer;
use crate::world::{World, ms, secs, soon};

/// Callers that give up at any moment, in a crowd that does not: nobody gets another's answer, and nothing stays held.
pub async fn who_gives_up_in_a_crowd_leaves_nothing_held(world: &World) {
    let (locker, traffic) = watched(world, 3).await;
    let locks = locks(world);
    let work = |number: usize, lock: Lock| {
        let locker = locker.another();
        async move {
            for round in 0..10 {
                let time = Duration::from_micros((number * 131 + round * 757) as u64 % 4_000);
                let gives_up = (number + round) % 2 == 0;
                let acquire = locker.acquire(&lock, Wait::up_to(LONG).every(ms(5)));
                let guard = if gives_up {
                    tokio::time::timeout(time, acquire).await.ok()
                } else {
                    Some(acquire.await)
                };
                let Some(guard) = guard else { continue };
                let guard = guard.expect("nobody else wants it");
                assert_eq!(guard.lock().key(), lock.key());
                if gives_up {
                    let _ = tokio::time::timeout(time / 2, guard.release()).await;
                } else {
                    assert_eq!(guard.release().await.unwrap(), Released::InTime);
                }
            }
        }
    };
    all_at_once(locks.clone(), work).await;
    let mut conn = world.session().await;
    soon("everything is given back", async || {
        for lock in &locks {
            if conn.is_held(lock).await.unwrap() {
                return false;
            }
        }
        true
    })
    .await;
    drop(acquire_all(&*locker, locks).await);
    if world.opens_its_own() {
        soon("no connection is left", async || traffic.open() == 0).await;
    }
}

/// Tries that nobody polls any more occupy as many places as there are for statements at the same time.
pub async fn a_crowd_passes_by_those_whom_nobody_polls(world: &World) {
    let (locker, _) = watched(world, 12).await;
    let kept: Vec<Lock> = (0..8)
        .map(|number| world.lock(&format!("k{number}")))
        .collect();
    let mut unpolled = Vec::new();
    for lock in &kept {
        unpolled.push(polled_once(locker.acquire(lock, Wait::never())).await);
    }
    let began = Instant::now();
    for answer in acquire_all(&*locker, locks(world)).await {
        assert_eq!(answer.unwrap().release().await.unwrap(), Released::InTime);
    }
    assert!(began.elapsed() < secs(120), "{:?}", began.elapsed());
}

/// `None` if the answer was there at once.
async fn polled_once<T>(mut future: Answer<'_, T>) -> Option<Answer<'_, T>> {
    let polled = poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending()));
    polled.await.then_some(future)
}

/// The request of a release that gives up before its flight goes on in the background, and not with the end of a flight.
pub async fn a_release_that_gives_up_in_a_crowd_goes_on(world: &World) {
    let (locker, _) = watched(world, 12).await;
    let mut guards = Vec::new();
    for lock in locks(world).iter().take(8) {
        guards.push(locker.take(lock).await);
    }
    let last: Vec<Lock> = guards[5..].iter().map(|it| it.lock().clone()).collect();
    let mut releases = Vec::new();
    for guard in guards {
        releases.push(polled_once(guard.release()).await);
    }
    releases.truncate(5);
    soon("the others are given back", async || {
        let mut free = true;
        for lock in &last {
            free &= !locker.is_held(lock).await.unwrap();
        }
        free
    })
    .await;
}

/// The others go on without them. As soon as there is a connection, the database is asked for the others only.
pub async fn who_has_given_up_before_the_connection_gets_no_lock(world: &World) {
    let (locker, _) = watched(world, 1).await;
    let mut conn = world.session().await;
    let mut before = Vec::new();
    for lock in locks(world) {
        let lease = conn.take(&lock).await;
        conn.release(&lease).await.unwrap();
        before.push(lease);
    }
    let guard = locker.take(&world.lock("the connection")).await;
    let (begun, ended) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let end = ended.clone();
    let occupied = tokio::spawn(occupy(guard, begun.clone(), async move {
        end.notified().await;
    }));
    begun.notified().await;
    let acquire = |lock: Lock| {
        let locker = locker.another();
        tokio::spawn(async move { locker.acquire(&lock, Wait::never()).await })
    };
    let mut callers: Vec<_> = locks(world).into_iter().map(acquire).collect();
    let last = callers.pop().unwrap();
    tokio::time::sleep(ms(500)).await; // so that most of them wait for a connection together
    for caller in callers {
        caller.abort();
        let _ = caller.await;
    }
    ended.notify_one();
    occupied.await.unwrap();
    let guard = last.await.unwrap().unwrap();
    assert!(guard.fence() > before.pop().unwrap().fence());
    drop(guard);
    for lease in before {
        let record = conn.inspect(lease.lock()).await.unwrap().unwrap();
        assert_eq!(record.fence, lease.fence());
    }
}

/// The end of a flight begins the next one. A runtime that is being shut down ends each at once.
pub async fn a_runtime_may_end_in_a_crowd(world: &World) {
    let crowd = || {
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            let (locker, lock) = (watched(world, 1).await.0, world.lock("x"));
            let guard = locker.take(&world.lock("the connection")).await;
            let begun = Arc::new(Notify::new());
            tokio::spawn(occupy(guard, begun.clone(), pending()));
            begun.notified().await;
            let asking = Arc::new(AtomicUsize::new(0));
            for _ in 0..2_000 {
                let (locker, lock, asking) = (locker.another(), lock.clone(), asking.clone());
                tokio::spawn(async move {
                    asking.fetch_add(1, Ordering::SeqCst);
                    let _ = locker.try_acquire(&lock).await;
                });
            }
            soon("all ask", async || asking.load(Ordering::SeqCst) == 2_000).await;
        });
    };
    std::thread::scope(|scope| scope.spawn(crowd).join()).expect("no panic");
}

/// Keeps the connection of the guard's transaction.
async fn occupy(
    guard: AnyGuard,
    begun: Arc<Notify>,
    end: impl Future<Output = ()> + Send + 'static,
) {
    let work = guard.transaction(Box::new(move |_| {
        Box::pin(async move {
            begun.notify_one();
            end.await;
            Ok(())
        })
    }));
    work.await.unwrap();
}
