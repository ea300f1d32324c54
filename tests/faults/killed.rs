//! Holders are killed in a loop. There are never two holders, and another process always takes over in time.

use std::fs::File;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use diesel_locks::Wait;
use rustix::fs::{FlockOperation, flock};

use crate::child::{Children, end_with_parent, say};
use crate::place::{Place, ms, within};

const TTL: Duration = ms(2_000);
/// The extra time after the ttl, for a busy machine.
const LATE: Duration = ms(6_000);
const KILLS: usize = 10;
const WORKERS: usize = 3;

pub fn killed_holders_are_taken_over_and_there_are_never_two(place: &Place) {
    if place.is_child {
        return work(place);
    }
    File::create(witness(place)).expect("a file");
    let mut children = Children::of(place);
    for _ in 0..WORKERS {
        children.start();
    }
    let (mut holder, mut fence) = next(&children, ms(20_000));
    let mut probe = place.probe();
    let mut longest = Duration::ZERO;
    for kill in 0..KILLS {
        // Every second holder is killed in the middle of its transactions. The other holders are killed right after
        // acquiring.
        if kill % 2 == 0 {
            within(ms(15_000), "it writes", || {
                probe.written(&place.group, fence) > 0
            });
        }
        children.kill(holder);
        let killed = Instant::now();
        children.start();
        let (number, later) = next(&children, TTL + LATE);
        longest = longest.max(killed.elapsed());
        assert!(later > fence, "a fence that does not grow");
        assert_ne!(number, holder);
        (holder, fence) = (number, later);
    }
    eprintln!(
        "{}: taken over after {longest:?} at most",
        place.engine.name()
    );
    drop(children);
    let _ = std::fs::remove_file(witness(place));
}

/// The number and the fence of the process that acquires the lock next.
fn next(children: &Children<'_>, limit: Duration) -> (usize, i64) {
    let (number, word, more) = children
        .hear(limit)
        .unwrap_or_else(|| panic!("nobody took over within {limit:?}"));
    assert_eq!(word, "held", "{number} says: {word} {more}");
    (number, more.parse().expect("a fence"))
}

/// Runs in each child: blocking and async holders compete.
fn work(place: &Place) {
    end_with_parent();
    let client = place.rival();
    let lock = place.lock("killed", TTL);
    let file = File::open(witness(place)).expect("a file");
    loop {
        let guard = client.acquire(&lock, Wait::forever());
        let guard = guard.expect("the lock");
        let began = Instant::now();
        // The file is unlocked when the last holder is dead, or when it has seen that its lease is lost. The holder
        // may take a moment to see that.
        while flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            if guard.is_valid() && began.elapsed() > ms(3_000) {
                say("two", "holders at once");
            }
            std::thread::sleep(ms(1));
        }
        say("held", guard.fence());
        while guard.is_valid() {
            match guard.write(&place.group) {
                Ok(0) => {}
                Ok(larger) => say("stale", format!("{larger} commits were of later holders")),
                Err(error) if error.is_stale() || error.is_transient() => {}
                Err(error) => say("failed", error),
            }
            std::thread::sleep(ms(5));
        }
        flock(&file, FlockOperation::Unlock).expect("an unlock");
        say("lost", "without being killed");
    }
}

/// A lock of the operating system. It ends with the process.
fn witness(place: &Place) -> PathBuf {
    std::env::temp_dir().join(format!("diesel-locks {} witness", place.group))
}
