//! The local clock that trust is reckoned on: it never goes back, and it counts the time the machine
//! was suspended where the platform can tell (on Linux `Instant` does not), so that a laptop that
//! wakes up does not trust a lease that ran out while it slept.

use std::time::{Duration, SystemTime};

/// A moment of this process's clock. Means nothing to another machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(Duration);

impl Moment {
    pub(crate) fn now() -> Self {
        Self(since_some_start())
    }

    pub(crate) fn after(self, time: Duration) -> Self {
        Self(self.0.saturating_add(time))
    }

    /// How long after `earlier`; zero where it is not.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// Microseconds since 1970 by the clock on the wall, which may be set. Only for the fences of SQLite, whose database has
/// no other clock, and for the names of files.
pub(crate) fn on_the_wall() -> i64 {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(unix)]
fn since_some_start() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    #[cfg(any(target_os = "linux", target_os = "android"))]
    const COUNTS_SUSPEND: ClockId = ClockId::Boottime;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    const COUNTS_SUSPEND: ClockId = ClockId::Monotonic;

    Duration::try_from(clock_gettime(COUNTS_SUSPEND)).unwrap_or_default()
}

#[cfg(not(unix))]
fn since_some_start() -> Duration {
    use std::sync::OnceLock;
    use std::time::Instant;
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}
