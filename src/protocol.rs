//! The operations, statement by statement, written once for blocking and async connections.
//!
//! A blocking connection is an async connection that never waits: its futures are ready at the first poll.
//!
//! One call, from the application to the SQL and back. `lock.try_acquire(&mut conn)` ([`blocking::LockDsl`]) wraps the
//! connection in an [`Executor`] and calls [`try_acquire`]. [`try_acquire`] draws a token and calls the engine's
//! [`Winning::win`](winning::Winning::win), which decides which statements to send. A statement is an operation
//! and its values; the engine's [`Dialect`] has its SQL. The answer comes back as a [`LockRow`]: the fence, or the
//! holder. [`try_acquire`] makes a [`Lease`] of the fence. The trust in the lease counts from before the request was
//! sent. If the answer came too late to be trusted, [`try_acquire`] gives the lock back.
//!
//! [`blocking::LockDsl`]: crate::blocking::LockDsl
//! [`Dialect`]: crate::dialect::Dialect
//! [`LockRow`]: crate::row::LockRow
//! [`Lease`]: crate::lease::Lease

mod acquiring;
mod crowd;
mod executor;
pub(crate) mod guarded;
mod holding;
mod keeping;
mod looking;
#[cfg(feature = "mysql")]
mod presumption;
mod session;
pub(crate) mod sets;
mod setup;
mod winning;

pub(crate) use acquiring::{acquire, token_for, too_late, try_acquire, try_hold, try_in_turn};
pub(crate) use crowd::{is_released_with_others, release_each, try_each};
pub(crate) use executor::{Executor, Transactions};
pub(crate) use holding::{
    Extension, extend, extend_for, pin, release, release_async, retire, set_data, status, try_pin,
};
pub(crate) use keeping::{Renewal, keep_alive, mark, want};
pub(crate) use looking::{find, force_release, inspect, is_held, is_released, list, purge};
pub(crate) use session::{Session, session};
pub(crate) use setup::{migrate, verify};
pub(crate) use winning::Winning;
