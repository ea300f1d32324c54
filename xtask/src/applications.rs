//! The applications below `examples/`. Each is built by itself, as its users do: in a build with other packages, Cargo
//! would also enable the features that those ask for.

use crate::engine::Engine;
use std::process::Command;

/// The package of each application, and the engines that the application runs on.
const APPLICATIONS: [(&str, &[Engine]); 2] = [
    ("invoicing", &[Engine::Sqlite]),
    ("invoicing-service", &[Engine::Postgres, Engine::Sqlite]),
];

/// `cargo test` for each application that runs on one of these engines.
pub fn tests(engines: &[Engine]) -> impl Iterator<Item = Command> + '_ {
    let asked = |on: &[Engine]| on.iter().any(|engine| engines.contains(engine));
    let wanted = APPLICATIONS.iter().filter(move |(_, on)| asked(on));
    wanted.map(|(package, _)| {
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
