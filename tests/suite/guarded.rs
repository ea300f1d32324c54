//! The guarded transaction: a stale holder cannot commit, and nobody else is held up.

use std::sync::Arc;
use std::time::Instant;

use diesel_locks::{Attempt, Error, Lease, Lock, Outcome, Pin, Wait};
use tokio::sync::Mutex;

use crate::session::{Session, Work};
use crate::world::{World, ms, own_table, secs, spawn};

/// A table of the host's, with one number for each fence that wrote.
async fn ledger(conn: &mut dyn Session) -> String {
    let table = own_table("ledger").name().to_owned();
    conn.batch(&format!("CREATE TABLE {table} (fence BIGINT NOT NULL)"))
        .await
        .unwrap();
    table
}

async fn write(conn: &mut dyn Session, ledger: &str, fence: i64) {
    let sql = format!("INSERT INTO {ledger} (fence) VALUES ({fence})");
    conn.sql(&sql).await.unwrap();
}

async fn written(conn: &mut dyn Session, ledger: &str) -> i64 {
    conn.number(&format!("SELECT COUNT(*) AS number FROM {ledger}"))
        .await
        .unwrap()
}

/// A lock whose lease can run out while its transaction is open. Where another connection can write the row meanwhile,
/// time is moved; SQLite's clock has to go on by itself.
fn short(world: &World, name: &str) -> Lock {
    let ttl = if world.is_sqlite() { secs(1) } else { secs(30) };
    world.lock(name).ttl(ttl).unwrap()
}

/// Lets the lease run out, without its holder's connection.
async fn run_out(world: &World, other: &mut dyn Session, lease: &Lease) {
    if world.is_sqlite() {
        return until_run_out(other, lease.lock()).await;
    }
    world.let_run_out(other, lease).await;
}

async fn until_run_out(conn: &mut dyn Session, lock: &Lock) {
    let deadline = Instant::now() + secs(20);
    while conn
        .inspect(lock)
        .await
        .unwrap()
        .unwrap()
        .time_left
        .is_some()
    {
        assert!(Instant::now() < deadline, "the lease never runs out");
        tokio::time::sleep(ms(5)).await;
    }
}

pub async fn t28_a_pinned_lease_that_runs_out_is_not_taken_over_before_the_commit(world: &World) {
    let (mut holder, mut rival) = (world.session().await, world.session().await);
    let ledger = ledger(&mut *holder).await;
    for level in world.levels() {
        let lock = short(world, &format!("{level:?}"));
        world.set_level(&mut *holder, level).await;
        let lease = holder.take(&lock).await;
        holder.begin().await.unwrap();
        assert_eq!(
            holder.try_pin(&lease).await.unwrap(),
            Pin::Pinned,
            "{level:?}"
        );
        write(&mut *holder, &ledger, lease.fence()).await;
        run_out(world, &mut *rival, &lease).await;
        if world.is_sqlite() {
            rival.batch("PRAGMA busy_timeout = 0").await.unwrap();
        }
        assert!(
            rival.try_acquire(&lock).await.unwrap().is_busy(),
            "{level:?}"
        );
        let before = written(&mut *rival, &ledger).await;
        holder.commit().await.unwrap();
        let next = rival.take(&lock).await;
        assert!(next.fence() > lease.fence());
        assert_eq!(written(&mut *rival, &ledger).await, before + 1);
        assert_eq!(holder.release(&lease).await.unwrap(), Outcome::Lost);
        rival.release(&next).await.unwrap();
    }
}

pub async fn t28b_the_one_call_form_sees_what_the_last_holder_wrote(world: &World) {
    let (mut one, mut other) = (world.session().await, world.session().await);
    let table = ledger(&mut *one).await;
    for level in world.levels() {
        let lock = world.lock(&format!("{level:?}"));
        world.set_level(&mut *one, level).await;
        let before = written(&mut *one, &table).await;
        let last = other.take(&lock).await;
        write(&mut *other, &table, last.fence()).await;
        other.release(&last).await.unwrap();
        let seen = std::sync::Arc::new(std::sync::atomic::AtomicI64::new(0));
        let (see, into) = (seen.clone(), table.clone());
        let done = one.transaction_on(
            &lock,
            Wait::never(),
            Box::new(move |conn| {
                Box::pin(async move {
                    let count = written(conn, &into).await;
                    see.store(count, std::sync::atomic::Ordering::SeqCst);
                    Ok(())
                })
            }),
        );
        assert!(done.await.unwrap().acquired().is_some());
        assert_eq!(
            seen.load(std::sync::atomic::Ordering::SeqCst),
            before + 1,
            "{level:?}"
        );
        assert!(
            !one.is_held(&lock).await.unwrap(),
            "released with the commit, or after it"
        );
    }
}

pub async fn t29_taken_over_before_the_pin_is_lost_and_nothing_is_written(world: &World) {
    let (mut stale, mut next) = (world.session().await, world.session().await);
    let ledger = ledger(&mut *stale).await;
    for level in world.levels() {
        let lock = world.lock(&format!("{level:?}"));
        let mut lease = stale.take(&lock).await;
        world.let_run_out(&mut *stale, &lease).await;
        next.take(&lock).await;
        world.begin_at(&mut *stale, level).await;
        assert_eq!(stale.try_pin(&lease).await.unwrap(), Pin::Lost);
        assert!(matches!(stale.pin(&lease).await, Err(Error::Lost { .. })));
        stale.rollback().await.unwrap();
        let into = ledger.clone();
        let work = stale.transaction_under(
            &mut lease,
            Box::new(move |conn| {
                Box::pin(async move {
                    write(conn, &into, 1).await;
                    Ok(())
                })
            }),
        );
        assert!(matches!(work.await, Err(Error::Lost { .. })));
        assert_eq!(written(&mut *next, &ledger).await, 0);
    }
}

pub async fn t29b_a_lease_that_has_run_out_wants_to_be_extended_first(world: &World) {
    let (mut conn, lock) = (world.session().await, world.lock("x"));
    let mut lease = conn.take(&lock).await;
    world.let_run_out(&mut *conn, &lease).await;
    conn.begin().await.unwrap();
    assert_eq!(conn.try_pin(&lease).await.unwrap(), Pin::RunOut);
    let error = conn.pin(&lease).await.unwrap_err();
    assert!(matches!(error, Error::RunOut { .. }) && error.is_stale());
    conn.rollback().await.unwrap();
    assert_eq!(conn.extend(&mut lease).await.unwrap(), Outcome::DoneLate);
    conn.begin().await.unwrap();
    conn.pin(&lease).await.unwrap();
    conn.commit().await.unwrap();
}

pub async fn t30_the_heartbeat_passes_the_pin_at_once(world: &World) {
    let (mut worker, mut keeper) = (world.session().await, world.session().await);
    for level in world.levels() {
        let lock = world.lock(&format!("{level:?}"));
        let mut lease = keeper.take(&lock).await;
        world.begin_at(&mut *worker, level).await;
        worker.pin(&lease).await.unwrap();
        if world.is_sqlite() {
            // One writer: the heartbeat is told so, and is due after the commit.
            keeper.batch("PRAGMA busy_timeout = 0").await.unwrap();
            assert!(keeper.extend(&mut lease).await.unwrap_err().is_transient());
        } else {
            assert_eq!(
                keeper.extend(&mut lease).await.unwrap(),
                Outcome::Done,
                "{level:?}"
            );
        }
        worker.commit().await.unwrap();
        assert_eq!(keeper.extend(&mut lease).await.unwrap(), Outcome::Done);
    }
}

pub async fn t31_many_pins_of_one_lease_stand_side_by_side(world: &World) {
    let mut leader = world.session().await;
    for level in world.levels() {
        let lock = world.lock(&format!("{level:?}"));
        let lease = leader.take(&lock).await;
        let mut workers = Vec::new();
        for _ in 0..3 {
            let mut worker = world.session().await;
            world.begin_at(&mut *worker, level).await;
            worker.pin(&lease).await.unwrap();
            if world.is_sqlite() {
                worker.commit().await.unwrap(); // one after the other
            }
            workers.push(worker);
        }
        for worker in &mut workers {
            if !world.is_sqlite() {
                worker.commit().await.unwrap();
            }
        }
    }
}

pub async fn t32_a_guarded_transaction_longer_than_the_ttl_leaves_the_lease_held(world: &World) {
    let mut conn = world.session().await;
    for level in world.levels() {
        world.set_level(&mut *conn, level).await;
        let lock = world.lock(&format!("{level:?}")).ttl(secs(1)).unwrap();
        let mut lease = conn.take(&lock).await;
        let fence = lease.fence();
        let watched = lock.clone();
        let work = conn.transaction_under(
            &mut lease,
            Box::new(move |conn| {
                Box::pin(async move {
                    until_run_out(conn, &watched).await;
                    Ok(())
                })
            }),
        );
        work.await.unwrap();
        assert!(conn.is_mine(&lease).await.unwrap(), "{level:?}");
        assert_eq!(lease.fence(), fence);
        assert!(lease.trusted_for() > ms(100));
        assert_eq!(conn.release(&lease).await.unwrap(), Outcome::Done);
    }
}

pub async fn t33_once_taken_over_no_older_pin_can_commit(world: &World) {
    let (mut old, mut next) = (world.session().await, world.session().await);
    let ledger = ledger(&mut *old).await;
    for level in world.levels() {
        let lock = short(world, &format!("{level:?}"));
        let lease = old.take(&lock).await;
        world.begin_at(&mut *old, level).await;
        old.pin(&lease).await.unwrap();
        write(&mut *old, &ledger, lease.fence()).await;
        run_out(world, &mut *next, &lease).await;
        let wanted = lock.clone();
        let taking = spawn(async move {
            let wait = Wait::forever().every(ms(5));
            let lease = next
                .acquire(&wanted, wait)
                .await
                .unwrap()
                .acquired()
                .unwrap();
            (next, lease)
        });
        old.commit().await.unwrap();
        let taken;
        (next, taken) = taking.await.unwrap();
        assert_eq!(
            written(&mut *next, &ledger).await,
            1,
            "{level:?}: the older one is done"
        );
        next.sql(&format!("DELETE FROM {ledger}")).await.unwrap();
        old.begin().await.unwrap();
        assert_eq!(old.try_pin(&lease).await.unwrap(), Pin::Lost);
        old.rollback().await.unwrap();
        next.release(&taken).await.unwrap();
    }
}

pub async fn t34_a_snapshot_does_not_let_a_stale_holder_commit(world: &World) {
    let (mut stale, mut next) = (world.session().await, world.session().await);
    let ledger = ledger(&mut *stale).await;
    for level in world.levels() {
        let lock = world.lock(&format!("{level:?}"));
        let lease = stale.take(&lock).await;
        world.begin_at(&mut *stale, level).await;
        written(&mut *stale, &ledger).await; // the snapshot is taken, and shows the lease held
        let mut taker = lease.clone();
        assert_eq!(next.extend(&mut taker).await.unwrap(), Outcome::Done);
        world.let_run_out(&mut *next, &lease).await;
        let new = next.take(&lock).await;
        match stale.try_pin(&lease).await {
            Ok(pin) => assert_eq!(pin, Pin::Lost, "{level:?}"),
            Err(error) => assert!(error.is_transient(), "{level:?}: {error}"),
        }
        stale.rollback().await.unwrap();
        next.release(&new).await.unwrap();
    }
}

pub async fn t35_the_wrong_forms_let_a_stale_holder_commit(world: &World) {
    let (mut stale, mut next) = (world.session().await, world.session().await);
    let ledger = ledger(&mut *stale).await;
    for exists in [false, true] {
        let lock = world.lock(&format!("{exists}"));
        let lease = stale.take(&lock).await;
        let mine = format!(
            "SELECT fence AS number FROM diesel_locks WHERE name = '{}' AND fence = {}",
            lock.key(),
            lease.fence()
        );
        stale.begin().await.unwrap();
        if exists {
            let sql = format!(
                "INSERT INTO {ledger} (fence) SELECT 1 FROM (SELECT 1 AS one) o WHERE EXISTS ({mine})"
            );
            if world.is_mysql() {
                // Reads of a writing statement lock by themselves there, unless the level is READ COMMITTED.
                stale.rollback().await.unwrap();
                stale
                    .batch("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
                    .await
                    .unwrap();
                stale.begin().await.unwrap();
            }
            assert_eq!(stale.sql(&sql).await.unwrap(), 1);
        } else {
            assert_eq!(stale.number(&mine).await.unwrap(), lease.fence());
        }
        if world.is_sqlite() {
            next.batch("PRAGMA busy_timeout = 0").await.unwrap();
        }
        let moved = format!(
            "UPDATE diesel_locks SET expires_at = expires_at - 100000000 WHERE name = '{}'",
            lock.key()
        );
        let aged = next.sql(&moved).await;
        if world.is_sqlite() && exists {
            assert!(aged.is_err(), "the one writer is the pin");
            stale.rollback().await.unwrap();
            continue;
        }
        aged.unwrap();
        next.take(&lock).await;
        if !exists {
            let written = stale
                .sql(&format!("INSERT INTO {ledger} (fence) VALUES (1)"))
                .await;
            if world.is_sqlite() {
                assert!(written.is_err(), "SQLite's snapshot refuses it by itself");
                stale.rollback().await.unwrap();
                continue;
            }
            written.unwrap();
        }
        stale.commit().await.unwrap();
    }
    let stale_commits = if world.is_sqlite() { 0 } else { 2 };
    assert_eq!(written(&mut *next, &ledger).await, stale_commits);
}

pub async fn t36_a_deferred_transaction_that_has_read_gets_a_clear_answer(world: &World) {
    let (mut conn, mut other) = (world.session().await, world.session().await);
    let (lock, elsewhere) = (world.lock("x"), world.lock("elsewhere"));
    let lease = conn.take(&lock).await;
    conn.begin().await.unwrap();
    conn.is_held(&lock).await.unwrap();
    other.take(&elsewhere).await;
    let pinned = conn.pin(&lease).await;
    if world.is_sqlite() {
        let error = pinned.unwrap_err();
        assert!(matches!(error, Error::CannotWrite { .. }) && error.is_transient());
        assert!(
            error.to_string().contains("immediate_transaction"),
            "{error}"
        );
    } else {
        pinned.unwrap();
    }
    conn.rollback().await.unwrap();
}

pub async fn t36b_a_pin_in_a_savepoint_ends_with_its_rollback_and_a_read_only_transaction_cannot_pin(
    world: &World,
) {
    let (mut conn, mut rival) = (world.session().await, world.session().await);
    let lock = short(world, "x");
    let lease = conn.take(&lock).await;
    conn.begin().await.unwrap();
    conn.begin().await.unwrap();
    conn.pin(&lease).await.unwrap();
    conn.rollback().await.unwrap();
    run_out(world, &mut *rival, &lease).await;
    if world.is_sqlite() {
        rival.batch("PRAGMA busy_timeout = 0").await.unwrap();
    }
    let taken = rival.try_acquire(&lock).await.unwrap();
    // Only SQLite's connection stays the writer. (MySQL does not forget a pin if the transaction had used InnoDB before.)
    assert_eq!(taken.is_busy(), world.is_sqlite());
    conn.rollback().await.unwrap();

    if world.is_sqlite() {
        return; // it has no READ ONLY transactions
    }
    let lock = world.lock("read only");
    let lease = conn.take(&lock).await;
    if world.is_postgres() {
        conn.begin().await.unwrap();
        conn.batch("SET TRANSACTION READ ONLY").await.unwrap();
        let error = conn.pin(&lease).await.unwrap_err();
        assert!(error.to_string().contains("read-only"), "{error}");
    } else {
        conn.batch("SET TRANSACTION READ ONLY").await.unwrap();
        conn.begin().await.unwrap();
        conn.pin(&lease).await.unwrap(); // a locking read is allowed there, and locks
    }
    conn.rollback().await.unwrap();
}

pub async fn t36c_a_token_that_comes_back_does_not_revive_an_old_lease(world: &World) {
    let (mut conn, lock) = (
        world.session().await,
        world.lock("x").token("agreed").unwrap(),
    );
    let mut old = conn.take(&lock).await;
    conn.release(&old).await.unwrap();
    let new = conn.take(&lock).await;
    assert!(new.fence() > old.fence());
    conn.begin().await.unwrap();
    assert_eq!(conn.try_pin(&old).await.unwrap(), Pin::Lost);
    conn.rollback().await.unwrap();
    assert_eq!(conn.extend(&mut old).await.unwrap(), Outcome::Lost);
    assert_eq!(conn.release(&old).await.unwrap(), Outcome::Lost);
    assert!(!conn.is_mine(&old).await.unwrap());
    assert!(conn.is_mine(&new).await.unwrap());
}

pub async fn t36d_overlapping_pins_of_a_dead_holders_workers_do_not_keep_its_lock(world: &World) {
    if world.is_sqlite() {
        return t36d_with_one_writer(world).await;
    }
    let (mut one, mut two) = (world.session().await, world.session().await);
    let (mut rival, lock) = (world.session().await, short(world, "x"));
    let lease = rival.take(&lock).await;
    one.begin().await.unwrap();
    one.pin(&lease).await.unwrap();
    run_out(world, &mut *rival, &lease).await;
    two.begin().await.unwrap();
    assert_eq!(two.try_pin(&lease).await.unwrap(), Pin::RunOut);
    one.commit().await.unwrap();
    if world.is_mysql() {
        two.rollback().await.unwrap(); // its answer was no, but it has looked at the row
    }
    let next = rival.take(&lock).await;
    assert!(next.fence() > lease.fence());
}

async fn t36d_with_one_writer(world: &World) {
    let (mut worker, mut rival) = (world.session().await, world.session().await);
    let lock = short(world, "x");
    let lease = worker.take(&lock).await;
    run_out(world, &mut *rival, &lease).await;
    worker.begin().await.unwrap();
    assert_eq!(worker.try_pin(&lease).await.unwrap(), Pin::RunOut);
    worker.rollback().await.unwrap();
    rival.take(&lock).await;
}

pub async fn t36e_a_failed_try_in_an_open_transaction_is_in_nobodys_way(world: &World) {
    let (mut holder, mut failed) = (world.session().await, world.session().await);
    let (mut worker, mut stranger) = (world.session().await, world.session().await);
    for level in world.levels() {
        let lock = world.lock(&format!("{level:?}"));
        let neighbour = world.lock(&format!("{level:?} neighbour"));
        let mut lease = holder.take(&lock).await;
        world.begin_at(&mut *failed, level).await;
        assert!(failed.try_acquire(&lock).await.unwrap().is_busy());
        if !world.is_sqlite() {
            assert_eq!(
                holder.extend(&mut lease).await.unwrap(),
                Outcome::Done,
                "{level:?}"
            );
            worker.begin().await.unwrap();
            worker.pin(&lease).await.unwrap();
            worker.commit().await.unwrap();
            stranger.take(&neighbour).await;
        }
        failed.rollback().await.unwrap();
        assert_eq!(holder.release(&lease).await.unwrap(), Outcome::Done);
    }
}

pub async fn the_work_s_own_error_rolls_back_and_comes_back_unchanged(world: &World) {
    let mut conn = world.session().await;
    let (table, lock) = (ledger(&mut *conn).await, world.lock("x"));
    let into = table.clone();
    let done = conn.transaction_on(
        &lock,
        Wait::never(),
        Box::new(move |conn| {
            Box::pin(async move {
                write(conn, &into, 1).await;
                Err(Error::Database(diesel::result::Error::NotFound))
            })
        }),
    );
    assert!(matches!(
        done.await,
        Err(Error::Database(diesel::result::Error::NotFound))
    ));
    assert_eq!(written(&mut *conn, &table).await, 0);
    assert!(
        !conn.is_held(&lock).await.unwrap(),
        "the one transaction it was for has failed"
    );
}

pub async fn a_guarded_transaction_in_a_transaction_is_a_savepoint(world: &World) {
    let mut conn = world.session().await;
    let table = ledger(&mut *conn).await;
    let mut lease = conn.take(&world.lock("x")).await;
    conn.begin().await.unwrap();
    for (fence, fails) in [(1, false), (2, true)] {
        let into = table.clone();
        let work = conn.transaction_under(
            &mut lease,
            Box::new(move |conn| {
                Box::pin(async move {
                    write(conn, &into, fence).await;
                    if fails {
                        return Err(Error::Database(diesel::result::Error::NotFound));
                    }
                    Ok(())
                })
            }),
        );
        assert_eq!(work.await.is_err(), fails);
    }
    conn.commit().await.unwrap();
    assert_eq!(written(&mut *conn, &table).await, 1);
    assert!(conn.is_mine(&lease).await.unwrap());
}

pub async fn finishing_releases_with_the_commit(world: &World) {
    let mut conn = world.session().await;
    for level in world.levels() {
        world.set_level(&mut *conn, level).await;
        let lock = world.lock(&format!("{level:?}"));
        let mut lease = conn.take(&lock).await;
        conn.finish(&mut lease, Box::new(|_| Box::pin(async { Ok(()) })))
            .await
            .unwrap();
        assert!(!conn.is_held(&lock).await.unwrap(), "{level:?}");
    }
}

pub async fn a_heartbeat_cannot_make_a_guarded_transaction_fail(world: &World) {
    let (mut conn, keeper) = (world.session().await, world.session().await);
    if world.is_sqlite() {
        return finishing_releases_with_the_commit(world).await; // nobody else writes meanwhile
    }
    let ledger = ledger(&mut *conn).await;
    let keeper = Arc::new(Mutex::new(keeper));
    for level in world.levels() {
        world.set_level(&mut *conn, level).await;
        let lock = world.lock(&format!("{level:?}"));
        let mut lease = conn.take(&lock).await;
        let (mut copy, beat, ledger) = (lease.clone(), keeper.clone(), ledger.clone());
        let work = conn.finish(
            &mut lease,
            Box::new(move |conn| {
                Box::pin(async move {
                    written(conn, &ledger).await; // the snapshot is taken
                    let outcome = beat.lock().await.extend(&mut copy).await.unwrap();
                    assert_eq!(outcome, Outcome::Done);
                    Ok(())
                })
            }),
        );
        work.await
            .unwrap_or_else(|error| panic!("{level:?}: {error}"));
        assert!(!conn.is_held(&lock).await.unwrap());
    }
}

pub async fn the_one_call_form_costs_begin_pin_and_commit(world: &World) {
    use diesel::connection::InstrumentationEvent;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
    let mut conn = world.session().await;
    let mut lease = conn.take(&world.lock("x")).await;
    let queries = Arc::new(AtomicU32::new(0));
    let counter = queries.clone();
    conn.instrument(Box::new(move |event: InstrumentationEvent<'_>| {
        if matches!(event, InstrumentationEvent::StartQuery { .. }) {
            counter.fetch_add(1, SeqCst);
        }
    }));
    conn.transaction_under(&mut lease, Box::new(|_| Box::pin(async { Ok(()) })))
        .await
        .unwrap();
    assert_eq!(queries.load(SeqCst), 3, "BEGIN, pin, COMMIT");
}

pub async fn a_busy_lock_is_an_answer_of_the_one_call_form(world: &World) {
    let (mut holder, mut other) = (world.session().await, world.session().await);
    let lock = world.lock("x");
    holder.take(&lock).await;
    let work = other.transaction_on(
        &lock,
        Wait::never(),
        Box::new(|_| panic!("not without the lock")),
    );
    assert!(matches!(work.await.unwrap(), Attempt::Busy(Some(_))));
}

pub async fn a_nested_guarded_transaction_never_loses_the_one_around_it(world: &World) {
    if world.is_sqlite() {
        return a_guarded_transaction_in_a_transaction_is_a_savepoint(world).await; // no heartbeat meanwhile
    }
    let (mut conn, keeper) = (world.session().await, world.session().await);
    let keeper = Arc::new(Mutex::new(keeper));
    for level in world.levels() {
        for last in [false, true] {
            let ledger = ledger(&mut *conn).await;
            let lock = world.lock(&format!("{level:?} {last}"));
            let mut lease: Lease = conn.take(&lock).await.to_text().parse().unwrap(); // not trusted
            world.begin_at(&mut *conn, level).await;
            write(&mut *conn, &ledger, 1).await;
            let (mut copy, beat, into) = (lease.clone(), keeper.clone(), ledger.clone());
            let work: Work = Box::new(move |conn| {
                Box::pin(async move {
                    write(conn, &into, 2).await;
                    let beat = beat.lock().await.extend(&mut copy).await;
                    assert_eq!(beat.unwrap(), Outcome::Done);
                    Ok(())
                })
            });
            let nested = if last {
                conn.finish(&mut lease, work).await
            } else {
                conn.transaction_under(&mut lease, work).await
            };
            let expected = match nested {
                Ok(()) => {
                    conn.commit().await.unwrap();
                    2
                }
                Err(error) => {
                    assert!(
                        error.is_transient() && level.sees_snapshot(),
                        "{level:?}: {error}"
                    );
                    conn.rollback().await.unwrap();
                    0
                }
            };
            assert_eq!(written(&mut *conn, &ledger).await, expected, "{level:?}");
        }
    }
}

pub async fn what_the_transaction_around_takes_back_is_not_trusted(world: &World) {
    let mut conn = world.session().await;
    let lease = conn.take(&world.lock("x")).await;
    let mut lease: Lease = lease.to_text().parse().unwrap(); // so that its time is short
    conn.begin().await.unwrap();
    conn.transaction_under(&mut lease, Box::new(|_| Box::pin(async { Ok(()) })))
        .await
        .unwrap();
    assert_eq!(conn.extend(&mut lease).await.unwrap(), Outcome::Done);
    conn.rollback().await.unwrap();
    assert_eq!(lease.trusted_for(), secs(0));
    conn.transaction_under(&mut lease, Box::new(|_| Box::pin(async { Ok(()) })))
        .await
        .unwrap();
    assert!(lease.trusted_for() > secs(20));
}

pub async fn the_work_may_release_by_itself(world: &World) {
    let mut conn = world.session().await;
    for level in world.levels() {
        world.set_level(&mut *conn, level).await;
        let ledger = ledger(&mut *conn).await;
        let mut lease = conn.take(&world.lock(&format!("{level:?}"))).await;
        let (copy, into) = (lease.clone(), ledger.clone());
        let work = conn.finish(
            &mut lease,
            Box::new(move |conn| {
                Box::pin(async move {
                    write(conn, &into, 1).await;
                    assert_eq!(conn.release(&copy).await.unwrap(), Outcome::Done);
                    Ok(())
                })
            }),
        );
        work.await
            .unwrap_or_else(|error| panic!("{level:?}: {error}"));
        assert_eq!(written(&mut *conn, &ledger).await, 1);
        assert!(!conn.is_held(lease.lock()).await.unwrap());
    }
}

pub async fn t36e_a_failed_try_for_what_is_pinned_and_run_out_stops_no_heartbeat(world: &World) {
    if world.is_sqlite() {
        return t36e_a_failed_try_in_an_open_transaction_is_in_nobodys_way(world).await; // the pin is the writer
    }
    let (mut holder, mut worker) = (world.session().await, world.session().await);
    let mut failed = world.session().await;
    for level in world.levels() {
        let lock = world.lock(&format!("{level:?}"));
        let mut lease = holder.take(&lock).await;
        world.begin_at(&mut *worker, level).await;
        worker.pin(&lease).await.unwrap();
        world.let_run_out(&mut *holder, &lease).await;
        world.begin_at(&mut *failed, level).await;
        assert!(failed.try_acquire(&lock).await.unwrap().is_busy());
        let beat = holder.extend(&mut lease).await.unwrap();
        assert_eq!(beat, Outcome::DoneLate, "{level:?}");
        failed.rollback().await.unwrap();
        worker.commit().await.unwrap();
    }
}

pub async fn a_stale_release_is_in_nobodys_way(world: &World) {
    if world.is_sqlite() {
        return t29_taken_over_before_the_pin_is_lost_and_nothing_is_written(world).await; // one writer
    }
    let (mut stale, mut holder) = (world.session().await, world.session().await);
    let (mut one, mut two) = (world.session().await, world.session().await);
    let lock = world.lock("x");
    let old = stale.take(&lock).await;
    world.let_run_out(&mut *stale, &old).await;
    let new = holder.take(&lock).await;
    one.begin().await.unwrap();
    one.pin(&new).await.unwrap();
    assert_eq!(stale.release(&old).await.unwrap(), Outcome::Lost);
    two.begin().await.unwrap();
    two.pin(&new).await.unwrap();
    one.commit().await.unwrap();
    two.commit().await.unwrap();
    assert_eq!(holder.release(&new).await.unwrap(), Outcome::Done);
}
