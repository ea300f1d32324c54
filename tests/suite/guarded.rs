//! The guarded transaction in one call: acquire, BEGIN, pin, work, release, COMMIT.

use std::sync::Arc;

use diesel_locks::{Attempt, Error, Lease, Outcome, Released, Wait};
use tokio::sync::Mutex;

use super::ledger::{do_not_wait, heartbeat, ledger, until_run_out, write, written};
use crate::session::Work;
use crate::world::{World, secs, spawn};

pub async fn the_one_call_form_sees_what_the_last_holder_wrote(world: &World) {
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

/// Tests all levels in parallel, because the test waits in real time: a local clock decides about the end of the
/// transaction.
pub async fn a_guarded_transaction_longer_than_the_ttl_leaves_the_lease_held(world: &World) {
    let mut transactions = Vec::new();
    for level in world.levels() {
        let mut conn = world.session().await;
        world.set_level(&mut *conn, level).await;
        let lock = world.lock(&format!("{level:?}")).with_ttl(secs(4)).unwrap();
        transactions.push(spawn(async move {
            let mut lease = conn.take(&lock).await;
            let fence = lease.fence();
            let work = conn.transaction_under(
                &mut lease,
                Box::new(move |conn| {
                    Box::pin(async move {
                        until_run_out(conn, &lock).await;
                        Ok(())
                    })
                }),
            );
            work.await.unwrap();
            assert!(conn.is_mine(&lease).await.unwrap(), "{level:?}");
            assert_eq!(lease.fence(), fence);
            assert!(!lease.trusted_for().is_zero());
            assert_eq!(conn.release(&lease).await.unwrap(), Released::InTime);
        }));
    }
    for transaction in transactions {
        transaction.await.unwrap();
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
    let (mut conn, mut keeper) = (world.session().await, world.session().await);
    do_not_wait(world, &mut *keeper).await;
    let one_writer = world.is_sqlite();
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
                    heartbeat(&mut **beat.lock().await, &mut copy, one_writer).await;
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
    let (mut conn, mut keeper) = (world.session().await, world.session().await);
    do_not_wait(world, &mut *keeper).await;
    let one_writer = world.is_sqlite();
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
                    heartbeat(&mut **beat.lock().await, &mut copy, one_writer).await;
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
    let mut lease: Lease = lease.to_text().parse().unwrap(); // a parsed lease is not trusted
    conn.begin().await.unwrap();
    conn.transaction_under(&mut lease, Box::new(|_| Box::pin(async { Ok(()) })))
        .await
        .unwrap();
    assert_eq!(conn.try_extend(&mut lease).await.unwrap(), Outcome::Done);
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
                    assert_eq!(conn.release(&copy).await.unwrap(), Released::InTime);
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
