//! Locks inside the caller's own transactions.

use std::time::Instant;

use diesel_locks::{Attempt, Error, Lock, LockSet, Outcome, Released, Wait};

use crate::session::Session;
use crate::world::{Level, TABLES, World, ms, secs};

/// A try that must not wait. If the engine has one writer, that writer blocks the try for every name.
async fn is_refused_at_once(world: &World, conn: &mut dyn Session, lock: &Lock) -> bool {
    if !world.is_sqlite() {
        let (began, attempt) = (Instant::now(), conn.try_acquire(lock).await.unwrap());
        // A try that waits for a row is also told busy, after the connection's timeout.
        let is_at_once = !world.is_postgres() || began.elapsed() < secs(10);
        return attempt.is_busy() && is_at_once;
    }
    conn.batch("PRAGMA busy_timeout = 0").await.unwrap();
    match conn.try_acquire(lock).await {
        Ok(attempt) => attempt.is_busy(),
        Err(error) => matches!(error, Error::CannotWrite { .. }) && error.is_transient(),
    }
}

/// Commits. At SERIALIZABLE the engine may refuse the commit for its own reasons, and then it has rolled back.
async fn committed(level: Level, conn: &mut dyn Session) -> bool {
    let commit = conn.commit().await.map_err(Error::from);
    if let Err(error) = &commit {
        assert!(
            level.is_serializable() && error.is_transient(),
            "{level:?}: {error}"
        );
    }
    commit.is_ok()
}

pub async fn at_every_level_the_second_of_two_transactions_is_told_busy_at_once(world: &World) {
    let (mut first, mut second) = (world.session().await, world.session().await);
    for level in world.levels() {
        let lock = world.lock(&format!("{level:?}"));
        let used = first.take(&lock).await;
        first.release(&used).await.unwrap();

        world.begin_at(&mut *first, level).await;
        let lease = first.take(&lock).await;
        world.begin_at(&mut *second, level).await;
        assert!(
            is_refused_at_once(world, &mut *second, &lock).await,
            "{level:?}"
        );
        second.rollback().await.unwrap();
        first.commit().await.unwrap();

        assert!(second.try_acquire(&lock).await.unwrap().is_busy());
        assert!(first.is_mine(&lease).await.unwrap());
    }
}

pub async fn what_is_rolled_back_was_never_acquired(world: &World) {
    let (mut conn, lock) = (world.session().await, world.lock("x"));
    conn.begin().await.unwrap();
    let outer = conn.take(&lock).await;
    conn.rollback().await.unwrap();
    assert!(!conn.is_held(&lock).await.unwrap());
    assert_eq!(conn.release(&outer).await.unwrap(), Released::Lost);

    conn.begin().await.unwrap();
    conn.begin().await.unwrap();
    conn.take(&lock).await;
    conn.rollback().await.unwrap();
    assert!(!conn.is_held(&lock).await.unwrap());
    let again = conn.take(&lock).await;
    conn.commit().await.unwrap();
    assert!(conn.is_mine(&again).await.unwrap());
    assert!(again.fence() > outer.fence());
}

pub async fn a_lease_that_was_committed_works_on_every_connection(world: &World) {
    let (mut one, mut other) = (world.session().await, world.session().await);
    let lock = world.lock("x");
    one.begin().await.unwrap();
    let lease = one.take(&lock).await;
    one.commit().await.unwrap();
    let mut handed: diesel_locks::Lease = lease.to_text().parse().unwrap();
    assert_eq!(other.try_extend(&mut handed).await.unwrap(), Outcome::Done);
    assert_eq!(other.release(&handed).await.unwrap(), Released::InTime);
    assert_eq!(one.release(&lease).await.unwrap(), Released::Lost);
}

pub async fn a_release_takes_effect_with_the_commit(world: &World) {
    let (mut holder, mut rival) = (world.session().await, world.session().await);
    let lock = world.lock("x");
    let lease = holder.take(&lock).await;

    holder.begin().await.unwrap();
    assert_eq!(holder.release(&lease).await.unwrap(), Released::InTime);
    assert!(rival.try_acquire(&lock).await.unwrap().is_busy());
    holder.rollback().await.unwrap();
    assert!(
        rival.is_mine(&lease).await.unwrap(),
        "the commit did not come"
    );

    holder.begin().await.unwrap();
    assert_eq!(holder.release(&lease).await.unwrap(), Released::InTime);
    holder.commit().await.unwrap();
    assert!(rival.try_acquire(&lock).await.unwrap().acquired().is_some());
}

pub async fn two_names_in_opposite_order_are_busy_and_no_deadlock(world: &World) {
    let (mut first, mut second) = (world.session().await, world.session().await);
    let (a, b) = (world.lock("a"), world.lock("b"));
    for lock in [&a, &b] {
        let lease = first.take(lock).await;
        first.release(&lease).await.unwrap();
    }
    first.begin().await.unwrap();
    first.take(&a).await;
    second.begin().await.unwrap();
    if world.is_sqlite() {
        // The first transaction is the writer. The second one is refused for every name.
        assert!(is_refused_at_once(world, &mut *second, &b).await);
    } else {
        second.take(&b).await;
        assert!(first.try_acquire(&b).await.unwrap().is_busy());
        assert!(second.try_acquire(&a).await.unwrap().is_busy());
    }
    second.rollback().await.unwrap();
    first.commit().await.unwrap();
}

pub async fn busy_leaves_the_transaction_usable(world: &World) {
    let (mut holder, mut other) = (world.session().await, world.session().await);
    let (lock, mine) = (world.lock("x"), world.lock("mine"));
    holder.take(&lock).await;
    other.begin().await.unwrap();
    assert!(other.try_acquire(&lock).await.unwrap().is_busy());
    let lease = other.take(&mine).await;
    other.commit().await.unwrap();
    assert!(holder.is_mine(&lease).await.unwrap());
}

pub async fn the_first_use_of_a_name_in_an_open_transaction_is_busy_for_others(world: &World) {
    let (mut first, mut second) = (world.session().await, world.session().await);
    let lock = world.lock("never used");
    first.begin().await.unwrap();
    let lease = first.take(&lock).await;
    assert!(is_refused_at_once(world, &mut *second, &lock).await);
    if world.is_mysql() {
        // Documented: inside a transaction, the try waits for the first one, as long as the connection waits for row
        // locks.
        second
            .batch("SET SESSION innodb_lock_wait_timeout = 1")
            .await
            .unwrap();
        second.begin().await.unwrap();
        assert!(second.try_acquire(&lock).await.unwrap_err().is_transient());
        second.rollback().await.unwrap();
    }
    first.commit().await.unwrap();
    assert!(second.is_mine(&lease).await.unwrap());
}

pub async fn a_savepoint_takes_back_a_release_and_an_extension(world: &World) {
    let (mut conn, lock) = (
        world.session().await,
        world.lock("x").with_ttl(secs(60)).unwrap(),
    );
    let mut lease = conn.take(&lock).await;
    let ends = world.end(&mut *conn, &lock).await;
    conn.begin().await.unwrap();
    conn.begin().await.unwrap();
    assert_eq!(
        conn.try_extend_to(&mut lease, secs(600)).await.unwrap(),
        Outcome::Done
    );
    assert_eq!(conn.release(&lease).await.unwrap(), Released::InTime);
    conn.rollback().await.unwrap();
    conn.commit().await.unwrap();
    assert!(conn.is_mine(&lease).await.unwrap());
    assert_eq!(world.end(&mut *conn, &lock).await, ends);
}

pub async fn waiting_where_the_release_cannot_be_seen_is_refused(world: &World) {
    let (mut holder, mut waiter) = (world.session().await, world.session().await);
    let lock = world.lock("x");
    holder.take(&lock).await;
    for level in world.levels() {
        world.begin_at(&mut *waiter, level).await;
        let answer = waiter.acquire(&lock, Wait::attempts(3).every(ms(1))).await;
        if level.sees_snapshot() {
            let error = answer.unwrap_err();
            assert!(matches!(error, Error::CannotWait { .. }));
            assert!(error.to_string().contains("before the transaction begins"));
        } else {
            assert!(answer.unwrap().is_busy(), "{level:?}");
        }
        let once = waiter.acquire(&lock, Wait::never()).await;
        assert!(once.unwrap().is_busy(), "trying once is no waiting");
        waiter.rollback().await.unwrap();
    }
}

pub async fn a_test_transaction_is_a_transaction(world: &World) {
    let (mut conn, lock) = (world.session().await, world.lock("x"));
    conn.begin_test_transaction().await.unwrap();
    let lease = conn.take(&lock).await;
    conn.pin(&lease).await.unwrap();
    assert!(
        conn.try_hold(&world.lock("y"))
            .await
            .unwrap()
            .acquired()
            .is_some()
    );
    conn.rollback().await.unwrap();
    assert!(!conn.is_held(&lock).await.unwrap());
}

pub async fn a_lock_held_for_a_transaction_excludes_leases_and_others_until_its_end(world: &World) {
    let (mut one, mut other) = (world.session().await, world.session().await);
    for level in world.levels() {
        let lock = world.lock(&format!("{level:?}"));
        let before = one.take(&lock).await;
        one.release(&before).await.unwrap();
        for commit in [true, false] {
            world.begin_at(&mut *one, level).await;
            let fence = one.try_hold(&lock).await.unwrap().acquired().unwrap();
            assert!(fence > before.fence());
            if !world.is_sqlite() {
                world.begin_at(&mut *other, level).await;
                assert!(other.try_hold(&lock).await.unwrap().is_busy());
                other.rollback().await.unwrap();
                assert!(other.try_acquire(&lock).await.unwrap().is_busy());
            }
            let committed = commit && committed(level, &mut *one).await;
            if !commit {
                one.rollback().await.unwrap();
            }
            let after = other.take(&lock).await;
            assert!(!committed || after.fence() > fence);
            other.release(&after).await.unwrap();
        }
    }
}

pub async fn a_held_lease_excludes_whoever_wants_the_lock_for_a_transaction(world: &World) {
    let (mut holder, mut other) = (world.session().await, world.session().await);
    let lock = world.lock("x").with_owner("the holder").unwrap();
    let mut lease = holder.take(&lock).await;
    other.begin().await.unwrap();
    let Attempt::Busy(Some(who)) = other.try_hold(&lock).await.unwrap() else {
        panic!("held twice");
    };
    assert_eq!(who.owner, "the holder");
    other.rollback().await.unwrap();

    world.let_run_out(&mut *holder, &lease).await;
    other.begin().await.unwrap();
    assert!(other.try_hold(&lock).await.unwrap().acquired().is_some());
    other.commit().await.unwrap();
    assert_eq!(holder.try_extend(&mut lease).await.unwrap(), Outcome::Lost);
    assert!(!holder.is_held(&lock).await.unwrap());
}

pub async fn holding_for_a_transaction_needs_one(world: &World) {
    let (mut conn, lock) = (world.session().await, world.lock("x"));
    let error = conn.try_hold(&lock).await.unwrap_err();
    assert!(matches!(error, Error::NoTransaction { .. }), "{error}");
}

/// The snapshot is older than the name, so the try sees no row, and wants to create it. It finds the lock held, and must not
/// keep the holder from extending its lease.
pub async fn a_try_with_an_old_snapshot_stops_no_extension(world: &World) {
    for level in world.levels() {
        if world.is_mysql() && level.is_serializable() {
            continue; // every read locks there: the guide says so
        }
        let (mut holder, mut other) = (world.session().await, world.session().await);
        let lock = world.lock(&format!("{level:?}"));
        world.begin_at(&mut *other, level).await;
        other.inspect(&lock).await.unwrap();
        let mut lease = holder.take(&lock).await;
        match other.try_acquire(&lock).await {
            Ok(attempt) => assert!(attempt.is_busy(), "{level:?}"),
            Err(error) => assert!(error.is_transient(), "{level:?}: {error}"),
        }
        if world.is_mysql() {
            let wait = "SET SESSION innodb_lock_wait_timeout = 2";
            holder.batch(wait).await.unwrap();
        }
        let extended = holder.try_extend(&mut lease).await.unwrap();
        assert_eq!(extended, Outcome::Done, "{level:?}");
        other.rollback().await.unwrap();
    }
}

/// A try writes first, except inside a transaction, where its row lock would stay. `MySQL` tells of no transaction that a raw
/// `BEGIN` has begun, but of one that every statement begins, and `MariaDB` of both.
pub async fn a_try_in_a_transaction_that_diesel_does_not_know_stops_no_pin(world: &World) {
    if !world.is_mysql() {
        return the_first_use_of_a_name_in_an_open_transaction_is_busy_for_others(world).await;
    }
    let raw = (world.engine.name() == "mariadb").then_some("BEGIN");
    for begin in [Some("SET autocommit = 0"), raw].into_iter().flatten() {
        let (mut holder, mut other) = (world.session().await, world.session().await);
        let (lock, free) = (world.lock(begin), world.lock(&format!("{begin} too")));
        let lease = holder.take(&free).await;
        holder.release(&lease).await.unwrap();
        let lease = holder.take(&lock).await;
        holder.forget_holder(&lease).await;
        other.batch(begin).await.unwrap();
        other.told_busy(&lock).await.expect("a holder");
        holder.forget_holder(&lease).await;
        let set = LockSet::new(&lock, [free.name()]).unwrap();
        let all = other.acquire_all(&set, Wait::never()).await.unwrap();
        assert!(all.is_busy());
        let none = holder.take(&free).await; // no row stays locked
        holder.release(&none).await.unwrap();
        let wait = "SET SESSION innodb_lock_wait_timeout = 2";
        holder.batch(wait).await.unwrap();
        holder.begin().await.unwrap();
        holder.pin(&lease).await.expect("nothing is in the way");
        assert_eq!(holder.release(&lease).await.unwrap(), Released::InTime);
        holder.commit().await.unwrap();
        other.batch("ROLLBACK; SET autocommit = 1").await.unwrap(); // a pool may hand it out again
    }
}

/// A try for a lock that is presumably held looks first. That must lock nothing, although at SERIALIZABLE every read of a
/// transaction locks.
pub async fn a_look_in_a_transaction_that_diesel_does_not_know_stops_no_heartbeat(world: &World) {
    if !world.is_mysql() {
        return a_busy_set_in_a_transaction_stops_no_heartbeat(world).await;
    }
    let (mut holder, mut other) = (world.session().await, world.session().await);
    let mut lease = holder.take(&world.lock("x")).await;
    let open = "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE; SET autocommit = 0";
    other.batch(open).await.unwrap();
    other.told_busy(lease.lock()).await;
    world.make_impatient(&mut *holder).await;
    assert_eq!(holder.try_extend(&mut lease).await.unwrap(), Outcome::Done);
    let closed =
        "ROLLBACK; SET autocommit = 1; SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ";
    other.batch(closed).await.unwrap(); // a pool may hand it out again
    assert_eq!(holder.release(&lease).await.unwrap(), Released::InTime);
}

/// The locks of a set are looked at together, which must lock nothing: at SERIALIZABLE, every read of a transaction locks.
/// On `SQLite` such a transaction is the only writer. `PostgreSQL` may refuse a SERIALIZABLE transaction because of what other
/// cases do in the same table.
pub async fn a_busy_set_in_a_transaction_stops_no_heartbeat(world: &World) {
    if world.is_sqlite() {
        return a_test_transaction_is_a_transaction(world).await;
    }
    for level in world.levels() {
        let (mut holder, mut other) = (world.session().await, world.session().await);
        let lock = world.lock(&format!("{level:?}"));
        let mut lease = holder.take(&lock).await;
        let set = LockSet::new(&lock, ["never used"]).unwrap();
        world.begin_at(&mut *other, level).await;
        for _ in 0..2 {
            match other.acquire_all(&set, Wait::never()).await {
                Err(error) if world.is_postgres() && level.is_serializable() => {
                    assert!(error.is_transient(), "{error}");
                    break; // the transaction has ended
                }
                all => assert!(all.unwrap().is_busy(), "{level:?}"),
            }
        }
        world.make_impatient(&mut *holder).await;
        assert_eq!(holder.try_extend(&mut lease).await.unwrap(), Outcome::Done);
        other.rollback().await.unwrap();
        holder.release(&lease).await.unwrap();
    }
}

/// On MySQL and MariaDB a lock has two rows. If one of them is missing, the next acquisition creates it. If the row of the
/// beats is missing while the lock is held, the next extension creates it.
pub async fn a_name_that_was_only_half_created_mends_itself(world: &World) {
    if !world.is_mysql() {
        return what_is_rolled_back_was_never_acquired(world).await; // one row is all there is
    }
    let mut conn = world.session().await;
    for (half, level, inside) in halves(world) {
        if inside && level.is_serializable() && half != TABLES[0] {
            continue; // nothing tells a try there that the row is missing
        }
        let lock = world.lock(&format!("{half} {level:?} {inside}"));
        world.set_level(&mut *conn, level).await;
        let lease = conn.take(&lock).await;
        conn.release(&lease).await.unwrap();
        remove(&mut *conn, &lock, half).await;
        if inside {
            conn.begin().await.unwrap();
        }
        let mut lease = conn.take(&lock).await;
        if inside {
            conn.commit().await.unwrap();
        }
        remove(&mut *conn, &lock, "diesel_locks_beats").await;
        assert!(conn.is_mine(&lease).await.unwrap());
        assert_eq!(conn.try_extend(&mut lease).await.unwrap(), Outcome::Done);
        assert_eq!(conn.release(&lease).await.unwrap(), Released::InTime);
        let dead = conn.take(&lock).await;
        world.let_run_out(&mut *conn, &dead).await;
        remove(&mut *conn, &lock, "diesel_locks_beats").await;
        let lease = conn.take(&lock).await;
        assert_eq!(conn.release(&lease).await.unwrap(), Released::InTime);
    }
}

fn halves(world: &World) -> Vec<(&'static str, Level, bool)> {
    let mut halves = Vec::new();
    for half in TABLES {
        for level in world.levels() {
            halves.extend([(half, level, false), (half, level, true)]);
        }
    }
    halves
}

async fn remove(conn: &mut dyn Session, lock: &Lock, table: &str) {
    let sql = format!("DELETE FROM {table} WHERE name = '{}'", lock.key());
    conn.sql(&sql).await.unwrap();
}
