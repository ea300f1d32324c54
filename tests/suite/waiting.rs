//! Waiting for a held lock.

use std::time::Instant;

use diesel_locks::{Attempt, Released, Wait};

use super::cost;
use crate::world::{World, eventually, ms, secs, spawn};

pub async fn a_number_of_attempts_is_exact(world: &World) {
    let (mut holder, mut waiter) = (world.session().await, world.session().await);
    let lock = world.lock("x");
    let lease = holder.take(&lock).await;
    let statements = cost::count(&mut *waiter);
    for attempts in [1, 2, 5] {
        let wait = Wait::attempts(attempts).every(ms(2));
        let Attempt::Busy(Some(seen)) = waiter.acquire(&lock, wait).await.unwrap() else {
            panic!("two holders");
        };
        assert_eq!(seen.fence, lease.fence());
        assert_eq!(statements.spent(), attempts);
    }
    assert!(
        waiter
            .acquire(&lock, Wait::never())
            .await
            .unwrap()
            .is_busy()
    );
    assert_eq!(statements.spent(), 1);
}

pub async fn a_wait_ends_when_its_time_is_up(world: &World) {
    let (mut holder, mut waiter) = (world.session().await, world.session().await);
    let lock = world.lock("x");
    let lease = holder.take(&lock).await;
    let began = Instant::now();
    let wait = Wait::up_to(ms(150)).every(ms(20));
    let Attempt::Busy(Some(seen)) = waiter.acquire(&lock, wait).await.unwrap() else {
        panic!("two holders");
    };
    assert_eq!(seen.fence, lease.fence());
    assert!(began.elapsed() >= ms(150) && began.elapsed() < secs(10));
    assert!(holder.is_mine(&lease).await.unwrap());
}

pub async fn a_waiter_gets_the_lock_after_its_release(world: &World) {
    let (mut holder, mut waiter) = (world.session().await, world.session().await);
    let lock = world.lock("x");
    let lease = holder.take(&lock).await;
    let (waits_for, tries) = (lock.clone(), cost::count(&mut *waiter));
    let waiting = spawn(async move {
        let wait = Wait::up_to(secs(20)).every(ms(5));
        waiter
            .acquire(&waits_for, wait)
            .await
            .unwrap()
            .acquired()
            .unwrap()
    });
    eventually("it waits", async || tries.so_far() > 1).await;
    assert_eq!(holder.release(&lease).await.unwrap(), Released::InTime);
    let next = waiting.await.unwrap();
    assert!(next.fence() > lease.fence());
    assert!(holder.is_mine(&next).await.unwrap());
}
