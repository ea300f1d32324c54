//! Many leases in one process, and too few connections.

use std::time::{Duration, Instant};

use diesel_locks::{Lock, LockSet, Outcome, Released, Wait};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::setup;
use crate::managed::recorder::Recorder;
use crate::managed::traffic::is_beat;
use crate::managed::{AnyGuard, Managed};
use crate::session::{Session, Work};
use crate::world::{World, ms, own_table, secs, soon};

/// A set of this many names of this case.
fn names(world: &World, many: usize) -> LockSet {
    let others = (1..many).map(|number| format!("n{number}"));
    LockSet::new(&world.lock("n0"), others).unwrap()
}

async fn take_all(locks: &dyn Managed, set: &LockSet) -> Vec<AnyGuard> {
    let guards = locks.acquire_all(set, Wait::never()).await;
    guards.expect("nobody else knows the names")
}

/// Leaves many locks held, because releasing each would need a statement.
fn leave_all(guards: Vec<AnyGuard>) {
    for guard in guards {
        drop(guard.into_lease());
    }
}

pub async fn thousands_of_leases_cost_a_statement_for_each_thousand(world: &World) {
    let is_fast = world.is_postgres() && !world.is_blocking() && world.opens_its_own();
    let many = if is_fast { 10_000 } else { 1_200 };
    keep_many(world, many).await;
}

async fn keep_many(world: &World, many: usize) {
    let (mut other, recorder) = (world.session().await, Recorder::default());
    let (locks, traffic) = world.watched_locks(3).await;
    let locks = locks.renew_every(secs(2)).observe(recorder.observer());
    let guards = take_all(&*locks, &names(world, many)).await;
    assert_eq!(guards.len(), many);
    traffic.spent();
    for round in 1..=2 {
        soon("a beat of all", async || {
            recorder.count("renewed") >= many * round
        })
        .await;
    }
    let beats = traffic.beats();
    let (batch, renewed) = (many.div_ceil(1_000), recorder.count("renewed"));
    // This is checked before another connection locks the rows.
    let mut told = recorder.told().into_iter();
    let bad = told.find(|told| matches!(told.what, "late" | "lost"));
    assert!(bad.is_none(), "{bad:?}");
    // On a busy machine, the first leases are due again before the last ones are extended: this is the third beat.
    let most = batch * (renewed.div_ceil(many) + 1);
    assert!(beats <= most, "{beats} for {renewed}");
    let fewest = (2 * many).div_ceil(1_000);
    assert!(beats >= fewest, "{beats} seen, of at least {fewest}");
    assert!(guards.iter().all(|guard| guard.is_valid()));
    age_all(world, &mut *other, secs(20)).await;
    soon("each is extended", async || {
        shortest(world, &mut *other).await > 20_000_000
    })
    .await;
    assert_eq!(recorder.count("lost"), 0);
    leave_all(guards);
}

fn of_this_case(world: &World) -> String {
    let lock = world.lock("n");
    format!("name LIKE '{}%'", lock.key())
}

/// On MySQL and MariaDB, an UPDATE of a range also waits for neighbouring rows, or for all rows, and other cases may
/// have locked those. At READ COMMITTED it does not, without `innodb_snapshot_isolation`.
async fn age_all(world: &World, conn: &mut dyn Session, by: Duration) {
    if world.is_mysql() {
        conn.batch("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
            .await
            .unwrap();
    }
    if world.engine.name() == "mariadb" {
        conn.batch("SET innodb_snapshot_isolation = OFF")
            .await
            .unwrap();
    }
    let range = if world.is_mysql() {
        "FORCE INDEX (PRIMARY)"
    } else {
        ""
    };
    for table in world.tables() {
        let sql = format!(
            "UPDATE {table} {range} SET expires_at = expires_at - {} WHERE {}",
            by.as_micros(),
            of_this_case(world)
        );
        assert!(conn.sql(&sql).await.unwrap() > 0);
    }
}

/// The shortest time until one of the leases expires, in microseconds.
async fn shortest(world: &World, conn: &mut dyn Session) -> i64 {
    let sql = format!(
        "SELECT MIN(expires_at) AS number FROM {} WHERE {}",
        world.ends(),
        of_this_case(world)
    );
    let earliest = conn.number(&sql).await.unwrap();
    earliest - world.clock(conn).await
}

pub async fn leases_of_different_times_share_their_beats(world: &World) {
    let recorder = Recorder::default();
    let (locks, traffic) = world.watched_locks(3).await;
    let locks = locks.renew_every(secs(1)).observe(recorder.observer());
    let mut guards = Vec::new();
    for number in 0..40 {
        guards.push(locks.take(&world.lock(&format!("n{number}"))).await);
        tokio::time::sleep(ms(20)).await;
    }
    traffic.spent();
    let (began, before) = (Instant::now(), recorder.count("renewed"));
    soon("three beats of all", async || {
        recorder.count("renewed") - before >= 3 * guards.len()
    })
    .await;
    let intervals = usize::try_from(began.elapsed().as_secs()).unwrap() + 1;
    let beats = traffic.beats();
    assert!(beats <= 2 * intervals + 1, "{beats} in {intervals} s");
    assert!(beats >= 3, "{beats} seen, of at least three");
    leave_all(guards);
}

/// Copies of one lease cost no more than the lease: nothing but beats is sent.
pub async fn copies_of_a_lease_are_extended_as_one(world: &World) {
    let (mut other, recorder) = (world.session().await, Recorder::default());
    let (locks, traffic) = world.watched_locks(3).await;
    let locks = locks.renew_every(ms(200)).observe(recorder.observer());
    let lease = other.take(&world.lock("x")).await;
    let _guards = [
        locks.adopt(lease.clone()).await.unwrap(),
        locks.adopt(lease).await.unwrap(),
    ];
    soon("a beat of both", async || recorder.count("renewed") >= 2).await;
    traffic.spent();
    let before = recorder.count("renewed");
    soon("more beats", async || {
        recorder.count("renewed") >= before + 8
    })
    .await;
    let sent = traffic.spent();
    assert!(sent.iter().all(|sql| is_beat(sql)), "{sent:?}");
    assert_eq!(recorder.count("late"), 0);
}

/// If a statement extends fewer leases than it was asked for, the rows are read to find the others.
pub async fn a_lease_that_is_lost_makes_no_other_late(world: &World) {
    let (mut other, recorder) = (world.session().await, Recorder::default());
    let locks = world.locks().await.renew_every(ms(200));
    let locks = locks.observe(recorder.observer());
    let guards = take_all(&*locks, &names(world, 40)).await;
    for (lost, guard) in guards.iter().take(20).enumerate() {
        other.take_away(guard.lock()).await;
        soon("it is lost", async || recorder.count("lost") > lost).await;
    }
    for kept in guards.iter().skip(20) {
        assert!(kept.is_valid());
        assert!(!recorder.of(kept.lock().key()).contains(&"late"));
    }
}

pub async fn leases_of_two_tables_are_kept_by_one_keeper(world: &World) {
    let (mut other, table) = (world.session().await, own_table("locks"));
    other.batch(&setup::sql(world, &table).0).await.unwrap();
    let recorder = Recorder::default();
    let locks = world.locks().await.renew_every(ms(200));
    let locks = locks.observe(recorder.observer());
    let there = locks.in_table(table);
    let lock = world.lock("x");
    let guards = [
        locks.take(&lock).await,
        there.take(&there.lock("x").unwrap()).await,
        locks.take(&world.lock("y")).await,
    ];
    for guard in &guards {
        let key = guard.lock().key().to_owned();
        soon("it is extended", async || {
            let told = recorder.told().into_iter();
            let beats = told.filter(|told| told.key == key && told.what == "renewed");
            beats.count() >= 2
        })
        .await;
    }
    assert!(guards.iter().all(|guard| guard.is_valid()));
}

/// On `SQLite` that transaction is the only writer, so all leases wait until it has ended.
pub async fn a_lease_whose_row_is_locked_does_not_hold_up_the_others(world: &World) {
    let (mut other, recorder) = (world.session().await, Recorder::default());
    let locks = world.locks().await.renew_every(ms(300));
    let locks = locks.observe(recorder.observer());
    let mut guards = Vec::new();
    for name in ["n0", "n1", "n2"] {
        guards.push(locks.take(&world.lock(name)).await);
    }
    let busy = guards[1].lock();
    other.begin().await.unwrap();
    other.sql(&world.touch_beat(busy)).await.unwrap();
    let renewed = |key: &str| {
        let told = recorder.told().into_iter();
        told.filter(|told| told.key == key && told.what == "renewed")
            .count()
    };
    if world.is_sqlite() {
        tokio::time::sleep(secs(1)).await;
    } else {
        let before = guards.iter().map(|guard| renewed(guard.lock().key()));
        let before: Vec<_> = before.collect();
        soon("the others' beats", async || {
            [0, 2]
                .iter()
                .all(|&one| renewed(guards[one].lock().key()) >= before[one] + 3)
        })
        .await;
        assert!(
            renewed(busy.key()) <= before[1] + 1,
            "one beat may have been under way"
        );
        soon("it is told late", async || {
            recorder.of(busy.key()).contains(&"late")
        })
        .await;
        for one in [0, 2] {
            assert_eq!(recorder.of(guards[one].lock().key()), ["acquired"]);
        }
    }
    let before = renewed(busy.key());
    other.commit().await.unwrap();
    soon("it is extended again", async || {
        renewed(busy.key()) > before
    })
    .await;
    assert!(guards.iter().all(|guard| guard.is_valid()));
    assert_eq!(recorder.count("lost"), 0);
}

/// On MySQL and MariaDB the holder is in another row than the end of its lease. A try has the holder's row locked for a moment,
/// and a transaction may have it locked for long. The heartbeat passes.
pub async fn a_locked_row_of_the_holder_stops_no_heartbeat(world: &World) {
    if !world.is_mysql() {
        return a_lease_whose_row_is_locked_does_not_hold_up_the_others(world).await;
    }
    let (mut other, recorder) = (world.session().await, Recorder::default());
    let locks = world.locks().await.renew_every(ms(300));
    let locks = locks.observe(recorder.observer());
    let guard = locks.take(&world.lock("x")).await;
    other.begin().await.unwrap();
    other.sql(&touch_holder(guard.lock())).await.unwrap();
    let before = recorder.count("renewed");
    soon("beats", async || recorder.count("renewed") >= before + 3).await;
    let left = other.time_left(guard.lock()).await.unwrap();
    assert!(left > secs(25), "{left:?}");
    other.commit().await.unwrap();
    assert_eq!(recorder.count("late"), 0);
    assert_eq!(guard.release().await.unwrap(), Released::InTime);
}

fn touch_holder(lock: &Lock) -> String {
    let key = lock.key();
    format!("UPDATE diesel_locks SET owner = owner WHERE name = '{key}'")
}

/// The heartbeat has found the row of the holder locked, and has seen that the lease still belongs to its holder. Then another
/// process acquires the lock.
pub async fn a_heartbeat_that_passes_a_locked_row_extends_no_lease_that_is_lost(world: &World) {
    if !world.is_mysql() {
        return a_lease_whose_row_is_locked_does_not_hold_up_the_others(world).await;
    }
    for how in ["taken over", "purged", "taken away"] {
        let (mut other, lock) = (world.session().await, world.lock(how));
        let (locks, traffic) = world.watched_locks(3).await;
        let recorder = Recorder::default();
        let locks = locks.renew_every(ms(300)).observe(recorder.observer());
        let guard = locks.take(&lock).await;
        other.begin().await.unwrap();
        other.sql(&touch_holder(&lock)).await.unwrap();
        let list = world.list().with_prefix(lock.name());
        let ends = expire(world, &lock);
        let ((taken, is_taken), runtime) = (oneshot::channel(), Handle::current());
        let acquires = async move {
            other.rollback().await.unwrap();
            if how == "taken away" {
                other.take_away(&lock).await;
            } else {
                for sql in ends {
                    assert_eq!(other.sql(&sql).await.unwrap(), 1);
                }
            }
            if how == "purged" {
                assert_eq!(other.purge(&list, Duration::ZERO).await.unwrap(), 1);
            }
            let mut lease = other.take(&lock).await;
            other.extend_to(&mut lease, secs(600)).await.unwrap();
            taken.send(lease).unwrap();
        };
        let before = recorder.count("renewed");
        traffic.before("b.fence <=", Box::new(move || runtime.block_on(acquires)));
        let taken = is_taken.await.unwrap();
        assert!(guard.lost_within(secs(20)).await, "{how}");
        let renewed = recorder.count("renewed") - before;
        assert!(renewed <= 1, "{how}: one beat may have been before");
        let mut conn = world.session().await;
        assert!(conn.is_mine(&taken).await.unwrap(), "{how}");
        let left = conn.time_left(taken.lock()).await.unwrap();
        assert!(left > secs(500), "{how}: the extension counts, {left:?}");
        conn.release(&taken).await.unwrap();
    }
}

/// The statements that let the lease of a lock have expired long ago.
fn expire(world: &World, lock: &Lock) -> Vec<String> {
    let key = lock.key();
    let expire = |table| format!("UPDATE {table} SET expires_at = 1 WHERE name = '{key}'");
    world.tables().map(expire).collect()
}

/// The row says that an hour is left, as it does when the database's clock is set back, and the keeper finds the row
/// locked. (On SQLite a locked row is a database that does not answer.)
pub async fn a_locked_row_that_says_more_than_the_ttl_is_trusted_for_the_ttl(world: &World) {
    let (mut other, recorder) = (world.session().await, Recorder::default());
    let locks = world.locks().await.renew_every(ms(300));
    let locks = locks.observe(recorder.observer());
    let guard = locks.take(&world.lock("x")).await;
    let set = |table: &str, what: &str| {
        let key = guard.lock().key();
        format!("UPDATE {table} SET {what} WHERE name = '{key}'")
    };
    for table in world.tables() {
        let longer = set(table, "expires_at = expires_at + 3600000000");
        other.sql(&longer).await.unwrap();
    }
    other.begin().await.unwrap();
    other.sql(&world.touch_beat(guard.lock())).await.unwrap();
    if !world.is_sqlite() {
        for _ in 0..2 {
            // Where the database returns only a count, the row looks as if it had just been extended.
            let beats = || recorder.count("late") + recorder.count("renewed");
            let before = beats();
            soon("a beat has found the row locked", async || {
                beats() > before + 1
            })
            .await;
            assert!(guard.trusted_for() <= secs(30), "{:?}", guard.trusted_for());
        }
    }
    other.commit().await.unwrap();
    assert!(guard.trusted_for() <= secs(30) && guard.is_valid());
    assert!(guard.lease().trusted_for() <= secs(30));
}

/// Short, but long enough for a machine where a statement takes seconds.
const TTL: Duration = Duration::from_secs(8);

/// The transaction locks the row of its own lease, so nobody can extend the lease meanwhile. This must not delay the
/// heartbeats of the others. The guard is told at its deadline: it cannot know whether the session of its pin still
/// lives. The commit decides. On `SQLite` nobody else can write meanwhile, so there the transaction is shorter than the
/// ttl.
pub async fn a_guard_whose_transaction_locks_its_row_does_not_hold_up_the_others(world: &World) {
    let recorder = Recorder::default();
    let locks = world.locks().await.observe(recorder.observer());
    let lock = |name| world.lock(name).with_ttl(TTL).unwrap();
    let (long, other) = (locks.take(&lock("n0")).await, locks.take(&lock("n1")).await);
    let time = if world.is_sqlite() {
        ms(500)
    } else {
        TTL + secs(4)
    };
    let mut copy = long.lease();
    let work: Work = Box::new(move |conn| {
        Box::pin(async move {
            assert_eq!(conn.try_extend(&mut copy).await?, Outcome::Done);
            tokio::time::sleep(time).await;
            Ok(())
        })
    });
    long.transaction(work).await.unwrap();
    assert!(other.is_valid(), "{:?}", recorder.words());
    assert_eq!(long.is_valid(), world.is_sqlite());
    assert_eq!(recorder.count("lost"), usize::from(!world.is_sqlite()));
    let late = recorder.count("late");
    assert!(late < 100, "told {late} times that it is late");
    assert_eq!(long.release().await.unwrap(), Released::InTime);
    assert_eq!(other.release().await.unwrap(), Released::InTime);
}

pub fn that_takes(time: Duration) -> Work {
    Box::new(move |_| {
        Box::pin(async move {
            tokio::time::sleep(time).await;
            Ok(())
        })
    })
}

/// The pin keeps the lock. On a server the guard cannot know that, because no heartbeat comes through, so it is told at
/// its deadline. The commit decides, and leaves the lease extended.
pub async fn with_one_connection_a_guarded_transaction_longer_than_the_ttl_commits(world: &World) {
    let recorder = Recorder::default();
    let (locks, _) = world.watched_locks(1).await;
    let locks = locks.observe(recorder.observer());
    let guard = locks.take(&world.lock("x").with_ttl(TTL).unwrap()).await;
    guard.transaction(that_takes(TTL + secs(3))).await.unwrap();
    let mut other = world.session().await;
    assert!(other.is_mine(&guard.lease()).await.unwrap());
    drop(other);
    assert_eq!(
        guard.is_valid(),
        world.is_sqlite(),
        "{:?}",
        recorder.words()
    );
    assert_eq!(recorder.count("lost"), usize::from(!world.is_sqlite()));
    if world.is_sqlite() {
        tokio::time::sleep(TTL).await;
        assert!(guard.is_valid(), "kept on: {:?}", recorder.words());
    }
    assert_eq!(guard.release().await.unwrap(), Released::InTime);
}

/// On `SQLite` the transaction is the only writer, so a connection for the keeper does not help. There the other guard
/// is lost at its deadline.
pub async fn with_a_connection_for_the_keeper_all_locks_are_kept(world: &World) {
    let recorder = Recorder::default();
    let locks = world.locks_kept_apart(1).await;
    let locks = locks.observe(recorder.observer());
    let lock = |name| world.lock(name).with_ttl(TTL).unwrap();
    let guard = locks.take(&lock("x")).await;
    let other = locks.take(&lock("y")).await;
    guard.transaction(that_takes(TTL + secs(3))).await.unwrap();
    assert!(guard.is_valid(), "{:?}", recorder.words());
    assert_eq!(
        other.is_valid(),
        !world.is_sqlite(),
        "{:?}",
        recorder.words()
    );
    assert_eq!(recorder.count("lost"), usize::from(world.is_sqlite()));
    assert_eq!(guard.release().await.unwrap(), Released::InTime);
}

/// No connection is left behind after many uses, and a connection of a pool that works is used again.
pub async fn no_connection_is_lost_to_the_pool(world: &World) {
    let (locks, traffic) = world.watched_locks(1).await;
    for number in 0..30 {
        let lock = world.lock(&format!("n{}", number % 3));
        let guard = locks.acquire(&lock, Wait::up_to(secs(20))).await.unwrap();
        guard.extend().await.unwrap();
        guard.transaction(that_takes(ms(0))).await.unwrap();
        locks.told_busy(&lock).await;
        if number % 2 == 0 {
            drop(guard);
        } else {
            guard.release().await.unwrap();
        }
    }
    assert!(traffic.open() <= 1);
    if !world.opens_its_own() {
        assert_eq!(traffic.opened(), 1);
    }
}
