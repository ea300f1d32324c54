//! Turns between processes that want the same lock. Each `Locker` stands for a process.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use diesel_locks::{Lease, Lock, LockSet, Wait};
use tokio::task::JoinHandle;

use crate::managed::Managed;
use crate::managed::recorder::Recorder;
use crate::managed::traffic::Traffic;
use crate::session::Session;
use crate::suite::kept_many::that_takes;
use crate::suite::lines::waiting;
use crate::world::{World, ms, secs, soon, spawn, within};

/// How a waiter holds the lock.
#[derive(Clone, Copy, Debug)]
enum Hold {
    /// Without a transaction.
    Plainly,
    /// In a guarded transaction that also releases the lock.
    FinishedByTransaction,
    /// In a guarded transaction, and releases the lock right after it.
    InTransaction,
}

/// Processes that always want the same lock.
#[derive(Clone)]
struct Contest {
    how: Hold,
    hold: Duration,
    /// The process that acquired the lock, in the order of the acquisitions.
    holders: Arc<Mutex<Vec<usize>>>,
    is_over: Arc<AtomicBool>,
}

impl Contest {
    fn new(how: Hold, hold: Duration) -> Self {
        Self {
            how,
            hold,
            holders: Arc::default(),
            is_over: Arc::default(),
        }
    }

    /// A waiter of this process: it acquires, holds, and releases the lock, and wants it again at once.
    fn contend(&self, process: usize, locks: &dyn Managed, lock: &Lock) -> JoinHandle<()> {
        let (contest, locks, lock) = (self.clone(), locks.another(), lock.clone());
        spawn(async move {
            while !contest.is_over.load(SeqCst) {
                let guard = locks.acquire(&lock, Wait::forever()).await.unwrap();
                contest.holders.lock().unwrap().push(process);
                match contest.how {
                    Hold::Plainly => tokio::time::sleep(contest.hold).await,
                    Hold::InTransaction => {
                        guard.transaction(that_takes(contest.hold)).await.unwrap();
                    }
                    Hold::FinishedByTransaction => {
                        guard.finish(that_takes(contest.hold)).await.unwrap();
                        continue;
                    }
                }
                guard.release().await.unwrap();
            }
        })
    }

    async fn end(self, waiters: Vec<JoinHandle<()>>) -> Vec<usize> {
        self.is_over.store(true, SeqCst);
        for waiter in waiters {
            waiter.await.unwrap();
        }
        let holders = self.holders.lock().unwrap();
        holders.clone()
    }
}

/// Without turns, one of the processes keeps the lock within itself: it wakes its next waiter at once. Then the other
/// process polls in vain, because the lock is free only for a moment.
pub async fn no_process_keeps_the_lock_within_itself(world: &World) {
    contend(world, Hold::Plainly).await;
}

/// On MySQL and MariaDB no mark can be made in the row of the holder while a transaction pins it. On `SQLite` no mark can be
/// made at all then, unless the connection waits for the writer.
pub async fn no_process_keeps_the_lock_within_its_transactions(world: &World) {
    if world.is_sqlite() {
        return contend(world, Hold::Plainly).await;
    }
    contend(world, Hold::FinishedByTransaction).await;
    contend(world, Hold::InTransaction).await;
}

async fn contend(world: &World, how: Hold) {
    let (one, other) = (world.locks().await, world.locks().await);
    let lock = world.lock(&format!("{how:?}"));
    let lock = lock.with_ttl(secs(600)).unwrap();
    let contest = Contest::new(how, ms(200));
    let mut waiters: Vec<_> = (0..3).map(|_| contest.contend(1, &*one, &lock)).collect();
    waiters.push(contest.contend(2, &*other, &lock));
    let is_long = async || contest.holders.lock().unwrap().len() >= 40;
    within(secs(90), "the lock was acquired 40 times", is_long).await;
    let holders = contest.end(waiters).await;
    let longest = holders.chunk_by(|one, next| one == next).map(<[_]>::len);
    assert!(longest.max().unwrap() <= 20, "{holders:?}");
}

pub async fn a_process_that_contends_with_itself_makes_no_marks(world: &World) {
    let (locks, traffic) = world.watched_locks(3).await;
    let locks = world.listening(&*locks);
    let lock = world.lock("x").with_ttl(secs(600)).unwrap();
    let contest = Contest::new(Hold::Plainly, ms(20));
    let waiters = [(); 3].map(|()| contest.contend(1, &*locks, &lock));
    let began = Instant::now();
    let is_longer_than_a_turn = async || began.elapsed() > ms(1_500);
    soon("its turn is over", is_longer_than_a_turn).await;
    assert!(contest.end(waiters.into()).await.len() > 3);
    let spent = traffic.spent();
    assert!(!spent.iter().any(|sql| is_mark(sql)), "{spent:#?}");
    locks.close().await;
}

pub async fn who_waits_for_one_holder_makes_no_mark(world: &World) {
    let (mut holder, lock) = (world.session().await, world.lock("x"));
    holder.take(&lock).await;
    let (locks, traffic) = world.watched_locks(2).await;
    locks
        .acquire(&lock, Wait::up_to(secs(1)))
        .await
        .unwrap_err();
    let spent = traffic.spent();
    assert!(!spent.iter().any(|sql| is_mark(sql)), "{spent:#?}");
}

pub fn is_mark(sql: &str) -> bool {
    ["", "l.", "b."]
        .iter()
        .any(|of| sql.contains(&format!("SET {of}wanted_since = ")))
}

/// The mark of a process that has waited longer than every other, and does not come.
const OLDEST: i64 = 1;
/// The mark of a process that has just come. A process that has seen no holder yet has come later.
const NEWEST: i64 = i64::MAX / 2;

/// For how long a lock that was held for a moment is left to another process.
const WINDOW: Duration = ms(240);

async fn set_mark(conn: &mut dyn Session, lock: &Lock, since: i64) {
    let name = lock.key();
    let sql = format!("UPDATE diesel_locks SET wanted_since = {since} WHERE name = '{name}'");
    assert_eq!(conn.sql(&sql).await.unwrap(), 1);
}

/// The mark in the row; 0 if there is none.
pub(super) async fn mark(conn: &mut dyn Session, lock: &Lock) -> i64 {
    let (column, name) = ("COALESCE(wanted_since, 0)", lock.key());
    let sql = format!("SELECT {column} AS number FROM diesel_locks WHERE name = '{name}'");
    conn.number(&sql).await.unwrap()
}

/// The holder acquires the lock again, and the lock is free at no moment. The row has the mark of another process.
async fn pass_over(holder: &mut dyn Session, lock: &Lock, lease: &mut Lease, since: i64) {
    holder.begin().await.unwrap();
    assert!(!holder.release(lease).await.unwrap().is_lost());
    *lease = holder.take(lock).await;
    set_mark(holder, lock, since).await;
    holder.commit().await.unwrap();
}

/// Waits until a waiter has polled several times. Returns the number of its marks since the last call.
async fn marks(traffic: &Traffic) -> usize {
    let mut spent = traffic.spent();
    let enough = spent.len() + 8;
    soon("it polls", async || {
        spent.extend(traffic.spent());
        spent.len() >= enough
    })
    .await;
    spent.iter().filter(|sql| is_mark(sql)).count()
}

/// Holds the lock, releases it, and leaves the mark of another process in the row.
async fn release_with_mark(holder: &mut dyn Session, lock: &Lock, since: i64) {
    let lease = holder.take(lock).await;
    set_mark(holder, lock, since).await;
    assert!(!holder.release(&lease).await.unwrap().is_lost());
}

/// A process leaves the lock to a process that has waited longer, but not for ever. It polls then, although its own
/// rhythm is slow: nothing else would wake it.
pub async fn who_came_later_leaves_the_lock_to_who_has_waited_longer(world: &World) {
    let (mut holder, locks) = (world.session().await, world.locks().await);
    let lock = world.lock("x").with_ttl(secs(600)).unwrap();
    let lease = holder.take(&lock).await;
    set_mark(&mut *holder, &lock, OLDEST).await;
    let released = Instant::now();
    assert!(!holder.release(&lease).await.unwrap().is_lost());
    let wait = Wait::up_to(secs(60)).every(secs(600));
    let guard = locks.acquire(&lock, wait).await.unwrap();
    let took = released.elapsed();
    assert!(took >= WINDOW && took < secs(30), "{took:?}");
    assert_eq!(mark(&mut *holder, &lock).await, 0);
    guard.release().await.unwrap();
}

/// A single try is busy only if somebody holds the lock.
pub async fn a_single_try_leaves_the_lock_to_nobody(world: &World) {
    let (mut holder, locks) = (world.session().await, world.locks().await);
    let lock = world.lock("x").with_ttl(secs(600)).unwrap();
    release_with_mark(&mut *holder, &lock, OLDEST).await;
    locks.take(&lock).await.release().await.unwrap();
    assert_eq!(mark(&mut *holder, &lock).await, 0);
    release_with_mark(&mut *holder, &lock, OLDEST).await;
    let set = LockSet::new(&lock, [""; 0]).unwrap();
    let all = holder.acquire_all(&set, Wait::never()).await.unwrap();
    assert_eq!(mark(&mut *holder, &lock).await, 0, "nor a set");
    holder.release(&all.acquired().unwrap()[0]).await.unwrap();
}

/// A wait does not end in vain while the lock is free.
pub async fn the_last_try_of_a_wait_leaves_the_lock_to_nobody(world: &World) {
    let (mut holder, locks) = (world.session().await, world.locks().await);
    let lock = world.lock("x").with_ttl(secs(600)).unwrap();
    for wait in [Wait::up_to(ms(50)), Wait::attempts(3)] {
        let wait = wait.every(ms(20));
        on_a_quick_machine(async || {
            let released = release_for_two_seconds(&mut *holder, &lock).await;
            let guard = locks.acquire(&lock, wait.clone()).await.unwrap();
            let is_quick = released.elapsed() < ms(1_900);
            guard.release().await.unwrap();
            is_quick
        })
        .await;
    }
}

/// Nor does the wait of a waiter that is not the first of its process. The first waiter leaves the lock to another process.
pub async fn whose_time_is_over_acquires_a_free_lock_before_the_first_of_its_queue(world: &World) {
    let (mut holder, recorder) = (world.session().await, Recorder::default());
    let locks = world.locks().await.observe(recorder.observer());
    let lock = world.lock("x").with_ttl(secs(600)).unwrap();
    on_a_quick_machine(async || {
        let waited = recorder.count("waiting");
        let released = release_for_two_seconds(&mut *holder, &lock).await;
        let first = waiting(&*locks, &lock, Wait::up_to(secs(60)).every(secs(600)));
        soon("it waits", async || recorder.count("waiting") > waited).await;
        let second = locks.acquire(&lock, Wait::up_to(ms(50))).await;
        let is_quick = released.elapsed() < ms(1_900) && second.is_ok();
        if let Ok(guard) = second {
            guard.release().await.unwrap();
        }
        first.await.unwrap().unwrap().release().await.unwrap();
        is_quick
    })
    .await;
}

/// What happens within a time that a busy machine may exceed for a while.
async fn on_a_quick_machine(mut happens: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !happens().await {
        assert!(began.elapsed() < secs(200), "it never happened in time");
    }
}

/// Releases the lock, as if it had been held for a minute. So the lock is left to another process for two seconds.
async fn release_for_two_seconds(holder: &mut dyn Session, lock: &Lock) -> Instant {
    let lease = holder.take(lock).await;
    set_mark(holder, lock, OLDEST).await;
    let (earlier, name) = ("acquired_at - 60000000", lock.key());
    let sql = format!("UPDATE diesel_locks SET acquired_at = {earlier} WHERE name = '{name}'");
    assert_eq!(holder.sql(&sql).await.unwrap(), 1);
    let released = Instant::now();
    assert!(!holder.release(&lease).await.unwrap().is_lost());
    released
}

/// A process keeps the lock within itself in its turn, and afterwards leaves it to the process that waits.
pub async fn a_turn_lasts_a_second(world: &World) {
    let (mut conn, recorder) = (world.session().await, Recorder::default());
    let locks = world.locks().await.observe(recorder.observer());
    let lock = world.lock("x").with_ttl(secs(600)).unwrap();
    let wait = Wait::up_to(secs(60)).every(ms(20));
    on_a_quick_machine(async || {
        let (had_waited, lease) = (recorder.count("waiting"), conn.take(&lock).await);
        let waiter = waiting(&*locks, &lock, wait.clone());
        let waits = async || recorder.count("waiting") > had_waited;
        soon("it waits", waits).await;
        let began = Instant::now();
        assert!(!conn.release(&lease).await.unwrap().is_lost());
        let guard = waiter.await.unwrap().unwrap();
        set_mark(&mut *conn, &lock, NEWEST).await;
        let had_waited = recorder.count("waiting");
        guard.release().await.unwrap();
        let guard = locks.acquire(&lock, wait.clone()).await.unwrap();
        let is_turn = began.elapsed() < secs(1) && recorder.count("waiting") == had_waited;
        if !is_turn || mark(&mut *conn, &lock).await != NEWEST {
            guard.release().await.unwrap();
            return false;
        }
        tokio::time::sleep(ms(1_100)).await; // the turn is over then
        guard.release().await.unwrap();
        let released = Instant::now();
        let guard = locks.acquire(&lock, wait.clone()).await.unwrap();
        assert!(released.elapsed() >= WINDOW, "{:?}", released.elapsed());
        assert_eq!(mark(&mut *conn, &lock).await, 0);
        guard.release().await.unwrap();
        true
    })
    .await;
}

/// A process that was passed over marks the row once for each holder, also when another process has waited longer.
pub async fn a_process_that_is_passed_over_marks_the_row_once_for_each_holder(world: &World) {
    let mut holder = world.session().await;
    let lock = world.lock("x").with_ttl(secs(600)).unwrap();
    let mut lease = holder.take(&lock).await;
    let (locks, traffic) = world.watched_locks(2).await;
    let waiter = waiting(&*locks, &lock, Wait::up_to(secs(100)).every(ms(20)));
    assert_eq!(marks(&traffic).await, 0);
    pass_over(&mut *holder, &lock, &mut lease, NEWEST).await;
    assert_eq!(marks(&traffic).await, 1);
    let own = mark(&mut *holder, &lock).await;
    assert!(own > OLDEST && own < NEWEST, "{own}");
    for (other, earliest) in [(NEWEST, own), (OLDEST, OLDEST)] {
        pass_over(&mut *holder, &lock, &mut lease, other).await;
        assert_eq!(marks(&traffic).await, 1);
        assert_eq!(mark(&mut *holder, &lock).await, earliest);
    }
    assert!(!holder.release(&lease).await.unwrap().is_lost());
    waiter.await.unwrap().unwrap().release().await.unwrap();
}
