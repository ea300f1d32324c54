//! `cargo xtask tidy`: what a reader should never have to say in a review.

use crate::engine::Engine;
use crate::{Outcome, client, hosts, packages, pages, promises, shell, suite, surface, tree};
use std::path::PathBuf;
use std::process::Command;

const FEATURES: [&str; 4] = ["postgres", "mysql", "sqlite", "async"];
/// What can be had besides; each alone is enough to see that it brings what it needs.
const OTHERS: [&str; 8] = [
    "r2d2",
    "bb8",
    "deadpool",
    "mobc",
    "listen",
    "async-listen",
    "migrations",
    "tracing",
];

/// What accepts the snapshots of now.
const BLESS: &str = "cargo xtask tidy --bless";

/// Checks everything; `bless` formats and takes the SQL and the public items of now for the expected ones.
pub fn tidy(bless: bool) -> Outcome {
    format(bless)?;
    tree::check()?;
    promises::check()?;
    packages::provide_clients()?;
    for features in feature_sets() {
        lint(&features)?;
    }
    lint_program()?;
    check_tests_of_one_database()?;
    lint_workspace()?;
    // Before the documentation: cargo removes its pages when rustdoc writes JSON.
    public_items(bless)?;
    documentation()?;
    snapshots(bless)?;
    own_tests()?;
    println!("tidy");
    Ok(())
}

fn format(bless: bool) -> Outcome {
    let check: &[&str] = if bless { &[] } else { &["--check"] };
    let format = |words: &[&str]| {
        let mending = format!("cargo {}", words.join(" "));
        mended_by(&mending, shell::run(cargo().args(words).args(check)))
    };
    format(&["fmt", "--all"])?;
    hosts::manifests().try_for_each(|host| format(&["fmt", "--manifest-path", &host]))
}

/// None, each alone, each pair of the first, all databases without `async`, all: a feature that needs another shows here.
pub fn feature_sets() -> Vec<String> {
    let mut sets = vec![String::new()];
    sets.extend(FEATURES.into_iter().chain(OTHERS).map(str::to_owned));
    for (n, one) in FEATURES.iter().enumerate() {
        sets.extend(
            FEATURES[n + 1..]
                .iter()
                .map(|other| format!("{one},{other}")),
        );
    }
    sets.extend(["postgres,mysql,sqlite".to_owned(), every_feature()]);
    sets
}

/// All that an application can have.
fn every_feature() -> String {
    [&FEATURES[..], &OTHERS].concat().join(",")
}

/// The library alone: the features of dev-dependencies would leak into it and hide errors.
fn lint(features: &str) -> Outcome {
    let words = [
        "clippy",
        "--quiet",
        "--package",
        "diesel-locks",
        "--lib",
        "--features",
        features,
    ];
    let strict = ["--", "-D", "warnings"];
    shell::run(cargo().args(words).args(strict).envs(client::variables()))
}

/// The program for one database; for all of them it is part of the workspace.
fn lint_program() -> Outcome {
    let words = [
        "clippy",
        "--quiet",
        "--package",
        "diesel-locks",
        "--bin",
        "diesel-locks",
    ];
    let one = ["--features", "cli-sqlite", "--", "-D", "warnings"];
    shell::run(cargo().args(words).args(one))
}

/// As `cargo xtask test sqlite` builds the tests.
fn check_tests_of_one_database() -> Outcome {
    let words = [
        "check",
        "--quiet",
        "--package",
        "diesel-locks-tests",
        "--tests",
    ];
    let one = ["--features", "diesel-locks-tests/sqlite"];
    shell::run(cargo().args(words).args(one))
}

fn lint_workspace() -> Outcome {
    let words = [
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--all-features",
    ];
    shell::run(
        cargo()
            .args(words)
            .args(["--", "-D", "warnings"])
            .envs(client::variables()),
    )
}

fn public_items(bless: bool) -> Outcome {
    let list = surface::list(&every_feature(), &target())?;
    if bless {
        surface::write(&list)
    } else {
        mended_by(BLESS, surface::check(&list))
    }
}

fn documentation() -> Outcome {
    let words = [
        "doc",
        "--quiet",
        "--package",
        "diesel-locks",
        "--no-deps",
        "--lib",
        "--features",
        tree::LIBRARY,
    ];
    shell::run(cargo().args(words).env("RUSTDOCFLAGS", "-D warnings"))?;
    pages::check(&target().join("doc/diesel_locks"))
}

fn snapshots(bless: bool) -> Outcome {
    let mut test = suite::cargo_test(&Engine::ALL);
    test.args(["--quiet", "--lib", "snapshots"]);
    if bless {
        test.env("BLESS", "1");
    }
    mended_by(BLESS, shell::run(&mut test))
}

fn own_tests() -> Outcome {
    let words = ["test", "--quiet", "--package", "xtask"];
    shell::run(cargo().args(words).args(["--package", "xtask-surface"]))
}

fn mended_by(command: &str, outcome: Outcome) -> Outcome {
    outcome.map_err(|failure| format!("{failure}\nThis mends it:  {command}"))
}

/// The folder that cargo builds in.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from)
}

fn cargo() -> Command {
    Command::new("cargo")
}
