//! What a client is told about its lease is what the record says.
//!
//! - "Released", in any form: the record has the release, at some moment between the question and the answer. If a guarded
//!   transaction releases after its commit, its answer is about the commit alone.
//! - "Extended": the record has a version of the lease from that time.
//! - "Lost": the record shows that the lease had ended by then. This is not asked of guards: a guard also counts as lost when
//!   it was not extended in time, although nobody has taken the lock over.

use super::View;
use crate::operation::{Act, Operation, Word};

pub fn check(view: &View<'_>) -> Vec<String> {
    let operations = view.operations.iter();
    let wrong = operations.filter(|it| !fits(view, it));
    wrong
        .map(|it| format!("the record says otherwise: {it:?}"))
        .collect()
}

fn fits(view: &View<'_>, operation: &Operation) -> bool {
    let is_lease = operation.fence != 0;
    match (operation.act, operation.word()) {
        (Act::Finish, Some(Word::Done)) if view.releases_later => true,
        (Act::Release, Some(Word::Done | Word::Late))
        | (Act::Finish | Act::Force, Some(Word::Done)) => has_version(view, operation, false),
        (Act::Extend, Some(Word::Done | Word::Late)) => has_version(view, operation, true),
        (_, Some(Word::Lost)) if is_lease && !operation.client.kind.is_managed() => {
            has_ended(view, operation)
        }
        _ => true,
    }
}

/// Whether the record has a version of the lease, held or released, that came during the operation.
fn has_version(view: &View<'_>, operation: &Operation, held: bool) -> bool {
    let Some(answer) = operation.answer else {
        return false;
    };
    let during = operation.asked - view.slack..=answer.at + view.slack;
    let is_force = operation.act == Act::Force;
    let mut versions = view.changes.iter().filter(|it| during.contains(&it.at));
    versions.any(|it| (is_force || it.fence == operation.fence) && it.token.is_some() == held)
}

/// Whether the lease was released or taken over before the answer.
fn has_ended(view: &View<'_>, operation: &Operation) -> bool {
    let Some(answer) = operation.answer else {
        return false;
    };
    let known = view.changes.iter();
    let mut known = known.filter(|it| it.at <= answer.at + view.slack);
    known
        .any(|it| it.fence > operation.fence || (it.fence == operation.fence && it.token.is_none()))
}
