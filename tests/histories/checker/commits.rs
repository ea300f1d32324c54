//! A stale holder never commits, and the next holder sees all that earlier holders wrote.

use std::collections::{BTreeMap, BTreeSet};

use super::View;
use crate::log::Write;
use crate::operation::{Act, Operation, Word};

pub fn check(view: &View<'_>) -> Vec<String> {
    let mut wrong = stale(view);
    wrong.extend(unseen(view));
    wrong.extend(answered_wrongly(view));
    wrong
}

/// The rows that were written after the lock was acquired with a larger fence.
fn stale(view: &View<'_>) -> Vec<String> {
    let mut acquisitions = view.acquisitions().peekable();
    let (mut latest, mut wrong) = (i64::MIN, Vec::new());
    for write in &view.writes {
        while let Some(it) = acquisitions.next_if(|it| it.sequence < write.sequence) {
            latest = latest.max(it.fence);
        }
        if write.fence < latest {
            wrong.push(format!("written after {latest} was acquired: {write:?}"));
        }
    }
    wrong
}

/// A transaction has seen all rows of smaller fences, because none of them may be committed after its pin.
fn unseen(view: &View<'_>) -> Vec<String> {
    let mut rows: BTreeMap<i64, i64> = BTreeMap::new();
    for write in &view.writes {
        *rows.entry(write.fence).or_default() += 1;
    }
    let mut wrong = Vec::new();
    for write in &view.writes {
        let Some(seen) = write.seen else { continue };
        let there: i64 = rows.range(..write.fence).map(|(_, rows)| rows).sum();
        if seen != there {
            wrong.push(format!("{there} earlier rows were committed: {write:?}"));
        }
    }
    wrong
}

/// What was answered "done" is in the record, and what was refused is not.
fn answered_wrongly(view: &View<'_>) -> Vec<String> {
    let finished = view.writes.iter().filter(|write| write.seen.is_some());
    let finished: BTreeSet<i64> = finished.map(|write: &&Write| write.operation).collect();
    let transactions = view.operations.iter().copied();
    let transactions = transactions.filter(|it| matches!(it.act, Act::Commit | Act::Finish));
    let wrong = transactions
        .filter(|it| expected(it).is_some_and(|committed| committed != finished.contains(&it.id)));
    wrong
        .map(|it| format!("the record says otherwise: {it:?}"))
        .collect()
}

/// Whether the transaction must have been committed. `None` if nobody knows.
fn expected(operation: &Operation) -> Option<bool> {
    match operation.word()? {
        Word::Done => Some(true),
        Word::Lost | Word::Expired => Some(false),
        _ => None,
    }
}
