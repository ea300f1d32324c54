//! Many tasks or threads of one `Locker` at the same moment: each gets its own answer. On servers their requests share
//! statements.

use std::sync::Arc;
use std::time::Duration;

use diesel_locks::{Error, Lease, Lock, Released, Result, Wait};
use tokio::sync::Barrier;

use crate::managed::traffic::Traffic;
use crate::managed::{AnyGuard, Managed};
use crate::session::Session;
use crate::world::{World, secs, spawn};

pub(super) const MANY: usize = 48;
pub(super) const LONG: Duration = secs(600);
/// How far a fence in the table is ahead of the clock: a thousand seconds.
const AHEAD: i64 = 1_000_000_000;
const EXPIRED: &str = "expires_at = expires_at - 3600000000";

/// One caller for each of these. All of them begin at the same moment.
pub(super) async fn all_at_once<I, T, F>(items: Vec<I>, act: impl Fn(usize, I) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let start = Arc::new(Barrier::new(items.len()));
    let callers: Vec<_> = items
        .into_iter()
        .enumerate()
        .map(|(number, item)| {
            let (start, act) = (start.clone(), act(number, item));
            spawn(async move {
                start.wait().await;
                act.await
            })
        })
        .collect();
    let mut answers = Vec::new();
    for caller in callers {
        answers.push(caller.await.expect("no panic"));
    }
    answers
}

fn owner_of(key: &str) -> String {
    format!("who wants {key}")
}

pub(super) fn locks(world: &World) -> Vec<Lock> {
    let lock = |number| {
        let lock = world.lock(&format!("x{number}")).with_ttl(LONG).unwrap();
        lock.clone().with_owner(owner_of(lock.key())).unwrap()
    };
    (0..MANY).map(lock).collect()
}

/// A `Locker` that is patient on a busy machine.
pub(super) async fn locker(world: &World) -> Box<dyn Managed> {
    world.locks().await.release_within(LONG)
}

/// The same, with so many connections, and what they send.
pub(super) async fn watched(world: &World, size: u32) -> (Box<dyn Managed>, Arc<Traffic>) {
    let (locker, traffic) = world.watched_locks(size).await;
    (locker.release_within(LONG), traffic)
}

pub(super) async fn acquire_all(locker: &dyn Managed, locks: Vec<Lock>) -> Vec<Result<AnyGuard>> {
    let acquire = |_, lock: Lock| {
        let locker = locker.another();
        async move { locker.acquire(&lock, Wait::never()).await }
    };
    all_at_once(locks, acquire).await
}

pub(super) async fn release_all(guards: Vec<AnyGuard>) -> Vec<Released> {
    let release = |_, guard: AnyGuard| async move { guard.release().await.expect("an answer") };
    all_at_once(guards, release).await
}

/// Each guard has the row of its own lock, and no other.
pub(super) async fn assert_all_held(conn: &mut dyn Session, guards: &[AnyGuard]) {
    for guard in guards {
        assert!(conn.is_mine(&guard.lease()).await.unwrap(), "{guard:?}");
    }
}

/// Every seventh lock is in the same state.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Free,
    Held,
    Expired,
    NeverUsed,
    Marked,
    /// The lock is free, and its fence is ahead of the clock.
    Ahead,
    /// The lock is free, and another transaction has its row locked.
    Locked,
}

impl State {
    fn of(number: usize) -> Self {
        use State::{Ahead, Expired, Free, Held, Locked, Marked, NeverUsed};
        [Free, Held, Expired, NeverUsed, Marked, Ahead, Locked][number % 7]
    }
}

pub async fn in_a_crowd_each_gets_its_own_answer(world: &World) {
    let (locker, other) = (locker(world).await, locker(world).await);
    let (mut conn, mut blocker) = (world.session().await, world.session().await);
    let mut leases = Vec::new();
    for (number, lock) in locks(world).into_iter().enumerate() {
        leases.push(prepare(&mut *conn, &lock, State::of(number)).await);
    }
    if !world.is_sqlite() {
        blocker.begin().await.unwrap();
        for lock in of_state(State::Locked, world) {
            lock_row(&mut *blocker, &lock).await;
        }
    }
    let wanted = locks(world).into_iter().map(with_text).collect();
    let mut guards = Vec::new();
    for (number, answer) in (0..).zip(acquire_all(&*locker, wanted).await) {
        let lease = leases[number].as_ref();
        let (state, before) = (State::of(number), lease.map_or(0, Lease::fence));
        match state {
            State::Held => assert_busy(answer, lease),
            State::Locked if !world.is_sqlite() => assert_busy(answer, None),
            State::Expired | State::Ahead => guards.push(assert_acquired(answer, before + AHEAD)),
            _ => guards.push(assert_acquired(answer, before)),
        }
    }
    assert_all_held(&mut *conn, &guards).await;
    for guard in &guards {
        let record = conn.inspect(guard.lock()).await.unwrap().unwrap();
        assert_eq!(record.data.as_deref(), text(guard.lock()));
    }
    assert_each_is_told_its_holder(&*other, &guards).await;
    if !world.is_sqlite() {
        blocker.rollback().await.unwrap();
    }
    assert_no_mark(&mut *conn, world).await;
}

fn of_state(state: State, world: &World) -> impl Iterator<Item = Lock> {
    let locks = locks(world).into_iter().enumerate();
    locks.filter_map(move |(number, lock)| (State::of(number) == state).then_some(lock))
}

pub(super) async fn lock_row(blocker: &mut dyn Session, lock: &Lock) {
    let name = lock.key();
    let sql = format!("SELECT name FROM diesel_locks WHERE name = '{name}' FOR UPDATE");
    blocker.batch(&sql).await.unwrap();
}

/// Every tenth lock is acquired with a text. A request with a text goes alone.
fn text(lock: &Lock) -> Option<&str> {
    Some(lock.key()).filter(|key| key.ends_with('0'))
}

fn with_text(lock: Lock) -> Lock {
    match text(&lock).map(str::to_owned) {
        Some(text) => lock.with_data(text).unwrap(),
        None => lock,
    }
}

fn assert_acquired(answer: Result<AnyGuard>, before: i64) -> AnyGuard {
    let guard = answer.unwrap();
    assert!(guard.fence() > before, "{guard:?}");
    guard
}

fn assert_busy(answer: Result<AnyGuard>, by: Option<&Lease>) {
    let Err(Error::Busy { holder, .. }) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!(holder.map(|holder| holder.fence), by.map(Lease::fence));
}

async fn assert_no_mark(conn: &mut dyn Session, world: &World) {
    for lock in locks(world) {
        let key = lock.key();
        let marked = "UPDATE diesel_locks SET wanted_since = 2 WHERE wanted_since = 1";
        let sql = format!("{marked} AND name = '{key}'");
        assert_eq!(conn.sql(&sql).await.unwrap(), 0, "a mark is left: {key}");
    }
}

/// All want their lock once more.
async fn assert_each_is_told_its_holder(other: &dyn Managed, guards: &[AnyGuard]) {
    let wanted = guards.iter().map(|it| it.lock().clone()).collect();
    for (told, guard) in acquire_all(other, wanted).await.into_iter().zip(guards) {
        let Err(Error::Busy { key, holder, .. }) = told else {
            panic!("{told:?}")
        };
        let holder = holder.expect("a holder");
        assert_eq!(&*key, guard.lock().key());
        assert_eq!(holder.fence, guard.fence());
        assert_eq!(holder.owner, owner_of(&key));
    }
}

async fn prepare(conn: &mut dyn Session, lock: &Lock, state: State) -> Option<Lease> {
    if state == State::NeverUsed {
        return None;
    }
    let lease = conn.take(lock).await;
    if !matches!(state, State::Held | State::Expired) {
        conn.release(&lease).await.unwrap();
    }
    conn.forget_holder(&lease).await; // another process took it
    let change = match state {
        State::Expired => format!("{EXPIRED}, fence = fence + {AHEAD}"),
        State::Ahead => format!("fence = fence + {AHEAD}"),
        State::Marked => "wanted_since = 1".to_owned(),
        _ => return Some(lease),
    };
    update(conn, &change, lock.key()).await;
    Some(lease)
}

async fn update(conn: &mut dyn Session, change: &str, key: &str) {
    let sql = format!("UPDATE diesel_locks SET {change} WHERE name = '{key}'");
    assert_eq!(conn.sql(&sql).await.unwrap(), 1);
}

/// A stale holder in the crowd releases nothing, and is told, also if its token holds the lock again.
pub async fn in_a_crowd_a_lost_lease_is_lost(world: &World) {
    let (locker, mut conn) = (locker(world).await, world.session().await);
    let with_token = |(number, lock): (usize, Lock)| lock.with_token(format!("agreed-{number}"));
    let locks = locks(world).into_iter().enumerate();
    let locks = locks.map(with_token).collect::<Result<_>>().unwrap();
    let guards = hold_all(&*locker, locks).await;
    let mut taken = Vec::new();
    for guard in guards.iter().step_by(3) {
        conn.take_away(guard.lock()).await;
        taken.push(conn.take(guard.lock()).await);
    }
    release_each_third(guards, Released::Lost).await;
    for lease in &taken {
        assert!(conn.is_mine(lease).await.unwrap());
    }
}

pub async fn in_a_crowd_an_expired_lease_is_released_late(world: &World) {
    let (locker, mut conn) = (locker(world).await, world.session().await);
    let guards = hold_all(&*locker, locks(world)).await;
    for guard in guards.iter().step_by(3) {
        update(&mut *conn, EXPIRED, guard.lock().key()).await;
    }
    release_each_third(guards, Released::Late).await;
}

/// Releases all. This is said of each third, and all others are released in time.
async fn release_each_third(guards: Vec<AnyGuard>, third: Released) {
    for (number, released) in release_all(guards).await.into_iter().enumerate() {
        let is_third = number % 3 == 0;
        let expected = if is_third { third } else { Released::InTime };
        assert_eq!(released, expected, "{number}");
    }
}

/// Acquires locks that must be free.
pub(super) async fn hold_all(locker: &dyn Managed, locks: Vec<Lock>) -> Vec<AnyGuard> {
    let guards = acquire_all(locker, locks).await.into_iter();
    guards.map(|it| it.expect("a free lock")).collect()
}
