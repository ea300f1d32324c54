//! Another process acts between two statements of an operation. If the operation is a single statement, nothing happens
//! in between.

use std::sync::{Arc, Mutex};

use diesel::connection::InstrumentationEvent;
use diesel_locks::{Lease, Lock, Released};
use tokio::runtime::Handle;

use crate::session::Session;
use crate::world::{World, secs};

/// Another process, and the lease that it has acquired.
struct Other {
    conn: Box<dyn Session>,
    lease: Option<Lease>,
}

#[derive(Clone, Copy, Debug)]
enum Deed {
    Take,
    TakeAndRelease,
    ForceRelease,
    Purge,
    ExtendCopy,
    ReleaseCopy,
}

impl Other {
    fn of(conn: Box<dyn Session>, lease: Option<Lease>) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self { conn, lease }))
    }

    async fn does(&mut self, deed: Deed, lock: &Lock) {
        let (conn, lease) = (&mut self.conn, &mut self.lease);
        match deed {
            Deed::Take => *lease = conn.try_acquire(lock).await.unwrap().acquired(),
            Deed::TakeAndRelease => {
                *lease = conn.try_acquire(lock).await.unwrap().acquired();
                if let Some(lease) = lease {
                    assert_eq!(conn.release(lease).await.unwrap(), Released::InTime);
                }
            }
            Deed::ForceRelease => drop(conn.force_release(lock).await.unwrap()),
            Deed::Purge => {
                let group = diesel_locks::List::all()
                    .in_group(lock.group().unwrap())
                    .unwrap();
                conn.purge(&group.with_prefix(lock.name()), secs(0))
                    .await
                    .unwrap();
            }
            Deed::ExtendCopy => {
                let copy = lease.as_mut().unwrap();
                assert!(!conn.try_extend(copy).await.unwrap().is_lost());
            }
            Deed::ReleaseCopy => {
                assert!(
                    !conn
                        .release(lease.as_ref().unwrap())
                        .await
                        .unwrap()
                        .is_lost()
                );
            }
        }
    }
}

/// Lets the other process act just before the connection sends the statement with this number.
fn before(
    number: u32,
    conn: &mut dyn Session,
    other: &Arc<Mutex<Other>>,
    deeds: &[Deed],
    lock: &Lock,
) {
    let (other, lock, runtime) = (other.clone(), lock.clone(), Handle::current());
    let deeds = deeds.to_vec();
    let mut does = Some(move || {
        let mut other = other.lock().unwrap();
        for deed in deeds {
            runtime.block_on(other.does(deed, &lock));
        }
    });
    let mut statements = 0;
    conn.instrument(Box::new(move |event: InstrumentationEvent<'_>| {
        statements += u32::from(matches!(event, InstrumentationEvent::StartQuery { .. }));
        if let Some(does) = does.take_if(|_| statements == number) {
            std::thread::spawn(does).join().expect("another process");
        }
    }));
}

fn nothing_more(conn: &mut dyn Session) {
    conn.instrument(Box::new(|_: InstrumentationEvent<'_>| {}));
}

const STATES: [&str; 3] = ["never used", "free", "run out"];

pub async fn whatever_happens_between_the_steps_of_a_try_only_one_holds_the_lock(world: &World) {
    let mut conn = world.session().await;
    let other = Other::of(world.session().await, None);
    let deeds = [
        Deed::Take,
        Deed::TakeAndRelease,
        Deed::ForceRelease,
        Deed::Purge,
    ];
    for (state, deed) in STATES
        .iter()
        .flat_map(|state| deeds.map(|deed| (*state, deed)))
    {
        for number in 2..=5 {
            let case = format!("{state}, {deed:?} before {number}");
            let lock = world.lock(&case);
            let fence = bring(world, &mut *conn, &lock, state).await;
            before(number, &mut *conn, &other, &[deed], &lock);
            let attempt = conn.try_acquire(&lock).await.unwrap();
            nothing_more(&mut *conn);
            let theirs = other.lock().unwrap().lease.take();
            let their_fence = theirs.as_ref().map_or(fence, Lease::fence);
            assert!(their_fence >= fence, "{case}");
            let they_hold = match &theirs {
                Some(theirs) => conn.is_mine(theirs).await.unwrap(),
                None => false,
            };
            if let Some(lease) = attempt.acquired() {
                assert!(lease.fence() > their_fence, "{case}");
                assert!(conn.is_mine(&lease).await.unwrap() && !they_hold, "{case}");
                assert_eq!(
                    conn.release(&lease).await.unwrap(),
                    Released::InTime,
                    "{case}"
                );
            } else {
                assert_eq!(conn.is_held(&lock).await.unwrap(), they_hold, "{case}");
                let forced = conn.force_release(&lock).await.unwrap();
                assert_ne!(forced, diesel_locks::Forced::InUse, "{case}");
            }
            assert!(conn.take(&lock).await.fence() > their_fence, "{case}");
        }
    }
}

/// Brings a lock into a state. Returns its fence.
async fn bring(world: &World, conn: &mut dyn Session, lock: &Lock, state: &str) -> i64 {
    if state == "never used" {
        return 0;
    }
    let lease = conn.take(lock).await;
    match state {
        "free" => drop(conn.release(&lease).await.unwrap()),
        _ => world.let_run_out(conn, &lease).await,
    }
    world.pass(conn, lease.fence()).await;
    lease.fence()
}

/// A lease is lost exactly if its row says so, even if another process has changed the row in between.
pub async fn an_answer_about_a_lease_is_right_whatever_happens_between_its_steps(world: &World) {
    let mut conn = world.session().await;
    let other = Other::of(world.session().await, None);
    let deeds = [
        Deed::Take,
        Deed::ForceRelease,
        Deed::ExtendCopy,
        Deed::ReleaseCopy,
    ];
    for (late, deed) in [false, true]
        .iter()
        .flat_map(|late| deeds.map(|deed| (*late, deed)))
    {
        for what in ["extend", "set data", "release"] {
            let case = format!("{what}, late {late}, {deed:?}");
            let lock = world.lock(&case);
            let mut lease = conn.take(&lock).await;
            if late {
                world.let_run_out(&mut *conn, &lease).await;
            }
            other.lock().unwrap().lease = Some(lease.clone());
            before(2, &mut *conn, &other, &[deed], &lock);
            let outcome: Released = match what {
                "extend" => conn.try_extend(&mut lease).await.unwrap().into(),
                "set data" => conn
                    .try_set_data(&lease, Some("mine"))
                    .await
                    .unwrap()
                    .into(),
                _ => conn.release(&lease).await.unwrap(),
            };
            nothing_more(&mut *conn);
            let row = conn.row(&lock).await;
            let done = match what {
                "extend" => conn.is_mine(&lease).await.unwrap(),
                "set data" => row.data.as_deref() == Some("mine"),
                _ => !row.is_held() && row.fence == lease.fence() && !outcome.is_lost(),
            };
            assert_eq!(!outcome.is_lost(), done, "{case}");
            let kept = matches!(deed, Deed::ExtendCopy) || !late || world.is_postgres();
            assert_eq!(done, kept, "{case}");
            // On MySQL and MariaDB, a release reads the row again before it writes. If a copy has extended the lease
            // meanwhile, the release is not late.
            let looks_again = world.is_mysql() && what == "release";
            let in_time = looks_again && matches!(deed, Deed::ExtendCopy);
            assert_eq!(
                outcome == Released::Late,
                done && late && !in_time,
                "{case}"
            );
        }
    }
}

/// A third process may have the agreed token. It releases the lock, and acquires it again with that token.
pub async fn the_same_token_acquired_anew_in_between_is_not_the_same_acquisition(world: &World) {
    let mut conn = world.session().await;
    let lock = world.lock("x").with_token("agreed").unwrap();
    let lease = conn.take(&lock).await;
    let other = Other::of(world.session().await, Some(lease));
    before(
        2,
        &mut *conn,
        &other,
        &[Deed::ReleaseCopy, Deed::Take],
        &lock,
    );
    let attempt = conn.try_acquire(&lock).await.unwrap();
    nothing_more(&mut *conn);
    if let Some(lease) = attempt.acquired() {
        assert!(conn.is_mine(&lease).await.unwrap());
    }
    assert_eq!(conn.take(&lock).await.fence(), conn.row(&lock).await.fence);
}
