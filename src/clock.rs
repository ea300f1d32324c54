//! The local clock by which trust is calculated. It never goes back. Where the platform can do it, the clock also
//! counts the time for which the machine was suspended (`Instant` on Linux does not). So a laptop that wakes up does
//! not trust a lease that expired while the laptop slept.

use std::time::{Duration, SystemTime};

/// A moment of this process's clock. It means nothing to another machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(Duration);

impl Moment {
    pub(crate) fn now() -> Self {
        Self(since_some_start())
    }

    pub(crate) fn after(self, time: Duration) -> Self {
        Self(self.0.saturating_add(time))
    }

    /// The time from `earlier` to this moment; zero if `earlier` is the later one.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// Microseconds since 1970 by the system's clock, which a user may set. Only three things use it: the fences of SQLite,
/// which has no clock but the system's; the fences that are proposed to MySQL and MariaDB, which refuse what does not fit
/// their own clock; and the names of folders of migrations.
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
