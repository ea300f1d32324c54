//! Forced releases and purges, for locks whose holders are gone.

use diesel_locks::{Forced, Pin, Record, Released};

use crate::world::{World, secs};

pub async fn a_lock_that_is_taken_away_is_lost_to_its_holder(world: &World) {
    let (mut holder, mut admin) = (world.session().await, world.session().await);
    let lock = world.lock("x").with_data("kept").unwrap();
    assert_eq!(admin.force_release(&lock).await.unwrap(), Forced::Free);
    let lease = holder.take(&lock).await;
    assert_eq!(admin.force_release(&lock).await.unwrap(), Forced::Released);
    assert_eq!(admin.force_release(&lock).await.unwrap(), Forced::Free);
    assert!(!admin.is_held(&lock).await.unwrap());
    holder.assert_lost(&lease).await;
    assert_eq!(
        admin.read_data(&lock).await.unwrap().as_deref(),
        Some("kept")
    );

    let next = admin.take(&lock).await;
    holder.assert_lost(&lease).await;
    world.let_run_out(&mut *admin, &next).await;
    assert_eq!(holder.force_release(&lock).await.unwrap(), Forced::Released);
    admin.assert_lost(&next).await;
}

pub async fn a_pinned_lock_is_not_taken_away_under_its_transaction(world: &World) {
    let (mut holder, mut admin) = (world.session().await, world.session().await);
    let lock = world.lock("x");
    world.make_impatient(&mut *admin).await;
    let lease = holder.take(&lock).await;
    holder.begin().await.unwrap();
    assert_eq!(holder.try_pin(&lease).await.unwrap(), Pin::Pinned);
    assert_eq!(admin.force_release(&lock).await.unwrap(), Forced::InUse);
    world.let_run_out(&mut *holder, &lease).await;
    assert_eq!(admin.force_release(&lock).await.unwrap(), Forced::InUse);
    holder.commit().await.unwrap();
    assert_eq!(admin.force_release(&lock).await.unwrap(), Forced::Released);
    holder.assert_lost(&lease).await;
}

pub async fn a_lock_that_is_being_taken_over_is_in_use(world: &World) {
    let (mut next, mut admin) = (world.session().await, world.session().await);
    let lock = world.lock("x");
    world.make_impatient(&mut *admin).await;
    let lease = next.take(&lock).await;
    world.let_run_out(&mut *next, &lease).await;
    next.begin().await.unwrap();
    let taken = next.take(&lock).await;
    assert_eq!(admin.force_release(&lock).await.unwrap(), Forced::InUse);
    next.commit().await.unwrap();
    assert!(admin.is_mine(&taken).await.unwrap());
}

pub async fn purging_removes_locks_that_were_unused_for_the_given_time(world: &World) {
    let mut conn = world.session().await;
    let day = secs(24 * 60 * 60);
    let mut leases = Vec::new();
    for name in [
        "held",
        "held long",
        "old",
        "old run out",
        "old fence",
        "released",
        "run out",
    ] {
        leases.push(conn.take(&world.lock(name)).await);
    }
    for old in [1, 2, 3, 4] {
        world
            .grow_old(&mut *conn, leases[old].lock(), day * 2)
            .await;
    }
    for table in world.tables() {
        let hold = format!("UPDATE {table} SET expires_at = expires_at + 172800000000");
        let sql = format!("{hold} WHERE name = '{}'", leases[1].lock().key());
        assert_eq!(conn.sql(&sql).await.unwrap(), 1);
    }
    world
        .add_to_fence(&mut *conn, leases[4].lock(), "+ 172800000000")
        .await;
    conn.take_away(leases[2].lock()).await;
    conn.release(&leases[5]).await.unwrap();
    world.let_run_out(&mut *conn, &leases[6]).await;

    let elsewhere = world.list().with_prefix("olds");
    assert_eq!(conn.purge(&elsewhere, day).await.unwrap(), 0);
    assert_eq!(conn.purge(&world.list(), day * 3).await.unwrap(), 0);
    assert_eq!(conn.purge(&world.list(), day).await.unwrap(), 2);
    let left = conn.load(&world.list()).await.unwrap();
    let left: Vec<&str> = left.iter().map(Record::name).collect();
    assert_eq!(
        left,
        ["held", "held long", "old fence", "released", "run out"]
    );
    assert_eq!(conn.purge(&world.list(), day).await.unwrap(), 0);
    assert!(conn.is_mine(&leases[0]).await.unwrap());
    conn.assert_lost(&leases[3]).await;
}

/// A purge uses only the group and the prefix of a list, and ignores its page.
pub async fn purging_leaves_nothing_to_a_next_page(world: &World) {
    let mut conn = world.session().await;
    for name in ["1", "2", "3"] {
        let lease = conn.take(&world.lock(name)).await;
        conn.release(&lease).await.unwrap();
        world.grow_old(&mut *conn, lease.lock(), secs(60)).await;
    }
    let last = world.lock("2");
    let page = world.list().held().after(last.key()).limit(1);
    assert_eq!(conn.purge(&page, secs(30)).await.unwrap(), 3);
    assert!(conn.load(&world.list()).await.unwrap().is_empty());
}

pub async fn a_purged_lock_begins_anew(world: &World) {
    let (mut conn, mut other) = (world.session().await, world.session().await);
    let lock = world.lock("x").with_data("of the first").unwrap();
    let lease = conn.take(&lock).await;
    world.let_run_out(&mut *conn, &lease).await;
    world.pass(&mut *conn, lease.fence()).await;
    assert_eq!(other.purge(&world.list(), secs(0)).await.unwrap(), 1);
    conn.assert_lost(&lease).await;
    assert_eq!(conn.read_data(&lock).await.unwrap(), None);
    let next = other.take(&world.lock("x")).await;
    assert!(next.fence() > lease.fence());
    assert_eq!(conn.row(&lock).await.data, None);
    conn.assert_lost(&lease).await;
    assert_eq!(other.release(&next).await.unwrap(), Released::InTime);
}
