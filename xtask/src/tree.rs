//! What the crate brings along: no licence that binds its users, no native driver, no async without
//! the feature, none of Diesel's own opt-ins.

use crate::{Outcome, shell};
use std::process::Command;

/// The features for applications.
pub const LIBRARY: &str = "postgres,mysql,sqlite,async,r2d2,bb8,deadpool,mobc,async-listen,tracing";

const OPT_IN: &str = "i-implement-a-third-party-backend-and-opt-into-breaking-changes";

pub fn check() -> Outcome {
    licences(&tree(&[
        "--workspace",
        "--all-features",
        "--format",
        "{p}|{l}",
    ])?)?;
    // With dev-dependencies: its examples, too, run on a machine without drivers. Only its program brings some.
    let all = tree(&["--package", "diesel-locks", "--features", LIBRARY])?;
    absent(&all, &["pq-sys", "mysqlclient-sys"], "the crate")?;
    let blocking = [
        "--package",
        "diesel-locks",
        "--features",
        "postgres,mysql,sqlite",
    ];
    let packages = tree(&[&blocking[..], &["--edges", "no-dev"]].concat())?;
    absent(
        &packages,
        &["diesel-async", "tokio"],
        "the crate without `async`",
    )?;
    let features = tree(&[&blocking[..], &["--edges", "no-dev,features"]].concat())?;
    // diesel-async sets it for the whole build; our own code must not need it.
    if features.contains(OPT_IN) {
        return Err(format!(
            "Diesel's {OPT_IN} is on without `async`; `cargo tree -e features -i diesel` shows by whom"
        ));
    }
    Ok(())
}

/// For all targets, one package a line.
fn tree(words: &[&str]) -> Outcome<String> {
    shell::output(
        Command::new("cargo")
            .args(["tree", "--quiet", "--prefix", "none", "--target", "all"])
            .args(words),
    )
}

fn absent(tree: &str, packages: &[&str], of: &str) -> Outcome {
    let named = |line: &&str| packages.contains(&line.split(' ').next().unwrap_or_default());
    match tree.lines().find(named) {
        Some(line) => Err(format!(
            "{line} is a dependency of {of}; `cargo tree --invert` shows by whom"
        )),
        None => Ok(()),
    }
}

/// Every package has a licence without GPL to choose; the sources of MySQL's client are under it.
fn licences(tree: &str) -> Outcome {
    let bound = |line: &&str| line.starts_with("mysqlclient-src ") || !has_free_choice(line);
    match tree.lines().find(bound) {
        Some(line) => Err(format!(
            "{line}: no GPL in this tree; `cargo tree --workspace --all-features -i` shows by whom"
        )),
        None => Ok(()),
    }
}

/// `name v1.0.0|MIT OR GPL-2.0`; packages of ours may come without a licence after the bar.
fn has_free_choice(line: &str) -> bool {
    let licence = line.rsplit_once('|').map_or("", |(_, licence)| licence);
    licence
        .replace('/', " OR ")
        .split(" OR ")
        .any(|choice| !choice.contains("GPL"))
}

#[cfg(test)]
mod tests {
    use super::{absent, licences};

    #[test]
    fn gpl_passes_only_beside_another_choice() {
        assert!(
            licences("a v1|MIT\nb v2|MIT OR Apache-2.0 OR LGPL-2.1-or-later\nc v3|MIT/GPL-2.0")
                .is_ok()
        );
        assert!(licences("a v1|GPL-2.0").is_err());
        assert!(licences("a v1|MIT AND GPL-2.0").is_err());
        assert!(licences("mysqlclient-src v1|MIT").is_err());
    }

    #[test]
    fn a_package_is_named_whole() {
        assert!(absent("pq-sys-like v1\ntokio-util v1", &["pq-sys", "tokio"], "x").is_ok());
        assert!(absent("tokio v1", &["pq-sys", "tokio"], "x").is_err());
    }
}
