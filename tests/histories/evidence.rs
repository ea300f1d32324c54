//! After a violation: a file with everything that happened to the name, in the order of our clock, for people.

use std::collections::BTreeSet;
use std::path::PathBuf;

use diesel_locks_tests::clock::Time;

use crate::checker::{History, View, Violation};
use crate::ground::Rule;
use crate::log::{Change, Write};
use crate::operation::{Claim, Operation, Told};
use crate::referee::Test;

/// The path of the file. `None` if there is nothing to show.
pub fn write(
    test: &Test,
    seed: u64,
    history: &History,
    violations: &[Violation],
) -> Option<PathBuf> {
    if violations.is_empty() || test.rule != Rule::Kept {
        return None;
    }
    let views = history.views();
    let names: BTreeSet<&str> = violations.iter().map(|it| it.name.as_str()).collect();
    let mut lines = vec![format!("Times may be wrong by {} µs.", history.slack)];
    for name in names {
        lines.push(format!("\n{name}"));
        let found = violations.iter().filter(|it| it.name == name);
        lines.extend(found.map(|it| format!("{:?}: {}", it.rule, it.what)));
        lines.extend(timeline(&views[name]));
    }
    let name = format!("diesel-locks history {} {seed}.txt", test.engine.name());
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, lines.join("\n")).ok().map(|()| path)
}

/// What happened, in the order of the times. The rows of transactions have no times, so they come last.
fn timeline(view: &View<'_>) -> Vec<String> {
    let changes = view.changes.iter().map(|it| (it.at, change(it)));
    let claims = view.claims.iter().map(|it| (it.from, claim(it)));
    let told = view.told.iter().map(|it| (it.at, told(it)));
    let asked = view.operations.iter().map(|it| (it.asked, asked(it)));
    let answers = view.operations.iter();
    let answers = answers.filter_map(|it| Some((it.answer?.at, answered(it)?)));
    let mut lines: Vec<(Time, String)> = changes
        .chain(claims)
        .chain(told)
        .chain(asked)
        .chain(answers)
        .collect();
    lines.sort();
    let lines = lines.into_iter().map(|(at, line)| format!("{at} {line}"));
    lines.chain(view.writes.iter().map(|it| row(it))).collect()
}

fn row(it: &Write) -> String {
    let Write {
        sequence,
        fence,
        operation,
        seen,
    } = it;
    format!("row {sequence} of {fence}, written by {operation}, {seen:?}")
}

fn change(it: &Change) -> String {
    let owner = it.owner.map(|owner| owner.to_string()).unwrap_or_default();
    let holder = it.token.as_ref().map_or("nobody", |_| &owner);
    format!(
        "    record {}: {holder}, {} until {}",
        it.sequence, it.fence, it.expires_at
    )
}

fn claim(it: &Claim) -> String {
    format!("  {} is trusted until {}", it.fence, it.until)
}

fn told(it: &Told) -> String {
    format!("  {} is given back", it.fence)
}

fn asked(it: &Operation) -> String {
    format!(
        "{} {} asks: {} {}",
        it.id,
        it.client,
        it.act.word(),
        it.fence
    )
}

fn answered(it: &Operation) -> Option<String> {
    let answer = it.answer?;
    Some(format!(
        "{} {} is answered: {} {}",
        it.id,
        it.client,
        answer.word.word(),
        answer.number
    ))
}
