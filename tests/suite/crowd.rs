//! Many tasks or threads of one `Locker` at the same moment. On PostgreSQL their requests share statements.

use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use diesel_locks::{Error, Lease, Lock, Released, Result, Wait};
use tokio::runtime::Runtime;
use tokio::sync::{Barrier, Notify};

use super::setup;
use crate::managed::traffic::Traffic;
use crate::managed::{AnyGuard, Managed};
use crate::session::{Answer, Session};
use crate::world::{World, ms, own_table, secs, soon, spawn};

const MANY: usize = 48;
const LONG: Duration = secs(600);
/// How far a fence in the table is ahead of the clock: a thousand seconds.
const AHEAD: i64 = 1_000_000_000;
const EXPIRED: &str = "expires_at = expires_at - 3600000000";

/// One caller for each of these. All of them begin at the same moment.
async fn all_at_once<I, T, F>(items: Vec<I>, act: impl Fn(usize, I) -> F) -> Vec<T>
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

/// A pattern for the keys of this case.
fn like_all(world: &World) -> String {
    format!("{}%", world.lock("x").key())
}

fn locks(world: &World) -> Vec<Lock> {
    let lock = |number| {
        let lock = world.lock(&format!("x{number}")).with_ttl(LONG).unwrap();
        lock.clone().with_owner(owner_of(lock.key())).unwrap()
    };
    (0..MANY).map(lock).collect()
}

/// A `Locker` that is patient on a busy machine.
async fn locker(world: &World) -> Box<dyn Managed> {
    world.locks().await.release_within(LONG)
}

/// The same, with so many connections, and what they send.
async fn watched(world: &World, size: u32) -> (Box<dyn Managed>, Arc<Traffic>) {
    let (locker, traffic) = world.watched_locks(size).await;
    (locker.release_within(LONG), traffic)
}

async fn acquire_all(locker: &dyn Managed, locks: Vec<Lock>) -> Vec<Result<AnyGuard>> {
    let acquire = |_, lock: Lock| {
        let locker = locker.another();
        async move { locker.acquire(&lock, Wait::never()).await }
    };
    all_at_once(locks, acquire).await
}

async fn release_all(guards: Vec<AnyGuard>) -> Vec<Released> {
    let release = |_, guard: AnyGuard| async move { guard.release().await.expect("an answer") };
    all_at_once(guards, release).await
}

/// Each guard has the row of its own lock, and no other.
async fn assert_all_held(conn: &mut dyn Session, guards: &[AnyGuard]) {
    for guard in guards {
        assert!(conn.is_mine(&guard.lease()).await.unwrap(), "{guard:?}");
    }
}

/// On a busy machine the callers may come one after the other, and share little. So there are rounds.
pub async fn a_crowd_shares_its_statements(world: &World) {
    let (locker, traffic) = watched(world, 3).await;
    let mut conn = world.session().await;
    let mut before = held_once(&*locker, &mut *conn, world).await; // creates the rows
    for round in 1.. {
        traffic.spent();
        let fences = held_once(&*locker, &mut *conn, world).await;
        for (fence, before) in fences.iter().zip(&before) {
            assert!(fence > before);
        }
        before = fences;
        let spent = traffic.spent();
        let are_shared = spent.len() < MANY; // of two statements for each lock
        if are_shared == world.is_postgres() {
            break;
        }
        assert!(world.is_postgres() && round < 50, "{spent:?}");
    }
}

/// All acquire their lock, and release it. Returns the fences.
async fn held_once(locker: &dyn Managed, conn: &mut dyn Session, world: &World) -> Vec<i64> {
    let guards = acquire_all(locker, locks(world)).await;
    let guards: Vec<_> = guards.into_iter().map(|it| it.unwrap()).collect();
    assert_all_held(conn, &guards).await;
    let fences = guards.iter().map(|it| it.fence()).collect();
    for released in release_all(guards).await {
        assert_eq!(released, Released::InTime);
    }
    for lock in locks(world) {
        assert!(!conn.is_held(&lock).await.unwrap());
    }
    fences
}

/// If one of the releases is to wait for the disk, the statement waits.
pub async fn a_durable_release_waits_for_the_disk_in_a_crowd(world: &World) {
    let (locker, traffic) = watched(world, 3).await;
    let mut conn = world.session().await;
    for (locker, is_durable) in [(locker.release_durably(), true), (locker, false)] {
        held_once(&*locker, &mut *conn, world).await;
        let spent = traffic.spent();
        let waits_not = |sql: &&String| sql.contains("synchronous_commit");
        let has_any = spent.iter().any(|sql| waits_not(&sql));
        assert_eq!(has_any, world.is_postgres() && !is_durable, "{spent:?}");
    }
}

/// Every sixth lock is in the same state.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Free,
    Held,
    Expired,
    NeverUsed,
    Marked,
    /// The lock is free, and another transaction has its row locked.
    Locked,
}

impl State {
    fn of(number: usize) -> Self {
        use State::{Expired, Free, Held, Locked, Marked, NeverUsed};
        [Free, Held, Expired, NeverUsed, Marked, Locked][number % 6]
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
        for (number, lock) in locks(world).into_iter().enumerate() {
            if State::of(number) == State::Locked {
                let name = lock.key();
                let sql = format!("SELECT name FROM diesel_locks WHERE name = '{name}' FOR UPDATE");
                blocker.batch(&sql).await.unwrap();
            }
        }
    }

    let text = |lock: &Lock| Some(lock.key().to_owned()).filter(|key| key.ends_with('0'));
    let with_text = |lock: Lock| match text(&lock) {
        Some(text) => lock.with_data(text).unwrap(),
        None => lock,
    };
    let wanted = locks(world).into_iter().map(with_text).collect();
    let answers = acquire_all(&*locker, wanted).await;
    let mut guards = Vec::new();
    for (number, (answer, lease)) in answers.into_iter().zip(&leases).enumerate() {
        let busy = match State::of(number) {
            State::Held => lease.as_ref().map(Lease::fence),
            State::Locked if !world.is_sqlite() => None,
            _ => {
                let guard = answer.unwrap();
                let ahead = if State::of(number) == State::Expired {
                    AHEAD
                } else {
                    0
                };
                let before = lease.as_ref().map_or(0, Lease::fence) + ahead;
                assert!(guard.fence() > before, "{guard:?}");
                let record = conn.inspect(guard.lock()).await.unwrap().unwrap();
                assert_eq!(record.data, text(guard.lock()));
                guards.push(guard);
                continue;
            }
        };
        let Err(Error::Busy { holder, .. }) = answer else {
            panic!("{number}: {answer:?}")
        };
        assert_eq!(holder.map(|holder| holder.fence), busy);
    }
    assert_all_held(&mut *conn, &guards).await;

    if !world.is_mysql() {
        let keeps = "UPDATE diesel_locks SET name = name WHERE wanted_since = 1";
        let sql = format!("{keeps} AND name LIKE '{}'", like_all(world));
        assert_eq!(conn.sql(&sql).await.unwrap(), 0, "a mark is left");
    }

    // All of them together once more: who holds a lock is told to each.
    let told = acquire_all(&*other, guards.iter().map(|it| it.lock().clone()).collect()).await;
    for (told, guard) in told.into_iter().zip(&guards) {
        match told {
            Err(Error::Busy {
                key,
                holder: Some(holder),
                ..
            }) => {
                assert_eq!(&*key, guard.lock().key());
                assert_eq!(holder.fence, guard.fence());
                assert_eq!(holder.owner, owner_of(&key));
            }
            told => panic!("{told:?}"),
        }
    }
    if !world.is_sqlite() {
        blocker.rollback().await.unwrap();
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
    let change = match state {
        State::Expired => format!("{EXPIRED}, fence = fence + {AHEAD}"),
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

/// A stale holder in the crowd releases nothing, and is told.
pub async fn in_a_crowd_a_lost_lease_is_lost(world: &World) {
    let (locker, mut conn) = (locker(world).await, world.session().await);
    let guards = acquire_all(&*locker, locks(world)).await;
    let guards: Vec<_> = guards.into_iter().map(|it| it.unwrap()).collect();
    let mut taken = Vec::new();
    for guard in guards.iter().step_by(3) {
        conn.take_away(guard.lock()).await;
        taken.push(conn.take(guard.lock()).await);
    }
    for guard in guards.iter().skip(1).step_by(3) {
        update(&mut *conn, EXPIRED, guard.lock().key()).await;
    }
    for (number, released) in release_all(guards).await.into_iter().enumerate() {
        let expected = match number % 3 {
            0 => Released::Lost,
            1 => Released::Late,
            _ => Released::InTime,
        };
        assert_eq!(released, expected, "{number}");
    }
    for lease in &taken {
        assert!(conn.is_mine(lease).await.unwrap());
    }
}

/// Callers that give up at any moment, in a crowd that does not: nobody gets another's answer, and nothing stays held.
pub async fn who_gives_up_in_a_crowd_leaves_nothing_held(world: &World) {
    let (locker, traffic) = watched(world, 3).await;
    let (locks, is_blocking) = (locks(world), world.is_blocking());
    let work = |number: usize, lock: Lock| {
        let locker = locker.another();
        async move {
            for round in 0..10 {
                let time = Duration::from_micros((number * 131 + round * 757) as u64 % 4_000);
                let gives_up = !is_blocking && (number + round) % 2 == 0;
                let acquire = locker.acquire(&lock, Wait::up_to(LONG).every(ms(5)));
                let guard = if gives_up {
                    tokio::time::timeout(time, acquire).await.ok()
                } else {
                    Some(acquire.await)
                };
                let Some(guard) = guard else { continue };
                let guard = guard.expect("nobody else wants it");
                assert_eq!(guard.lock().key(), lock.key());
                if gives_up {
                    let _ = tokio::time::timeout(time / 2, guard.release()).await;
                } else {
                    assert_eq!(guard.release().await.unwrap(), Released::InTime);
                }
            }
        }
    };
    all_at_once(locks.clone(), work).await;
    let mut conn = world.session().await;
    soon("everything is given back", async || {
        for lock in &locks {
            if conn.is_held(lock).await.unwrap() {
                return false;
            }
        }
        true
    })
    .await;
    drop(acquire_all(&*locker, locks).await);
    if world.opens_its_own() {
        soon("no connection is left", async || traffic.open() == 0).await;
    }
}

/// Tries that nobody polls any more occupy as many places as there are for statements at the same time.
pub async fn a_crowd_passes_by_those_whom_nobody_polls(world: &World) {
    let (locker, _) = watched(world, 12).await;
    let kept: Vec<Lock> = (0..8)
        .map(|number| world.lock(&format!("k{number}")))
        .collect();
    let mut unpolled = Vec::new();
    if !world.is_blocking() {
        for lock in &kept {
            unpolled.push(polled_once(locker.acquire(lock, Wait::never())).await);
        }
    }
    let began = Instant::now();
    for answer in acquire_all(&*locker, locks(world)).await {
        assert_eq!(answer.unwrap().release().await.unwrap(), Released::InTime);
    }
    assert!(began.elapsed() < secs(120), "{:?}", began.elapsed());
}

/// `None` if the answer was there at once.
async fn polled_once<T>(mut future: Answer<'_, T>) -> Option<Answer<'_, T>> {
    let polled = poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending()));
    polled.await.then_some(future)
}

/// The request of a release that gives up before its flight goes on in the background, and not with the end of a flight.
pub async fn a_release_that_gives_up_in_a_crowd_goes_on(world: &World) {
    if world.is_blocking() {
        return; // a thread cannot give up
    }
    let (locker, _) = watched(world, 12).await;
    let mut guards = Vec::new();
    for lock in locks(world).iter().take(8) {
        guards.push(locker.take(lock).await);
    }
    let last: Vec<Lock> = guards[5..].iter().map(|it| it.lock().clone()).collect();
    let mut releases = Vec::new();
    for guard in guards {
        releases.push(polled_once(guard.release()).await);
    }
    releases.truncate(5);
    soon("the others are given back", async || {
        let mut free = true;
        for lock in &last {
            free &= !locker.is_held(lock).await.unwrap();
        }
        free
    })
    .await;
}

/// A row that another transaction has locked holds up its own caller only.
pub async fn a_crowd_waits_for_no_row(world: &World) {
    if !world.is_postgres() {
        return; // no crowd
    }
    let (locker, traffic) = watched(world, 3).await;
    let (mut conn, mut blocker) = (world.session().await, world.session().await);
    for lock in locks(world) {
        let lease = conn.take(&lock).await;
        conn.release(&lease).await.unwrap();
    }
    let slow = MANY / 2;
    let name = locks(world)[slow].key().to_owned();
    let lock_it = format!("SELECT name FROM diesel_locks WHERE name = '{name}' FOR UPDATE");
    blocker.begin().await.unwrap();
    blocker.batch(&lock_it).await.unwrap();
    let mut guards = Vec::new();
    for (number, answer) in (0..).zip(acquire_all(&*locker, locks(world)).await) {
        match answer {
            Ok(guard) => guards.push(guard),
            Err(error) => assert_eq!((number, error.to_string().contains("busy")), (slow, true)),
        }
    }
    assert_eq!(guards.len(), MANY - 1);
    assert!(traffic.spent().len() < MANY);
    blocker.rollback().await.unwrap();

    guards.push(
        locker
            .acquire(&locks(world)[slow], Wait::never())
            .await
            .unwrap(),
    );
    traffic.spent();
    blocker.begin().await.unwrap();
    blocker.batch(&lock_it).await.unwrap();
    let releases = tokio::spawn(async move { release_all(guards).await });
    let locks_of_others = world.locks().await;
    soon("the others are free", async || {
        locks_of_others
            .list(&world.list().held())
            .await
            .unwrap()
            .len()
            == 1
    })
    .await;
    blocker.rollback().await.unwrap();
    for released in releases.await.unwrap() {
        assert_eq!(released, Released::InTime);
    }
    let releases = traffic
        .spent()
        .into_iter()
        .filter(|sql| sql.contains("SET token"));
    assert!(releases.count() < MANY);
}

/// The others go on without them. As soon as there is a connection, the database is asked for the others only.
pub async fn who_has_given_up_before_the_connection_gets_no_lock(world: &World) {
    if world.is_blocking() {
        return; // a thread cannot give up
    }
    let (locker, _) = watched(world, 1).await;
    let mut conn = world.session().await;
    let mut before = Vec::new();
    for lock in locks(world) {
        let lease = conn.take(&lock).await;
        conn.release(&lease).await.unwrap();
        before.push(lease);
    }
    let guard = locker.take(&world.lock("the connection")).await;
    let (begun, ended) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let end = ended.clone();
    let occupied = tokio::spawn(occupy(guard, begun.clone(), async move {
        end.notified().await;
    }));
    begun.notified().await;
    let acquire = |lock: Lock| {
        let locker = locker.another();
        tokio::spawn(async move { locker.acquire(&lock, Wait::never()).await })
    };
    let mut callers: Vec<_> = locks(world).into_iter().map(acquire).collect();
    let last = callers.pop().unwrap();
    tokio::time::sleep(ms(500)).await; // so that most of them wait for a connection together
    for caller in callers {
        caller.abort();
        let _ = caller.await;
    }
    ended.notify_one();
    occupied.await.unwrap();
    let guard = last.await.unwrap().unwrap();
    assert!(guard.fence() > before.pop().unwrap().fence());
    drop(guard);
    for lease in before {
        let record = conn.inspect(lease.lock()).await.unwrap().unwrap();
        assert_eq!(record.fence, lease.fence());
    }
}

/// The database may refuse one of them. The others do not notice.
pub async fn one_who_is_refused_is_refused_alone(world: &World) {
    if !world.is_postgres() {
        return; // no crowd
    }
    let (mut conn, table) = (world.session().await, own_table("refusing"));
    let (up, down) = setup::sql(world, &table);
    conn.batch(&up).await.unwrap();
    let locks = || {
        locks(world)
            .into_iter()
            .map(|it| it.in_table(table.clone()))
    };
    for lock in locks() {
        let lease = conn.take(&lock).await;
        conn.release(&lease).await.unwrap();
    }
    let name = table.name();
    let refuses = format!(
        "CREATE FUNCTION refuse_{name}() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'refused on purpose'; END $$;
        CREATE TRIGGER refusing BEFORE UPDATE OF token ON {name} FOR EACH ROW
        WHEN (NEW.data = 'refused') EXECUTE FUNCTION refuse_{name}()"
    );
    conn.batch(&refuses).await.unwrap();
    let locker = locker(world).await;
    for refused in [0, MANY / 2] {
        let key = locks().nth(refused).unwrap().key().to_owned();
        let refused_is =
            format!("UPDATE {name} SET data = CASE name WHEN '{key}' THEN 'refused' END");
        conn.batch(&refused_is).await.unwrap();
        let mut guards = Vec::new();
        for (number, answer) in acquire_all(&*locker, locks().collect())
            .await
            .into_iter()
            .enumerate()
        {
            match answer {
                Ok(guard) => guards.push(guard),
                Err(error) => {
                    assert!(error.to_string().contains("refused on purpose"), "{error}");
                    assert_eq!(number, refused);
                }
            }
        }
        assert_eq!(guards.len(), MANY - 1);
        for released in release_all(guards).await {
            assert_eq!(released, Released::InTime);
        }
    }
    conn.batch(&down).await.unwrap();
}

/// The end of a flight begins the next one. A runtime that is being shut down ends each at once.
pub async fn a_runtime_may_end_in_a_crowd(world: &World) {
    if world.is_blocking() || !world.is_postgres() {
        return; // no runtime, or no crowd
    }
    let crowd = || {
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            let (locker, lock) = (watched(world, 1).await.0, world.lock("x"));
            let guard = locker.take(&world.lock("the connection")).await;
            let begun = Arc::new(Notify::new());
            tokio::spawn(occupy(guard, begun.clone(), pending()));
            begun.notified().await;
            let asking = Arc::new(AtomicUsize::new(0));
            for _ in 0..2_000 {
                let (locker, lock, asking) = (locker.another(), lock.clone(), asking.clone());
                tokio::spawn(async move {
                    asking.fetch_add(1, Ordering::SeqCst);
                    let _ = locker.try_acquire(&lock).await;
                });
            }
            soon("all ask", async || asking.load(Ordering::SeqCst) == 2_000).await;
        });
    };
    std::thread::scope(|scope| scope.spawn(crowd).join()).expect("no panic");
}

/// Keeps the connection of the guard's transaction.
async fn occupy(
    guard: AnyGuard,
    begun: Arc<Notify>,
    end: impl Future<Output = ()> + Send + 'static,
) {
    let work = guard.transaction(Box::new(move |_| {
        Box::pin(async move {
            begun.notify_one();
            end.await;
            Ok(())
        })
    }));
    work.await.unwrap();
}
