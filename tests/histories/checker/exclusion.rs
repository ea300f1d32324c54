//! The record obeys the model: a lease is taken over only after its end.

use super::View;
use crate::log::Change;
use crate::operation::{Act, Operation};

pub fn check(view: &View<'_>) -> Vec<String> {
    let pairs = view.changes.windows(2).map(|pair| (pair[0], pair[1]));
    pairs
        .filter_map(|(before, after)| wrong(view, before, after))
        .collect()
}

/// Why the row must not change from the one version to the other. Both have times of the same clock, so there is no slack.
fn wrong(view: &View<'_>, before: &Change, after: &Change) -> Option<String> {
    let fault = match (&before.token, &after.token) {
        (None, None) => return None,
        (None, Some(_)) if before.fence == after.fence => "a released lease came back",
        (None, Some(_)) => return None,
        (Some(_), None) if before.fence != after.fence && after.at < before.expires_at => {
            "taken away before its end"
        }
        (Some(_), None) if before.fence == after.fence && !is_explained(view, before, after) => {
            "released, though neither its holder nor anybody by force did it"
        }
        (Some(old), Some(new)) if old == new && before.fence == after.fence => {
            if after.expires_at >= before.expires_at {
                return None;
            }
            "shortened"
        }
        (Some(_), Some(_)) if before.fence == after.fence => "another token with the same fence",
        (Some(_), Some(_)) if after.acquired_at < before.expires_at => "taken over before its end",
        _ => return None,
    };
    Some(format!("{fault}: {before:?}, then {after:?}"))
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
        Act::Try | Act::Wait => may_have_acquired(operation, lease),
        Act::Extend | Act::Commit => false,
    }
}

/// Whether this operation may have acquired this lease without answering so. A wait tries again if an answer came too late or
/// not at all, and what it had acquired is given back.
pub fn may_have_acquired(operation: &Operation, lease: &Change) -> bool {
    let lets_go = match operation.act {
        Act::Try => operation.is_open(),
        Act::Wait => operation.acquired() != Some(lease.fence),
        _ => false,
    };
    lets_go && Some(operation.client) == lease.owner
}
