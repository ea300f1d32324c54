//! Another process acts between two statements of an operation. If the operation is a single statement, nothing happens
//! in between.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use diesel::connection::InstrumentationEvent;
use diesel_locks::{Lease, Lock, Pin, Released};
use tokio::runtime::Handle;

use crate::session::Session;
use crate::world::{World, ms, secs};

/// Another process, and the lease that it has acquired.
struct Other {
    conn: Box<dyn Session>,
    lease: Option<Lease>,
    has_acted: bool,
}

#[derive(Clone, Copy, Debug)]
enum Deed {
    Take,
    TakeAndRelease,
    /// Takes the lock, and extends the lease in a transaction that stays open.
    TakeAndStay,
    /// Takes the lock in a transaction that is rolled back.
    TakeInVain,
    ForceRelease,
    Purge,
    ExtendCopy,
    ReleaseCopy,
}

impl Other {
    fn of(conn: Box<dyn Session>, lease: Option<Lease>) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self {
            conn,
            lease,
            has_acted: false,
        }))
    }

    async fn does(&mut self, deed: Deed, lock: &Lock) {
        self.has_acted = true;
        let (conn, lease) = (&mut self.conn, &mut self.lease);
        match deed {
            Deed::Take => *lease = conn.try_acquire(lock).await.unwrap().acquired(),
            Deed::TakeAndRelease => {
                *lease = conn.try_acquire(lock).await.unwrap().acquired();
                if let Some(lease) = lease {
                    assert_eq!(conn.release(lease).await.unwrap(), Released::InTime);
                }
            }
            Deed::TakeAndStay => {
                let mut taken = conn.take(lock).await;
                conn.begin().await.unwrap();
                assert!(!conn.try_extend(&mut taken).await.unwrap().is_lost());
                *lease = Some(taken);
            }
            Deed::TakeInVain => {
                conn.begin().await.unwrap();
                *lease = Some(conn.take(lock).await);
                // The clock of SQLite ticks in milliseconds.
                tokio::time::sleep(ms(3)).await;
                conn.rollback().await.unwrap();
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
        for number in 2..=6 {
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

/// An expired lease still belongs to its holder, who extends it after a try has seen that it has expired.
pub async fn a_lease_that_its_holder_extends_between_the_steps_of_a_try_is_not_taken_over(
    world: &World,
) {
    let mut conn = world.session().await;
    for number in 2..=5 {
        let lock = world.lock(&format!("before {number}"));
        let lease = conn.take(&lock).await;
        world.let_run_out(&mut *conn, &lease).await;
        let other = Other::of(world.session().await, Some(lease));
        before(number, &mut *conn, &other, &[Deed::ExtendCopy], &lock);
        let attempt = conn.try_acquire(&lock).await.unwrap();
        nothing_more(&mut *conn);
        let is_extended = other.lock().unwrap().has_acted;
        assert_eq!(attempt.is_busy(), is_extended, "before {number}");
    }
}

/// The other process has created the row, and has the row locked when the try goes on. (On `SQLite`, that process is the
/// one writer, so every try waits for it.)
pub async fn a_try_does_not_wait_for_a_row_that_is_created_between_its_steps(world: &World) {
    let mut conn = world.session().await;
    let other = Other::of(world.session().await, None);
    let stays = [Deed::Take, Deed::TakeAndStay];
    let deed = stays[usize::from(world.is_postgres())];
    let lock = world.lock("x");
    before(2, &mut *conn, &other, &[deed], &lock);
    let (began, attempt) = (Instant::now(), conn.try_acquire(&lock).await.unwrap());
    nothing_more(&mut *conn);
    assert!(attempt.is_busy() && began.elapsed() < secs(10));
    assert!(conn.is_held(&lock).await.unwrap());
}

/// Processes that agree on a token are one holder.
pub async fn an_agreed_token_that_acquires_between_the_steps_of_a_try_is_the_same_acquisition(
    world: &World,
) {
    let mut conn = world.session().await;
    for (state, number) in STATES
        .iter()
        .flat_map(|state| (2..=6).map(|number| (*state, number)))
    {
        let lock = world.lock(&format!("{state}, before {number}"));
        bring(world, &mut *conn, &lock, state).await;
        let lock = lock.with_token("agreed").unwrap();
        let other = Other::of(world.session().await, None);
        before(number, &mut *conn, &other, &[Deed::Take], &lock);
        let attempt = conn.try_acquire(&lock).await.unwrap();
        nothing_more(&mut *conn);
        let lease = attempt.acquired().expect(state);
        let theirs = other.lock().unwrap().lease.take();
        assert!(
            theirs.is_none_or(|theirs| theirs.fence() == lease.fence()),
            "{state}"
        );
    }
}

/// On `MySQL` and `MariaDB` this is a limit of the promise: there the fence grows over what was committed.
pub async fn the_fence_grows_over_what_was_rolled_back_between_the_steps_of_a_try(world: &World) {
    let mut conn = world.session().await;
    for state in STATES {
        let lock = world.lock(state);
        let committed = bring(world, &mut *conn, &lock, state).await;
        let other = Other::of(world.session().await, None);
        before(2, &mut *conn, &other, &[Deed::TakeInVain], &lock);
        let lease = conn.take(&lock).await;
        nothing_more(&mut *conn);
        assert!(lease.fence() > committed, "{state}");
        let theirs = other.lock().unwrap().lease.take();
        let grows = theirs.is_none_or(|theirs| theirs.fence() < lease.fence());
        assert!(grows || world.is_mysql(), "{state}");
    }
}

/// `MySQL` and `MariaDB` look which rows are old, and then remove one after the other.
pub async fn what_is_used_between_the_steps_of_a_purge_stays(world: &World) {
    let (mut conn, day) = (world.session().await, secs(86_400));
    for deed in [Deed::Take, Deed::ExtendCopy] {
        let lock = world.lock(&format!("{deed:?}"));
        let mut lease = conn.take(&lock).await;
        conn.extend(&mut lease).await.unwrap();
        world.grow_old(&mut *conn, &lock, day * 2).await;
        let (fence, older) = (lease.fence(), conn.row(&lock).await.fence);
        let text = lease.to_text();
        let text = text.replacen(&fence.to_string(), &older.to_string(), 1);
        let other = Other::of(world.session().await, Some(text.parse().unwrap()));
        before(2, &mut *conn, &other, &[deed], &lock);
        let only = world.list().with_prefix(lock.name());
        let purged = conn.purge(&only, day).await.unwrap();
        nothing_more(&mut *conn);
        let is_used = other.lock().unwrap().has_acted;
        assert_eq!(is_used, world.is_mysql());
        assert_eq!(purged, usize::from(!is_used), "{deed:?}");
        assert_eq!(conn.is_held(&lock).await.unwrap(), is_used, "{deed:?}");
    }
}

/// On servers, a pin that is refused asks a second time why. On `MySQL` and `MariaDB` the second question pins, too.
pub async fn a_refused_pin_says_why_whatever_happens_between_its_steps(world: &World) {
    let mut conn = world.session().await;
    for deed in [
        Deed::Take,
        Deed::ForceRelease,
        Deed::ExtendCopy,
        Deed::ReleaseCopy,
    ] {
        let lock = world.lock(&format!("{deed:?}"));
        let lease = conn.take(&lock).await;
        world.let_run_out(&mut *conn, &lease).await;
        let other = Other::of(world.session().await, Some(lease.clone()));
        before(2, &mut *conn, &other, &[deed], &lock);
        let pin = conn.try_pin(&lease).await.unwrap();
        nothing_more(&mut *conn);
        let is_extended = matches!(deed, Deed::ExtendCopy);
        let expected = match other.lock().unwrap().has_acted {
            true if !is_extended => Pin::Lost,
            true if world.is_mysql() => Pin::Pinned,
            _ => Pin::Expired,
        };
        assert_eq!(pin, expected, "{deed:?}");
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
            // If a copy extends the lease before MySQL or MariaDB look for an expired one, the answer is not late.
            let in_time = world.is_mysql() && matches!(deed, Deed::ExtendCopy);
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
