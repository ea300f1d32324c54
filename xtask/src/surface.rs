//! The public items of the library, in `tests/snapshots/public-api.txt`. A change of one is a line in the file, so that a
//! reviewer sees it.
//!
//! rustdoc writes the items as JSON. The package `xtask-surface` makes a list of them, one on each line.

use crate::{Outcome, client, shell};
use std::fs;
use std::path::Path;
use std::process::Command;

const SNAPSHOT: &str = "tests/snapshots/public-api.txt";

/// The items of now. `target` is the folder that cargo builds in.
pub fn list(features: &str, target: &Path) -> Outcome<String> {
    document(features)?;
    let words = ["run", "--quiet", "--package", "xtask-surface", "--"];
    let json = target.join("doc/diesel_locks.json");
    shell::output(Command::new("cargo").args(words).arg(json))
}

/// Takes the items of now for the expected ones.
pub fn write(list: &str) -> Outcome {
    fs::write(SNAPSHOT, list).map_err(|e| format!("cannot write {SNAPSHOT}: {e}"))
}

pub fn check(list: &str) -> Outcome {
    let expected =
        fs::read_to_string(SNAPSHOT).map_err(|e| format!("cannot read {SNAPSHOT}: {e}"))?;
    same(&expected, list)
}

/// Writes the JSON. The dependencies are those that `cargo clippy` has built, if the features are the same.
fn document(features: &str) -> Outcome {
    let words = [
        "rustdoc",
        "--quiet",
        "--package",
        "diesel-locks",
        "--lib",
        "--features",
        features,
        "--",
        "--cap-lints",
        "allow",
    ];
    let json = ["-Z", "unstable-options", "--output-format", "json"];
    shell::run(
        Command::new("cargo")
            .args(words)
            .args(json)
            .env("RUSTDOC", "xtask/surface/rustdoc")
            .envs(client::variables()),
    )
}

fn same(expected: &str, list: &str) -> Outcome {
    if expected == list {
        return Ok(());
    }
    let gone = missing(expected, list).map(|line| format!("\n- {line}"));
    let new = missing(list, expected).map(|line| format!("\n+ {line}"));
    let mut differences: String = gone.chain(new).collect();
    if differences.is_empty() {
        differences += "\nthe same lines, in another order or number";
    }
    Err(format!(
        "The library's public items are not those of {SNAPSHOT}:{differences}\n\
         If the change is meant, the file changes with it."
    ))
}

/// The lines of one list that another has not.
fn missing<'l>(list: &'l str, other: &str) -> impl Iterator<Item = &'l str> {
    list.lines()
        .filter(|line| !other.lines().any(|it| it == *line))
}

#[cfg(test)]
mod tests {
    use super::same;

    #[test]
    fn an_item_that_is_new_gone_or_changed_is_shown() {
        let failure = |list| same("pub fn a()\npub fn b()\n", list).unwrap_err();
        let shown = |list| {
            let failure = failure(list);
            let lines = failure.lines().filter(|line| line.starts_with(['-', '+']));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(
            shown("pub fn a()\npub fn b()\npub fn c()\n"),
            ["+ pub fn c()"]
        );
        assert_eq!(shown("pub fn b()\n"), ["- pub fn a()"]);
        assert_eq!(
            shown("pub fn a()\npub fn b(u8)\n"),
            ["- pub fn b()", "+ pub fn b(u8)"]
        );
        assert_eq!(shown("pub fn b()\npub fn a()\n"), [""; 0]);
        assert!(failure("pub fn b()\npub fn a()\n").contains("order"));
    }

    #[test]
    fn the_same_items_pass() {
        assert!(same("pub fn a()\n", "pub fn a()\n").is_ok());
    }
}
