//! Whether a connection that a pool gave can be used.

use super::executor::Executor;
use crate::dialect::Sql;
use crate::statement::Statement;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Session {
    Ready,
    /// The connection is inside a transaction: nothing that is done on it would be committed.
    Open,
    /// The connection does not answer what it is asked: somebody dropped a call on it before its answer came.
    OutOfStep,
}

/// Asks the database where Diesel does not know: on MySQL and MariaDB. The answer repeats a number that was never asked
/// before.
pub(crate) async fn session<E: Executor>(executor: &mut E) -> Session {
    if executor.in_transaction() {
        return Session::Open;
    }
    if !E::Backend::LEAVES_ANSWERS_UNREAD {
        return Session::Ready;
    }
    let question = i64::from(getrandom::u32().unwrap_or_default());
    let answer = executor.numbers(Statement::session(question)).await;
    match answer.as_deref() {
        Ok([answer, 0]) if *answer == question => Session::Ready,
        Ok([answer, _]) if *answer == question => Session::Open,
        _ => Session::OutOfStep,
    }
}
