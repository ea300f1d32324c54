//! Waiting with a `Locker`: the waiters of a process form a queue, and only the first one polls.

use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, Instant};

use diesel_locks::{Error, Lock, LockSet, Released, Result, Wait};
use tokio::task::JoinHandle;

use crate::managed::recorder::Recorder;
use crate::managed::{AnyGuard, Managed};
use crate::session::{Answer, Session};
use crate::world::{World, ms, secs, soon, spawn};

/// A waiter on a thread of its own.
pub fn waiting(locks: &dyn Managed, lock: &Lock, wait: Wait) -> JoinHandle<Result<AnyGuard>> {
    let (locks, lock) = (locks.another(), lock.clone());
    spawn(async move { locks.acquire(&lock, wait).await })
}

/// Polls so rarely that a waiter acquires the lock only if it is woken. The time is enough for a thousand turns on a
/// slow disk.
fn seldom() -> Wait {
    Wait::up_to(secs(600)).every(secs(600)).without_jitter()
}

pub async fn every_way_to_release_wakes_the_next_waiter_of_this_process(world: &World) {
    type LetGo = fn(AnyGuard, Box<dyn Managed>) -> Answer<'static, ()>;
    let ways: [(&str, LetGo); 4] = [
        ("release", |guard, _| {
            Box::pin(async { assert_eq!(guard.release().await.unwrap(), Released::InTime) })
        }),
        ("drop", |guard, _| Box::pin(async { drop(guard) })),
        ("finish", |guard, _| {
            Box::pin(async {
                let done = guard.finish(Box::new(|_| Box::pin(async { Ok(()) })));
                done.await.unwrap();
            })
        }),
        ("force-release", |guard, locks| {
            Box::pin(async move {
                let forced = locks.force_release(guard.lock()).await.unwrap();
                assert_eq!(forced, diesel_locks::Forced::Released);
            })
        }),
    ];
    let recorder = Recorder::default();
    let locks = world.locks().await.observe(recorder.observer());
    for (count, (name, let_go)) in ways.into_iter().enumerate() {
        let lock = world.lock(name).with_ttl(secs(600)).unwrap();
        let guard = locks.take(&lock).await;
        let waiter = waiting(&*locks, &lock, seldom());
        soon("it waits", async || recorder.count("waiting") > count).await;
        let began = Instant::now();
        let_go(guard, locks.another()).await;
        let next = waiter.await.unwrap().unwrap();
        assert!(began.elapsed() < secs(8), "{name}: {:?}", began.elapsed());
        assert_eq!(next.release().await.unwrap(), Released::InTime);
    }
}

pub async fn a_waiter_in_another_process_polls_as_often_as_its_wait_says(world: &World) {
    let (here, there) = (world.locks().await, world.locks().await);
    let recorder = Recorder::default();
    let there = there.observe(recorder.observer());
    let lock = world.lock("x").with_ttl(secs(600)).unwrap();
    let guard = here.take(&lock).await;
    let waiter = waiting(&*there, &lock, Wait::forever().every(ms(200)));
    soon("it waits", async || recorder.count("waiting") == 1).await;
    let began = Instant::now();
    guard.release().await.unwrap();
    waiter.await.unwrap().unwrap();
    assert!(began.elapsed() < secs(5), "{:?}", began.elapsed());
}

pub async fn attempts_in_a_line_are_exact(world: &World) {
    let (mut holder, lock) = (world.session().await, world.lock("x"));
    let lease = holder.take(&lock).await;
    let (locks, traffic) = world.watched_locks(2).await;
    for attempts in [1, 2, 5] {
        traffic.spent();
        let wait = Wait::attempts(attempts).every(ms(2));
        match locks.acquire(&lock, wait).await {
            Err(Error::Busy {
                key,
                holder: Some(seen),
                ..
            }) => {
                assert_eq!(key, lock.key());
                assert_eq!(seen.fence, lease.fence());
            }
            other => panic!("{other:?}"),
        }
        let asked = traffic.spent();
        assert_eq!(asked.len(), attempts as usize);
    }
    locks.told_busy(&lock).await.expect("a holder");
    assert_eq!(traffic.spent().len(), 1);
}

pub async fn a_wait_in_a_line_ends_when_its_time_is_up(world: &World) {
    let (mut holder, lock) = (world.session().await, world.lock("x"));
    holder.take(&lock).await;
    let locks = world.locks().await;
    let began = Instant::now();
    let waiters: Vec<_> = [150, 300, 450]
        .map(|time| {
            let waiter = waiting(&*locks, &lock, Wait::up_to(ms(time)));
            (ms(time), waiter)
        })
        .into();
    for (time, waiter) in waiters {
        let answer = waiter.await.unwrap();
        assert!(matches!(answer, Err(Error::Busy { .. })), "{answer:?}");
        assert!(began.elapsed() >= time && began.elapsed() < secs(15));
    }
    assert!(holder.is_held(&lock).await.unwrap());
}

/// A waiter whose time is over and a waiter that is dropped do not block the waiters behind them.
pub async fn a_waiter_that_leaves_the_line_blocks_nobody(world: &World) {
    let recorder = Recorder::default();
    let locks = world.locks().await.observe(recorder.observer());
    let lock = world.lock("x").with_ttl(secs(600)).unwrap();
    let guard = locks.take(&lock).await;
    let leaver = if world.is_blocking() {
        waiting(&*locks, &lock, Wait::up_to(ms(300)))
    } else {
        let (locks, lock) = (locks.another(), lock.clone());
        tokio::spawn(async move { locks.acquire(&lock, seldom()).await })
    };
    soon("it waits", async || recorder.count("waiting") == 1).await;
    let next = waiting(&*locks, &lock, seldom());
    soon("both wait", async || recorder.count("waiting") == 2).await;
    leaver.abort();
    if world.is_blocking() {
        assert!(leaver.await.unwrap().is_err());
    } else {
        assert!(leaver.await.unwrap_err().is_cancelled());
    }
    guard.release().await.unwrap();
    let began = Instant::now();
    next.await.unwrap().unwrap().release().await.unwrap();
    assert!(began.elapsed() < secs(8), "woken by the release");
    assert!(!locks.is_held(&lock).await.unwrap());
}

/// Only the first waiter polls. When it has left, the next waiter must poll, because nobody in this process is told of
/// the release.
pub async fn when_the_first_waiter_has_left_the_next_one_polls(world: &World) {
    let (mut holder, recorder) = (world.session().await, Recorder::default());
    let locks = world.locks().await.observe(recorder.observer());
    let lock = world.lock("x").with_ttl(secs(600)).unwrap();
    let lease = holder.take(&lock).await;
    let first = waiting(&*locks, &lock, Wait::up_to(ms(500)));
    soon("it waits", async || recorder.count("waiting") == 1).await;
    let next = waiting(&*locks, &lock, Wait::up_to(secs(40)).every(ms(200)));
    soon("both wait", async || recorder.count("waiting") == 2).await;
    assert!(first.await.unwrap().is_err());
    holder.release(&lease).await.unwrap();
    let began = Instant::now();
    next.await.unwrap().unwrap().release().await.unwrap();
    assert!(began.elapsed() < secs(8), "{:?}", began.elapsed());
}

/// Lets a future be woken at most this many times, then drops it.
pub async fn woken_at_most<T>(times: u32, mut future: Answer<'_, T>) -> Option<T> {
    woken(times, &mut future).await
}

/// Lets a future be woken at most this many times, and keeps it.
async fn woken<T>(times: u32, future: &mut Answer<'_, T>) -> Option<T> {
    let mut polled = 0;
    std::future::poll_fn(|context| {
        if polled > times {
            return Poll::Ready(None);
        }
        polled += 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

pub async fn a_try_that_is_cancelled_anywhere_leaves_nothing_held(world: &World) {
    let (locks, traffic) = world.watched_locks(3).await;
    let (mut done, ttl) = (0, secs(600));
    for times in 0..24 {
        let lock = world.lock(&format!("x{times}")).with_ttl(ttl).unwrap();
        let tried = woken_at_most(times, locks.acquire(&lock, Wait::never())).await;
        if let Some(guard) = tried {
            done += 1;
            drop(guard);
        }
        let next = waiting(&*locks, &lock, Wait::up_to(secs(20)).every(ms(20)));
        next.await
            .unwrap()
            .expect("given back, long before its ttl");
    }
    assert!(done > 0, "no try was ever left to its end");
    assert_eq!(
        world.is_blocking(),
        done == 24,
        "a thread cannot be cancelled"
    );
    if world.opens_its_own() {
        soon("no connection is left", async || traffic.open() == 0).await;
    }
}

/// Somebody keeps futures without polling them. Each request keeps a connection of its pool, and no row: the locks are
/// free after the ttl at the latest. Once the futures are dropped, the connections are free, too: each pool here has only
/// one. (A thread cannot keep a request.)
pub async fn a_try_that_nobody_polls_holds_up_nobody_else(world: &World) {
    let (mut tries, others) = (Vec::new(), world.locks().await);
    for number in 0..10 {
        let lock = world.lock(&format!("x{number}")).with_ttl(secs(2)).unwrap();
        tries.push((number, lock, world.watched_locks(1).await.0));
    }
    let mut kept = Vec::new();
    for (times, lock, locks) in &tries {
        let mut future = locks.acquire(lock, Wait::never());
        match woken(*times, &mut future).await {
            Some(guard) => drop(guard),
            None => kept.push(future),
        }
    }
    assert_eq!(world.is_blocking(), kept.is_empty());
    for (_, lock, _) in &tries {
        let guard = waiting(&*others, lock, Wait::up_to(secs(20)).every(ms(20))).await;
        drop(guard.unwrap().expect("free after its ttl at the latest"));
    }
    drop(kept);
    for (number, _, locks) in &tries {
        locks.take(&world.lock(&format!("y{number}"))).await;
    }
}

pub async fn a_set_that_is_cancelled_anywhere_leaves_nothing_held(world: &World) {
    let locks = world.locks().await;
    for times in 0..16 {
        let lock = world
            .lock(&format!("x{times}"))
            .with_ttl(secs(600))
            .unwrap();
        let others = [format!("y{times}"), format!("z{times}")];
        let set = LockSet::new(&lock, others).unwrap();
        drop(woken_at_most(times, locks.acquire_all(&set, Wait::never())).await);
        soon("all of it is free", async || {
            for lock in set.locks() {
                if locks.is_held(lock).await.unwrap() {
                    return false;
                }
            }
            true
        })
        .await;
    }
}

/// Many waiters, which are tasks or threads. (On SQLite there are fewer, because each turn waits for the disk several
/// times.)
pub async fn the_waiters_of_a_process_get_the_lock_in_the_order_in_which_they_came(world: &World) {
    let many = match (world.is_blocking(), world.is_sqlite()) {
        (true, _) => 50,
        (false, true) => 200,
        (false, false) => 1_000,
    };
    let recorder = Recorder::default();
    let (locks, traffic) = world.watched_locks(3).await;
    let locks = locks.observe(recorder.observer()).release_within(secs(60));
    let lock = world.lock("x").with_ttl(secs(600)).unwrap();
    let guard = locks.take(&lock).await;
    let (order, mut waiters) = (Arc::new(Mutex::new(Vec::new())), Vec::new());
    for number in 0..many {
        let (locks, lock, order) = (locks.another(), lock.clone(), order.clone());
        let turn = async move {
            let guard = locks.acquire(&lock, seldom()).await.unwrap();
            order.lock().unwrap().push(number);
            guard.release().await.unwrap();
        };
        waiters.push(if world.is_blocking() {
            spawn(turn)
        } else {
            tokio::spawn(turn)
        });
        soon("it waits", async || recorder.count("waiting") > number).await;
    }
    let asked = traffic.spent();
    assert!(
        asked.len() < 10,
        "only the first asks: {} statements",
        asked.len()
    );
    guard.release().await.unwrap();
    for waiter in waiters {
        waiter.await.unwrap();
    }
    let order = std::mem::take(&mut *order.lock().unwrap());
    assert!(order.iter().copied().eq(0..many), "{order:?}");
    assert!(!locks.is_held(&lock).await.unwrap());
    let (asked, most) = (traffic.spent().len(), many * 5);
    assert!(
        asked <= most,
        "{asked} statements for {many} who take turns"
    );
}

/// The next waiter knows that the lock has just been acquired here. So it waits to be woken.
pub async fn the_next_waiter_does_not_poll_at_once(world: &World) {
    let (recorder, many) = (Recorder::default(), 10);
    let (locks, traffic) = world.watched_locks(3).await;
    let locks = locks.observe(recorder.observer());
    let lock = world.lock("x").with_ttl(secs(600)).unwrap();
    let guard = locks.take(&lock).await;
    let turns: Vec<_> = (0..many)
        .map(|_| {
            let (locks, lock) = (locks.another(), lock.clone());
            spawn(async move {
                let guard = locks.acquire(&lock, seldom()).await.unwrap();
                tokio::time::sleep(ms(150)).await;
                guard.release().await.unwrap();
            })
        })
        .collect();
    soon("all wait", async || recorder.count("waiting") == many).await;
    traffic.spent();
    guard.release().await.unwrap();
    for turn in turns {
        turn.await.unwrap();
    }
    let asked = traffic.spent().len();
    let turn = match world.engine.name() {
        "postgres" => 2,
        "sqlite" => 4, // on a busy machine an acquisition takes a third statement
        _ => 3,
    };
    assert!(asked <= many * turn + 4, "{asked} statements");
}

pub async fn many_waiters_cost_the_database_as_much_as_one(world: &World) {
    let (mut holder, lock) = (world.session().await, world.lock("x"));
    holder.take(&lock).await;
    let (locks, traffic) = world.watched_locks(3).await;
    let waiters: Vec<_> = (0..16)
        .map(|_| waiting(&*locks, &lock, Wait::up_to(secs(5))))
        .collect();
    for waiter in waiters {
        assert!(matches!(waiter.await.unwrap(), Err(Error::Busy { .. })));
    }
    let asked = traffic.spent();
    assert!(asked.len() <= 30 + 16, "{} statements", asked.len());
}

pub async fn waiting_for_a_pinned_lease_that_ran_out_costs_few_statements(world: &World) {
    if world.is_sqlite() {
        return pinned_on_sqlite(world).await;
    }
    let (mut holder, mut other) = (world.session().await, world.session().await);
    let lock = world.lock("x");
    let lease = holder.take(&lock).await;
    holder.begin().await.unwrap();
    holder.pin(&lease).await.unwrap();
    world.let_run_out(&mut *other, &lease).await;
    let (locks, traffic) = world.watched_locks(3).await;
    let answer = locks.acquire(&lock, Wait::up_to(secs(2))).await;
    assert!(matches!(answer, Err(Error::Busy { .. })), "{answer:?}");
    let asked = traffic.spent();
    let in_vain = usize::from(world.is_mysql());
    assert!(asked.len() <= 16 + in_vain, "{} statements", asked.len());
    holder.commit().await.unwrap();
    locks.take(&lock).await;
}

/// On SQLite the open transaction is the only writer. A try that wants to write waits for it in the database.
async fn pinned_on_sqlite(world: &World) {
    let (mut holder, lock) = (world.session().await, world.lock("x"));
    let mut lease = holder.take(&lock).await;
    world.let_run_out(&mut *holder, &lease).await;
    let (locks, traffic) = world.watched_locks(3).await;
    holder.begin().await.unwrap();
    holder.extend(&mut lease).await.unwrap();
    let waiter = waiting(&*locks, &lock, Wait::up_to(secs(1)));
    soon("it has asked", async || traffic.opened() > 0).await;
    tokio::time::sleep(ms(500)).await;
    holder.commit().await.unwrap();
    let answer = waiter.await.unwrap();
    assert!(matches!(answer, Err(Error::Busy { .. })), "{answer:?}");
    assert!(traffic.spent().len() <= 16);
}

/// The lock changes hands many times, and some waiters leave meanwhile. No waiter may be forgotten.
pub async fn no_waiter_in_a_line_is_forgotten(world: &World) {
    let locks = world.locks().await;
    let lock = world.lock("x").with_ttl(secs(600)).unwrap();
    let turns: Vec<_> = (0..40_u64)
        .map(|number| {
            let (locks, lock) = (locks.another(), lock.clone());
            spawn(async move {
                // Every third waiter has little time. Every fifth waiter drops its guard without a release.
                let wait = if number % 3 == 0 {
                    Wait::up_to(ms(number))
                } else {
                    Wait::forever().every(secs(60))
                };
                match locks.acquire(&lock, wait).await {
                    Ok(guard) if number % 5 == 0 => drop(guard),
                    Ok(guard) => assert_eq!(guard.release().await.unwrap(), Released::InTime),
                    Err(error) => assert!(matches!(error, Error::Busy { .. }), "{error}"),
                }
            })
        })
        .collect();
    let all = async {
        for turn in turns {
            turn.await.unwrap();
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(60), all).await;
    in_time.expect("each got its turn or gave up");
    soon("it is free", async || !locks.is_held(&lock).await.unwrap()).await;
}

/// Polls rarely on PostgreSQL, which notifies, and often on the other engines.
fn if_not_told(world: &World) -> Wait {
    if world.is_postgres() {
        seldom()
    } else {
        Wait::forever().every(ms(200))
    }
}

pub async fn a_listener_hears_of_a_release_in_another_process(world: &World) {
    let (mut other, here) = (world.session().await, world.locks().await);
    let recorder = Recorder::default();
    let there = world.locks().await.observe(recorder.observer());
    let there = world.listening(&*there);
    for (count, how) in ["release", "drop", "in a transaction", "taken away"]
        .into_iter()
        .enumerate()
    {
        let lock = world.lock(how).with_ttl(secs(600)).unwrap();
        let guard = here.take(&lock).await;
        let waiter = waiting(&*there, &lock, if_not_told(world));
        soon("it waits", async || recorder.count("waiting") > count).await;
        if world.is_postgres() {
            soon("it has asked to be told", async || {
                is_wanted(&mut *other, &lock).await
            })
            .await;
        }
        let began = Instant::now();
        match how {
            "release" => assert_eq!(guard.release().await.unwrap(), Released::InTime),
            "drop" => drop(guard),
            "taken away" => drop(other.force_release(&lock).await.unwrap()),
            _ => {
                let lease = guard.into_lease();
                other.begin().await.unwrap();
                assert_eq!(other.release(&lease).await.unwrap(), Released::InTime);
                other.commit().await.unwrap();
            }
        }
        let next = waiter.await.unwrap().unwrap();
        assert!(began.elapsed() < secs(8), "{how}: {:?}", began.elapsed());
        next.release().await.unwrap();
    }
    there.close().await;
}

/// A takeover sends no notification. So the request for a notification must outlive the first holder.
pub async fn a_listener_hears_of_the_release_after_a_takeover(world: &World) {
    let (mut first, mut next) = (world.session().await, world.session().await);
    let ((locks, traffic), recorder) = (world.watched_locks(2).await, Recorder::default());
    let locks = world.listening(&*locks.observe(recorder.observer()));
    let lock = world.lock("x").with_ttl(secs(600)).unwrap();
    let lease = first.take(&lock).await;
    let rhythm = if world.is_postgres() {
        secs(40)
    } else {
        ms(200)
    };
    let wait = Wait::up_to(secs(60)).every(rhythm).without_jitter();
    let waiter = waiting(&*locks, &lock, wait);
    soon("it waits", async || recorder.count("waiting") == 1).await;
    if world.is_postgres() {
        let mut asked = 0;
        soon(
            "it has asked to be told, and looked once more",
            async || {
                asked += traffic.spent().len();
                asked >= 3 && traffic.at_work() == 0
            },
        )
        .await;
        assert!(is_wanted(&mut *next, &lock).await);
    }
    world.let_run_out(&mut *first, &lease).await;
    if let Some(lease) = next.try_acquire(&lock).await.unwrap().acquired() {
        assert_eq!(next.release(&lease).await.unwrap(), Released::InTime);
    } else {
        assert!(!world.is_postgres(), "who looks often may be quicker");
    }
    let began = Instant::now();
    waiter.await.unwrap().unwrap().release().await.unwrap();
    assert!(began.elapsed() < secs(8), "{:?}", began.elapsed());
    locks.close().await;
}

async fn is_wanted(conn: &mut dyn Session, lock: &Lock) -> bool {
    let sql = format!(
        "SELECT COALESCE(wanted_until, 0) AS number FROM diesel_locks WHERE name = '{}'",
        lock.key()
    );
    conn.number(&sql).await.unwrap() > 0
}

pub async fn a_release_without_a_notification_is_found_by_polling(world: &World) {
    let (here, there) = (world.locks().await, world.locks().await);
    let recorder = Recorder::default();
    let there = world.deaf(&*there.observe(recorder.observer()));
    let lock = world.lock("x").with_ttl(secs(600)).unwrap();
    let guard = here.take(&lock).await;
    let waiter = waiting(&*there, &lock, Wait::forever().every(ms(300)));
    soon("it waits", async || recorder.count("waiting") == 1).await;
    let began = Instant::now();
    guard.release().await.unwrap();
    waiter.await.unwrap().unwrap().release().await.unwrap();
    assert!(began.elapsed() < secs(8));
    there.close().await;
}

pub async fn listeners_stand_in_line_and_cost_next_to_nothing(world: &World) {
    let (mut holder, lock) = (world.session().await, world.lock("x"));
    holder.take(&lock).await;
    let (locks, traffic) = world.watched_locks(3).await;
    let locks = world.listening(&*locks);
    let waiters: Vec<_> = (0..16)
        .map(|_| waiting(&*locks, &lock, Wait::up_to(secs(4))))
        .collect();
    for waiter in waiters {
        assert!(matches!(waiter.await.unwrap(), Err(Error::Busy { .. })));
    }
    let asked = traffic.spent();
    let polls = if world.is_postgres() { 12 } else { 30 }; // other databases announce nothing
    assert!(asked.len() <= polls + 16, "{} statements", asked.len());
    locks.close().await;
}
