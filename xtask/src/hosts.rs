//! The applications below `tests/hosts`: each is a workspace of its own, with its own versions and its own `Cargo.lock`, as
//! an application elsewhere would be. What an application does for its locks is in `src/locks.rs`, which stays short.

use crate::engine::Engine;
use crate::{Outcome, client, shell};
use std::process::Command;
use std::thread::{self, JoinHandle};

pub struct Host {
    name: &'static str,
    /// The databases that it needs.
    engines: &'static [Engine],
}

/// The blocking application with the lowest Diesel.
pub const OLDER_DIESEL: Host = Host {
    name: "older-diesel",
    engines: &[Engine::Sqlite],
};

const HOSTS: [Host; 5] = [
    OLDER_DIESEL,
    // A job in the background, on one instance for each tick.
    Host {
        name: "background-scheduler",
        engines: &[Engine::Sqlite],
    },
    // One pool of connections of its own type.
    Host {
        name: "several-databases",
        engines: &Engine::ALL,
    },
    // Pinned to an older diesel-async.
    Host {
        name: "axum-deadpool",
        engines: &[Engine::Postgres],
    },
    // Each worker has a runtime of its own.
    Host {
        name: "actix-workers",
        engines: &[Engine::Postgres],
    },
];

impl Host {
    /// A command of cargo for this host. Nothing may change its `Cargo.lock`.
    pub fn cargo(&self, word: &str) -> Command {
        self.command("cargo", &[word])
    }

    fn manifest(&self) -> String {
        format!("tests/hosts/{}/Cargo.toml", self.name)
    }

    /// A command that ends with the words for this host.
    fn command(&self, program: &str, words: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(words).args(["--locked", "--manifest-path"]);
        command
            .arg(self.manifest())
            .args(["--target-dir", "target/hosts"]);
        command.envs(client::variables());
        command
    }
}

/// The hosts that need no other engines than these.
fn hosts(engines: &[Engine]) -> impl Iterator<Item = Host> + '_ {
    let there = |host: &Host| host.engines.iter().all(|engine| engines.contains(engine));
    HOSTS.into_iter().filter(move |host| there(host))
}

/// The manifests of all hosts.
pub fn manifests() -> impl Iterator<Item = String> {
    HOSTS.iter().map(Host::manifest)
}

/// Builds the tests of the hosts in the background, with what the suite leaves of the processors.
pub fn build(engines: &[Engine]) -> JoinHandle<Outcome> {
    let builds: Vec<Command> = hosts(engines)
        .map(|host| host.command("nice", &["cargo", "test", "--no-run", "--quiet"]))
        .collect();
    thread::spawn(|| {
        for mut build in builds {
            shell::output(&mut build)?;
        }
        Ok(())
    })
}

/// `cargo test` for each host that needs no other engines.
pub fn tests(engines: &[Engine]) -> impl Iterator<Item = Command> + '_ {
    hosts(engines).map(|host| host.cargo("test"))
}

#[cfg(test)]
mod tests {
    use super::{HOSTS, tests};
    use crate::engine::Engine;
    use std::fs;

    #[test]
    fn every_folder_is_a_host() {
        let folders = fs::read_dir("../tests/hosts").unwrap();
        let mut found: Vec<String> = folders
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let mut named = HOSTS.map(|host| host.name.to_owned());
        found.sort_unstable();
        named.sort_unstable();
        assert_eq!(found, named);
    }

    /// Neither empty lines nor comments count.
    #[test]
    fn locks_take_few_lines() {
        for host in HOSTS {
            let most = if host.engines.len() == 1 { 25 } else { 60 };
            let path = format!("../tests/hosts/{}/src/locks.rs", host.name);
            let text = fs::read_to_string(path).unwrap();
            let counts = |line: &&str| !line.trim().is_empty() && !line.trim().starts_with("//");
            let lines = text.lines().filter(counts).count();
            assert!(lines <= most, "{}: {lines} lines", host.name);
        }
    }

    #[test]
    fn a_host_is_tested_where_all_its_engines_are() {
        assert_eq!(tests(&Engine::ALL).count(), HOSTS.len());
        assert_eq!(tests(&[Engine::Sqlite]).count(), 2);
    }
}
