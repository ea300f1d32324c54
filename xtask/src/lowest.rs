//! `cargo xtask test --lowest`: the tests with the lowest versions that `Cargo.toml` allows, on the lowest Rust.
//!
//! - The lowest Diesel is for blocking applications only. The host `older-diesel` has it.
//! - For the rest, a copy of the project gets a `Cargo.lock` with the lowest version of each direct dependency. There Diesel is
//!   the lowest that diesel-async works with.
//! - rustup provides the lowest Rust. If it cannot, the Rust of this machine is used, and the last line says so.

use crate::copy::Copy;
use crate::engine::Engine;
use crate::failed::Failed;
use crate::servers::Servers;
use crate::worlds::Tally;
use crate::{Outcome, client, hosts, machine, packages, shell, suite, tidy};
use std::fs;
use std::process::Command;

const ENGINES: [Engine; 2] = [Engine::Postgres, Engine::Sqlite];

/// The tests of the suite that run: all worlds of SQLite, and one of PostgreSQL.
const ON_SQLITE: &str = "sqlite::";
const ON_POSTGRES: &str = "postgres::asynchronous::pool::";

/// The versions of packages that are no direct dependencies, or are there twice. Each package is named as it was chosen at first.
const EXACTLY: [[&str; 2]; 3] = [
    // The pool of diesel-async and the pool of this crate must be the same.
    ["mobc@0.9", "0.7.0"],
    // The code that newer macros write needs a newer Diesel.
    ["diesel_derives", "2.3.0"],
    // 0.2.8 needs Rust 1.95, and does not say so.
    ["scheduled-thread-pool", "0.2.7"],
];

pub fn test() -> Outcome {
    packages::provide(&ENGINES)?;
    let lowest = Lowest::new()?;
    lowest.check_older_diesel()?;
    lowest.resolve()?;
    lowest.check_features()?;
    lowest.run_tests()?;
    println!("{}", lowest.rust());
    Ok(())
}

/// The copy with the lowest versions, and the commands of cargo, on the lowest Rust that there is.
struct Lowest {
    copy: Copy,
    /// The Rust that the manifest requires.
    required: String,
    /// Whether rustup has the required Rust.
    is_there: bool,
}

impl Lowest {
    fn new() -> Outcome<Self> {
        let manifest = fs::read_to_string("Cargo.toml").map_err(|e| e.to_string())?;
        let value = manifest
            .lines()
            .find_map(|line| line.strip_prefix("rust-version = "));
        let required = value
            .ok_or("Cargo.toml has no rust-version")?
            .trim_matches('"');
        let words = ["toolchain", "install", "--profile", "minimal", required];
        let install = || shell::run(Command::new("rustup").args(words));
        Ok(Self {
            copy: Copy::new("lowest", with_async)?,
            required: required.to_owned(),
            is_there: machine::has("rustup") && install().is_ok(),
        })
    }

    fn rust(&self) -> String {
        let required = &self.required;
        if self.is_there {
            format!("All of it ran with Rust {required}.")
        } else {
            format!("Rust {required} is NOT CHECKED: rustup could not provide it.")
        }
    }

    /// Lets the command use the lowest Rust.
    fn on(&self, mut cargo: Command) -> Command {
        if self.is_there {
            cargo.env("RUSTUP_TOOLCHAIN", &self.required);
        }
        cargo.envs(client::variables());
        cargo
    }

    /// A command of cargo in the copy.
    fn cargo(&self, words: &[&str]) -> Command {
        self.on(self.copy.cargo(words))
    }

    /// Builds each set of features that works with the lowest Diesel, together with those of the host, and runs the host's
    /// tests.
    fn check_older_diesel(&self) -> Outcome {
        let host = &hosts::OLDER_DIESEL;
        for set in tidy::feature_sets()
            .iter()
            .filter(|set| is_for_older_diesel(set))
        {
            let features: Vec<String> = names(set)
                .map(|name| format!("diesel-locks/{name}"))
                .collect();
            let mut check = host.cargo("check");
            check.args(["--quiet", "--features", &features.join(",")]);
            shell::run(&mut self.on(check))?;
        }
        shell::run(&mut self.on(host.cargo("test")))
    }

    /// Chooses the versions.
    fn resolve(&self) -> Outcome {
        let _ = fs::remove_file(self.copy.file("Cargo.lock"));
        let mut lock = self.cargo(&["generate-lockfile", "-Z", "direct-minimal-versions"]);
        shell::run(lock.env("RUSTC_BOOTSTRAP", "1"))?;
        for [package, version] in EXACTLY {
            shell::run(&mut self.cargo(&["update", "--package", package, "--precise", version]))?;
        }
        let tree = [
            "tree",
            "--package",
            "diesel-locks",
            "--all-features",
            "--edges",
            "normal",
        ];
        shell::run(self.cargo(&tree).args(["--depth", "1"]))
    }

    fn check_features(&self) -> Outcome {
        for set in tidy::feature_sets() {
            let words = ["check", "--quiet", "--package", "diesel-locks", "--lib"];
            shell::run(self.cargo(&words).args(["--features", &set]))?;
        }
        Ok(())
    }

    fn run_tests(&self) -> Outcome {
        let features = ENGINES.map(|engine| {
            let name = engine.feature();
            format!("diesel-locks-tests/{name},diesel-locks/cli-{name}")
        });
        let words = [
            "test",
            "--package",
            "diesel-locks",
            "--package",
            "diesel-locks-tests",
        ];
        let test = |more: &[&str]| {
            let mut cargo = self.cargo(&words);
            cargo.args(["--features", &features.join(",")]).args(more);
            cargo
        };
        shell::run(&mut test(&["--no-run"]))?;
        let servers = Servers::start(&ENGINES)?;
        shell::run(test(&["--lib"]).envs(servers.variables()))?;
        let mut conformance = test(&["--test", "conformance", "--"]);
        conformance
            .args([ON_SQLITE, ON_POSTGRES])
            .envs(servers.variables());
        let mut tally = Tally::of(&[Engine::Sqlite], " [lowest versions]").and(ON_POSTGRES);
        let mut failed = Failed::default();
        let succeeded = suite::counted(&mut conformance, &mut tally, &mut failed)?;
        print!("\n{tally}");
        if let Some(world) = tally.empty().next() {
            return Err(format!("No test ran in {world}."));
        }
        match failed.report() {
            None if succeeded => Ok(()),
            said => Err(format!("Tests failed.\n{}", said.unwrap_or_default())),
        }
    }
}

fn names(set: &str) -> impl Iterator<Item = &str> {
    set.split(',').filter(|name| !name.is_empty())
}

/// Whether none of these features needs Diesel 2.3.
fn is_for_older_diesel(set: &str) -> bool {
    const NEWER: [&str; 6] = ["async", "bb8", "deadpool", "mobc", "async-listen", "listen"];
    names(set).all(|name| !NEWER.contains(&name))
}

/// The manifest with the lowest Diesel that diesel-async works with.
fn with_async(manifest: &str) -> String {
    let lower = manifest.replace(r#"= { version = "2.2""#, r#"= { version = "2.3""#);
    lower.replace(
        r#"diesel_migrations = "2.2""#,
        r#"diesel_migrations = "2.3""#,
    )
}

#[cfg(test)]
mod tests {
    use super::{is_for_older_diesel, with_async};

    #[test]
    fn with_diesel_async_diesel_is_newer() {
        let manifest = include_str!("../../Cargo.toml");
        assert!(manifest.contains(r#"diesel = { version = "2.2""#));
        assert!(!with_async(manifest).contains(r#""2.2""#));
    }

    #[test]
    fn a_set_with_a_pool_of_diesel_async_needs_a_newer_diesel() {
        assert!(is_for_older_diesel("") && is_for_older_diesel("postgres,r2d2"));
        assert!(!is_for_older_diesel("postgres,deadpool") && !is_for_older_diesel("listen"));
    }
}
