//! Fences grow, in the record and in the answers.

use std::collections::{BTreeMap, BTreeSet};

use super::View;
use crate::operation::{Client, Operation};

pub fn check(view: &View<'_>) -> Vec<String> {
    let mut wrong = shrunk(view);
    wrong.extend(not_recorded(view));
    wrong.extend(out_of_order(view));
    wrong
}

fn shrunk(view: &View<'_>) -> Vec<String> {
    let pairs = view.changes.windows(2);
    let pairs = pairs.filter(|pair| pair[0].fence > pair[1].fence);
    pairs
        .map(|pair| format!("a smaller fence: {:?}, then {:?}", pair[0], pair[1]))
        .collect()
}

/// Each answer is an acquisition of the record, for this client and not for another answer.
fn not_recorded(view: &View<'_>) -> Vec<String> {
    let recorded = view.acquisitions().map(|it| (it.fence, it.owner));
    let recorded: BTreeMap<i64, Option<Client>> = recorded.collect();
    let mut answered = BTreeSet::new();
    let mut wrong = Vec::new();
    for (operation, fence) in acquired(view) {
        match recorded.get(&fence) {
            None => wrong.push(format!("not in the record: {operation:?}")),
            Some(owner) if *owner != Some(operation.client) => {
                wrong.push(format!("acquired by {owner:?}: {operation:?}"));
            }
            Some(_) if !answered.insert(fence) => {
                wrong.push(format!("answered twice: {operation:?}"));
            }
            Some(_) => {}
        }
    }
    wrong
}

/// An acquisition that was answered before another was asked for has the smaller fence.
fn out_of_order(view: &View<'_>) -> Vec<String> {
    let mut ended: Vec<(i64, i64)> = acquired(view)
        .filter_map(|(operation, fence)| Some((operation.answer?.at, fence)))
        .collect();
    ended.sort_unstable();
    let mut ended = ended.into_iter().peekable();
    let (mut largest, mut wrong) = (i64::MIN, Vec::new());
    // The operations are in the order in which they were asked.
    for (operation, fence) in acquired(view) {
        while let Some((_, before)) = ended.next_if(|(at, _)| *at < operation.asked) {
            largest = largest.max(before);
        }
        if fence <= largest {
            wrong.push(format!("{largest} was acquired before: {operation:?}"));
        }
    }
    wrong
}

fn acquired<'h>(view: &View<'h>) -> impl Iterator<Item = (&'h Operation, i64)> {
    let operations = view.operations.iter().copied();
    operations.filter_map(|operation| Some((operation, operation.acquired()?)))
}
