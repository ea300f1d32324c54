//! An answer "busy" has a reason: somebody held the name during the question, or another operation had its row locked.
//!
//! - A lease lasts from its version in the record to its end, or until the next version can be seen if that comes first.
//!   The next version is seen when its transaction commits: at the latest when the operation that wrote it is over.
//! - An operation of another client has the row locked at most from its question to its answer. Without an answer, it may
//!   have the row locked until another acquisition shows that this is over.
//! - A release that a `Locker` does in the background, or that its caller no longer waits for, may come after the lock has
//!   changed hands. On MySQL and MariaDB it locks the row for a moment, although it finds that its lease is lost. The
//!   `Locker` says when it has given the lease back. If it never says so, that is at most the time after which it gives up.
//! - Another try that was itself answered "busy" is no reason. On MySQL and MariaDB it can have the row locked for a moment,
//!   and on every server a heartbeat can that comes too late. Neither leaves a trace. So the report tolerates a few answers
//!   without a reason, if they name nobody; on SQLite, which locks no rows, none.
//! - An answer that names a holder has only one reason: that lease.
//! - The exception: in a `Locker`, only the first waiter of a queue asks the database. A waiter behind it, whose wait ends,
//!   is told the holder that the first waiter was told, which may have been before its own question. So another wait of the
//!   same `Locker` is a reason, and a holder that was named must have held the lock at any time before the answer.

use diesel_locks_tests::clock::Time;

use super::exclusion::{may_have_acquired, may_release};
use super::{NEVER, View};
use crate::log::Change;
use crate::operation::{Act, Operation, Word};

/// Why a name was busy, the best reason first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    Lease,
    Operation,
    /// Another waiter of the same `Locker` was first in the queue.
    Queue,
    /// An operation without an answer, or a wait that succeeded in the end. Nobody knows when it locked the row.
    Vague,
    /// A release of an earlier holder that was still under way.
    Leftover,
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
    let engaged: Vec<Engaged> = leases(view)
        .chain(operations(view))
        .chain(leftovers(view))
        .collect();
    let operations = view.operations.iter().copied();
    let busy = operations.filter(|it| it.word() == Some(Word::Busy));
    let judged = busy.map(|it| {
        let queue = || is_of_queue(view, it, &engaged).then_some(Reason::Queue);
        (it, reason(it, &engaged, view.slack).or_else(queue))
    });
    judged.collect()
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

/// Whether the answer may have come from a queue, and not from the database.
fn is_of_queue(view: &View<'_>, operation: &Operation, engaged: &[Engaged]) -> bool {
    let Some(answer) = operation.answer.filter(|_| waits_in_queue(operation)) else {
        return false;
    };
    let mut others = view.operations.iter().filter(|it| {
        it.id != operation.id && it.act.waits() && it.client.shares_locker(operation.client)
    });
    let is_behind = others.any(|it| it.asked <= answer.at && operation.asked <= until(it));
    let named = |it: &Engaged| it.id == 0 && it.fence == answer.number && it.from <= answer.at;
    is_behind && (answer.number == 0 || engaged.iter().any(named))
}

fn waits_in_queue(operation: &Operation) -> bool {
    operation.client.kind.is_managed() && operation.act.waits()
}

fn until(operation: &Operation) -> Time {
    operation.answer.map_or(NEVER, |answer| answer.at)
}

fn leases(view: &View<'_>) -> impl Iterator<Item = Engaged> {
    let next = view.changes.iter().skip(1);
    let after = view.changes.iter().skip(2).map(|it| it.at).chain([NEVER]);
    let seen = next.zip(after).map(|(next, after)| seen(view, next, after));
    let versions = view.changes.iter().zip(seen.chain([NEVER]));
    let held = versions.filter(|(change, _)| change.token.is_some());
    held.map(|(change, next)| Engaged {
        from: change.at.min(change.acquired_at),
        until: change.expires_at.min(next),
        reason: Reason::Lease,
        fence: change.fence,
        id: 0,
    })
}

/// The latest time at which others see this version. Whoever wrote the version after it has seen it.
fn seen(view: &View<'_>, change: &Change, after: Time) -> Time {
    let asked = view.operations.iter();
    let asked = asked.filter(|it| it.asked <= change.at + view.slack);
    let writers = asked.filter(|it| may_have_written(it, change));
    let ends = writers.map(|it| committed(view, it, change).unwrap_or(after));
    // An operation that was over before has not written it.
    let ends = ends.filter(|end| *end >= change.at - view.slack);
    ends.max().unwrap_or(change.at)
}

/// When this operation has committed this version at the latest, if anybody has said so.
fn committed(view: &View<'_>, operation: &Operation, change: &Change) -> Option<Time> {
    if operation.is_open() || may_have_acquired(operation, change) {
        return given_back(view, change.fence);
    }
    operation.answer.map(|answer| answer.at)
}

/// When a `Locker` said that it has given back the lease of this fence.
fn given_back(view: &View<'_>, fence: i64) -> Option<Time> {
    let told = view.told.iter().filter(|told| told.fence == fence);
    told.map(|told| told.at).max()
}

fn may_have_written(operation: &Operation, change: &Change) -> bool {
    match &change.token {
        None => may_release(operation, change),
        Some(_) => {
            operation.fence == change.fence
                || operation.acquired() == Some(change.fence)
                || may_have_acquired(operation, change)
        }
    }
}

fn operations(view: &View<'_>) -> impl Iterator<Item = Engaged> {
    let locking = view.operations.iter();
    let locking = locking.filter(|it| it.word() != Some(Word::Busy));
    locking.map(|it| Engaged {
        from: it.asked,
        until: end(view, it),
        reason: if it.is_open() || it.act.waits() {
            Reason::Vague
        } else {
            Reason::Operation
        },
        fence: it.fence,
        id: it.id,
    })
}

/// A `Locker` gives up releasing after the ttl, and then waits for an answer for 5 seconds.
const GIVES_UP: Time = 6_000_000;

fn leftovers(view: &View<'_>) -> impl Iterator<Item = Engaged> {
    let releases = view.operations.iter().filter(|it| {
        it.client.kind.is_managed()
            && it.is_open()
            && matches!(it.act, Act::Release | Act::Finish | Act::Drop)
    });
    releases.map(|it| Engaged {
        from: it.asked,
        until: given_back(view, it.fence).unwrap_or(it.asked + GIVES_UP),
        reason: Reason::Leftover,
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
