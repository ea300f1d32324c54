//! The rest of a `Locker`, besides waiting and keeping alive: sets, hand-over, settings, inspecting, and the observer.

use std::time::{Duration, Instant};

use diesel_locks::{
    Attempt, Error, Forced, Lease, LeaseStatus, List, Lock, LockSet, Outcome, Released, Wait,
};

use super::keeping::{Calls, assert_lost};
use super::setup;
use crate::managed::recorder::Recorder;
use crate::world::{World, ms, own_table, secs, soon, spawn};

fn three(world: &World) -> LockSet {
    LockSet::new(&world.lock("b"), ["c", "a"]).unwrap()
}

fn acquired<T>(attempt: Attempt<T>) -> T {
    match attempt {
        Attempt::Acquired(it) => it,
        Attempt::Busy(holder) => panic!("{holder:?}"),
    }
}

pub async fn a_guard_is_acquired_seen_and_released(world: &World) {
    let (mut other, locks) = (world.session().await, world.locks().await);
    let lock = world.lock("x").with_data("here").unwrap();
    assert!(locks.inspect(&lock).await.unwrap().is_none());
    let guard = locks.take(&lock).await;
    assert_eq!(guard.lock().key(), lock.key());
    let row = locks.inspect(&lock).await.unwrap().unwrap();
    assert_eq!(row.fence, guard.fence());
    assert_eq!(row.data.as_deref(), Some("here"));
    let seen = other.told_busy(&lock).await.unwrap();
    assert_eq!((seen.fence, &seen.owner), (row.fence, &row.owner));
    assert_eq!(locks.list(&world.list()).await.unwrap().len(), 1);
    assert!(guard.trusted_for() > secs(20));
    assert_eq!(guard.release().await.unwrap(), Released::InTime);
    assert!(!other.is_held(&lock).await.unwrap());
    let next = locks.take(&lock).await;
    assert!(next.fence() > row.fence);
    assert_eq!(locks.force_release(&lock).await.unwrap(), Forced::Released);
    assert_eq!(next.release().await.unwrap(), Released::Lost);
    world.grow_old(&mut *other, &lock, secs(7_200)).await;
    assert_eq!(locks.purge(&world.list(), secs(3_600)).await.unwrap(), 1);
    assert!(locks.list(&List::all()).await.is_ok());
}

pub async fn a_set_is_acquired_and_kept_together_or_not_at_all(world: &World) {
    let (mut other, recorder) = (world.session().await, Recorder::default());
    let locks = world.locks().await.renew_every(ms(200));
    let locks = locks.observe(recorder.observer());
    let set = three(world);
    let lease = other.take(&world.lock("c")).await;
    assert!(locks.try_acquire_all(&set).await.unwrap().is_busy());
    let waited = locks.acquire_all(&set, Wait::up_to(ms(200))).await;
    assert!(matches!(waited, Err(Error::Busy { .. })), "{waited:?}");
    for name in ["a", "b"] {
        assert!(!other.is_held(&world.lock(name)).await.unwrap());
    }
    other.release(&lease).await.unwrap();
    let guards = acquired(locks.try_acquire_all(&set).await.unwrap());
    let names: Vec<_> = guards
        .iter()
        .map(|guard| guard.lock().name().to_owned())
        .collect();
    assert_eq!(names, ["a", "b", "c"]);
    for guard in &guards {
        world.age(&mut *other, guard.lock(), secs(20)).await;
    }
    for guard in &guards {
        soon("a beat", async || {
            other.time_left(guard.lock()).await.unwrap() > secs(25)
        })
        .await;
    }
    other.take_away(&world.lock("b")).await;
    let mut guards = guards.into_iter();
    let (a, b, c) = (
        guards.next().unwrap(),
        guards.next().unwrap(),
        guards.next().unwrap(),
    );
    assert!(b.lost_within(secs(10)).await);
    assert!(a.is_valid() && c.is_valid(), "each is a guard of its own");
    assert_eq!(a.release().await.unwrap(), Released::InTime);
    assert!(other.is_held(&world.lock("c")).await.unwrap());
    drop((b, c));
    soon("all are free", async || {
        let list = world.list().held();
        other.load(&list).await.unwrap().is_empty()
    })
    .await;
}

/// The order of the rows in the table does not matter.
pub async fn the_guards_of_a_set_come_in_the_order_of_their_keys(world: &World) {
    let (mut other, locks) = (world.session().await, world.locks().await);
    for round in 0..10 {
        let name = |number: u32| format!("{round} {number}");
        for number in [7, 2, 5, 0, 9, 4, 1] {
            let lease = other.take(&world.lock(&name(number))).await;
            other.release(&lease).await.unwrap();
        }
        let set = LockSet::new(&world.lock(&name(3)), (0..10).map(name)).unwrap();
        let guards = acquired(locks.try_acquire_all(&set).await.unwrap());
        let keys = guards.iter().map(|guard| guard.lock().key());
        assert!(keys.eq(set.locks().iter().map(Lock::key)));
    }
}

pub async fn a_set_is_waited_for(world: &World) {
    let (mut other, recorder) = (world.session().await, Recorder::default());
    let locks = world.locks().await.observe(recorder.observer());
    let set = three(world);
    let lease = other.take(&world.lock("c")).await;
    let (here, wanted) = (locks.another(), set.clone());
    let waiter = spawn(async move { here.acquire_all(&wanted, Wait::up_to(secs(20))).await });
    soon("it waits", async || recorder.count("waiting") == 1).await;
    other.release(&lease).await.unwrap();
    let guards = waiter.await.unwrap().unwrap();
    assert_eq!(guards.len(), 3);
    assert_eq!(recorder.count("acquired"), 3);
}

pub async fn any_one_of_a_set_is_a_permit(world: &World) {
    let locks = world.locks().await.renew_every(ms(200));
    let set = three(world);
    let first = acquired(locks.try_acquire_any(&set).await.unwrap());
    let mut permits = vec![first];
    for _ in 0..2 {
        permits.push(locks.acquire_any(&set, Wait::up_to(secs(5))).await.unwrap());
    }
    assert!(locks.try_acquire_any(&set).await.unwrap().is_busy());
    let busy = locks.acquire_any(&set, Wait::up_to(ms(200))).await;
    assert!(matches!(busy, Err(Error::Busy { .. })), "{busy:?}");
    let mut keys: Vec<_> = permits
        .iter()
        .map(|permit| permit.lock().key().to_owned())
        .collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 3);
    let (here, wanted) = (locks.another(), set.clone());
    let waiter = spawn(async move { here.acquire_any(&wanted, Wait::up_to(secs(20))).await });
    let given = permits.pop().unwrap();
    let key = given.lock().key().to_owned();
    drop(given);
    assert_eq!(waiter.await.unwrap().unwrap().lock().key(), key);
}

pub async fn a_lease_is_handed_from_one_locks_to_another_as_text(world: &World) {
    let mut other = world.session().await;
    let (here, there) = (world.locks().await, world.locks().await);
    let (giver, taker) = (Recorder::default(), Recorder::default());
    let here = here.observe(giver.observer());
    let there = there.renew_every(ms(200)).observe(taker.observer());
    let lock = world.lock("x").with_ttl(secs(20)).unwrap();
    let guard = here.take(&lock).await;
    let fence = guard.fence();
    let text = guard.into_lease().to_text();
    assert!(other.is_held(&lock).await.unwrap(), "nobody gave it back");
    let lease: Lease = text.parse().unwrap();
    assert_eq!(lease.trusted_for(), Duration::ZERO);
    let guard = there.adopt(lease.clone()).await.unwrap();
    assert!(guard.is_valid() && guard.fence() == fence);
    assert!(guard.trusted_for() > secs(10));
    world.age(&mut *other, &lock, secs(15)).await;
    soon("a beat", async || {
        other.time_left(&lock).await.unwrap() > secs(15)
    })
    .await;
    assert_eq!(guard.release().await.unwrap(), Released::InTime);
    let lost = there.adopt(lease).await;
    assert!(matches!(lost, Err(Error::Lost { .. })), "{lost:?}");
    assert_eq!(giver.words_without_beats(), ["acquired"]);
    assert_eq!(taker.words_without_beats(), ["acquired", "released"]);
}

pub async fn a_lease_of_a_connection_is_adopted(world: &World) {
    let mut other = world.session().await;
    let locks = world.locks().await;
    let lease = other.take(&world.lock("x")).await;
    world.let_run_out(&mut *other, &lease).await;
    let guard = locks.adopt(lease.clone()).await.unwrap();
    assert!(guard.is_valid(), "nobody had taken it over");
    assert!(other.is_mine(&lease).await.unwrap());
    assert_eq!(guard.release().await.unwrap(), Released::InTime);
}

pub async fn each_handle_holds_in_its_own_way(world: &World) {
    let mut other = world.session().await;
    let locks = world.locks().await;
    let short = locks
        .with_ttl(secs(5))
        .unwrap()
        .with_owner("short")
        .unwrap();
    let name = |text: &str| format!("{} {text}", world.lock("x").key().replace('|', " "));
    let (one, two) = (
        short.take(&short.lock(&name("one")).unwrap()).await,
        locks.take(&locks.lock(&name("two")).unwrap()).await,
    );
    let (first, second) = (other.row(one.lock()).await, other.row(two.lock()).await);
    assert!(first.time_left.unwrap() <= secs(5) && second.time_left.unwrap() > secs(5));
    assert_eq!(first.owner, "short");
    assert_ne!(second.owner, "short");
    let mine = world
        .lock("mine")
        .with_ttl(secs(100))
        .unwrap()
        .with_owner("lock")
        .unwrap();
    let third = short.take(&mine).await;
    let row = other.row(third.lock()).await;
    assert!(
        row.time_left.unwrap() > secs(50),
        "a `Lock` says itself how it is held"
    );
    assert_eq!(row.owner, "lock");
    assert!(locks.with_ttl(Duration::ZERO).is_err());
    assert!(locks.with_owner("\n").is_err());
    assert!(matches!(locks.lock(""), Err(Error::Invalid { .. })));
    for guard in [one, two, third] {
        guard.release().await.unwrap();
    }
}

pub async fn locks_of_two_tables_do_not_share_a_line(world: &World) {
    let (mut other, table) = (world.session().await, own_table("locks"));
    other.batch(&setup::sql(world, &table).0).await.unwrap();
    let recorder = Recorder::default();
    let locks = world.locks().await.observe(recorder.observer());
    let (here, there) = (world.lock("x"), world.lock("x").in_table(table));
    let guard = locks.take(&here).await;
    let seldom = Wait::up_to(secs(60)).every(secs(60));
    let (waits, wanted) = (locks.another(), here.clone());
    let waiter = spawn(async move { waits.acquire(&wanted, seldom).await.unwrap() });
    soon("it waits", async || recorder.count("waiting") == 1).await;
    let began = Instant::now();
    let elsewhere = locks.acquire(&there, Wait::up_to(secs(20))).await.unwrap();
    assert!(began.elapsed() < secs(8), "behind nobody");
    elsewhere.release().await.unwrap();
    guard.release().await.unwrap();
    waiter.await.unwrap().release().await.unwrap();
}

pub async fn a_guard_extends_and_leaves_data(world: &World) {
    let (mut other, recorder) = (world.session().await, Recorder::default());
    let locks = world.locks().await.with_ttl(secs(6)).unwrap();
    let locks = locks.observe(recorder.observer());
    let lock = world.lock("x").with_ttl(secs(6)).unwrap();
    let guard = locks.take(&lock).await;
    assert_eq!(
        guard.try_set_data(Some("page 7")).await.unwrap(),
        Outcome::Done
    );
    assert_eq!(
        other.read_data(&lock).await.unwrap().as_deref(),
        Some("page 7")
    );
    assert!(guard.try_set_data(Some(&"x".repeat(5_000))).await.is_err());
    assert_eq!(guard.try_extend().await.unwrap(), Outcome::Done);
    assert!(matches!(
        guard.try_extend_to(Duration::ZERO).await,
        Err(Error::Invalid { .. })
    ));
    assert_eq!(guard.try_extend_to(secs(600)).await.unwrap(), Outcome::Done);
    assert!(guard.trusted_for() > secs(500));
    assert!(other.time_left(&lock).await.unwrap() > secs(500));
    let before = recorder.count("renewed");
    tokio::time::sleep(secs(7)).await;
    let beats = recorder.count("renewed") - before;
    assert!(
        beats <= 1,
        "every third of the new ttl, not of the old: {beats}"
    );
    assert!(guard.is_valid());
    other.take_away(&lock).await;
    let calls = Calls::default();
    guard.on_lost(calls.callback());
    assert_eq!(guard.try_set_data(None).await.unwrap(), Outcome::Lost);
    assert_lost(&guard);
    assert_eq!(calls.count(), 1);
}

pub async fn a_guard_adds_time_to_its_lease(world: &World) {
    let mut other = world.session().await;
    let (locks, lock) = (world.locks().await, world.lock("x"));
    let guard = locks.take(&lock).await;
    assert_eq!(guard.try_extend_by(secs(600)).await.unwrap(), Outcome::Done);
    guard.extend_by(secs(600)).await.unwrap();
    assert!(guard.trusted_for() > secs(1_100));
    assert!(other.time_left(&lock).await.unwrap() > secs(1_100));
    let refused = guard.extend_by(Duration::ZERO).await;
    assert!(matches!(refused, Err(Error::Invalid { .. })), "{refused:?}");
}

pub async fn a_guard_says_what_has_become_of_its_lease(world: &World) {
    let mut other = world.session().await;
    let (locks, lock) = (world.locks().await, world.lock("x"));
    let guard = locks.take(&lock).await;
    match guard.status().await.unwrap() {
        LeaseStatus::Held { time_left } => assert!(time_left > secs(5) && time_left <= secs(30)),
        other => panic!("{other:?}"),
    }
    other.take_away(&lock).await;
    assert_eq!(guard.status().await.unwrap(), LeaseStatus::Free);
    let next = other.take(&lock).await;
    match guard.status().await.unwrap() {
        LeaseStatus::TakenOver(holder) => assert_eq!(holder.fence, next.fence()),
        other => panic!("{other:?}"),
    }
    for lost in [
        guard.extend().await,
        guard.extend_to(secs(50)).await,
        guard.extend_by(secs(50)).await,
        guard.set_data(Some("x")).await,
    ] {
        assert!(matches!(lost, Err(Error::Lost { .. })), "{lost:?}");
    }
    other.release(&next).await.unwrap();
    assert_eq!(guard.status().await.unwrap(), LeaseStatus::Free);
}

/// The next heartbeat would come after 200 seconds.
pub async fn a_guard_of_the_same_process_is_told_at_once_that_its_lock_was_taken_away(
    world: &World,
) {
    let locks = world.locks().await;
    let lock = world.lock("x").with_ttl(secs(600)).unwrap();
    let (guard, beside) = (locks.take(&lock).await, locks.take(&world.lock("y")).await);
    assert_eq!(locks.force_release(&lock).await.unwrap(), Forced::Released);
    assert!(guard.lost_within(secs(20)).await);
    assert_lost(&guard);
    assert!(beside.is_valid(), "only this one");
}

pub async fn what_was_extended_to_is_kept_alive_in_its_own_rhythm(world: &World) {
    let mut other = world.session().await;
    let locks = world.locks().await.with_ttl(secs(600)).unwrap();
    let lock = world.lock("x").with_ttl(secs(600)).unwrap();
    let guard = locks.take(&lock).await;
    guard.extend_to(secs(3)).await.unwrap();
    assert!(
        other.time_left(&lock).await.unwrap() > secs(500),
        "never shorter"
    );
    world.age(&mut *other, &lock, secs(599)).await;
    soon("a beat to the new ttl", async || {
        let left = other.time_left(&lock).await.unwrap();
        left > ms(1_500) && left <= secs(3)
    })
    .await;
    assert!(guard.is_valid());
}

/// A lock with a longest time is trusted no longer than that.
pub async fn a_longest_time_bounds_trust(world: &World) {
    let mut other = world.session().await;
    let locks = world
        .locks()
        .await
        .hold_at_most(secs(4))
        .renew_every(ms(200));
    let calls = Calls::default();
    let guard = locks.take(&world.lock("x")).await;
    guard.on_lost(calls.callback());
    assert!(guard.trusted_for() <= secs(4), "{:?}", guard.trusted_for());
    let began = Instant::now();
    assert!(guard.lost_within(secs(10)).await);
    assert!(began.elapsed() > secs(1) && began.elapsed() < secs(10));
    assert_lost(&guard);
    soon("it is called", async || calls.count() == 1).await;
    assert!(
        other.is_held(guard.lock()).await.unwrap(),
        "until it is given back"
    );
    guard.release().await.unwrap();
    assert!(!other.is_held(&world.lock("x")).await.unwrap());
}

/// If a crash forgets a release, that only costs the ttl. So PostgreSQL does not wait for its disk, unless it is told
/// to.
pub async fn giving_back_waits_for_the_disk_if_it_is_to(world: &World) {
    let (locks, traffic) = world.watched_locks(3).await;
    for durably in [false, true] {
        let locks = if durably {
            locks.release_durably()
        } else {
            locks.another()
        };
        let guard = locks.take(&world.lock("x")).await;
        traffic.spent();
        assert_eq!(guard.release().await.unwrap(), Released::InTime);
        let asked = traffic.spent();
        let hurries = asked.iter().any(|sql| sql.contains("synchronous_commit"));
        assert_eq!(hurries, world.is_postgres() && !durably);
    }
}

/// Another connection has locked the row in an open transaction. An async release gives up after its time limit. A
/// blocking release waits for the row.
pub async fn giving_back_takes_no_longer_than_it_may(world: &World) {
    let mut other = world.session().await;
    let locks = world.locks().await.release_within(ms(300));
    let guard = locks.take(&world.lock("x")).await;
    other.begin().await.unwrap();
    let touch = format!(
        "UPDATE diesel_locks SET owner = owner WHERE name = '{}'",
        guard.lock().key()
    );
    other.sql(&touch).await.unwrap();
    let ends = async move {
        tokio::time::sleep(secs(1)).await;
        other.commit().await.unwrap();
    };
    let (began, ends) = (Instant::now(), spawn(ends));
    let answer = guard.release().await;
    if world.is_blocking() {
        assert_eq!(answer.unwrap(), Released::InTime);
    } else {
        assert!(matches!(answer, Err(Error::NoAnswer { .. })), "{answer:?}");
        assert!(began.elapsed() < secs(1), "{:?}", began.elapsed());
    }
    ends.await.unwrap();
}

pub async fn the_observer_is_told_what_happens_in_its_order(world: &World) {
    let (mut other, recorder) = (world.session().await, Recorder::default());
    let locks = world.locks().await.with_owner("observed").unwrap();
    let locks = locks.renew_every(ms(200)).observe(recorder.observer());
    let lock = world.lock("x").with_owner("observed").unwrap();
    let lease = other.take(&lock).await;
    locks.told_busy(&lock).await;
    assert!(
        locks
            .acquire(&lock, Wait::attempts(3).every(ms(1)))
            .await
            .is_err()
    );
    let (here, wanted) = (locks.another(), lock.clone());
    let waiter = spawn(async move { here.acquire(&wanted, Wait::forever()).await.unwrap() });
    soon("it waits", async || recorder.count("waiting") == 2).await;
    other.release(&lease).await.unwrap();
    let guard = waiter.await.unwrap();
    let (fence, token) = (guard.fence(), guard.lease().token().to_owned());
    soon("a beat", async || recorder.count("renewed") > 0).await;
    other.take_away(&lock).await;
    soon("it is lost", async || recorder.count("lost") == 1).await;
    let again = locks.take(&lock).await;
    again.release().await.unwrap();
    let expected = [
        "busy", "waiting", "busy", "waiting", "acquired", "lost", "acquired", "released",
    ];
    assert_eq!(recorder.words_without_beats(), expected);
    for told in recorder.told() {
        assert_eq!((&*told.key, &*told.owner), (lock.key(), "observed"));
        let is_known = !matches!(told.what, "busy" | "waiting");
        assert_eq!(told.fence.is_some(), is_known, "{told:?}");
        assert!(!told.debug.contains(&token), "{told:?}");
    }
    let of_the_guard = recorder
        .told()
        .into_iter()
        .filter(|told| told.fence == Some(fence));
    assert!(of_the_guard.count() >= 3);
    assert!(!format!("{guard:?} {locks:?}").contains(&token));
    drop(guard);
}

pub async fn debug_shows_no_token_and_no_secret_of_the_pool(world: &World) {
    let locks = world.locks().await;
    let lock = world.lock("x").with_token("open-sesame").unwrap();
    let guard = locks.take(&lock).await;
    let secret = world.lock("s").with_token("open-sesame").unwrap();
    let set = LockSet::new(&secret, ["t"]).unwrap();
    let guards = locks.acquire_all(&set, Wait::never()).await.unwrap();
    let text = format!("{locks:?} {guard:?} {guards:?} {lock:?} {set:?}");
    assert!(!text.contains("sesame"), "{text}");
    assert!(text.contains(lock.key()));
    let busy = locks.acquire(&world.lock("x"), Wait::never()).await;
    let text = format!("{busy:?} {}", busy.as_ref().unwrap_err());
    assert!(!text.contains("sesame"), "{text}");
}
