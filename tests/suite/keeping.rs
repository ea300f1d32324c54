//! Guards are kept alive, told when they are lost, and released in every case.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use diesel_locks::{Error, Lock, Outcome, Released, Wait};

use crate::managed::recorder::Recorder;
use crate::managed::traffic::Traffic;
use crate::managed::{AnyGuard, Managed};
use crate::session::Session;
use crate::world::{World, ms, secs, soon, spawn};

/// Counts the calls of a callback.
#[derive(Clone, Default)]
pub struct Calls(Arc<AtomicUsize>);

impl Calls {
    pub fn callback(&self) -> Box<dyn FnOnce() + Send> {
        let calls = self.0.clone();
        Box::new(move || {
            calls.fetch_add(1, SeqCst);
        })
    }

    pub fn count(&self) -> usize {
        self.0.load(SeqCst)
    }
}

pub async fn work_longer_than_the_ttl_keeps_the_lock(world: &World) {
    let (mut rival, recorder) = (world.session().await, Recorder::default());
    let locks = world.locks().await.observe(recorder.observer());
    let ttl = secs(6);
    let lock = world.lock("x").with_ttl(ttl).unwrap();
    let guard = locks.take(&lock).await;
    let began = Instant::now();
    while began.elapsed() < ttl + secs(3) {
        let holder = rival.told_busy(&lock).await.expect("a holder");
        assert_eq!(holder.fence, guard.fence());
        assert!(guard.is_valid() && guard.trusted_for() <= ttl);
        guard.check().unwrap();
        tokio::time::sleep(ms(40)).await;
    }
    assert!(rival.is_mine(&guard.lease()).await.unwrap());
    assert_eq!(guard.release().await.unwrap(), Released::InTime);
    assert_eq!(recorder.count("lost"), 0);
}

pub async fn a_lease_that_ran_out_in_the_row_lives_on_if_nobody_took_it_over(world: &World) {
    let mut other = world.session().await;
    let locks = world.locks().await.renew_every(ms(100));
    let guard = locks.take(&world.lock("x")).await;
    world.let_run_out(&mut *other, &guard.lease()).await;
    soon("a beat", async || {
        other.is_held(guard.lock()).await.unwrap()
    })
    .await;
    assert!(guard.is_valid());
    assert_eq!(guard.release().await.unwrap(), Released::InTime);
}

/// A lease whose heartbeats are answered is never reported late, however short the interval is.
pub async fn a_lease_that_is_extended_all_the_time_is_never_late(world: &World) {
    let recorder = Recorder::default();
    let locks = world.locks().await.renew_every(ms(5));
    let locks = locks.observe(recorder.observer());
    let guard = locks
        .take(&world.lock("x").with_ttl(secs(10)).unwrap())
        .await;
    tokio::time::sleep(secs(6)).await;
    let told = recorder.told().into_iter().find(|told| told.what == "late");
    assert!(told.is_none(), "{told:?}");
    assert!(guard.is_valid() && recorder.count("renewed") > 20);
}

/// The ways in which a holder can lose its lock.
const LOSSES: [&str; 3] = ["taken over", "taken away", "row removed"];

async fn lose(world: &World, other: &mut dyn Session, guard: &AnyGuard, how: &str) {
    let lease = guard.lease();
    match how {
        "taken over" => {
            soon("it is taken over", async || {
                world.let_run_out(other, &lease).await;
                other
                    .try_acquire(lease.lock())
                    .await
                    .unwrap()
                    .acquired()
                    .is_some()
            })
            .await;
        }
        "taken away" => {
            other.take_away(lease.lock()).await;
        }
        _ => {
            let sql = format!(
                "DELETE FROM diesel_locks WHERE name = '{}'",
                lease.lock().key()
            );
            assert_eq!(other.sql(&sql).await.unwrap(), 1);
        }
    }
}

pub async fn a_guard_is_told_at_the_next_beat_that_it_is_lost(world: &World) {
    let mut other = world.session().await;
    for how in LOSSES {
        let (recorder, calls) = (Recorder::default(), Calls::default());
        let locks = world.locks().await.renew_every(ms(300));
        let locks = locks.observe(recorder.observer());
        let guard = locks.take(&world.lock(how)).await;
        guard.on_lost(calls.callback());
        assert!(!guard.lost_within(ms(1)).await);
        lose(world, &mut *other, &guard, how).await;
        assert!(guard.lost_within(secs(10)).await, "{how}");
        assert_lost(&guard);
        soon("it is called", async || calls.count() == 1).await;
        guard.on_lost(calls.callback());
        assert_eq!(calls.count(), 2, "at once, where it is lost already");
        soon("the observer is told", async || recorder.count("lost") == 1).await;
        assert_eq!(guard.try_extend().await.unwrap(), Outcome::Lost, "{how}");
        assert_eq!(guard.release().await.unwrap(), Released::Lost, "{how}");
        assert_eq!((calls.count(), recorder.count("lost")), (2, 1));
    }
}

/// A heartbeat compares the fence, too: a token that processes agreed on comes back with the next acquisition.
pub async fn a_guard_is_lost_though_its_token_comes_back(world: &World) {
    let mut other = world.session().await;
    let lock = world.lock("x").with_token("agreed").unwrap();
    let guard = world.locks().await.renew_every(ms(300)).take(&lock).await;
    other.take_away(&lock).await;
    let anew = other.take(&lock).await;
    assert!(guard.lost_within(secs(10)).await);
    assert_lost(&guard);
    assert!(other.is_mine(&anew).await.unwrap());
}

pub fn assert_lost(guard: &AnyGuard) {
    assert!(!guard.is_valid());
    assert_eq!(guard.trusted_for(), Duration::ZERO);
    let copy = guard.lease();
    assert_eq!(copy.trusted_for(), Duration::ZERO, "nor is a copy trusted");
    let name = guard.lock();
    let error = guard.check().expect_err("lost");
    assert!(matches!(error, Error::Lost { key, .. } if key == name.key()));
}

pub async fn lost_is_lost_even_if_the_row_is_mended(world: &World) {
    let (mut other, recorder) = (world.session().await, Recorder::default());
    let locks = world.locks().await.renew_every(ms(100));
    let locks = locks.observe(recorder.observer());
    let (guard, bystander) = (
        locks.take(&world.lock("x")).await,
        locks.take(&world.lock("y")).await,
    );
    let before = other.row(guard.lock()).await;
    other.take_away(guard.lock()).await;
    assert!(guard.lost_within(secs(10)).await);
    let in_an_hour = before.expires_at.timestamp_micros() + 3_600_000_000;
    let sql = format!(
        "UPDATE diesel_locks SET token = '{}', fence = {}, expires_at = {in_an_hour} WHERE name = '{}'",
        guard.lease().token(),
        guard.fence(),
        guard.lock().key()
    );
    assert_eq!(other.sql(&sql).await.unwrap(), 1);
    assert!(other.is_mine(&guard.lease()).await.unwrap());
    beats(&recorder, bystander.lock().key(), 3).await;
    assert_lost(&guard);
    assert_eq!(guard.try_extend().await.unwrap(), Outcome::Lost);
    let work = guard.transaction(Box::new(|_| panic!("not without the lock")));
    assert!(matches!(work.await, Err(Error::Lost { .. })));
    assert_lost(&guard);
    assert!(bystander.is_valid());
    assert_eq!(recorder.count("lost"), 1);
}

/// Waits until the lease was extended this many times more.
async fn beats(recorder: &Recorder, key: &str, times: usize) {
    let count = || {
        let told = recorder.told().into_iter();
        told.filter(|told| told.key == key && told.what == "renewed")
            .count()
    };
    let before = count();
    soon("beats", async || count() >= before + times).await;
}

pub async fn what_was_lost_is_not_said_to_be_given_back(world: &World) {
    let mut other = world.session().await;
    for how in LOSSES {
        let recorder = Recorder::default();
        let locks = world.locks().await.renew_every(ms(300));
        let locks = locks.observe(recorder.observer());
        let guard = locks.take(&world.lock(how)).await;
        lose(world, &mut *other, &guard, how).await;
        assert!(guard.lost_within(secs(10)).await, "{how}");
        drop(guard);
        locks.close().await;
        assert_eq!(
            recorder.words_without_beats(),
            ["acquired", "lost"],
            "{how}"
        );
    }
}

pub async fn a_callback_that_panics_stops_nothing(world: &World) {
    let (mut other, calls) = (world.session().await, Calls::default());
    let locks = world.locks().await.renew_every(ms(100));
    let mut guards = Vec::new();
    for name in ["x", "y", "z"] {
        let guard = locks.take(&world.lock(name)).await;
        guard.on_lost(Box::new(|| std::panic::resume_unwind(Box::new(()))));
        guard.on_lost(calls.callback());
        guards.push(guard);
    }
    let bystander = locks.take(&world.lock("bystander")).await;
    for guard in &guards {
        other.take_away(guard.lock()).await;
        assert!(guard.lost_within(secs(10)).await);
    }
    soon("all are told", async || calls.count() == 3).await;
    world.age(&mut *other, bystander.lock(), secs(20)).await;
    soon("a beat", async || {
        other.time_left(bystander.lock()).await.unwrap() > secs(25)
    })
    .await;
}

pub async fn an_observer_that_panics_does_not_stop_the_keeper(world: &World) {
    let mut other = world.session().await;
    let locks = world.locks().await.renew_every(ms(100));
    let locks = locks.observe(Box::new(|_| std::panic::resume_unwind(Box::new(()))));
    let guard = locks.take(&world.lock("x")).await;
    for _ in 0..2 {
        world.age(&mut *other, guard.lock(), secs(20)).await;
        soon("a beat", async || {
            other.time_left(guard.lock()).await.unwrap() > secs(25)
        })
        .await;
    }
    other.take_away(guard.lock()).await;
    assert!(guard.lost_within(secs(10)).await);
    drop(guard);
    let wait = Wait::up_to(secs(20));
    let again = locks.acquire(&world.lock("x"), wait).await.unwrap();
    assert_eq!(again.release().await.unwrap(), Released::InTime);
}

/// A pool may panic, and so may the code with which a host opens a connection.
pub async fn a_pool_that_panics_once_does_not_stop_the_keeper(world: &World) {
    let (mut other, recorder) = (world.session().await, Recorder::default());
    let (locks, traffic) = world.watched_locks(3).await;
    let locks = locks.renew_every(ms(100)).observe(recorder.observer());
    let guard = locks.take(&world.lock("x")).await;
    beats(&recorder, guard.lock().key(), 1).await;
    traffic.panic_in_the_background();
    if world.opens_its_own() {
        soon("it panics", async || traffic.has_panicked()).await;
    }
    world.age(&mut *other, guard.lock(), secs(20)).await;
    soon("a beat", async || {
        other.time_left(guard.lock()).await.unwrap() > secs(25)
    })
    .await;
    traffic.panic_in_the_background();
    drop(guard);
    soon("it is tried", async || {
        recorder.count("released") + recorder.count("not released") == 1
    })
    .await;
    let another = world.lock("y");
    drop(locks.take(&another).await);
    soon("the next is given back", async || {
        !other.is_held(&another).await.unwrap()
    })
    .await;
}

pub async fn a_release_that_races_a_heartbeat_frees_the_lock(world: &World) {
    let (mut other, recorder) = (world.session().await, Recorder::default());
    let locks = world.locks().await.renew_every(ms(1));
    let locks = locks.observe(recorder.observer());
    let bystander = locks.take(&world.lock("bystander")).await;
    // A heartbeat that was under way may still have the row locked for a moment.
    let soon_free = Wait::up_to(secs(20)).every(ms(1));
    for round in 0..40 {
        let guard = locks.acquire(&world.lock("x"), soon_free.clone()).await;
        let guard = guard.unwrap();
        tokio::time::sleep(Duration::from_micros(round * 300)).await;
        assert_eq!(guard.release().await.unwrap(), Released::InTime);
        assert!(!other.is_held(&world.lock("x")).await.unwrap());
    }
    beats(&recorder, bystander.lock().key(), 3).await;
    assert!(!other.is_held(&world.lock("x")).await.unwrap());
    assert!(bystander.is_valid());
    let mut told = recorder.of(world.lock("x").key());
    told.retain(|what| *what != "waiting");
    let expected = ["acquired", "released"].repeat(40);
    assert_eq!(told, expected, "nothing is lost, and nothing is late");
}

/// The background of a `Locker`: connections, tasks, threads.
struct Background {
    traffic: Arc<Traffic>,
    recorder: Recorder,
    tasks: usize,
}

impl Background {
    async fn of(world: &World) -> (Box<dyn Managed>, Self) {
        let (locks, traffic) = world.watched_locks(3).await;
        let recorder = Recorder::default();
        let background = Self {
            traffic,
            recorder: recorder.clone(),
            tasks: tasks(),
        };
        (locks.observe(recorder.observer()), background)
    }

    /// Waits until the background is gone. A pool keeps connections and tasks of its own.
    async fn is_gone(&self, world: &World) {
        soon("no thread is left", async || {
            self.recorder.threads.alive() == 0
        })
        .await;
        if world.opens_its_own() {
            soon("no connection is left", async || self.traffic.open() == 0).await;
            soon("no task is left", async || tasks() <= self.tasks).await;
        }
    }
}

/// The number of tasks in this case's runtime.
fn tasks() -> usize {
    tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks()
}

pub async fn nothing_goes_on_before_a_lock_is_acquired_and_after_it_is_released(world: &World) {
    let (mut holder, lock) = (world.session().await, world.lock("x"));
    let (locks, background) = Background::of(world).await;
    let locks = locks
        .with_ttl(secs(20))
        .unwrap()
        .renew_every(ms(50))
        .another();
    locks.lock("name").unwrap();
    if world.is_blocking() || world.opens_its_own() {
        assert_eq!(
            background.traffic.opened(),
            0,
            "nothing before it is asked for"
        );
    }
    assert_eq!(tasks(), background.tasks);
    let lease = holder.take(&lock).await;
    locks.told_busy(&lock).await;
    let wait = Wait::attempts(3).every(ms(5));
    assert!(locks.acquire(&lock, wait).await.is_err());
    assert_eq!(background.recorder.threads.seen(), 0);
    background.is_gone(world).await;
    holder.release(&lease).await.unwrap();
    let guard = locks.take(&lock).await;
    beats(&background.recorder, lock.key(), 2).await;
    assert_eq!(guard.release().await.unwrap(), Released::InTime);
    assert_eq!(world.is_blocking(), background.recorder.threads.seen() > 0);
    background.is_gone(world).await;
    background.traffic.spent();
    // A connection that the guard or its heartbeat has asked for may still be on its way, but asks nothing.
    soon("nothing goes on", async || {
        let opened = background.traffic.opened();
        tokio::time::sleep(ms(300)).await;
        assert_eq!(background.traffic.spent(), [""; 0]);
        background.traffic.opened() == opened
    })
    .await;
    let again = locks.take(&lock).await;
    beats(&background.recorder, lock.key(), 2).await;
    drop(again);
    background.is_gone(world).await;
}

async fn is_given_back(world: &World, background: &Background, lock: &Lock) {
    let mut other = world.session().await;
    soon("it is free", async || !other.is_held(lock).await.unwrap()).await;
    drop(other);
    background.is_gone(world).await;
}

pub async fn a_guard_that_is_dropped_is_given_back(world: &World) {
    let (locks, background) = Background::of(world).await;
    let lock = world.lock("x");
    drop(locks.take(&lock).await);
    is_given_back(world, &background, &lock).await;
    // The row is free before the observer is told. The observer must be told before the next acquisition.
    let told = async |times| {
        soon("it is told", async || {
            let words = background.recorder.words();
            assert!(!words.contains(&"not released"), "{words:?}");
            background.recorder.count("released") == times
        })
        .await;
    };
    told(1).await;
    let guard = locks.take(&lock).await;
    let dropped = spawn(async move {
        let _guard = guard;
        std::panic::resume_unwind(Box::new(()));
    });
    assert!(dropped.await.is_err());
    is_given_back(world, &background, &lock).await;
    told(2).await;
    assert_eq!(
        background.recorder.words_without_beats(),
        ["acquired", "released", "acquired", "released"]
    );
}

/// A guard may outlive its `Locker`, and may be dropped outside of a runtime.
pub async fn a_guard_may_be_dropped_anywhere(world: &World) {
    let (locks, background) = Background::of(world).await;
    let lock = world.lock("x");
    let guard = locks.take(&lock).await;
    drop(locks);
    std::thread::spawn(move || drop(guard)).join().unwrap();
    is_given_back(world, &background, &lock).await;
}

pub async fn work_that_panics_gives_its_lock_back(world: &World) {
    let (locks, background) = Background::of(world).await;
    let lock = world.lock("x");
    let (here, wanted) = (locks.another(), lock.clone());
    let run = spawn(async move {
        let job = here.run(
            &wanted,
            Wait::never(),
            Box::new(|_| Box::pin(async { std::panic::resume_unwind(Box::new(())) })),
        );
        job.await.unwrap()
    });
    assert!(run.await.is_err());
    is_given_back(world, &background, &lock).await;
    let guard = locks.take(&lock).await;
    let in_transaction = spawn(async move {
        let work = guard.transaction(Box::new(|_| {
            Box::pin(async { std::panic::resume_unwind(Box::new(())) })
        }));
        work.await.unwrap();
    });
    assert!(in_transaction.await.is_err());
    is_given_back(world, &background, &lock).await;
}

/// A thread cannot be dropped. There the work asks its guard, and ends by itself.
pub async fn a_run_that_is_dropped_gives_its_lock_back(world: &World) {
    let (locks, background) = Background::of(world).await;
    let (lock, started) = (world.lock("x"), Calls::default());
    let (here, wanted, start) = (locks.another(), lock.clone(), started.callback());
    let last = if world.is_blocking() {
        secs(1)
    } else {
        secs(600)
    };
    let run = tokio::spawn(async move {
        let job = here.run(
            &wanted,
            Wait::never(),
            Box::new(move |guard| {
                Box::pin(async move {
                    start();
                    i64::from(guard.lost_within(last).await)
                })
            }),
        );
        job.await.unwrap()
    });
    soon("it has begun", async || started.count() == 1).await;
    run.abort();
    assert_eq!(run.await.is_ok(), world.is_blocking());
    is_given_back(world, &background, &lock).await;
}
