//! The database is gone for less than the ttl, and for longer.

use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use diesel_locks::{Attempt, Wait};
use diesel_locks_tests::managed::Held;
use diesel_locks_tests::session::Work;

use crate::client::{Guard, Setup, Told};
use crate::fault::{Fault, Line};
use crate::place::{Mode, Place, ms, side_by_side, within};
use crate::proxy::Close;

/// The longest time from the end of the trust until the work is told, on a busy machine.
pub const LATE: Duration = ms(2_000);

/// Runs the test of each fault in a thread of its own, because the tests mostly wait.
fn each(place: &Place, test: impl Fn(&Place, Fault) + Sync) {
    let (faults, test) = (Fault::of(place.engine), &test);
    let names = faults.iter().map(|fault| format!("{fault:?}"));
    side_by_side(names.zip(faults).map(|(name, fault)| {
        // A fault of an SQLite file affects all its users, so each fault has a file of its own.
        let work = move || {
            if place.engine.is_sqlite() {
                test(&place.another(), *fault);
            } else {
                test(place, *fault);
            }
        };
        (name, work)
    }));
}

pub fn a_guard_lives_through_a_short_outage(place: &Place) {
    each(place, short);
}

pub fn after_a_long_outage_the_work_is_told_at_the_deadline(place: &Place) {
    each(place, long);
}

fn short(place: &Place, fault: Fault) {
    let ttl = ms(9_000);
    let lock = place.lock(&format!("short {fault:?}"), ttl);
    let mut line = Line::new(place, fault);
    let guard = acquire(&line, &lock);
    let began = Instant::now();
    line.begin();
    let is_late = |line: &Line| {
        line.client
            .log()
            .tells(began, |told| matches!(told, Told::Late(_)))
    };
    // A thread that waits for its answer cannot notice that it is late. An async SQLite connection uses a thread, too.
    let is_thread = place.mode == Mode::Blocking || place.engine.is_sqlite();
    let told_meanwhile = !is_thread || !fault.keeps_waiting();
    let limit = ttl * 2;
    within(limit, "less than a third is left", || {
        let left = guard.trusted_for();
        assert!(
            !left.is_zero(),
            "{fault:?}: lost before the outage was over"
        );
        left < ttl / 3 && (!told_meanwhile || is_late(&line) || left < ttl / 5)
    });
    assert_eq!(is_late(&line), told_meanwhile, "{fault:?}");
    let back = Instant::now();
    line.end();
    within(ttl, &format!("{fault:?}: renewed"), || {
        let log = line.client.log();
        assert!(guard.is_valid(), "{fault:?}: {}", log.print(began));
        log.tells(back, |told| *told == Told::Renewed)
    });
    assert!(guard.trusted_for() > ttl / 3);
    let mut probe = place.probe();
    assert_eq!(probe.holder(&lock), Some(guard.fence()));
    within(ms(15_000), "the pool works", || line.client.ask().is_ok());
    line.client.close();
}

fn long(place: &Place, fault: Fault) {
    let ttl = ms(2_000);
    let lock = place.lock(&format!("long {fault:?}"), ttl);
    let mut line = Line::new(place, fault);
    let sent = Instant::now();
    let guard = acquire(&line, &lock);
    let told = when_lost(&*guard);
    let began = Instant::now();
    line.begin();
    let gone = Instant::now();

    let deadline = watch(&*guard, ttl);
    let over = Instant::now();
    let trust = ttl * 9 / 10;
    assert!(deadline <= gone + trust + ms(1), "trusted for too long");
    assert!(deadline + ms(1) >= sent + trust, "not trusted long enough");
    assert!(!guard.is_valid());
    within(LATE, &format!("{fault:?}: told"), || told().is_some());
    let told = told().expect("just told");
    let late = told.saturating_duration_since(deadline);
    let early = deadline.saturating_duration_since(told);
    // If the machine stood still for a while, this thread stood still, too.
    assert!(
        told.saturating_duration_since(over) < LATE && early < ms(2),
        "told {late:?} late, {early:?} early"
    );
    eprintln!(
        "{} {:?} {fault:?}: told {late:?} after the deadline",
        place.engine.name(),
        place.mode
    );
    assert!(guard.lost_within(ms(0)));
    let refused = Instant::now();
    let error = guard.write(&place.group).expect_err("lost");
    assert!(error.is_stale(), "{error:?}");
    assert!(
        refused.elapsed() < ms(900),
        "refused without asking anybody"
    );
    if fault != Fault::Locked {
        row_outlives_trust(place, &lock, deadline);
    }

    line.end();
    within(ms(15_000), "the pool works", || line.client.ask().is_ok());
    assert!(!guard.is_valid(), "lost never becomes held");
    let fence = guard.fence();
    drop(guard);
    let rival = place.rival();
    let limit = ttl + ms(8_000);
    within(
        limit,
        &format!("{fault:?}: the lock is free"),
        || match rival.try_acquire(&lock) {
            Ok(Attempt::Acquired(next)) => next.fence() > fence,
            _ => false,
        },
    );
    let log = line.client.log();
    let losses = log
        .since(began)
        .iter()
        .filter(|it| **it == Told::Lost)
        .count();
    assert_eq!(losses, 1, "{fault:?}: {}", log.print(began));
    line.client.close();
}

fn acquire(line: &Line, lock: &diesel_locks::Lock) -> Guard {
    let guard = line.client.acquire(lock, Wait::up_to(ms(5_000)));
    guard.expect("the lock")
}

pub fn when_lost(guard: &dyn Held) -> impl Fn() -> Option<Instant> + use<> {
    let told = Arc::new(Mutex::new(None));
    let tells = told.clone();
    guard.on_lost(Box::new(move || {
        *tells.lock().expect("a moment") = Some(Instant::now());
    }));
    move || *told.lock().expect("a moment")
}

/// Reads the guard's trust until it is over. Returns the moment at which it was to end.
pub fn watch(guard: &dyn Held, ttl: Duration) -> Instant {
    let mut deadline = Instant::now();
    within(ttl * 2, "the end of trust", || {
        let (now, left) = (Instant::now(), guard.trusted_for());
        if !left.is_zero() {
            // This is too early by the time between the two readings, which is mostly almost nothing.
            deadline = deadline.max(now + left);
        }
        left.is_zero()
    });
    deadline
}

/// By the database's clock, the lease must last longer than the holder trusted it.
fn row_outlives_trust(place: &Place, lock: &diesel_locks::Lock, deadline: Instant) {
    let mut probe = place.probe();
    let left = probe.time_left(lock);
    let asked = Instant::now();
    if !left.is_zero() {
        assert!(asked + left >= deadline, "the row ended before trust did");
    }
}

/// The network is cut while a guarded transaction is open, and the server ends the session of the pin, as it does with a
/// transaction that is idle for too long. Then another process takes the lock over. (SQLite's sessions are in the
/// process itself.)
pub fn a_pin_whose_session_has_died_is_not_trusted(place: &Place) {
    if place.engine.is_sqlite() {
        return;
    }
    let (session, end) = match place.engine.name() {
        "postgres" => (
            "SELECT pg_backend_pid()::bigint AS number",
            "SELECT pg_terminate_backend",
        ),
        _ => ("SELECT CONNECTION_ID() AS number", "KILL"),
    };
    let lock = place.lock("pinned", ms(3_000));
    let (proxy, client) = place.line(&Setup::default());
    let proxy = proxy.expect("a network");
    let guard = client
        .acquire(&lock, Wait::up_to(ms(5_000)))
        .expect("the lock");
    let (tell, told) = mpsc::channel();
    let (go_on, wait) = mpsc::channel();
    // The thread of the transaction waits in the middle of the work. Nothing else runs on this thread.
    let work: Work = Box::new(move |conn| {
        Box::pin(async move {
            tell.send(conn.number(session).await?).expect("the test");
            wait.recv().expect("the test");
            Ok(())
        })
    });
    // What was seen is asserted when the network is back: the transaction could not end before.
    let (next, is_valid, trusted_for, is_told, committed) = std::thread::scope(|scope| {
        let transaction = scope.spawn(|| guard.transaction(work));
        let session = told.recv().expect("a session");
        proxy.hang();
        let ended = place.probe().batch(&format!("{end}({session})"));
        let next = place.rival().acquire(&lock, Wait::up_to(ms(20_000)));
        let (is_valid, trusted_for) = (guard.is_valid(), guard.trusted_for());
        let is_told = guard.lost_within(LATE);
        proxy.come_back(Close::Gently);
        go_on.send(()).expect("the transaction");
        let committed = transaction.join().expect("no panic");
        ended.expect("an end of the session");
        (next, is_valid, trusted_for, is_told, committed)
    });
    next.expect("the lock, after its ttl");
    assert!(
        !is_valid && trusted_for.is_zero(),
        "two holders: {trusted_for:?}"
    );
    assert!(is_told);
    assert!(committed.is_err(), "a stale holder has committed");
}
