//! What happened how often in a history, and what the checker found.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::checker::{History, Reason, Rule as Judged, Violation, busy_reasons};
use crate::evidence;
use crate::operation::{Act, Kind, Operation, Word};
use crate::referee::Test;
use crate::weather::{Fault, Happened};

pub struct Report {
    title: String,
    counts: Vec<(String, usize)>,
    violations: Vec<Violation>,
    /// How many of the violations are unexplained answers "busy" that name nobody, and are few enough.
    tolerated: usize,
    /// The file with all that happened to the names of the violations.
    evidence: Option<PathBuf>,
}

impl Report {
    pub fn new(
        test: &Test,
        seed: u64,
        took: Duration,
        history: &History,
        happened: Vec<Happened>,
    ) -> Self {
        let mut counts = Counts::default();
        counts.operations(history);
        counts.record(history);
        counts.reasons(history);
        counts.weather(happened);
        let unexplained = counts.unexplained(history);
        // SQLite locks no rows, so nothing there has a row locked without a trace.
        let tolerated = if test.engine.is_sqlite() {
            0
        } else {
            unexplained
        };
        let violations = history.violations();
        let title = format!(
            "A history on {}, {:?}, DIESEL_LOCKS_SEED={seed}, {} s",
            test.engine.name(),
            test.rule,
            took.as_secs()
        );
        Self {
            title,
            counts: counts.0,
            evidence: evidence::write(test, seed, history, &violations),
            violations,
            tolerated,
        }
    }

    /// Checks that the crate has kept its promises, and that enough has happened to prove something. In the long form,
    /// everything that is counted must have happened.
    pub fn assert_right(&self, long: bool) {
        let found = self.violations.len() - self.tolerated;
        assert_eq!(found, 0, "{}, see {:?}", self.title, self.evidence);
        for what in OFTEN {
            let (times, least) = (self.times(what), self.times("operations") / 50);
            assert!(times >= least, "too seldom, {times} times: {what}");
        }
        let never = self.counts.iter().find(|(_, times)| *times == 0);
        if let (true, Some((what, _))) = (long, never) {
            panic!("never happened, so nothing is proved about it: {what}");
        }
    }

    fn times(&self, what: &str) -> usize {
        let count = self.counts.iter().find(|(counted, _)| counted == what);
        count.map_or(0, |(_, times)| *times)
    }

    /// Checks that the checker has found the broken rule of a control.
    pub fn assert_found(&self, rules: &[Judged]) {
        let found = |rule: &Judged| {
            let tolerated = if *rule == Judged::Busy {
                self.tolerated
            } else {
                0
            };
            self.violations.iter().filter(|it| it.rule == *rule).count() > tolerated
        };
        let missed = rules.iter().find(|rule| !found(rule));
        assert_eq!(missed, None, "the checker is blind for this rule");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{}", self.title)?;
        for (what, times) in &self.counts {
            writeln!(f, "{times:>8} {what}")?;
        }
        for rule in Judged::ALL {
            let found = self.violations.iter().filter(|it| it.rule == rule);
            writeln!(f, "{:>8} violations of {rule:?}", found.count())?;
        }
        // The first of each rule. The others mostly follow from it.
        for rule in Judged::ALL {
            let found = self.violations.iter().filter(|it| it.rule == rule);
            for violation in found.take(3) {
                writeln!(f, "{rule:?} of {}: {}", violation.name, violation.what)?;
            }
        }
        Ok(())
    }
}

/// What usually happens in a fifth of the operations.
const OFTEN: [&str; 4] = [
    "busy, the holder named",
    "record: acquisitions",
    "record: releases",
    "record: rows of committed transactions",
];

/// The answers that must happen in the long form. Others may happen.
const MUSTS: [(Act, Word); 21] = [
    (Act::Try, Word::Acquired),
    (Act::Try, Word::Busy),
    (Act::Try, Word::Failed),
    (Act::Try, Word::Cancelled),
    (Act::Wait, Word::Acquired),
    (Act::Wait, Word::Busy),
    (Act::Wait, Word::Cancelled),
    (Act::Run, Word::Acquired),
    (Act::Run, Word::Busy),
    (Act::Extend, Word::Done),
    (Act::Extend, Word::Lost),
    (Act::Commit, Word::Done),
    (Act::Commit, Word::Lost),
    (Act::Commit, Word::Expired),
    (Act::Commit, Word::Cancelled),
    (Act::Finish, Word::Done),
    (Act::Finish, Word::Lost),
    (Act::Release, Word::Done),
    (Act::Release, Word::Late),
    (Act::Release, Word::Lost),
    (Act::Force, Word::Done),
];

/// How many acquisitions and releases had their statement in common with one of another name. `None` where the record does not
/// know the statements.
fn shared(history: &History) -> Option<usize> {
    let mut names: BTreeMap<i64, BTreeSet<&str>> = BTreeMap::new();
    for (name, view) in history.views() {
        let pairs = view.changes.windows(2);
        let pairs = pairs.filter(|pair| pair[0].token != pair[1].token);
        for transaction in pairs.map(|pair| pair[1].transaction) {
            names.entry(transaction?).or_default().insert(name);
        }
    }
    let many = names.into_values().map(|names| names.len());
    Some(many.filter(|many| *many > 1).sum())
}

#[derive(Default)]
struct Counts(Vec<(String, usize)>);

impl Counts {
    fn add(&mut self, what: impl Into<String>, times: usize) {
        self.0.push((what.into(), times));
    }

    fn operations(&mut self, history: &History) {
        let all = &history.operations;
        let count = |of: &dyn Fn(&Operation) -> bool| all.iter().filter(|it| of(it)).count();
        self.add("operations", all.len());
        for kind in Kind::ALL {
            let what = format!("operations of {}", kind.word());
            self.add(what, count(&|it| it.client.kind == *kind));
        }
        for act in Act::ALL {
            let musts = MUSTS.iter().filter(|(must, _)| must == act);
            let mut words: BTreeMap<Option<Word>, usize> =
                musts.map(|(_, word)| (Some(*word), 0)).collect();
            for operation in all.iter().filter(|it| it.act == *act) {
                *words.entry(operation.word()).or_default() += 1;
            }
            for (word, times) in words {
                let word = word.map_or("without an answer", Word::word);
                self.add(format!("{}: {word}", act.word()), times);
            }
        }
        let named = |it: &Operation| it.answer.is_some_and(|answer| answer.number != 0);
        let busy = |it: &Operation| it.word() == Some(Word::Busy);
        self.add("busy, the holder named", count(&|it| busy(it) && named(it)));
        self.add("busy, nobody named", count(&|it| busy(it) && !named(it)));
        self.add("claims of trust", history.claims.len());
    }

    /// What the database's record shows, whatever was answered.
    fn record(&mut self, history: &History) {
        let (mut acquired, mut overtaken, mut renewed, mut released, mut writes) = (0, 0, 0, 0, 0);
        for view in history.views().values() {
            acquired += view.acquisitions().count();
            writes += view.writes.len();
            for pair in view.changes.windows(2) {
                match (&pair[0].token, &pair[1].token) {
                    (Some(_), Some(_)) if pair[0].fence != pair[1].fence => overtaken += 1,
                    (Some(_), Some(_)) => renewed += 1,
                    (Some(_), None) => released += 1,
                    _ => {}
                }
            }
        }
        self.add("record: acquisitions", acquired);
        if let Some(shared) = shared(history) {
            self.add(
                "record: acquisitions and releases by a shared statement",
                shared,
            );
        }
        self.add("record: takeovers after the end of a lease", overtaken);
        self.add("record: extensions", renewed);
        self.add("record: releases", released);
        self.add("record: rows of committed transactions", writes);
    }

    fn reasons(&mut self, history: &History) {
        let views = history.views();
        let reasons = views.values().flat_map(busy_reasons);
        let mut counts: BTreeMap<Reason, usize> = BTreeMap::new();
        for reason in reasons.filter_map(|(_, reason)| reason) {
            *counts.entry(reason).or_default() += 1;
        }
        for (reason, times) in counts {
            self.add(format!("busy because of: {reason:?}"), times);
        }
    }

    /// Counts the answers "busy" that name nobody, and for which the checker finds no reason. Such an answer may be right:
    /// for a moment, a heartbeat or a try in vain can have the row locked, and neither leaves a trace. So a few of them are
    /// tolerated. Returns how many.
    fn unexplained(&mut self, history: &History) -> usize {
        let views = history.views();
        let judged = views.values().flat_map(busy_reasons);
        let nameless = judged.filter(|(it, _)| it.answer.is_some_and(|answer| answer.number == 0));
        let reasons: Vec<Option<Reason>> = nameless.map(|(_, reason)| reason).collect();
        let unexplained = reasons.iter().filter(|reason| reason.is_none()).count();
        if unexplained > 0 {
            self.add("busy, nobody named, for no known reason", unexplained);
        }
        if unexplained <= 1 + reasons.len() / 500 {
            unexplained
        } else {
            0
        }
    }

    fn weather(&mut self, happened: Vec<Happened>) {
        let mut faults: BTreeMap<Fault, usize> = BTreeMap::new();
        let mut dropped = 0;
        for weather in happened {
            dropped += weather.dropped;
            for (fault, times) in weather.faults {
                *faults.entry(fault).or_default() += times;
            }
        }
        let has_network = faults.contains_key(&Fault::Hang);
        for (fault, times) in faults {
            self.add(format!("fault: {fault:?}"), times);
        }
        if has_network {
            self.add("pieces of traffic that a network dropped", dropped);
        }
    }
}
