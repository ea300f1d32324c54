//! Only the database's clock decides, and it is read live.

use std::path::Path;

use diesel_locks::{Lock, Outcome, Released};

use super::expiry::assert_lasts;
use crate::session::Session;
use crate::world::{World, secs};

pub async fn the_times_in_the_row_come_from_the_database(world: &World) {
    let (mut conn, lock) = (world.session().await, world.lock("x"));
    let before = world.clock(&mut *conn).await;
    let lease = conn.take(&lock).await;
    let after = world.clock(&mut *conn).await;
    let acquired_at = world.column(&mut *conn, &lock, "acquired_at").await;
    assert!((before..=after).contains(&acquired_at));
    // SQLite's clock has milliseconds, its fences have microseconds.
    assert!(
        (before..after + 1_000).contains(&lease.fence()),
        "the first fence is a time"
    );
}

/// A wrong clock of a client must not matter, so no other file of the crate than `clock.rs` reads the wall clock. The
/// fences on SQLite need it: there the database has no other clock than the client's. On MySQL and MariaDB a fence is
/// proposed by the client's clock: `fence::a_wrong_clock_of_a_client_is_not_a_fence`.
#[test]
fn the_clock_on_the_wall_is_read_nowhere() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../src");
    let mut folders = vec![source];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if path.ends_with("clock.rs") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for clock in ["SystemTime", "Utc::now", "Local::now", "ClockId::Realtime"] {
                assert!(!text.contains(clock), "{clock} in {}", path.display());
            }
        }
    }
}

/// In PostgreSQL, `now()` is the start of the transaction, and a snapshot can be just as old. A lease must not count
/// from there.
pub async fn acquired_late_in_a_transaction_a_lease_has_its_full_ttl(world: &World) {
    let (mut conn, mut other) = (world.session().await, world.session().await);
    let lock = world.lock("x");
    conn.begin().await.unwrap();
    let began = world.clock(&mut *conn).await;
    world.pass(&mut *other, began + 2_000).await;
    let asked = world.clock(&mut *other).await;

    let mut lease = conn.take(&lock).await;
    let row = conn.row(&lock).await;
    assert!(row.acquired_at.timestamp_micros() >= asked);
    assert_lasts(world, &row, secs(30));

    let asked = world.clock(&mut *other).await;
    assert_eq!(conn.try_extend(&mut lease).await.unwrap(), Outcome::Done);
    let extended = world.end(&mut *conn, &lock).await;
    assert!(extended >= asked + 30_000_000);
    conn.commit().await.unwrap();
    assert_eq!(other.told_busy(&lock).await.unwrap().fence, lease.fence());
}

/// The name for PostgreSQL, and the offset for MySQL and MariaDB. `SQLite` has no time zones.
const ZONES: [(&str, &str); 3] = [
    ("UTC", "+00:00"),
    ("Asia/Tokyo", "+09:00"),
    ("America/New_York", "-05:00"),
];

async fn go_to(world: &World, conn: &mut dyn Session, (name, offset): (&str, &str)) {
    if world.is_postgres() {
        conn.batch(&format!("SET TIME ZONE '{name}'"))
            .await
            .unwrap();
    } else if world.is_mysql() {
        conn.batch(&format!("SET time_zone = '{offset}'"))
            .await
            .unwrap();
    }
}

pub async fn sessions_in_different_time_zones_agree(world: &World) {
    let (mut holder, mut rival) = (world.session().await, world.session().await);
    let lock = world.lock("x");
    for here in ZONES {
        go_to(world, &mut *holder, here).await;
        let lease = holder.take(&lock).await;
        for there in ZONES {
            go_to(world, &mut *rival, there).await;
            let seen = rival.told_busy(&lock).await.unwrap();
            assert!(
                seen.time_left > secs(25) && seen.time_left <= secs(30),
                "{here:?} {there:?}"
            );
            assert_eq!(seen.since, holder.row(&lock).await.acquired_at);
        }
        assert_eq!(rival.release(&lease).await.unwrap(), Released::InTime);
    }
}

/// The instants of a change: the beginning and the end of daylight saving time in New York in 2025, and midnight in UTC
/// and in Tokyo.
const CHANGES: [i64; 4] = [1_741_503_600, 1_762_063_200, 1_767_225_600, 1_767_279_600];

/// Sets the time. On MySQL and MariaDB, a connection can choose its instant, and then its clock stands still. On the
/// other engines the row is made older instead.
async fn at(world: &World, conn: &mut dyn Session, lock: &Lock, instant: i64, moved: i64) {
    if world.is_mysql() {
        let sql = format!("SET timestamp = {}", instant + moved);
        conn.batch(&sql).await.unwrap();
    } else if moved > 0 {
        let so_far = world.clock(&mut *conn).await - row_began(world, conn, lock).await;
        let rest = u64::try_from(moved * 1_000_000 - so_far).unwrap();
        world
            .age(conn, lock, std::time::Duration::from_micros(rest))
            .await;
    }
}

async fn row_began(world: &World, conn: &mut dyn Session, lock: &Lock) -> i64 {
    world.column(conn, lock, "acquired_at").await
}

pub async fn an_hour_has_sixty_minutes_even_when_the_clocks_change(world: &World) {
    let (mut holder, mut rival) = (world.session().await, world.session().await);
    for (number, change) in CHANGES.into_iter().enumerate() {
        let lock = world
            .lock(&number.to_string())
            .with_ttl(secs(3_600))
            .unwrap();
        let begin = change - 1_800;
        go_to(world, &mut *holder, ZONES[2]).await;
        go_to(world, &mut *rival, ZONES[number % 3]).await;
        at(world, &mut *holder, &lock, begin, 0).await;
        let lease = holder.take(&lock).await;
        at(world, &mut *rival, &lock, begin, 3_540).await;
        let left = rival.told_busy(&lock).await.unwrap().time_left;
        assert!(left <= secs(60) && left > secs(50));
        at(world, &mut *rival, &lock, begin, 3_600).await;
        assert!(rival.take(&lock).await.fence() > lease.fence());
    }
}
