//! An answer "busy" has a reason: somebody held the name during the question, or another operation had its row locked.
//!
//! - A lease lasts from its version in the record to the next version, or to its end if that comes first.
//! - An operation of another client has the row locked at most from its question to its answer. Without an answer, it may
//!   have the row locked until another acquisition shows that this is over.
//! - Another try that was itself answered "busy" is no reason: it locks nothing.
//! - An answer that names a holder has only one reason: that lease.

use diesel_locks_tests::clock::Time;

use super::{NEVER, View};
use crate::operation::{Operation, Word};

/// Why a name was busy, the best reason first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    Lease,
    Operation,
    /// An operation without an answer, or a wait that succeeded in the end. Nobody knows when it locked the row.
    Vague,
}

struct Engaged {
    from: Time,
    until: Time,
    reason: Reason,
    fence: i64,
    /// The operation, or 0 for a lease.
    id: i64,
}

pub fn check(view: &View<'_>) -> Vec<String> {
    let judged = reasons(view).into_iter();
    let wrong = judged.filter(|(_, reason)| reason.is_none());
    wrong
        .map(|(operation, _)| format!("nobody had it: {operation:?}"))
        .collect()
}

/// All operations that were answered "busy", with their reasons.
pub fn reasons<'h>(view: &View<'h>) -> Vec<(&'h Operation, Option<Reason>)> {
    let engaged: Vec<Engaged> = leases(view).chain(operations(view)).collect();
    let operations = view.operations.iter().copied();
    let busy = operations.filter(|it| it.word() == Some(Word::Busy));
    busy.map(|it| (it, reason(it, &engaged, view.slack)))
        .collect()
}

fn reason(operation: &Operation, engaged: &[Engaged], slack: Time) -> Option<Reason> {
    let answer = operation.answer?;
    let meanwhile = engaged.iter().filter(|it| {
        it.id != operation.id && it.from <= answer.at + slack && operation.asked <= it.until + slack
    });
    let named = answer.number;
    let fits = meanwhile.filter(|it| named == 0 || (it.id == 0 && it.fence == named));
    fits.map(|it| it.reason).min()
}

fn leases(view: &View<'_>) -> impl Iterator<Item = Engaged> {
    let next = view.changes.iter().skip(1).map(|it| it.at);
    let next = next.chain([NEVER]);
    let versions = view.changes.iter().zip(next);
    let held = versions.filter(|(change, _)| change.token.is_some());
    held.map(|(change, next)| Engaged {
        from: change.at.min(change.acquired_at),
        until: change.expires_at.min(next),
        reason: Reason::Lease,
        fence: change.fence,
        id: 0,
    })
}

fn operations(view: &View<'_>) -> impl Iterator<Item = Engaged> {
    let locking = view.operations.iter();
    let locking = locking.filter(|it| it.word() != Some(Word::Busy));
    locking.map(|it| Engaged {
        from: it.asked,
        until: end(view, it),
        reason: if it.is_open() || it.act == crate::operation::Act::Wait {
            Reason::Vague
        } else {
            Reason::Operation
        },
        fence: it.fence,
        id: it.id,
    })
}

/// The latest time at which the operation may have the row locked.
fn end(view: &View<'_>, operation: &Operation) -> Time {
    match operation.answer {
        Some(answer) if !operation.is_open() => answer.at,
        _ => {
            let later = view
                .operations
                .iter()
                .filter(|it| it.asked > operation.asked);
            let acquired = later.filter(|it| it.acquired().is_some());
            let answers = acquired.filter_map(|it| Some(it.answer?.at));
            answers.min().unwrap_or(NEVER)
        }
    }
}
