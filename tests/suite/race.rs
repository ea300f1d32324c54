//! Many connections at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use diesel_locks::{Attempt, Lease, Lock, Released, Wait};
use tokio::sync::Barrier;

use crate::session::Session;
use crate::world::{World, ms, spawn};

const RACERS: usize = 8;

/// The first use of a name, a free row and an expired lease are acquired in three different ways.
pub async fn of_many_racers_one_wins_and_all_others_are_told_busy(world: &World) {
    let lock = world.lock("x");
    let mut sessions = Vec::new();
    for _ in 0..RACERS {
        sessions.push(world.session().await);
    }
    for _ in 0..3 {
        let first_use = race(&mut sessions, &lock).await;
        sessions[0].release(&first_use).await.unwrap();
        let free = race(&mut sessions, &lock).await;
        world.let_run_out(&mut *sessions[1], &free).await;
        let run_out = race(&mut sessions, &lock).await;
        assert!(first_use.fence() < free.fence() && free.fence() < run_out.fence());
        sessions[2].assert_lost(&free).await;
        sessions[2].release(&run_out).await.unwrap();
    }
}

/// Lets all connections try at once. Returns the lease of the only winner.
async fn race(sessions: &mut Vec<Box<dyn Session>>, lock: &Lock) -> Lease {
    let start = Arc::new(Barrier::new(sessions.len()));
    let racers: Vec<_> = sessions
        .drain(..)
        .map(|mut conn| {
            let (lock, start) = (lock.clone(), start.clone());
            spawn(async move {
                start.wait().await;
                let attempt = conn.try_acquire(&lock).await;
                (conn, attempt.expect("contention is no error"))
            })
        })
        .collect();
    let mut leases = Vec::new();
    for racer in racers {
        let (conn, attempt) = racer.await.unwrap();
        sessions.push(conn);
        leases.extend(attempt.acquired());
    }
    assert_eq!(leases.len(), 1, "{leases:?}");
    leases.remove(0)
}

pub async fn many_waiters_hold_the_lock_one_after_the_other(world: &World) {
    let (lock, inside) = (world.lock("x"), Arc::new(AtomicUsize::new(0)));
    let fences = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for _ in 0..RACERS {
        let (mut conn, lock) = (world.session().await, lock.clone());
        let (inside, fences) = (inside.clone(), fences.clone());
        tasks.push(spawn(async move {
            let wait = Wait::forever().every(ms(5));
            let attempt = conn.acquire(&lock, wait).await.unwrap();
            let lease = attempt.acquired().unwrap();
            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two holders");
            fences.lock().unwrap().push(lease.fence());
            inside.fetch_sub(1, Ordering::SeqCst);
            assert_eq!(conn.release(&lease).await.unwrap(), Released::InTime);
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let fences = fences.lock().unwrap();
    assert_eq!(fences.len(), RACERS);
    assert!(fences.is_sorted_by(|one, next| one < next), "{fences:?}");
}

/// The first name is acquired in an open transaction. Both names are new in the first round, and used in the second.
/// `SQLite` has one writer for all names, so there the answer is "busy", without a holder.
pub async fn different_names_do_not_wait_for_each_other(world: &World) {
    let (mut first, mut second) = (world.session().await, world.session().await);
    let (x, y) = (world.lock("x"), world.lock("y"));
    world.make_impatient(&mut *second).await;
    for _ in 0..2 {
        first.begin().await.unwrap();
        let held = first.take(&x).await;
        match second.try_acquire(&y).await.unwrap() {
            Attempt::Acquired(lease) if !world.is_sqlite() => {
                assert_eq!(second.release(&lease).await.unwrap(), Released::InTime);
            }
            Attempt::Busy(None) if world.is_sqlite() => {}
            other => panic!("{other:?}"),
        }
        first.commit().await.unwrap();
        let lease = second.take(&y).await;
        assert!(first.is_mine(&held).await.unwrap() && second.is_mine(&lease).await.unwrap());
        first.release(&held).await.unwrap();
        second.release(&lease).await.unwrap();
    }
}
