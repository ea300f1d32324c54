//! Whether a connection that a pool gave can be used.

use super::executor::Executor;
use crate::dialect::Sql;
use crate::error::Result;
use crate::statement::Statement;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Session {
    Ready,
    /// The connection is inside a transaction: nothing that is done on it would be committed.
    Open,
    /// The connection does not answer what it is asked: somebody dropped a call on it before its answer came.
    OutOfStep,
}

/// Asks the database where Diesel does not know: on MySQL and MariaDB. The answer repeats a random number. If an old answer
/// is read in its place, that can also be an error, of whatever kind.
pub(crate) async fn session<E: Executor>(executor: &mut E) -> Result<Session> {
    if executor.is_broken() {
        return Ok(Session::OutOfStep);
    }
    if executor.in_transaction() {
        return Ok(Session::Open);
    }
    if !E::Backend::LEAVES_ANSWERS_UNREAD {
        return Ok(Session::Ready);
    }
    let Ok(random) = getrandom::u32() else {
        return Ok(Session::OutOfStep);
    };
    let question = 2 * i64::from(random >> 3); // MariaDB returns it as a number of 32 bits
    let answer = executor.numbers(Statement::session(question)).await?;
    Ok(match answer[..] {
        [answer] if answer == question => Session::Ready,
        [answer] if answer == question + 1 => Session::Open,
        _ => Session::OutOfStep,
    })
}
