//! Replies that are lost or late: the client does not know what the database did.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use diesel_locks::{Attempt, Lock, Outcome, Wait};

use crate::client::{Client, Guard, Setup, Told};
use crate::place::{Mode, Place, ms, side_by_side, within};
use crate::proxy::{Close, Proxy};

/// Much longer than the test. A lock that is free earlier was released.
const LONG: Duration = ms(60_000);
/// The time after which an async caller cancels its request, or the crate cancels a release.
const PATIENCE: Duration = ms(700);

/// The number of replies that pass before the first one is lost, and the way in which the connection is closed in the
/// end. Six replies are enough for a check by the pool and an acquisition in two steps.
fn ways() -> impl Iterator<Item = (String, usize, Close)> {
    (0..6).map(|passing| {
        let how = [Close::Gently, Close::WithReset][passing % 2];
        (format!("after {passing}, {how:?}"), passing, how)
    })
}

pub fn a_lock_whose_acquisition_was_not_answered_is_given_back(place: &Place) {
    if place.engine.is_sqlite() {
        return;
    }
    let held = AtomicUsize::new(0);
    side_by_side(ways().map(|(name, passing, how)| {
        let (lock, held) = (place.lock(&name, LONG), &held);
        (name, move || {
            let line = Warm::new(place, &lock);
            let asked = line.acquire_deaf(place, &lock, passing, how);
            if asked.guard.is_none() && asked.holder.is_some() {
                held.fetch_add(1, Relaxed);
            }
            drop(asked.guard);
            let mut probe = place.probe();
            let free = within(ms(20_000), "given back", || probe.holder(&lock).is_none());
            eprintln!(
                "{} {:?}: {passing} replies passed, free after {free:?}",
                place.engine.name(),
                place.mode
            );
            drop(take_at_once(place, &lock));
            line.client.close();
        })
    }));
    assert!(held.into_inner() > 0, "never was it held without an answer");
}

pub fn an_agreed_token_finds_the_acquisition_that_was_not_answered(place: &Place) {
    if place.engine.is_sqlite() {
        return;
    }
    let held = AtomicUsize::new(0);
    side_by_side(ways().map(|(name, passing, how)| {
        let lock = place.lock(&format!("agreed {name}"), LONG);
        let token = name.replace(' ', "-");
        let (lock, held) = (lock.with_token(&token).expect("a token"), &held);
        (name, move || {
            let line = Warm::new(place, &lock);
            let asked = line.acquire_deaf(place, &lock, passing, how);
            let guard = line.client.acquire(&lock, Wait::up_to(ms(15_000)));
            let guard = guard.expect("the same acquisition");
            if let Some(holder) = asked.holder {
                assert_eq!(holder, guard.fence(), "another acquisition");
                held.fetch_add(usize::from(asked.guard.is_none()), Relaxed);
            }
            let mut probe = place.probe();
            assert_eq!(probe.holder(&lock), Some(guard.fence()));
            drop((guard, asked.guard));
            within(ms(10_000), "given back", || probe.holder(&lock).is_none());
            line.client.close();
        })
    }));
    assert!(held.into_inner() > 0, "never was it held without an answer");
}

pub fn a_release_that_is_not_answered_frees_the_lock_in_the_end(place: &Place) {
    if place.engine.is_sqlite() {
        return;
    }
    let ttl = ms(2_000);
    let works = ways().map(|(name, passing, how)| {
        let lock = place.lock(&format!("released {name}"), ttl);
        (name, move || {
            let line = Warm::new(place, &lock);
            let guard = line.client.acquire(&lock, Wait::never()).expect("the lock");
            let fence = guard.fence();
            line.proxy.drop_replies_after(passing);
            let next = std::thread::scope(|scope| {
                let released = scope.spawn(move || guard.release());
                let rival = place.rival();
                let next = rival.acquire(&lock, Wait::up_to(ttl + ms(10_000)));
                let next = next.expect("free after the ttl at the latest");
                line.proxy.come_back(how);
                let released = released.join().expect("no panic");
                assert!(
                    released.is_ok() || line.proxy.swallowed() > 0,
                    "{released:?}"
                );
                next
            });
            assert!(next.fence() > fence);
            // What is still done for the old holder must not change anything for the new holder.
            line.client.close();
            assert_eq!(place.probe().holder(&lock), Some(next.fence()));
            assert!(next.is_valid());
        })
    });
    side_by_side(works);
}

pub fn an_answer_that_is_too_late_is_no_acquisition(place: &Place) {
    if place.engine.is_sqlite() {
        return;
    }
    let ttl = ms(400);
    let lock = place.lock("late", ttl);
    let line = Warm::new(place, &lock);
    line.proxy.delay_replies(ms(500));
    let answer = line.client.try_acquire(&lock);
    assert!(!matches!(answer, Ok(Attempt::Acquired(_))));
    line.proxy.come_back(Close::Gently);
    let mut probe = place.probe();
    within(ms(10_000), "given back", || probe.holder(&lock).is_none());
    let guard = line.client.acquire(&lock, Wait::up_to(ms(15_000)));
    assert!(guard.expect("the lock").is_valid());
    line.client.close();
}

pub fn trust_counts_from_before_the_request_was_sent(place: &Place) {
    if place.engine.is_sqlite() {
        return;
    }
    let (ttl, late) = (ms(6_000), ms(120));
    let trust = ttl * 9 / 10;
    let lock = place.lock("slow", ttl);
    let line = Warm::new(place, &lock);
    line.proxy.delay_replies(late);
    let sent = Instant::now();
    let guard = line.client.acquire(&lock, Wait::never());
    let guard = guard.expect("the lock");
    assert!(guard.trusted_for() + late <= trust);
    let renewed = || line.client.log().tells(sent, |told| *told == Told::Renewed);
    within(ms(10_000), "renewed", || {
        assert!(guard.is_valid(), "too slow to be renewed");
        assert!(guard.trusted_for() + late <= trust);
        renewed()
    });
    assert!(guard.trusted_for() + late <= trust);
    line.proxy.come_back(Close::Gently);
    line.client.close();
}

pub fn an_extension_that_is_answered_too_late_changes_nothing(place: &Place) {
    if place.engine.is_sqlite() {
        return;
    }
    let ttl = ms(600);
    let lock = place.lock("too late", ttl);
    let line = Warm::new(place, &lock);
    let guard = line.client.acquire(&lock, Wait::never());
    let guard = guard.expect("the lock");
    line.proxy.delay_replies(ttl);
    // The row is extended, but the answer comes after the work was told that the lease is lost.
    let answer = guard.try_extend();
    assert!(matches!(answer, Ok(Outcome::Lost) | Err(_)), "{answer:?}");
    assert!(!guard.is_valid() && guard.lost_within(ms(0)));
    line.proxy.come_back(Close::Gently);
    let fence = guard.fence();
    drop(guard);
    let mut probe = place.probe();
    within(ms(10_000), "given back", || {
        probe.holder(&lock) != Some(fence)
    });
    line.client.close();
}

/// Leases that expire at different moments are extended together. Each request may take as long as its own leases are
/// trusted.
pub fn a_slow_database_is_not_taken_for_one_that_is_gone(place: &Place) {
    if place.engine.is_sqlite() {
        return;
    }
    let (ttl, began) = (ms(8_000), Instant::now());
    let warm = place.lock("slow 0", ttl);
    let line = Warm::new(place, &warm);
    let mut guards = Vec::new();
    for number in 0..6 {
        let lock = place.lock(&format!("slow {number}"), ttl);
        let guard = line.client.acquire(&lock, Wait::never());
        guards.push(guard.expect("the lock"));
        let next = Instant::now() + ms(450);
        within(ms(5_000), "the next", || Instant::now() > next);
    }
    line.proxy.delay_replies(ms(160));
    let end = Instant::now() + ttl + ms(1_500);
    within(ttl * 2, "the end", || {
        let late = |told: &Told| matches!(told, Told::Late(_));
        let log = line.client.log();
        assert!(!log.tells(began, late), "{}", log.print(began));
        Instant::now() > end
    });
    line.proxy.come_back(Close::Gently);
    drop(guards);
    line.client.close();
}

/// A client that has already done every operation once on its only connection. So its next request sends only the
/// statements of the operation itself.
struct Warm {
    client: Client,
    proxy: Proxy,
}

impl Warm {
    fn new(place: &Place, lock: &Lock) -> Self {
        let setup = Setup {
            pool_size: 1,
            release_within: PATIENCE,
            ..Setup::default()
        };
        let (proxy, client) = place.line(&setup);
        for _ in 0..2 {
            let guard = client.acquire(lock, Wait::never());
            guard.and_then(Guard::release).expect("a lock");
        }
        Self {
            client,
            proxy: proxy.expect("a network"),
        }
    }

    /// Acquires the lock while only this many replies pass.
    fn acquire_deaf(&self, place: &Place, lock: &Lock, passing: usize, how: Close) -> Asked {
        self.proxy.drop_replies_after(passing);
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| self.client.acquire_within(PATIENCE, lock, Wait::never()));
            within(ms(5_000), "a reply is lost, or all have come", || {
                self.proxy.swallowed() > 0 || asked.is_finished()
            });
            let holder = place.probe().holder(lock);
            if place.mode == Mode::Async {
                within(ms(5_000), "cancelled", || asked.is_finished());
            }
            self.proxy.come_back(how);
            let guard = asked.join().expect("no panic").and_then(Result::ok);
            let swallowed = self.proxy.swallowed();
            assert!(guard.is_some() || swallowed > 0, "it failed for no reason");
            Asked { holder, guard }
        })
    }
}

/// The result of a request.
struct Asked {
    /// The fence of the holder at the moment when no more replies came.
    holder: Option<i64>,
    guard: Option<Guard>,
}

/// Another client acquires the lock with a single try.
fn take_at_once(place: &Place, lock: &Lock) -> Guard {
    match place.rival().try_acquire(lock) {
        Ok(Attempt::Acquired(guard)) => guard,
        Ok(Attempt::Busy(holder)) => panic!("held by {holder:?}"),
        Err(error) => panic!("{error}"),
    }
}
