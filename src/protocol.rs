//! What the operations do, step by step, written once for blocking and async connections.
//!
//! A blocking connection is an async one that never waits: its futures are ready at the first poll.

mod acquiring;
pub(crate) mod guarded;
mod holding;
#[cfg(feature = "mysql")]
pub(crate) mod in_turn;
mod keeping;
mod looking;
mod setup;
pub(crate) mod several;

use std::time::Duration;

use crate::answer::Holder;
use crate::dialect::Dialect;
use crate::error::Result;
use crate::fact::Fact;
use crate::statement::{Late, Seen, Statement};

pub(crate) use acquiring::{acquire, token_for, try_acquire, try_as, try_hold};
pub(crate) use holding::{
    extend, extend_by, extend_to, is_mine, pin, release, release_soon, retire, set_data, try_pin,
};
pub(crate) use keeping::{Kept, keep_alive, want};
pub(crate) use looking::{
    current_owner, find, force_release, inspect, is_held, is_released, list, purge, read_data,
    time_left,
};

pub(crate) use setup::{migrate, verify};

/// A connection that runs statements.
pub trait Executor: Send {
    type Backend: Dialect;

    fn load(
        &mut self,
        statement: Statement<Seen>,
    ) -> impl Future<Output = Result<Vec<Seen>>> + Send;
    fn ask(&mut self, statement: Statement<Late>)
    -> impl Future<Output = Result<Vec<Late>>> + Send;
    fn facts(
        &mut self,
        statement: Statement<Fact>,
    ) -> impl Future<Output = Result<Vec<Fact>>> + Send;
    /// Runs SQL that cannot be prepared, or is several statements.
    fn batch(&mut self, sql: &str) -> impl Future<Output = Result<()>> + Send;
    fn run(&mut self, statement: Statement<()>) -> impl Future<Output = Result<usize>> + Send;
    fn in_transaction(&mut self) -> bool;
    /// There is a transaction, although Diesel has not begun one.
    fn note_transaction(&mut self);
    fn sleep(&mut self, pause: Duration) -> impl Future<Output = ()> + Send;
}

/// A connection that opens and ends transactions of its own.
pub trait Transactions: Executor {
    fn begin(&mut self) -> impl Future<Output = Result<()>> + Send;
    fn commit(&mut self) -> impl Future<Output = Result<()>> + Send;
    fn rollback(&mut self) -> impl Future<Output = Result<()>> + Send;
}

/// What one try of a [`Dialect`] brought.
pub enum Won {
    Fence(i64),
    /// It was mine already, and is extended.
    Renewed(i64),
    Busy(Option<Holder>),
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
impl Won {
    pub(crate) fn or_holder(seen: &Seen) -> Self {
        match seen.won {
            Some(fence) => Self::Fence(fence),
            None => Self::Busy(seen.other_holder()),
        }
    }
}
