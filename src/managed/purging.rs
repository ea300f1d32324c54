//! Purging in the background, from its start until it is stopped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::bell::Bell;
use super::pool::{Pool, Runtime};
use crate::list::List;
use crate::locker::Locker;
use crate::protocol;

/// The pause after a failure. It is short: a database that was busy for a moment is no reason to wait for a whole
/// interval, which may be a day.
const SOON: Duration = Duration::from_secs(1);

/// Purges in the background until it is stopped or dropped.
#[derive(Debug)]
#[must_use = "dropping it stops the purging"]
pub struct Purging(Arc<Stop>);

#[derive(Debug, Default)]
struct Stop {
    stopped: AtomicBool,
    bell: Bell,
}

impl Purging {
    /// Stops the purging. A purge that is running is finished.
    pub fn stop(self) {}
}

impl Drop for Purging {
    fn drop(&mut self) {
        self.0.stopped.store(true, Ordering::Release);
        self.0.bell.ring();
    }
}

impl<P: Pool> Locker<P> {
    /// Purges at once, and again after each interval, or sooner after a failure.
    pub(crate) fn start_purging(&self, interval: Duration, list: &List, age: Duration) -> Purging {
        let (locker, stop) = (self.clone(), Arc::new(Stop::default()));
        let list = self.listed(list);
        let purging = Purging(stop.clone());
        if let Some(runtime) = P::Runtime::here() {
            runtime.spawn(async move {
                while !stop.stopped.load(Ordering::Acquire) && !locker.keeper.is_closed() {
                    let seen = stop.bell.rings();
                    let list = list.clone();
                    let purge = async move |executor: &mut P::Executor| {
                        protocol::purge(executor, &list, age).await
                    };
                    let purged = locker.ask(None, purge).await;
                    let pause = if purged.is_ok() {
                        interval
                    } else {
                        interval.min(SOON)
                    };
                    if !stop.stopped.load(Ordering::Acquire) {
                        P::Runtime::wait(&stop.bell, seen, pause).await;
                    }
                }
            });
        }
        purging
    }
}
