//! The end of the ttl: a lease expires.

use std::time::Duration;

use diesel_locks::{Error, LeaseStatus, Lock, Outcome, Pin, Record, Released, Wait};

use crate::session::Session;
use crate::world::{World, ms, secs};

pub async fn an_expired_lease_is_taken_over_by_a_plain_try(world: &World) {
    let (mut first, mut second) = (world.session().await, world.session().await);
    let lock = world.lock("x").with_owner("the first").unwrap();
    let lease = first.take(&lock).await;
    world.let_run_out(&mut *first, &lease).await;
    let taken = second
        .take(&lock.clone().with_owner("the second").unwrap())
        .await;
    assert!(taken.fence() > lease.fence());
    let row = first.row(&lock).await;
    assert_eq!((&*row.owner, row.fence), ("the second", taken.fence()));
    first.assert_lost(&lease).await;
}

pub async fn a_lease_that_nobody_took_over_is_extended_and_released_late(world: &World) {
    let mut conn = world.session().await;
    for in_transaction in [false, true] {
        let mut lease = conn.take(&world.lock("x")).await;
        let fence = lease.fence();
        if in_transaction {
            conn.begin().await.unwrap();
        }
        world.let_run_out(&mut *conn, &lease).await;
        assert_eq!(conn.try_pin(&lease).await.unwrap(), Pin::Expired);
        let pin = conn.pin(&lease).await;
        assert!(matches!(pin, Err(Error::Expired { key, .. }) if key == lease.lock().key()));
        assert_eq!(conn.status(&lease).await.unwrap(), LeaseStatus::Expired);
        assert_eq!(
            conn.try_set_data(&lease, Some("late")).await.unwrap(),
            Outcome::DoneLate
        );

        assert_eq!(
            conn.try_extend(&mut lease).await.unwrap(),
            Outcome::DoneLate
        );
        assert!(conn.is_mine(&lease).await.unwrap());
        assert_eq!(conn.try_pin(&lease).await.unwrap(), Pin::Pinned);
        world.let_run_out(&mut *conn, &lease).await;
        assert_eq!(
            conn.try_extend_to(&mut lease, secs(90)).await.unwrap(),
            Outcome::DoneLate
        );
        assert_left(&mut *conn, &world.lock("x"), secs(90)).await;
        world.let_run_out(&mut *conn, &lease).await;
        assert_eq!(
            conn.try_extend_by(&mut lease, secs(40)).await.unwrap(),
            Outcome::DoneLate
        );
        assert_left(&mut *conn, &world.lock("x"), secs(40)).await;
        assert!(
            lease.trusted_for() <= secs(89),
            "an extension counts from now, not from then"
        );
        assert_eq!(lease.fence(), fence);

        world.let_run_out(&mut *conn, &lease).await;
        assert_eq!(conn.release(&lease).await.unwrap(), Released::Late);
        assert_eq!(conn.release(&lease).await.unwrap(), Released::Lost);
        if in_transaction {
            conn.commit().await.unwrap();
        }
    }
}

pub async fn a_lease_that_was_taken_over_is_lost_and_stays_lost(world: &World) {
    let (mut first, mut second) = (world.session().await, world.session().await);
    let lock = world.lock("x").with_data("from the first").unwrap();
    let lease = first.take(&lock).await;
    world.let_run_out(&mut *first, &lease).await;
    let taken = second
        .take(&lock.clone().with_data("from the second").unwrap())
        .await;
    first.assert_lost(&lease).await;
    assert!(second.is_mine(&taken).await.unwrap());
    second.release(&taken).await.unwrap();
    first.assert_lost(&lease).await;
}

pub async fn a_lease_that_is_extended_outlives_its_first_ttl(world: &World) {
    let (mut first, mut second) = (world.session().await, world.session().await);
    let lock = world.lock("x");
    let mut lease = first.take(&lock).await;
    for _ in 0..3 {
        world.age(&mut *first, &lock, secs(20)).await;
        assert_left(&mut *second, &lock, secs(10)).await;
        assert_eq!(first.try_extend(&mut lease).await.unwrap(), Outcome::Done);
        assert_left(&mut *second, &lock, secs(30)).await;
        assert_eq!(second.told_busy(&lock).await.unwrap().fence, lease.fence());
    }
    assert_eq!(
        first.try_extend_by(&mut lease, secs(60)).await.unwrap(),
        Outcome::Done
    );
    assert_left(&mut *second, &lock, secs(90)).await;
    assert!(lease.trusted_for() > secs(80) && lease.trusted_for() <= secs(89));
}

/// On MySQL and MariaDB the end of an extended lease is in another row than its holder.
pub async fn a_lease_that_outlives_its_first_end_is_held_for_everybody(world: &World) {
    let (mut holder, mut other) = (world.session().await, world.session().await);
    for in_transaction in [false, true] {
        let lock = world.lock(&format!("{in_transaction}"));
        let mut lease = holder.take(&lock).await;
        holder.extend_to(&mut lease, secs(600)).await.unwrap();
        world.age(&mut *holder, &lock, secs(60)).await;
        if in_transaction {
            other.begin().await.unwrap();
        }
        let seen = other.told_busy(&lock).await.expect("a holder");
        assert!(
            (secs(500)..=secs(540)).contains(&seen.time_left),
            "{seen:?}"
        );
        assert_left(&mut *other, &lock, secs(540)).await;
        assert!(matches!(
            other.status(&lease).await.unwrap(),
            LeaseStatus::Held { .. }
        ));
        let held = world.list().held().with_prefix(lock.name());
        assert_eq!(other.load(&held).await.unwrap().len(), 1);
        let named = format!("diesel_locks_held WHERE name = '{}'", lock.key());
        let count = format!("SELECT COUNT(*) AS number FROM {named}");
        assert_eq!(other.number(&count).await.unwrap(), 1);
        if in_transaction {
            other.commit().await.unwrap();
            holder.begin().await.unwrap();
        }
        assert_eq!(holder.try_pin(&lease).await.unwrap(), Pin::Pinned);
        let data = holder.try_set_data(&lease, Some("x")).await.unwrap();
        assert_eq!(data, Outcome::Done);
        assert_left(&mut *holder, &lock, secs(540)).await;
        assert_eq!(holder.release(&lease).await.unwrap(), Released::InTime);
        if in_transaction {
            holder.commit().await.unwrap();
        }
        let row = other.row(&lock).await;
        assert!(!row.is_held() && row.expires_at < row.acquired_at + secs(600));
        other.take(&lock).await;
    }
}

pub async fn extending_never_shortens_a_lease(world: &World) {
    let (mut conn, lock) = (world.session().await, world.lock("x"));
    let mut lease = conn.take(&lock).await;
    assert_eq!(
        conn.try_extend_to(&mut lease, secs(500)).await.unwrap(),
        Outcome::Done
    );
    assert_eq!(
        conn.try_extend_to(&mut lease, secs(5)).await.unwrap(),
        Outcome::Done
    );
    assert_eq!(conn.try_extend(&mut lease).await.unwrap(), Outcome::Done);
    assert_left(&mut *conn, &lock, secs(500)).await;
    assert!(lease.trusted_for() > secs(490));
}

pub async fn the_time_left_is_what_was_asked_and_zero_in_the_end(world: &World) {
    let mut conn = world.session().await;
    let lock = world.lock("x").with_ttl(secs(75)).unwrap();
    assert_eq!(conn.time_left(&lock).await.unwrap(), Duration::ZERO);
    let lease = conn.take(&lock).await;
    assert_left(&mut *conn, &lock, secs(75)).await;
    assert_eq!(
        conn.current_owner(&lock).await.unwrap(),
        Some(conn.row(&lock).await.owner)
    );
    world.let_run_out(&mut *conn, &lease).await;
    assert_eq!(conn.time_left(&lock).await.unwrap(), Duration::ZERO);
    assert_eq!(conn.current_owner(&lock).await.unwrap(), None);
    assert!(!conn.is_held(&lock).await.unwrap());
    assert!(conn.row(&lock).await.time_left.is_none());
}

pub async fn a_holder_that_vanishes_keeps_the_lock_no_longer_than_its_ttl(world: &World) {
    let (mut first, mut second) = (world.session().await, world.session().await);
    let lock = world.lock("x");
    let lease = first.take(&lock).await;
    drop(first);
    assert_eq!(second.told_busy(&lock).await.unwrap().fence, lease.fence());
    world.age(&mut *second, &lock, secs(29)).await;
    second.told_busy(&lock).await;
    world.age(&mut *second, &lock, secs(1)).await;
    assert!(second.take(&lock).await.fence() > lease.fence());
}

pub async fn the_ttl_counts_from_the_try_that_wins(world: &World) {
    let (mut first, mut second) = (world.session().await, world.session().await);
    let lock = world.lock("x");
    first.take(&lock.clone().with_ttl(secs(2)).unwrap()).await;
    let ended = first.row(&lock).await.expires_at;
    let attempt = second.acquire(&lock, Wait::up_to(secs(20))).await.unwrap();
    assert!(attempt.acquired().is_some());
    let row = second.row(&lock).await;
    assert!(row.acquired_at >= ended);
    assert_lasts(world, &row, secs(30));
}

/// The lease lasts for its ttl. `PostgreSQL` reads the clock again for the end of the lease, so the lease may last longer.
pub fn assert_lasts(world: &World, row: &Record, ttl: Duration) {
    let lasts = (row.expires_at - row.acquired_at).to_std().unwrap();
    let later = if world.is_postgres() {
        secs(5)
    } else {
        Duration::ZERO
    };
    assert!((ttl..=ttl + later).contains(&lasts), "{lasts:?} {ttl:?}");
}

pub async fn a_ttl_is_kept_or_refused_and_no_lock_is_without_an_end(world: &World) {
    let (mut conn, day) = (world.session().await, secs(24 * 60 * 60));
    let (century, lock) = (day * 36_500, world.lock("x"));
    for ttl in [ms(1_001), day * 40, century] {
        let lock = lock.clone().with_ttl(ttl).unwrap();
        let lease = conn.take(&lock).await;
        assert_lasts(world, &conn.row(&lock).await, ttl);
        conn.release(&lease).await.unwrap();
    }
    assert!(lock.clone().with_ttl(Duration::ZERO).is_err());
    assert!(lock.clone().with_ttl(century + ms(1)).is_err());

    let mut lease = conn.take(&lock).await;
    for bad in [Duration::ZERO, century + ms(1)] {
        let refused = conn.try_extend_to(&mut lease, bad).await;
        assert!(
            matches!(refused, Err(Error::Invalid { what: "ttl", .. })),
            "{refused:?}"
        );
        let refused = conn.try_extend_by(&mut lease, bad).await;
        assert!(
            matches!(refused, Err(Error::Invalid { what: "ttl", .. })),
            "{refused:?}"
        );
    }
    assert_left(&mut *conn, &lock, secs(30)).await;
    for _ in 0..3 {
        assert_eq!(
            conn.try_extend_by(&mut lease, century).await.unwrap(),
            Outcome::Done
        );
    }
    assert_left(&mut *conn, &lock, century).await;
    assert!(
        lease.trusted_for() <= century,
        "trust ends no later than the lease"
    );
}

/// With the shortest ttl there is no time at all in which the lease can be trusted. The error says so, and the lock
/// stays free.
pub async fn a_ttl_too_short_for_the_way_to_the_database_says_so(world: &World) {
    let mut conn = world.session().await;
    let lock = world.lock("x").with_ttl(ms(1)).unwrap();
    let error = conn.try_acquire(&lock).await.unwrap_err();
    assert!(matches!(error, Error::TooLate { .. }), "{error}");
    assert!(error.to_string().contains("use a longer ttl"), "{error}");
    assert!(!conn.is_held(&lock).await.unwrap());
}

/// Checks that the time left is this much, or less by the time that the test has taken since.
async fn assert_left(conn: &mut dyn Session, lock: &Lock, most: Duration) {
    let left = conn.time_left(lock).await.unwrap();
    assert!(
        left <= most && left + secs(5) > most,
        "{left:?} left of {most:?}"
    );
}
