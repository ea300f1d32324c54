//! Acquiring and releasing.

use diesel_locks::{Attempt, Lease, Outcome, Released};

use crate::world::{World, secs};

pub async fn acquire_status_release_status(world: &World) {
    let (mut conn, lock) = (world.session().await, world.lock("x"));
    assert!(!conn.is_held(&lock).await.unwrap());
    let lease = conn.take(&lock).await;
    assert!(conn.is_held(&lock).await.unwrap());
    assert!(conn.is_mine(&lease).await.unwrap());
    assert_eq!(conn.release(&lease).await.unwrap(), Released::InTime);
    assert!(!conn.is_held(&lock).await.unwrap());
    assert!(!conn.is_mine(&lease).await.unwrap());
}

pub async fn a_second_acquirer_is_told_busy_and_by_whom(world: &World) {
    let (mut first, mut second) = (world.session().await, world.session().await);
    let lock = world
        .lock("x")
        .with_owner("the first")
        .unwrap()
        .with_data("at work")
        .unwrap();
    let lease = first.take(&lock).await;
    let Attempt::Busy(Some(holder)) = second.try_acquire(&lock).await.unwrap() else {
        panic!("two holders");
    };
    assert_eq!((&*holder.owner, holder.fence), ("the first", lease.fence()));
    assert_eq!(holder.data.as_deref(), Some("at work"));
    assert!(holder.time_left > secs(25) && holder.time_left <= secs(30));
    first.release(&lease).await.unwrap();
    assert!(second.take(&lock).await.fence() > lease.fence());
}

pub async fn the_same_token_again_is_the_same_acquisition(world: &World) {
    let (mut first, mut second) = (world.session().await, world.session().await);
    let lock = world
        .lock("x")
        .with_owner("first")
        .unwrap()
        .with_token("agreed")
        .unwrap();
    let lease = first.take(&lock).await;
    world.age(&mut *first, &lock, secs(20)).await;
    let before = first.row(&lock).await;

    let again = lock
        .clone()
        .with_owner("second")
        .unwrap()
        .with_data("as well")
        .unwrap();
    let again = second.take(&again).await;
    let after = first.row(&lock).await;
    assert_eq!(again.fence(), lease.fence());
    assert_eq!(
        (&*after.owner, after.data.as_deref()),
        ("first", Some("as well"))
    );
    assert_eq!(after.acquired_at, before.acquired_at);
    assert!(before.time_left.unwrap() <= secs(10) && after.time_left.unwrap() > secs(25));

    let other = lock.clone().with_token("another").unwrap();
    assert_eq!(second.told_busy(&other).await.unwrap().fence, lease.fence());
    assert_eq!(first.release(&again).await.unwrap(), Released::InTime);
    assert_eq!(second.release(&lease).await.unwrap(), Released::Lost);
}

pub async fn the_same_token_never_shortens_the_lease(world: &World) {
    let mut conn = world.session().await;
    let lock = world.lock("x").with_token("agreed").unwrap();
    conn.take(&lock.clone().with_ttl(secs(500)).unwrap()).await;
    conn.take(&lock).await;
    assert!(conn.time_left(&lock).await.unwrap() > secs(450));
}

pub async fn a_token_that_is_like_another_is_another(world: &World) {
    let (mut conn, lock) = (world.session().await, world.lock("x"));
    let lease = conn
        .take(&lock.clone().with_token("Token12").unwrap())
        .await;
    for like in [
        "Token1", "Token123", "oken12", "token12", "TOKEN12", "Token1_", "Token__",
    ] {
        let theirs = lock.clone().with_token(like).unwrap();
        assert_eq!(conn.told_busy(&theirs).await.unwrap().fence, lease.fence());
        let forged = lease.to_text().replace(":Token12:", &format!(":{like}:"));
        let forged: Lease = forged.parse().unwrap();
        assert_eq!(forged.fence(), lease.fence());
        conn.assert_lost(&forged).await;
    }
    assert!(conn.is_mine(&lease).await.unwrap());
}

pub async fn two_handles_in_one_process_are_two_holders(world: &World) {
    let (mut conn, lock) = (world.session().await, world.lock("x"));
    let (one, other) = (lock.clone(), lock.clone());
    let first = conn.take(&one).await;
    assert_eq!(conn.told_busy(&other).await.unwrap().fence, first.fence());
    assert_eq!(conn.told_busy(&one).await.unwrap().fence, first.fence());
    conn.release(&first).await.unwrap();
    let second = conn.take(&other).await;
    conn.assert_lost(&first).await;
    assert!(conn.is_mine(&second).await.unwrap());
}

pub async fn a_second_release_says_that_the_lock_was_not_held(world: &World) {
    let (mut conn, lock) = (world.session().await, world.lock("x"));
    let lease = conn.take(&lock).await;
    assert_eq!(conn.release(&lease).await.unwrap(), Released::InTime);
    assert_eq!(conn.release(&lease).await.unwrap(), Released::Lost);
    conn.assert_lost(&lease).await;
}

/// The other process has only the text. It has another connection, and no trust until it extends the lease.
pub async fn a_lease_can_be_handed_to_another_process(world: &World) {
    let (mut here, mut there) = (world.session().await, world.session().await);
    let lease = here.take(&world.lock("x")).await;
    let mut handed: Lease = lease.to_text().parse().unwrap();
    assert!(handed.trusted_for().is_zero());
    assert_eq!(there.try_extend(&mut handed).await.unwrap(), Outcome::Done);
    assert!(handed.trusted_for() > secs(25));
    assert_eq!(there.release(&handed).await.unwrap(), Released::InTime);
    here.assert_lost(&lease).await;
}

/// A test transaction is Diesel's way to test an application against a real database.
pub async fn in_a_test_transaction_locks_work_and_leave_nothing(world: &World) {
    let (mut conn, mut other) = (world.session().await, world.session().await);
    let lock = world.lock("x");
    conn.begin_test_transaction().await.unwrap();
    let mut lease = conn.take(&lock).await;
    conn.told_busy(&lock).await;
    conn.begin().await.unwrap();
    conn.pin(&lease).await.unwrap();
    assert_eq!(conn.try_extend(&mut lease).await.unwrap(), Outcome::Done);
    conn.commit().await.unwrap();
    assert!(conn.is_mine(&lease).await.unwrap());
    assert_eq!(other.inspect(&lock).await.unwrap(), None);
    conn.rollback().await.unwrap();
    assert_eq!(conn.inspect(&lock).await.unwrap(), None);
}
