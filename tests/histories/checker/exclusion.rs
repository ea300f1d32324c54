//! The record obeys the model: a lease is taken over only after its end.

use super::View;
use crate::log::Change;
use crate::operation::{Act, Operation};

pub fn check(view: &View<'_>) -> Vec<String> {
    let pairs = view.changes.windows(2).map(|pair| (pair[0], pair[1]));
    let faults = pairs.filter_map(|(before, after)| {
        let fault = fault(view, before, after)?;
        Some(format!("{fault}: {before:?}, then {after:?}"))
    });
    faults.collect()
}

/// Why the row must not change from the one version to the other. Both have times of the same clock, so there is no slack.
fn fault(view: &View<'_>, before: &Change, after: &Change) -> Option<&'static str> {
    let is_same = before.fence == after.fence;
    match (&before.token, &after.token) {
        (None, Some(_)) if is_same => Some("a released lease came back"),
        (Some(_), _) if !is_same && after.acquired_at < before.expires_at => {
            Some("taken over before its end")
        }
        (Some(_), None) if is_same && !is_explained(view, before, after) => {
            Some("released, though neither its holder nor anybody by force did it")
        }
        (Some(old), Some(new)) if is_same && old != new => {
            Some("another token with the same fence")
        }
        (Some(_), Some(_)) if is_same && after.expires_at < before.expires_at => Some("shortened"),
        _ => None,
    }
}

/// Whether somebody may have released the lease, at a time that the record allows.
fn is_explained(view: &View<'_>, lease: &Change, release: &Change) -> bool {
    let until = release.at + view.slack;
    let mut asked = view.operations.iter().filter(|it| it.asked <= until);
    asked.any(|it| may_release(it, lease))
}

/// Whether this operation may release this lease, or may have released it.
pub fn may_release(operation: &Operation, lease: &Change) -> bool {
    match operation.act {
        Act::Force => true,
        Act::Release | Act::Finish | Act::Drop => operation.fence == lease.fence,
        Act::Try | Act::Wait | Act::Run => may_have_acquired(operation, lease),
        Act::Extend | Act::Commit => false,
    }
}

/// Whether this operation may have acquired this lease without answering so. A wait tries again if an answer came too late or
/// not at all, and what it had acquired is given back.
pub fn may_have_acquired(operation: &Operation, lease: &Change) -> bool {
    let lets_go = match operation.act {
        Act::Try => operation.is_open(),
        Act::Wait | Act::Run => operation.acquired() != Some(lease.fence),
        _ => false,
    };
    lets_go && Some(operation.client) == lease.owner
}
