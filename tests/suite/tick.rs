//! Several events at the same instant.

use diesel::debug_query;
use diesel_locks::statement::Statement;
use diesel_locks::{Attempt, Lease, List, Lock, Outcome, Pin, Released};

use crate::session::Session;
use crate::world::{World, ms, secs};

/// On MySQL and MariaDB the clock can be stopped, so the test is exact. On the other engines it aims at the instant,
/// and hits it now and then.
pub async fn a_lease_is_over_at_the_instant_at_which_it_ends(world: &World) {
    let (mut conn, lock) = (world.session().await, world.lock("x"));
    if !world.is_mysql() {
        return aim_at_the_end(world, &mut *conn, &lock).await;
    }
    conn.batch("SET timestamp = 1767225600.25").await.unwrap();
    let mut lease = conn.take(&lock).await;
    conn.batch("SET timestamp = 1767225630.249999")
        .await
        .unwrap();
    assert_eq!(
        conn.told_busy(&lock).await.unwrap().time_left.as_micros(),
        1
    );
    assert_eq!(conn.try_pin(&lease).await.unwrap(), Pin::Pinned);
    assert_eq!(conn.load(&world.list().held()).await.unwrap().len(), 1);

    conn.batch("SET timestamp = 1767225630.25").await.unwrap();
    assert!(!conn.is_held(&lock).await.unwrap());
    assert!(conn.load(&world.list().held()).await.unwrap().is_empty());
    assert_eq!(conn.try_pin(&lease).await.unwrap(), Pin::Expired);
    assert_eq!(
        conn.try_extend(&mut lease).await.unwrap(),
        Outcome::DoneLate
    );
    conn.batch("SET timestamp = 1767225660.25").await.unwrap();
    assert_eq!(conn.take(&lock).await.fence(), 1_767_225_660_250_000);
}

async fn aim_at_the_end(world: &World, conn: &mut dyn Session, lock: &Lock) {
    conn.take(lock).await;
    let mut ahead = 0;
    for _ in 0..400 {
        let ends = world.clock(&mut *conn).await + ahead;
        let sql = format!(
            "UPDATE diesel_locks SET token = 'another', expires_at = {ends} WHERE name = '{}'",
            lock.key()
        );
        assert_eq!(conn.sql(&sql).await.unwrap(), 1);
        match conn.try_acquire(lock).await.unwrap() {
            Attempt::Acquired(_) => {
                let late = world.column(conn, lock, "acquired_at").await - ends;
                assert!(late >= 0, "acquired {late} µs before its end");
                ahead += late / 8 + 1;
            }
            Attempt::Busy(Some(holder)) => {
                ahead -= i64::try_from(holder.time_left.as_micros()).unwrap() / 8 + 1;
            }
            Attempt::Busy(None) => panic!("the lease was over, and its lock was not to be had"),
        }
    }
}

/// Aiming does not hit the instant reliably, so this test reads the SQL.
#[test]
fn every_statement_counts_the_instant_of_the_end_as_over() {
    let lease: Lease = "lease1:1:30000000:token::diesel_locks:x".parse().unwrap();
    let mut all = Vec::new();
    /// Collects the SQL of a statement on every engine.
    macro_rules! read {
        ($($statement:expr),+) => {$(
            #[cfg(feature = "postgres")]
            all.push(debug_query::<diesel::pg::Pg, _>(&$statement).to_string());
            #[cfg(feature = "mysql")]
            all.push(debug_query::<diesel::mysql::Mysql, _>(&$statement).to_string());
            #[cfg(feature = "sqlite")]
            all.push(debug_query::<diesel::sqlite::Sqlite, _>(&$statement).to_string());
        )+};
    }
    read!(
        Statement::acquire(lease.lock()).unwrap(),
        Statement::list(&List::all().held()),
        Statement::extend(&lease, secs(1)),
        Statement::extend_by(&lease, secs(1)),
        Statement::release(&lease),
        Statement::set_data(&lease, None),
        Statement::pin(&lease)
    );
    for sql in all {
        let compares = |signs: [&str; 2]| {
            let compared = |sign| ["expires_at", "expires_at)"].map(|end| format!("{end} {sign} "));
            let mut compared = signs.into_iter().flat_map(compared);
            compared.any(|compared| sql.contains(&compared))
        };
        // The first write on MySQL and MariaDB takes only a lock that was released.
        let takes_over = !sql.contains("AND l.token IS NULL AND");
        assert_eq!(compares(["<=", ">"]), takes_over, "{sql}");
        assert!(!compares(["<", ">="]), "{sql}");
    }
}

pub async fn extending_and_acquiring_again_within_one_tick_works(world: &World) {
    let mut conn = world.session().await;
    if world.is_mysql() {
        conn.batch("SET timestamp = 1767225600.25").await.unwrap();
    }
    within_one_tick(&mut *conn, &world.lock("x")).await;
}

/// An UPDATE that changes no value must not look like an UPDATE that found no row.
pub async fn within_one_tick(conn: &mut dyn Session, lock: &Lock) {
    let mine = lock.clone().with_token("mine").unwrap();
    let mut last = 0;
    for _ in 0..20 {
        let mut lease = conn.take(&mine).await;
        assert!(lease.fence() > last);
        last = lease.fence();
        for _ in 0..3 {
            assert_eq!(conn.try_extend(&mut lease).await.unwrap(), Outcome::Done);
            assert_eq!(
                conn.try_extend_by(&mut lease, ms(1)).await.unwrap(),
                Outcome::Done
            );
            assert_eq!(
                conn.try_set_data(&lease, Some("same")).await.unwrap(),
                Outcome::Done
            );
            assert_eq!(conn.take(&mine).await.fence(), last);
        }
        for _ in 0..3 {
            let longest = secs(36_500 * 24 * 60 * 60);
            assert_eq!(
                conn.try_extend_by(&mut lease, longest).await.unwrap(),
                Outcome::Done
            );
        }
        assert_eq!(conn.release(&lease).await.unwrap(), Released::InTime);
    }
}
