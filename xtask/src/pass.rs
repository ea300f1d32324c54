//! The passes of the suite: each runs tests once, with settings or with a server of its own.

use crate::Outcome;
use crate::engine::Engine;
use crate::failed::Failed;
use crate::servers::Servers;
use crate::suite::{cargo_test, chooses, counted, skipped};
use crate::version::{self, Version};
use crate::worlds::Tally;
use std::path::Path;

/// One run of the suite.
pub struct Pass {
    engines: Vec<Engine>,
    /// What its lines end with.
    mark: String,
    variables: &'static [(&'static str, &'static str)],
    /// The server of another version that stands for that of its engine.
    version: Option<Version>,
    cases: Cases,
}

/// Which tests a pass runs.
#[derive(Clone, Copy, PartialEq)]
enum Cases {
    /// All tests, also those outside of worlds. The race, the histories and the faults are among them.
    All,
    /// All cases of the worlds.
    Worlds,
    /// The cases of the worlds, without [`SLOW_MODULES`].
    Quick,
    /// [`CORE_MODULES`].
    Core,
}

/// What came of a pass.
pub struct Done {
    mark: String,
    pub tally: Tally,
    failed: Failed,
    succeeded: bool,
    /// The log of the pass's own server, if that has ended by itself.
    last_words: Option<String>,
}

/// The modules of the suite that only the plain pass runs: they take a lot of time for statements that other modules
/// send, too.
const SLOW_MODULES: [&str; 7] = [
    "waiting",
    "lines",
    "keeping",
    "kept_many",
    "cost",
    "stress",
    "counters",
];

/// The modules whose statements the versions of a server might treat differently: what a lock is, and what waits for what.
const CORE_MODULES: [&str; 6] = ["core", "pin", "between", "guarded", "setup", "sets"];

/// The passes over these engines. If the caller has chosen tests, they run once: the variables of the other passes can be set
/// by hand.
pub fn all(engines: &[Engine], chosen: bool) -> Vec<Pass> {
    let plain = Pass {
        engines: engines.to_vec(),
        mark: String::new(),
        variables: &[],
        version: None,
        cases: Cases::All,
    };
    let mut passes = vec![plain];
    if !chosen {
        passes.push(with_settings(engines));
        passes.extend(
            engines
                .iter()
                .flat_map(|engine| version::others(*engine))
                .map(on_version),
        );
    }
    passes
}

/// With settings that are none of the defaults: all at once, because they have nothing to do with each other.
fn with_settings(engines: &[Engine]) -> Pass {
    Pass {
        engines: engines.to_vec(),
        mark: " [no statement cache, in German, empty sql_mode]".to_owned(),
        variables: &[
            ("DIESEL_LOCKS_STATEMENT_CACHE", "off"),
            ("DIESEL_LOCKS_LANGUAGE", "de"),
            ("DIESEL_LOCKS_SQL_MODE", ""),
        ],
        version: None,
        cases: Cases::Quick,
    }
}

/// A newer MariaDB gets all cases, because its transactions see other things.
fn on_version(version: Version) -> Pass {
    Pass {
        engines: vec![version.engine()],
        mark: format!(" [{}]", version.name()),
        variables: &[],
        version: Some(version),
        cases: match version {
            Version::NewerMariaDb => Cases::Worlds,
            Version::Postgres(_) => Cases::Core,
        },
    }
}

impl Pass {
    pub fn run(self, servers: &Servers, diesel_cli: &Path, words: &[&str]) -> Outcome<Done> {
        let server = self.version.map(Version::start).transpose()?;
        let mut cargo = cargo_test(&servers.engines);
        cargo.envs(servers.variables());
        cargo.envs(self.variables.iter().copied());
        if let Some(server) = &server {
            let variable = self.engines[0].variable();
            cargo.envs(variable.map(|variable| (variable, server.url())));
        }
        cargo.env("DIESEL_CLI", diesel_cli);
        let names: Vec<&str> = self.engines.iter().map(|engine| engine.name()).collect();
        cargo.env("DIESEL_LOCKS_ENGINES", names.join(","));
        if self.cases != Cases::All {
            cargo.args(["--test", "conformance"]);
        } else if !servers.engines.contains(&Engine::Sqlite) {
            // The code in the documentation runs on SQLite.
            cargo.args(["--lib", "--test", "*"]);
        }
        cargo.arg("--").args(words).args(skipped(&self.engines));
        cargo.args(self.filter(&names));
        let required = if chooses(words) {
            &[]
        } else {
            &self.engines[..]
        };
        let mut tally = Tally::of(required, &self.mark);
        let mut failed = Failed::default();
        let succeeded = counted(&mut cargo, &mut tally, &mut failed)?;
        Ok(Done {
            mark: self.mark,
            tally,
            failed,
            succeeded,
            last_words: server.and_then(|server| server.last_words()),
        })
    }

    /// What makes libtest run the cases of this pass. A module stands between two `::`, so no other path is meant.
    fn filter(&self, engines: &[&str]) -> Vec<String> {
        let engines = engines.iter().map(|name| format!("{name}::"));
        let module = |name| format!("::{name}::");
        match self.cases {
            Cases::All => Vec::new(),
            Cases::Worlds => engines.collect(),
            Cases::Quick => {
                let skip = |name| ["--skip".to_owned(), module(name)];
                engines
                    .chain(SLOW_MODULES.into_iter().flat_map(skip))
                    .collect()
            }
            Cases::Core => CORE_MODULES.map(module).to_vec(),
        }
    }
}

impl Done {
    pub fn failures(&self) -> Vec<String> {
        let mark = &self.mark;
        let mut failures = Vec::new();
        if !self.succeeded {
            let said = self.failed.report().unwrap_or_default();
            failures.push(format!("Tests failed{mark}.\n{said}"));
        }
        let empty = self.tally.empty();
        failures.extend(empty.map(|world| format!("No test ran in {world}{mark}.")));
        failures.extend(self.last_words.clone());
        failures
    }
}

#[cfg(test)]
mod tests {
    use super::{CORE_MODULES, SLOW_MODULES, all};
    use crate::engine::Engine;

    #[test]
    fn every_module_is_one_of_the_suite() {
        let suite = include_str!("../../tests/conformance.rs");
        let is_listed = |module: &&str| suite.contains(&format!("\n    {module}:\n"));
        assert!(SLOW_MODULES.iter().all(is_listed));
        assert!(CORE_MODULES.iter().all(is_listed));
    }

    #[test]
    fn chosen_tests_run_once() {
        assert!(all(&Engine::ALL, false).len() > 2);
        assert_eq!(all(&[Engine::Sqlite], false).len(), 2);
        assert_eq!(all(&Engine::ALL, true).len(), 1);
    }
}
