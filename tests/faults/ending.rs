//! Work that panics, and runtimes that end before the locks do.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use diesel_locks::Wait;
use tokio::runtime::Builder;

use crate::child::Children;
use crate::client::{Setup, own, tasks};
use crate::place::{Place, ms, runtime, within};
use crate::proxy::Close;

pub fn work_that_panics_gives_the_lock_back(place: &Place) {
    let client = place.rival();
    let lock = place.lock("panic", ms(60_000));
    let run = catch_unwind(AssertUnwindSafe(|| client.run_panicking(&lock)));
    assert!(run.is_err());
    let next = client.acquire(&lock, Wait::up_to(ms(15_000)));
    drop(next.expect("given back"));
    client.close();
    assert_eq!(place.probe().holder(&lock), None);
}

pub fn a_transaction_that_panics_leaves_nothing(place: &Place) {
    let setup = Setup {
        pool_size: 2,
        ..Setup::default()
    };
    let (_proxy, client) = place.line(&setup);
    let lock = place.lock("panic", ms(60_000));
    let guard = client.acquire(&lock, Wait::never()).expect("the lock");
    // More often than the pool has connections.
    for _ in 0..4 {
        let work = catch_unwind(AssertUnwindSafe(|| guard.write_panicking(&place.group)));
        assert!(work.is_err());
        assert!(guard.is_valid());
    }
    let mut probe = place.probe();
    assert_eq!(probe.written(&place.group, guard.fence()), 0);
    assert_eq!(guard.write(&place.group).expect("still held"), 0);
    assert_eq!(probe.written(&place.group, guard.fence()), 1);
    drop(guard);
    within(ms(15_000), "given back", || probe.holder(&lock).is_none());
    client.close();
}

pub fn locks_go_on_in_another_runtime(place: &Place) {
    let (first, second) = (runtime(), runtime());
    let tasks = tasks(place.engine, &place.url, &Setup::default());
    let locks = [
        place.lock("first", ms(60_000)),
        place.lock("second", ms(3_000)),
    ];
    let old = first.block_on(tasks.acquire(&locks[0], Wait::never()));
    let old = old.expect("the lock");
    drop(first);
    assert!(old.is_valid());
    second.block_on(async {
        let guard = tasks.acquire(&locks[1], Wait::up_to(ms(15_000))).await;
        let guard = guard.expect("the lock");
        let began = Instant::now();
        while began.elapsed() < ms(4_000) {
            assert!(guard.is_valid(), "nobody extends it");
            tokio::time::sleep(ms(20)).await;
        }
        old.extend().await.expect("an answer");
        old.release().await.expect("an answer");
        guard.release().await.expect("an answer");
        tasks.close().await;
    });
}

/// Two runtimes of one thread each keep a lease. Nothing drives the first one any more.
pub fn a_lease_is_kept_though_another_runtime_is_not_driven(place: &Place) {
    let runtime = || {
        let runtime = Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime")
    };
    let (first, second) = (runtime(), runtime());
    let locks = own(place.engine, &place.url);
    let lock = |name| place.lock(name, ms(6_000));
    let idle = first.block_on(locks.acquire(&lock("idle"), Wait::up_to(ms(15_000))));
    let idle = idle.expect("the lock");
    second.block_on(async {
        let guard = locks.acquire(&lock("kept"), Wait::up_to(ms(15_000))).await;
        let guard = guard.expect("the lock");
        let began = Instant::now();
        while began.elapsed() < ms(9_000) {
            assert!(guard.is_valid(), "nobody extends it");
            tokio::time::sleep(ms(20)).await;
        }
        assert!(idle.is_valid(), "a runtime keeps the leases of all");
        idle.release().await.expect("an answer");
        guard.release().await.expect("an answer");
        locks.close().await;
    });
    drop(first);
}

pub fn a_guard_may_be_dropped_outside_of_its_runtime(place: &Place) {
    let runtime = runtime();
    let tasks = tasks(place.engine, &place.url, &Setup::default());
    let lock = place.lock("outside", ms(60_000));
    let guard = runtime.block_on(tasks.acquire(&lock, Wait::never()));
    drop(guard.expect("the lock"));
    let mut probe = place.probe();
    within(ms(15_000), "given back", || probe.holder(&lock).is_none());
    runtime.block_on(tasks.close());
}

pub fn what_was_left_to_a_dead_runtime_is_done_by_the_next(place: &Place) {
    let (first, second) = (runtime(), runtime());
    let tasks = tasks(place.engine, &place.url, &Setup::default());
    let lock = place.lock("left", ms(60_000));
    let guard = first.block_on(tasks.acquire(&lock, Wait::never()));
    let guard = guard.expect("the lock");
    drop(first);
    drop(guard);
    second.block_on(async {
        let other = place.lock("other", ms(60_000));
        let other = tasks.acquire(&other, Wait::up_to(ms(15_000))).await;
        let next = tasks.acquire(&lock, Wait::up_to(ms(15_000))).await;
        assert!(next.expect("given back").is_valid());
        drop(other.expect("the lock"));
        tasks.close().await;
    });
}

/// On such a runtime, a thread that is blocked is the only thread. The test runs in a process of its own: a second
/// panic during the cleanup of a panic would end the process, and with it all other tests.
pub fn a_short_outage_on_a_runtime_of_one_thread(place: &Place) {
    if place.is_child {
        return hold_on_one_thread(place);
    }
    let mut children = Children::of(place);
    let child = children.start();
    assert!(children.ends_well(child), "see above");
}

fn hold_on_one_thread(place: &Place) {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let (proxy, url) = place.proxy();
    let tasks = tasks(place.engine, &url, &Setup::default());
    let lock = place.lock("one thread", ms(8_000));
    let guard = runtime.block_on(tasks.acquire(&lock, Wait::never()));
    let guard = guard.expect("the lock");
    let mut writer = place.probe();
    match &proxy {
        Some(proxy) => proxy.hang(),
        None => writer
            .batch("BEGIN IMMEDIATE")
            .expect("a transaction of somebody else"),
    }
    let began = Instant::now();
    // Longer than the keeper waits for an answer.
    runtime.block_on(async { tokio::time::sleep(ms(5_200)).await });
    match &proxy {
        Some(proxy) => proxy.come_back(Close::Gently),
        None => writer.batch("ROLLBACK").expect("an end"),
    }
    runtime.block_on(async {
        while began.elapsed() < ms(8_400) {
            assert!(
                guard.is_valid(),
                "not extended, after {:?}",
                began.elapsed()
            );
            tokio::time::sleep(ms(20)).await;
        }
        guard.release().await.expect("an answer");
        tasks.close().await;
    });
}
