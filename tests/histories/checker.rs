//! Judges a history. The checker is pure: a history in, violations out.
//!
//! The model is a mutex with fences and an expiry. A name has a holder with a token, a fence and a time at which the lease
//! ends, or no holder. The names are judged one by one, because different names are different locks.
//!
//! The database's own record gives the order in which a name changed its holder. So the checker need not search for an
//! order that explains the answers: it checks that the record obeys the model, and that each answer fits the record at
//! some moment between the question and the answer. For a question without an answer, that moment may come at any time
//! after the question, or never.
//!
//! The rules, each in a file:
//!
//! - [`exclusion`]: on the database's clock, a lease is taken over only after it has ended. An extension never shortens a
//!   lease. Only its own holder and a forced release end a lease early.
//! - [`fences`]: each acquisition has a larger fence than all before. Each answer "acquired" is in the record, for this
//!   client and only once. An acquisition that was answered before another was asked for has the smaller fence.
//! - [`trust`]: two clients never rely on their leases of one name at the same time, by the clock that all processes
//!   share. A client never relies on its lease for longer than the record says.
//! - [`commits`]: no transaction under a lease writes after the lock was acquired with a larger fence, or commits without
//!   the next holder seeing it. What was answered "done" is in the record, and what was refused is not.
//! - [`answers`]: what a client is told about its lease, "released", "extended" or "lost", is what the record says.
//! - [`busy`]: during a question that was answered "busy", the name was held, or another operation had its row locked. A
//!   holder that the answer names held the lock meanwhile.
//!
//! The times of the record come from the database's clock. They are translated, and the translation may be wrong by the
//! `slack`. Where a translated time is compared with one of ours, the slack counts in favour of the crate.

#[path = "checker/answers.rs"]
mod answers;
#[path = "checker/busy.rs"]
mod busy;
#[path = "checker/commits.rs"]
mod commits;
#[path = "checker/exclusion.rs"]
mod exclusion;
#[path = "checker/fences.rs"]
mod fences;
#[cfg(test)]
#[path = "checker/tests.rs"]
mod tests;
#[path = "checker/trust.rs"]
mod trust;

use std::collections::BTreeMap;

use diesel_locks_tests::clock::Time;

use crate::log::{Change, Entry, Write};
use crate::operation::{Claim, Operation, Told};
pub use busy::{Reason, reasons as busy_reasons};

/// So late that no time of a history comes after it, and early enough to be counted with.
const NEVER: Time = Time::MAX / 4;

#[derive(Debug, Default)]
pub struct History {
    pub operations: Vec<Operation>,
    pub claims: Vec<Claim>,
    pub told: Vec<Told>,
    /// The database's record, with the name of each entry.
    pub log: Vec<(String, Entry)>,
    pub slack: Time,
    /// Whether a guarded transaction releases its lease after the commit, because it sees a snapshot.
    pub releases_later: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    Exclusion,
    Fences,
    Trust,
    Commits,
    Answers,
    Busy,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub rule: Rule,
    pub name: String,
    pub what: String,
}

/// The part of a history that is about one name.
#[derive(Debug, Default)]
pub struct View<'h> {
    pub operations: Vec<&'h Operation>,
    pub claims: Vec<&'h Claim>,
    pub told: Vec<&'h Told>,
    /// The versions of the row. Two that follow each other differ.
    pub changes: Vec<&'h Change>,
    pub writes: Vec<&'h Write>,
    pub slack: Time,
    pub releases_later: bool,
}

impl Rule {
    pub const ALL: [Self; 6] = [
        Self::Exclusion,
        Self::Fences,
        Self::Trust,
        Self::Commits,
        Self::Answers,
        Self::Busy,
    ];

    fn check(self, view: &View<'_>) -> Vec<String> {
        match self {
            Self::Exclusion => exclusion::check(view),
            Self::Fences => fences::check(view),
            Self::Trust => trust::check(view),
            Self::Commits => commits::check(view),
            Self::Answers => answers::check(view),
            Self::Busy => busy::check(view),
        }
    }
}

impl History {
    pub fn violations(&self) -> Vec<Violation> {
        let mut violations = Vec::new();
        for (name, view) in self.views() {
            for rule in Rule::ALL {
                let found = rule.check(&view).into_iter();
                violations.extend(found.map(|what| Violation {
                    rule,
                    name: name.to_owned(),
                    what,
                }));
            }
        }
        violations
    }

    pub fn views(&self) -> BTreeMap<&str, View<'_>> {
        let mut views: BTreeMap<&str, View<'_>> = BTreeMap::new();
        for operation in &self.operations {
            let view = views.entry(&operation.name).or_default();
            view.operations.push(operation);
        }
        for claim in &self.claims {
            views.entry(&claim.name).or_default().claims.push(claim);
        }
        for told in &self.told {
            views.entry(&told.name).or_default().told.push(told);
        }
        for (name, entry) in &self.log {
            views.entry(name).or_default().add(entry);
        }
        for view in views.values_mut() {
            view.slack = self.slack;
            view.releases_later = self.releases_later;
            view.operations.sort_by_key(|operation| operation.asked);
        }
        views
    }
}

impl<'h> View<'h> {
    fn add(&mut self, entry: &'h Entry) {
        match entry {
            Entry::Write(write) => self.writes.push(write),
            Entry::Change(change) => {
                let last = self.changes.last();
                if last.is_none_or(|last| last.differs_from(change)) {
                    self.changes.push(change);
                }
            }
        }
    }

    /// The versions of the row with which the lock was acquired.
    pub fn acquisitions(&self) -> impl Iterator<Item = &'h Change> {
        let before = [None]
            .into_iter()
            .chain(self.changes.iter().copied().map(Some));
        let pairs = before.zip(self.changes.iter().copied());
        pairs.filter_map(|(before, change)| {
            let is_new = before.is_none_or(|before| before.fence != change.fence);
            (is_new && change.token.is_some()).then_some(change)
        })
    }
}

impl Change {
    /// Whether this is another version for the model. Other columns of the row may have changed.
    fn differs_from(&self, other: &Self) -> bool {
        (&self.token, self.fence, self.expires_at) != (&other.token, other.fence, other.expires_at)
    }
}
