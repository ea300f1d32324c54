//! The pin: a stale holder cannot commit, and nobody else is delayed.

use std::time::Instant;

use diesel::result::DatabaseErrorKind;
use diesel::result::Error::DatabaseError;
use diesel_locks::{Error, Outcome, Pin, Released, Wait};

use super::ledger::{do_not_wait, ledger, run_out, short, until_run_out, write, written};
use crate::world::{World, ms, secs, spawn};

pub async fn a_pinned_lease_that_runs_out_is_not_taken_over_before_the_commit(world: &World) {
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
        assert_eq!(holder.release(&lease).await.unwrap(), Released::Lost);
        rival.release(&next).await.unwrap();
    }
}

pub async fn taken_over_before_the_pin_is_lost_and_nothing_is_written(world: &World) {
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

pub async fn a_lease_that_has_run_out_must_be_extended_before_a_pin(world: &World) {
    let (mut conn, lock) = (world.session().await, world.lock("x"));
    let mut lease = conn.take(&lock).await;
    world.let_run_out(&mut *conn, &lease).await;
    conn.begin().await.unwrap();
    assert_eq!(conn.try_pin(&lease).await.unwrap(), Pin::Expired);
    let error = conn.pin(&lease).await.unwrap_err();
    assert!(matches!(error, Error::Expired { .. }) && error.is_stale());
    conn.rollback().await.unwrap();
    assert_eq!(
        conn.try_extend(&mut lease).await.unwrap(),
        Outcome::DoneLate
    );
    conn.begin().await.unwrap();
    conn.pin(&lease).await.unwrap();
    conn.commit().await.unwrap();
}

pub async fn the_heartbeat_passes_the_pin_at_once(world: &World) {
    let (mut worker, mut keeper) = (world.session().await, world.session().await);
    for level in world.levels() {
        let lock = world.lock(&format!("{level:?}"));
        let mut lease = keeper.take(&lock).await;
        world.begin_at(&mut *worker, level).await;
        worker.pin(&lease).await.unwrap();
        if world.is_sqlite() {
            // There is one writer: the heartbeat fails at once, and succeeds after the commit.
            keeper.batch("PRAGMA busy_timeout = 0").await.unwrap();
            assert!(
                keeper
                    .try_extend(&mut lease)
                    .await
                    .unwrap_err()
                    .is_transient()
            );
        } else {
            assert_eq!(
                keeper.try_extend(&mut lease).await.unwrap(),
                Outcome::Done,
                "{level:?}"
            );
        }
        worker.commit().await.unwrap();
        assert_eq!(keeper.try_extend(&mut lease).await.unwrap(), Outcome::Done);
    }
}

/// The server would let a statement wait for a minute.
pub async fn a_try_for_a_pinned_lock_does_not_wait(world: &World) {
    let (mut holder, mut other) = (world.session().await, world.session().await);
    let lease = holder.take(&world.lock("x")).await;
    if world.is_mysql() {
        let wait = "SET SESSION innodb_lock_wait_timeout = 60";
        other.batch(wait).await.unwrap();
    }
    holder.begin().await.unwrap();
    holder.pin(&lease).await.unwrap();
    let began = Instant::now();
    let seen = other.told_busy(lease.lock()).await;
    assert_eq!(seen.expect("a holder").fence, lease.fence());
    assert!(began.elapsed() < secs(30), "{:?}", began.elapsed());
    holder.commit().await.unwrap();
}

pub async fn many_pins_of_one_lease_stand_side_by_side(world: &World) {
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

pub async fn once_taken_over_no_older_pin_can_commit(world: &World) {
    let (mut old, mut next) = (world.session().await, world.session().await);
    let ledger = ledger(&mut *old).await;
    for level in world.levels() {
        let lock = short(world, &format!("{level:?}"));
        let lease = old.take(&lock).await;
        world.begin_at(&mut *old, level).await;
        old.pin(&lease).await.unwrap();
        write(&mut *old, &ledger, lease.fence()).await;
        run_out(world, &mut *next, &lease).await;
        if world.is_sqlite() {
            next.batch("PRAGMA busy_timeout = 0").await.unwrap();
        }
        let busy = next.try_acquire(&lock).await.unwrap().is_busy();
        assert!(busy, "{level:?}: the older transaction is still open");
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

pub async fn a_snapshot_does_not_let_a_stale_holder_commit(world: &World) {
    let (mut stale, mut next) = (world.session().await, world.session().await);
    let ledger = ledger(&mut *stale).await;
    for level in world.levels() {
        let lock = world.lock(&format!("{level:?}"));
        let lease = stale.take(&lock).await;
        world.begin_at(&mut *stale, level).await;
        written(&mut *stale, &ledger).await; // the snapshot is taken, and shows the lease held
        let mut taker = lease.clone();
        assert_eq!(next.try_extend(&mut taker).await.unwrap(), Outcome::Done);
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

/// The lease is valid, so a pin must not call it lost, even though the transaction cannot see it.
pub async fn a_snapshot_that_is_older_than_the_lease_does_not_make_it_lost(world: &World) {
    let (mut worker, mut holder) = (world.session().await, world.session().await);
    let ledger = ledger(&mut *worker).await;
    for level in world.levels() {
        let lock = world.lock(&format!("{level:?}"));
        let before = holder.take(&lock).await;
        holder.release(&before).await.unwrap();
        world.begin_at(&mut *worker, level).await;
        written(&mut *worker, &ledger).await; // the snapshot is taken, and shows the lock free
        let lease = holder.take(&lock).await;
        match worker.try_pin(&lease).await {
            Ok(pin) => assert_eq!(pin, Pin::Pinned, "{level:?}"),
            Err(error) => assert!(error.is_transient(), "{level:?}: {error}"),
        }
        worker.rollback().await.unwrap();
        holder.release(&lease).await.unwrap();
    }
}

pub async fn the_wrong_forms_let_a_stale_holder_commit(world: &World) {
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
                // There the reads of a writing statement lock rows by themselves, except at READ COMMITTED.
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

pub async fn a_deferred_transaction_that_has_read_gets_a_clear_answer(world: &World) {
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

pub async fn a_pin_in_a_savepoint_ends_with_its_rollback_and_a_read_only_transaction_cannot_pin(
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
    // Only on SQLite does the connection stay the writer. (On MySQL the pin stays, too, if the transaction has used
    // InnoDB before.)
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
        let is_told = matches!(
            &error,
            Error::Database(DatabaseError(DatabaseErrorKind::ReadOnlyTransaction, _))
        );
        assert!(is_told, "{error:?}");
    } else {
        conn.batch("SET TRANSACTION READ ONLY").await.unwrap();
        conn.begin().await.unwrap();
        conn.pin(&lease).await.unwrap(); // a locking read is allowed there, and locks
    }
    conn.rollback().await.unwrap();
}

pub async fn a_token_that_comes_back_does_not_revive_an_old_lease(world: &World) {
    let (mut conn, lock) = (
        world.session().await,
        world.lock("x").with_token("agreed").unwrap(),
    );
    let mut old = conn.take(&lock).await;
    conn.release(&old).await.unwrap();
    let new = conn.take(&lock).await;
    assert!(new.fence() > old.fence());
    conn.begin().await.unwrap();
    assert_eq!(conn.try_pin(&old).await.unwrap(), Pin::Lost);
    conn.rollback().await.unwrap();
    assert_eq!(conn.try_extend(&mut old).await.unwrap(), Outcome::Lost);
    assert_eq!(conn.release(&old).await.unwrap(), Released::Lost);
    assert!(!conn.is_mine(&old).await.unwrap());
    assert!(conn.is_mine(&new).await.unwrap());
}

pub async fn overlapping_pins_of_a_dead_holders_workers_do_not_keep_its_lock(world: &World) {
    if world.is_sqlite() {
        return with_one_writer(world).await;
    }
    let (mut one, mut two) = (world.session().await, world.session().await);
    let mut rival = world.session().await;
    let lock = world.lock("x").with_ttl(secs(3)).unwrap();
    let lease = rival.take(&lock).await;
    one.begin().await.unwrap();
    one.pin(&lease).await.unwrap();
    until_run_out(&mut *rival, &lock).await;
    two.begin().await.unwrap();
    assert_eq!(two.try_pin(&lease).await.unwrap(), Pin::Expired);
    one.commit().await.unwrap();
    if world.is_mysql() {
        two.rollback().await.unwrap(); // the pin was refused, but it has read and locked the row
    }
    let next = rival.take(&lock).await;
    assert!(next.fence() > lease.fence());
}

async fn with_one_writer(world: &World) {
    let (mut worker, mut rival) = (world.session().await, world.session().await);
    let lock = short(world, "x");
    let lease = worker.take(&lock).await;
    run_out(world, &mut *rival, &lease).await;
    worker.begin().await.unwrap();
    assert_eq!(worker.try_pin(&lease).await.unwrap(), Pin::Expired);
    worker.rollback().await.unwrap();
    rival.take(&lock).await;
}

pub async fn a_failed_try_in_an_open_transaction_blocks_nobody(world: &World) {
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
                holder.try_extend(&mut lease).await.unwrap(),
                Outcome::Done,
                "{level:?}"
            );
            worker.begin().await.unwrap();
            worker.pin(&lease).await.unwrap();
            worker.commit().await.unwrap();
            stranger.take(&neighbour).await;
        }
        failed.rollback().await.unwrap();
        assert_eq!(holder.release(&lease).await.unwrap(), Released::InTime);
    }
}

pub async fn a_failed_try_for_a_pinned_lease_that_ran_out_stops_no_heartbeat(world: &World) {
    let (mut holder, mut worker) = (world.session().await, world.session().await);
    let mut failed = world.session().await;
    do_not_wait(world, &mut *holder).await;
    do_not_wait(world, &mut *failed).await;
    for level in world.levels() {
        let lock = short(world, &format!("{level:?}"));
        let mut lease = holder.take(&lock).await;
        world.begin_at(&mut *worker, level).await;
        worker.pin(&lease).await.unwrap();
        run_out(world, &mut *holder, &lease).await;
        world.begin_at(&mut *failed, level).await;
        match failed.try_acquire(&lock).await {
            Ok(attempt) => assert!(attempt.is_busy() && !world.is_sqlite()),
            Err(error) => assert!(world.is_sqlite() && error.is_transient(), "{error}"),
        }
        if world.is_sqlite() {
            // The pin is the only writer. When it has ended, the failed try does not block the heartbeat.
            assert!(
                holder
                    .try_extend(&mut lease)
                    .await
                    .unwrap_err()
                    .is_transient()
            );
            worker.commit().await.unwrap();
        }
        let beat = holder.try_extend(&mut lease).await.unwrap();
        assert_eq!(beat, Outcome::DoneLate, "{level:?}");
        failed.rollback().await.unwrap();
        if !world.is_sqlite() {
            worker.commit().await.unwrap();
        }
    }
}

pub async fn a_stale_release_is_in_nobodys_way(world: &World) {
    let (mut stale, mut holder) = (world.session().await, world.session().await);
    let (mut one, mut two) = (world.session().await, world.session().await);
    let lock = world.lock("x");
    let old = stale.take(&lock).await;
    world.let_run_out(&mut *stale, &old).await;
    let new = holder.take(&lock).await;
    one.begin().await.unwrap();
    one.pin(&new).await.unwrap();
    if world.is_sqlite() {
        do_not_wait(world, &mut *stale).await;
        assert!(stale.release(&old).await.unwrap_err().is_transient());
        one.commit().await.unwrap();
    }
    assert_eq!(stale.release(&old).await.unwrap(), Released::Lost);
    two.begin().await.unwrap();
    two.pin(&new).await.unwrap();
    if !world.is_sqlite() {
        one.commit().await.unwrap();
    }
    two.commit().await.unwrap();
    assert_eq!(holder.release(&new).await.unwrap(), Released::InTime);
}
