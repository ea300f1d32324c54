//! The clock that all processes of a machine share. It also counts while a process is stopped.

use rustix::time::{ClockId, clock_gettime};

/// Microseconds of the shared clock.
pub type Time = i64;

pub fn now() -> Time {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000 + now.tv_nsec / 1_000
}
