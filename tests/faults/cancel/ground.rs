//! A small pool in a runtime of its own, and one lock: so a test sees what is left over.

use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel_locks::{Lock, Wait};
use diesel_locks_tests::managed::AnyGuard;

use crate::client::tasks::Tasks;
use crate::client::{Setup, tasks};
use crate::place::{Place, ms, runtime};

/// Much longer than the test. A lock that is free earlier was released.
pub const TTL: Duration = ms(60_000);
pub const SOON: Duration = ms(15_000);

pub struct Ground<'p> {
    pub place: &'p Place,
    pub tasks: Arc<Tasks>,
    pub lock: Lock,
}

/// Runs the test. Then checks that no connection is in use and that no task is left over.
pub fn on_ground(place: &Place, test: impl AsyncFnOnce(&Ground<'_>)) {
    let runtime = runtime();
    let setup = Setup {
        pool_size: 4,
        ..Setup::default()
    };
    let tasks = tasks(place.engine, &place.url, &setup);
    runtime.block_on(async {
        let ground = Ground {
            place,
            tasks,
            lock: place.lock("x", TTL),
        };
        test(&ground).await;
        ground.tasks.ask().await.expect("a connection that works");
        ground.tasks.close().await;
        eventually("no connection is in use", async || {
            let (all, idle) = ground.tasks.connections();
            all == idle
        })
        .await;
    });
    let began = Instant::now();
    while runtime.metrics().num_alive_tasks() > 0 {
        let tasks = runtime.metrics().num_alive_tasks();
        assert!(began.elapsed() < ms(20_000), "{tasks} tasks are left over");
        runtime.block_on(async { tokio::time::sleep(ms(5)).await });
    }
}

impl Ground<'_> {
    /// Checks that nobody holds the lock, and that the next caller acquires it.
    pub async fn is_free(&self, lock: &Lock, what: &str) {
        let mut probe = self.place.probe();
        eventually(what, async || probe.holder(lock).is_none()).await;
        let next = self.tasks.acquire(lock, Wait::up_to(SOON)).await;
        let next = next.unwrap_or_else(|error| panic!("{what}: {error}"));
        next.release().await.expect("an answer");
    }

    pub async fn guard(&self) -> AnyGuard {
        let guard = self.tasks.acquire(&self.lock, Wait::up_to(SOON)).await;
        guard.expect("the lock")
    }
}

async fn eventually(what: &str, mut question: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !question().await {
        assert!(began.elapsed() < ms(20_000), "never: {what}");
        tokio::time::sleep(ms(2)).await;
    }
}
