//! Two clients never rely on their leases at the same time, and none relies on its lease for longer than the record says.
//!
//! A client relies on its lease from its first claim to the end of its longest claim. That time ends early when the client
//! asks to release the lease, or when the record shows a release. After a release by force the holder may rely on its
//! lease until it is told. That is the documented price of force, and it is not judged here.

use std::collections::BTreeMap;

use diesel_locks_tests::clock::Time;

use super::{NEVER, View};
use crate::operation::{Act, Claim};

pub fn check(view: &View<'_>) -> Vec<String> {
    let beyond = view.claims.iter().filter(|claim| is_beyond(view, claim));
    let mut wrong: Vec<String> = beyond
        .map(|claim| format!("relied on for longer than the record says: {claim:?}"))
        .collect();
    wrong.extend(overlaps(view));
    wrong
}

/// Whether a claim lasts longer than the lease did in the record at the time of the claim.
fn is_beyond(view: &View<'_>, claim: &Claim) -> bool {
    let known = view.changes.iter().filter(|it| {
        it.fence == claim.fence && it.token.is_some() && it.at <= claim.from + view.slack
    });
    let end = known.map(|it| it.expires_at).max();
    end.is_none_or(|end| claim.until > end + view.slack)
}

/// The time in which the holder of a fence relies on it.
#[derive(Clone, Copy, Debug)]
struct Trust {
    from: Time,
    until: Time,
    fence: i64,
}

fn overlaps(view: &View<'_>) -> Vec<String> {
    let mut trusts = trusts(view);
    trusts.sort_by_key(|it| it.from);
    let (mut wrong, mut longest) = (Vec::new(), None::<Trust>);
    for trust in trusts {
        if let Some(before) = longest.filter(|before| before.until > trust.from) {
            wrong.push(format!("two rely on it: {before:?} and {trust:?}"));
        }
        if longest.is_none_or(|before| before.until < trust.until) {
            longest = Some(trust);
        }
    }
    wrong
}

fn trusts(view: &View<'_>) -> Vec<Trust> {
    let mut trusts: BTreeMap<i64, Trust> = BTreeMap::new();
    for claim in &view.claims {
        let &Claim {
            fence, from, until, ..
        } = *claim;
        let trust = trusts.entry(fence).or_insert(Trust { from, until, fence });
        trust.from = trust.from.min(from);
        trust.until = trust.until.max(until);
    }
    for trust in trusts.values_mut() {
        trust.until = trust.until.min(given_up(view, trust.fence));
    }
    trusts
        .into_values()
        .filter(|it| it.from < it.until)
        .collect()
}

/// When the lease was given back or taken away by force.
fn given_up(view: &View<'_>, fence: i64) -> Time {
    let ends = |act| matches!(act, Act::Release | Act::Finish | Act::Drop);
    let asked = view.operations.iter();
    let asked = asked.filter(|it| it.fence == fence && ends(it.act));
    let released = view.changes.iter();
    let released = released.filter(|it| it.fence == fence && it.token.is_none());
    let asked = asked.map(|it| it.asked);
    let released = released.map(|it| it.at - view.slack);
    asked.chain(released).min().unwrap_or(NEVER)
}
