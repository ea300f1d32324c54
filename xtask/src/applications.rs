//! The applications below `examples/`. Each is built by itself, as its reader does it: built together with others it
//! would also have the features that those ask for.

use crate::engine::Engine;
use std::process::Command;

/// Their packages, and the engines that they run on.
const APPLICATIONS: [(&str, &[Engine]); 2] = [
    ("invoicing", &[Engine::Sqlite]),
    ("invoicing-service", &[Engine::Postgres, Engine::Sqlite]),
];

/// `cargo test` of those that run on one of these engines.
pub fn tests(engines: &[Engine]) -> impl Iterator<Item = Command> + '_ {
    let asked = |on: &[Engine]| on.iter().any(|engine| engines.contains(engine));
    let those = APPLICATIONS.iter().filter(move |(_, on)| asked(on));
    those.map(|(package, _)| {
        let mut cargo = Command::new("cargo");
        cargo.args(["test", "--package", package]);
        cargo
    })
}

#[cfg(test)]
mod tests {
    use super::tests;
    use crate::engine::Engine;

    #[test]
    fn an_application_is_tested_once_for_all_its_engines() {
        assert_eq!(tests(&Engine::ALL).count(), 2);
        assert_eq!(tests(&[Engine::Postgres]).count(), 1);
        assert_eq!(tests(&[Engine::MySql]).count(), 0);
    }
}
