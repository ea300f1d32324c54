//! Checks of the dependencies: no GPL, no native driver in the library, no async crate without the feature `async`, and
//! no opt-in of Diesel for third-party backends.

use crate::{Outcome, shell};
use std::process::Command;

/// The features for applications.
pub const LIBRARY: &str =
    "postgres,mysql,sqlite,async,r2d2,bb8,deadpool,mobc,async-listen,migrations,tracing";

const OPT_IN: &str = "i-implement-a-third-party-backend-and-opt-into-breaking-changes";

pub fn check() -> Outcome {
    licences(&tree(&[
        "--workspace",
        "--all-features",
        "--format",
        "{p}|{l}",
    ])?)?;
    // With dev-dependencies, because the examples must build on a machine without native drivers. Only the program
    // needs drivers.
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
    // diesel-async enables the opt-in for the whole build. The code of this crate must not need it.
    if features.contains(OPT_IN) {
        return Err(format!(
            "Diesel's {OPT_IN} is on without `async`: `cargo tree -e features -i diesel` shows which package enables it"
        ));
    }
    Ok(())
}

/// The dependencies for all targets, one package on each line.
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
            "{line} is a dependency of {of}: `cargo tree --invert` shows which package needs it"
        )),
        None => Ok(()),
    }
}

/// Every package offers a licence other than the GPL. `mysqlclient-src` contains sources under the GPL, whatever
/// licence it names.
fn licences(tree: &str) -> Outcome {
    let bound = |line: &&str| line.starts_with("mysqlclient-src ") || !has_free_choice(line);
    match tree.lines().find(bound) {
        Some(line) => Err(format!(
            "{line}: no GPL in this tree: `cargo tree --workspace --all-features -i` shows which package needs it"
        )),
        None => Ok(()),
    }
}

/// A line is `name v1.0.0|MIT OR GPL-2.0`. Packages of this workspace may have no licence after the bar.
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
