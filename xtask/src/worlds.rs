//! The tests of each world, counted from what libtest prints: `test PATH ... ok`.
//!
//! A world is an engine, a way to talk to it and a place where the connection comes from. It is the beginning of a
//! test's path; the module of the cases and the case follow: `postgres::asynchronous::pool::pin::a_case`. What a test
//! prints itself cannot be mistaken for one, short of trying: a line is `test PATH ... ok`.

use crate::engine::Engine;
use std::collections::BTreeMap;
use std::fmt;

/// The worlds of every engine.
const WORLDS: [&str; 4] = [
    "blocking::own",
    "blocking::pool",
    "asynchronous::own",
    "asynchronous::pool",
];

#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    passed: u32,
    failed: u32,
    ignored: u32,
}

/// The counts of one run of the suite, in the order of [`Engine::ALL`].
#[derive(Debug, Default)]
pub struct Tally {
    /// What is special about this run.
    mark: String,
    counts: BTreeMap<(usize, String), Count>,
}

impl Tally {
    /// Worlds that must be there begin with zero, so that none is forgotten.
    pub fn of(engines: &[Engine], mark: &str) -> Self {
        let paths = |engine: &Engine| {
            WORLDS.map(|world| format!("{}::{world}::module::test", engine.name()))
        };
        let worlds = engines
            .iter()
            .flat_map(paths)
            .filter_map(|path| world(&path));
        Self {
            mark: mark.to_owned(),
            counts: worlds.map(|world| (world, Count::default())).collect(),
        }
    }

    /// With one more world that must be there.
    pub fn and(mut self, path: &str) -> Self {
        let world = world(&format!("{path}module::test"));
        self.counts
            .extend(world.map(|world| (world, Count::default())));
        self
    }

    /// Takes one line of the output.
    pub fn read(&mut self, line: &str) {
        let Some((path, result)) = result(line) else {
            return;
        };
        let Some(world) = world(path) else { return };
        let count = self.counts.entry(world).or_default();
        match result {
            "ok" => count.passed += 1,
            "FAILED" => count.failed += 1,
            _ => count.ignored += 1,
        }
    }

    /// The worlds in which no test ran.
    pub fn empty(&self) -> impl Iterator<Item = &str> {
        let empty = self
            .counts
            .iter()
            .filter(|(_, count)| count.passed + count.failed == 0);
        empty.map(|((_, world), _)| world.as_str())
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ((_, world), count) in &self.counts {
            for part in world.split("::") {
                write!(f, "{part:<13}")?;
            }
            write!(f, "{:>4} passed, {} failed", count.passed, count.failed)?;
            if count.ignored > 0 {
                write!(f, ", {} ignored", count.ignored)?;
            }
            writeln!(f, "{}", self.mark)?;
        }
        Ok(())
    }
}

fn result(line: &str) -> Option<(&str, &str)> {
    let (path, result) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
    let result = result.split([',', ' ']).next()?;
    let path = path.split(' ').next()?;
    matches!(result, "ok" | "FAILED" | "ignored").then_some((path, result))
}

/// The engine's place, and the modules that the path begins with, three at most.
fn world(path: &str) -> Option<(usize, String)> {
    let mut modules: Vec<&str> = path.split("::").collect();
    modules.pop();
    modules.truncate(3);
    let place = Engine::ALL
        .iter()
        .position(|engine| Some(&engine.name()) == modules.first())?;
    Some((place, modules.join("::")))
}

#[cfg(test)]
mod tests {
    use super::Tally;
    use crate::engine::Engine;

    #[test]
    fn a_world_is_counted_and_an_empty_one_is_named() {
        let mut tally = Tally::of(&[Engine::MySql], " [marked]");
        tally.read("test mysql::blocking::own::pin::one ... ok");
        tally.read("test mysql::blocking::own::lines::two - should panic ... FAILED");
        tally.read("test mysql::blocking::own::lines::three ... ignored, a reason");
        tally.read("test suite::pin::four ... ok");
        tally.read("running 4 tests");
        assert_eq!(
            tally.empty().collect::<Vec<_>>(),
            [
                "mysql::asynchronous::own",
                "mysql::asynchronous::pool",
                "mysql::blocking::pool"
            ]
        );
        assert!(tally.to_string().contains(
            "mysql        blocking     own             1 passed, 1 failed, 1 ignored [marked]\n"
        ));
    }

    #[test]
    fn worlds_stand_in_the_order_of_the_engines() {
        let lines = Tally::of(&Engine::ALL, "").to_string();
        let engines: Vec<&str> = lines
            .lines()
            .step_by(4)
            .filter_map(|line| line.split(' ').next())
            .collect();
        assert_eq!(engines, ["postgres", "mariadb", "mysql", "sqlite"]);
    }
}
