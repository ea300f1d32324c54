//! The keeper cannot run, because its process is stopped, or because its runtime is busy.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use diesel_locks::Wait;
use rustix::process::Signal;

use crate::child::{Children, end_with_parent, say};
use crate::client::tasks::Writing;
use crate::client::{Setup, tasks};
use crate::place::{Place, ms, within};

const TTL: Duration = ms(3_000);
/// The longest time from waking until the process is told, on a busy machine.
const SOON: Duration = ms(2_000);

pub fn a_process_that_was_stopped_is_told_on_waking(place: &Place) {
    if place.is_child {
        return hold(place);
    }
    let mut children = Children::of(place);
    let child = children.start();
    let fence: i64 = children
        .expect("held", ms(20_000))
        .parse()
        .expect("a fence");
    children.signal(child, Signal::STOP);
    let stopped = Instant::now();
    let lock = place.lock("starved", TTL);
    let rival = place.rival();
    let next = rival.acquire(&lock, Wait::up_to(ms(20_000)));
    let next = next.expect("taken over");
    let took = stopped.elapsed();
    assert!(next.fence() > fence);
    assert!(took < TTL + ms(4_000), "taken over after {took:?}");
    children.signal(child, Signal::CONT);

    assert_eq!(
        children.expect("valid", ms(20_000)),
        "false",
        "at its first look"
    );
    let told: u64 = children.expect("told", ms(20_000)).parse().expect("a time");
    eprintln!(
        "{} {:?}: taken over after {took:?}, told {told} µs after waking",
        place.engine.name(),
        place.mode
    );
    assert!(Duration::from_micros(told) < SOON);
    assert_eq!(
        children.expect("stale", ms(20_000)),
        "true",
        "the transaction is refused"
    );
    children.expect("end", ms(20_000));
    assert!(children.ends_well(child));
    // What the old holder did at its end must not change anything for the new holder.
    let mut probe = place.probe();
    assert_eq!(probe.holder(&lock), Some(next.fence()));
    assert_eq!(probe.written(&place.group, fence), 0);
    assert_eq!(next.write(&place.group).expect("still held"), 0);
    rival.close();
}

/// Runs in the process that is stopped.
fn hold(place: &Place) {
    end_with_parent();
    let client = place.rival();
    let lock = place.lock("starved", TTL);
    let guard = client.acquire(&lock, Wait::never()).expect("the lock");
    let told = Arc::new(Mutex::new(None));
    let tells = told.clone();
    guard.on_lost(Box::new(move || {
        *tells.lock().expect("a moment") = Some(Instant::now());
    }));
    // This clock goes on while the process is stopped. The process may be stopped at once.
    let mut last = Instant::now();
    say("held", guard.fence());
    while last.elapsed() < TTL / 2 {
        last = Instant::now();
        std::thread::sleep(ms(1));
    }
    let valid = guard.is_valid();
    let woke = Instant::now();
    say("valid", valid);
    within(ms(5_000), "told", || {
        told.lock().expect("a moment").is_some()
    });
    let told = told.lock().expect("a moment").expect("just told");
    say("told", told.saturating_duration_since(woke).as_micros());
    assert!(guard.lost_within(ms(0)));
    let refused = guard.write(&place.group);
    say("stale", refused.is_err_and(|error| error.is_stale()));
    drop(guard);
    client.close();
    say("end", "");
}

/// A thread that computes does not starve other threads, so this is about tasks.
pub fn after_a_busy_time_of_the_runtime_the_lock_is_lost_at_the_first_look(place: &Place) {
    let ttl = ms(2_000);
    let lock = place.lock("busy", ttl);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().expect("a runtime");
    let tasks = tasks(place.engine, &place.url, &Setup::default());
    let told = runtime.block_on(async {
        let guard = tasks.acquire(&lock, Wait::never()).await.expect("the lock");
        // Gives the keeper time to start.
        tokio::time::sleep(ms(50)).await;
        assert!(guard.is_valid());
        let began = Instant::now();
        while began.elapsed() < ttl {
            std::hint::spin_loop();
        }
        assert!(!guard.is_valid(), "before the keeper has run");
        let free = Instant::now();
        assert!(guard.lost_within(ms(5_000)).await, "never told");
        let refused = guard.write(&place.group).await;
        assert!(refused.is_err_and(|error| error.is_stale()));
        free.elapsed()
    });
    eprintln!("{}: told {told:?} after the busy time", place.engine.name());
    assert!(told < SOON);
    runtime.block_on(tasks.close());
}
