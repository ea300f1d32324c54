//! Locks as terms of the host's queries.

use crate::managed::recorder::Recorder;
use crate::session::Work;
use crate::world::{World, ms, soon};

pub async fn the_jobs_whose_lock_is_free_and_those_whose_lock_is_held(world: &World) {
    let (mut conn, mut other) = (world.session().await, world.session().await);
    let scope = world.lock("any").group().unwrap().to_owned();
    for name in ["a", "b", "c|d", "never used"] {
        let sql = format!("INSERT INTO host_jobs (scope, name) VALUES ('{scope}', '{name}')");
        assert_eq!(conn.sql(&sql).await.unwrap(), 1);
    }
    let a = other.take(&world.lock("a")).await;
    let b = other.take(&world.lock("b")).await;
    let cd = other.take(&world.lock("c|d")).await;
    other.release(&b).await.unwrap();
    assert_eq!(conn.jobs(&scope, false).await.unwrap(), ["b", "never used"]);
    assert_eq!(conn.jobs(&scope, true).await.unwrap(), ["a", "c|d"]);

    world.let_run_out(&mut *other, &a).await;
    assert_eq!(
        conn.jobs(&scope, false).await.unwrap(),
        ["a", "b", "never used"]
    );
    assert_eq!(conn.jobs(&scope, true).await.unwrap(), ["c|d"]);
    other.release(&cd).await.unwrap();
}

/// Keeping the fence in the row that it protects needs nothing of the crate.
pub async fn a_fenced_write_refuses_who_comes_too_late(world: &World) {
    let (mut late, mut next) = (world.session().await, world.session().await);
    let table = crate::world::own_table("fenced").name().to_owned();
    late.batch(&format!("CREATE TABLE {table} (fence BIGINT NOT NULL)"))
        .await
        .unwrap();
    late.sql(&format!("INSERT INTO {table} (fence) VALUES (0)"))
        .await
        .unwrap();
    let old = late.take(&world.lock("x")).await;
    world.let_run_out(&mut *late, &old).await;
    let new = next.take(&world.lock("x")).await;
    let write = |fence: i64| format!("UPDATE {table} SET fence = {fence} WHERE fence <= {fence}");
    assert_eq!(next.sql(&write(new.fence())).await.unwrap(), 1);
    assert_eq!(late.sql(&write(old.fence())).await.unwrap(), 0);
}

pub async fn a_pin_that_is_a_write_keeps_the_lock_as_well(world: &World) {
    let (mut holder, mut rival) = (world.session().await, world.session().await);
    for level in world.levels() {
        let lock = world.lock(&format!("{level:?}")).pin_by_writing();
        let lease = holder.take(&lock).await;
        let handed: diesel_locks::Lease = lease.to_text().parse().unwrap();
        world.begin_at(&mut *holder, level).await;
        holder.pin(&handed).await.unwrap();
        if world.is_mysql() {
            // The heartbeat waits for the pin, as documented.
            world.make_impatient(&mut *rival).await;
            let mut copy = lease.clone();
            assert!(
                rival
                    .try_extend(&mut copy)
                    .await
                    .unwrap_err()
                    .is_transient()
            );
        }
        holder.commit().await.unwrap();
        world.let_run_out(&mut *holder, &lease).await;
        holder.begin().await.unwrap();
        assert_eq!(
            holder.try_pin(&handed).await.unwrap(),
            diesel_locks::Pin::Expired
        );
        holder.rollback().await.unwrap();
        let next = rival.take(&lock).await;
        holder.begin().await.unwrap();
        assert_eq!(
            holder.try_pin(&handed).await.unwrap(),
            diesel_locks::Pin::Lost
        );
        holder.rollback().await.unwrap();
        rival.release(&next).await.unwrap();
    }
}

/// While the transaction is open, no heartbeat asks for the lease: it would wait for the row, and on a cluster with several
/// primaries it would make the transaction fail. The end of the transaction makes the lease due. On PostgreSQL the pin is
/// no write, and heartbeats pass. On SQLite no heartbeat passes any transaction, and each is told late.
pub async fn a_guard_that_pins_by_writing_is_not_extended_meanwhile(world: &World) {
    let recorder = Recorder::default();
    let locks = world.locks().await.renew_every(ms(100));
    let locks = locks.observe(recorder.observer());
    let guard = locks.take(&world.lock("x").pin_by_writing()).await;
    let (seen, told) = (recorder.clone(), !world.is_mysql());
    let work: Work = Box::new(move |_| {
        Box::pin(async move {
            // A heartbeat may have been under way when the transaction began.
            tokio::time::sleep(ms(500)).await;
            let before = seen.words().len();
            tokio::time::sleep(ms(1_000)).await;
            assert!(told || seen.words().len() == before, "{:?}", seen.words());
            Ok(())
        })
    });
    let before = recorder.count("renewed");
    guard.transaction(work).await.unwrap();
    if world.is_postgres() {
        assert!(
            recorder.count("renewed") > before + 1,
            "{:?}",
            recorder.words()
        );
    }
    let before = recorder.count("renewed");
    soon("it is extended again", async || {
        recorder.count("renewed") > before
    })
    .await;
    assert!(guard.is_valid());
}
