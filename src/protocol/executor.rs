//! What the protocol needs of a connection.

use std::time::Duration;

use crate::dialect::Dialect;
use crate::error::Result;
use crate::fact::Fact;
use crate::row::{LeaseState, LockRow};
use crate::statement::Statement;

/// A connection that runs statements.
pub trait Executor: Send {
    type Backend: Dialect;

    fn load(&mut self, statement: Statement) -> impl Future<Output = Result<Vec<LockRow>>> + Send;
    fn ask(&mut self, statement: Statement)
    -> impl Future<Output = Result<Vec<LeaseState>>> + Send;
    fn numbers(&mut self, statement: Statement) -> impl Future<Output = Result<Vec<i64>>> + Send;
    fn facts(&mut self, statement: Statement) -> impl Future<Output = Result<Vec<Fact>>> + Send;
    /// Runs SQL that cannot be prepared, or is several statements.
    fn batch(&mut self, sql: &str) -> impl Future<Output = Result<()>> + Send;
    /// Runs a statement, and returns the number of rows that it changed.
    fn run(&mut self, statement: Statement) -> impl Future<Output = Result<usize>> + Send;
    fn in_transaction(&mut self) -> bool;
    /// Whether the connection was discarded, or one of its transactions has failed half way.
    fn is_broken(&mut self) -> bool;
    /// Notes that there is a transaction, although Diesel has not begun one.
    fn note_transaction(&mut self);
    fn sleep(&mut self, pause: Duration) -> impl Future<Output = ()> + Send;
}

/// A connection that opens and ends transactions of its own.
pub trait Transactions: Executor {
    fn begin(&mut self) -> impl Future<Output = Result<()>> + Send;
    fn commit(&mut self) -> impl Future<Output = Result<()>> + Send;
    fn rollback(&mut self) -> impl Future<Output = Result<()>> + Send;
}
