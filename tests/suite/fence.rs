//! The fence: a number that grows with every acquisition.

use diesel_locks::{Forced, Lease, Lock, LockSet, Outcome, Released, Wait};

use super::cost;
use crate::session::Session;
use crate::world::{World, eventually, secs};

/// Acquires the lock, and checks that the fence is larger than all earlier fences.
async fn next(conn: &mut dyn Session, lock: &Lock, last: &mut i64) -> Lease {
    let lease = conn.take(lock).await;
    assert!(lease.fence() > *last, "{} after {last}", lease.fence());
    *last = lease.fence();
    lease
}

pub async fn the_fence_grows_whatever_happened_to_the_last_holder(world: &World) {
    let (mut conn, lock, last) = (world.session().await, world.lock("x"), &mut 0);
    let lease = next(&mut *conn, &lock, last).await;
    conn.release(&lease).await.unwrap();
    let lease = next(&mut *conn, &lock, last).await;
    world.let_run_out(&mut *conn, &lease).await;
    next(&mut *conn, &lock, last).await;
    assert_eq!(conn.force_release(&lock).await.unwrap(), Forced::Released);
    let lease = next(&mut *conn, &lock, last).await;
    conn.release(&lease).await.unwrap();
    eventually("purged", async || {
        conn.purge(&world.list(), secs(0)).await.unwrap() == 1
    })
    .await;
    assert!(conn.inspect(&lock).await.unwrap().is_none());
    let lease = next(&mut *conn, &lock, last).await;
    assert_eq!(
        world.column(&mut *conn, &lock, "fence").await,
        lease.fence()
    );
}

pub async fn the_fence_grows_over_a_transaction_that_was_rolled_back(world: &World) {
    let (mut conn, lock, last) = (world.session().await, world.lock("x"), &mut 0);
    for _ in 0..2 {
        conn.begin().await.unwrap();
        let lease = next(&mut *conn, &lock, last).await;
        conn.rollback().await.unwrap();
        conn.assert_lost(&lease).await;
        world.pass(&mut *conn, lease.fence()).await;
        let lease = next(&mut *conn, &lock, last).await;
        conn.release(&lease).await.unwrap();
    }
}

pub async fn the_fence_grows_by_one_where_the_databases_clock_was_set_back(world: &World) {
    let (mut conn, lock) = (world.session().await, world.lock("x"));
    let lease = conn.take(&lock).await;
    world.add_to_fence(&mut *conn, &lock, "+ 3600000000").await;
    conn.assert_lost(&lease).await;
    let ahead = lease.fence() + 3_600_000_000;
    for in_transaction in [false, true] {
        let before = world.column(&mut *conn, &lock, "fence").await;
        assert!(before >= ahead);
        conn.take_away(&lock).await;
        if in_transaction {
            conn.begin().await.unwrap();
        }
        let lease = conn.take(&lock).await;
        assert_eq!(lease.fence(), before + 1);
        world.let_run_out(&mut *conn, &lease).await;
        assert_eq!(conn.take(&lock).await.fence(), before + 2);
        if in_transaction {
            conn.commit().await.unwrap();
        }
    }
    assert_eq!(conn.force_release(&lock).await.unwrap(), Forced::Released);
    assert_eq!(
        conn.purge(&world.list(), secs(0)).await.unwrap(),
        0,
        "its fence is not over yet"
    );
    let before = world.column(&mut *conn, &lock, "fence").await;
    let set = LockSet::new(&lock, ["y"]).unwrap();
    for more in 1..=2 {
        let all = conn.acquire_all(&set, Wait::never()).await.unwrap();
        for lease in all.acquired().unwrap() {
            if lease.lock().key() == lock.key() {
                assert_eq!(lease.fence(), before + more);
            }
            conn.release(&lease).await.unwrap();
        }
    }
}

/// The server's clock of a session is set, so that the client's clock is behind it, or ahead of it.
pub async fn a_wrong_clock_of_a_client_is_not_a_fence(world: &World) {
    if !world.is_mysql() {
        return the_fence_grows_whatever_happened_to_the_last_holder(world).await; // no clock of a client counts
    }
    let (mut conn, mut other) = (world.session().await, world.session().await);
    let (lock, last, statements) = (world.lock("x"), &mut 0, cost::count(&mut *conn));
    let lease = next(&mut *conn, &lock, last).await;
    conn.release(&lease).await.unwrap();
    let set = LockSet::new(&lock, ["y"]).unwrap();
    for ahead in [-3_600, -20, 20, 3_600, -20] {
        let move_clock = format!("SET timestamp = {ahead} + UNIX_TIMESTAMP(SYSDATE(6))"); // it stands still now
        conn.batch(&move_clock).await.unwrap();
        let (clock, before) = (world.clock(&mut *conn).await, *last);
        statements.spent();
        let lease = next(&mut *conn, &lock, last).await;
        assert_eq!(statements.spent(), 3, "not what the client proposed");
        assert_eq!(lease.fence(), clock.max(before + 1), "{ahead}");
        conn.release(&lease).await.unwrap();
        let all = conn.acquire_all(&set, Wait::never()).await.unwrap();
        for lease in all.acquired().unwrap() {
            assert!(lease.fence() <= clock.max(*last + 1), "{ahead}");
            assert!(
                lease.fence() > *last || lease.lock().key() != lock.key(),
                "{ahead}"
            );
            conn.release(&lease).await.unwrap();
        }
        *last = world.column(&mut *conn, &lock, "fence").await;
        conn.batch("SET timestamp = DEFAULT").await.unwrap();
        let lease = next(&mut *other, &lock, last).await;
        other.release(&lease).await.unwrap();
    }
}

pub async fn extending_and_the_same_token_leave_the_fence_unchanged(world: &World) {
    let mut conn = world.session().await;
    let lock = world.lock("x").with_token("agreed").unwrap();
    let mut lease = conn.take(&lock).await;
    let fence = lease.fence();
    for in_transaction in [false, true] {
        if in_transaction {
            conn.begin().await.unwrap();
        }
        assert_eq!(conn.try_extend(&mut lease).await.unwrap(), Outcome::Done);
        assert_eq!(
            conn.try_extend_to(&mut lease, secs(90)).await.unwrap(),
            Outcome::Done
        );
        assert_eq!(
            conn.try_extend_by(&mut lease, secs(1)).await.unwrap(),
            Outcome::Done
        );
        assert_eq!(conn.take(&lock).await.fence(), fence);
        world.let_run_out(&mut *conn, &lease).await;
        assert_eq!(
            conn.try_extend(&mut lease).await.unwrap(),
            Outcome::DoneLate
        );
        world.let_run_out(&mut *conn, &lease).await;
        assert_eq!(conn.take(&lock).await.fence(), fence, "nobody took it over");
        assert_eq!(world.column(&mut *conn, &lock, "fence").await, fence);
        if in_transaction {
            conn.commit().await.unwrap();
        }
    }
    assert_eq!(conn.release(&lease).await.unwrap(), Released::InTime);
}

/// Two acquisitions with the same token of the caller differ in their fence.
pub async fn a_lease_stays_lost_though_its_token_comes_back(world: &World) {
    let mut conn = world.session().await;
    let lock = world.lock("x").with_token("agreed").unwrap();
    let first = conn.take(&lock).await;
    conn.release(&first).await.unwrap();
    let second = conn.take(&lock).await;
    assert!(second.fence() > first.fence());
    conn.assert_lost(&first).await;
    assert!(conn.is_mine(&second).await.unwrap());
    world.let_run_out(&mut *conn, &second).await;
    conn.assert_lost(&first).await;
    let other = conn.take(&world.lock("x")).await;
    conn.release(&other).await.unwrap();
    let third = conn.take(&lock).await;
    assert!(third.fence() > other.fence());
    conn.assert_lost(&second).await;
    assert!(conn.is_mine(&third).await.unwrap());
}
