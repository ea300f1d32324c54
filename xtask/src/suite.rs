//! `cargo xtask test`: the suite over the engines asked, in several passes, and one line per world.
//!
//! - Every pass is the same build: packages and features select it, and changing them compiles Diesel
//!   anew. So the crate's unit, documentation and snapshot tests run in the first pass.
//! - A world that was asked for and in which no test ran is a failure, unless the caller chose tests.

use crate::engine::Engine;
use crate::failed::Failed;
use crate::servers::Servers;
use crate::worlds::Tally;
use crate::{Outcome, applications, client, diesel_cli, hosts, packages, pass, shell, version};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

const AGAIN: &str =
    "\nOne test alone, with its output:  cargo xtask test ENGINE -- NAME --nocapture";

/// Runs the tests of these engines; `words` go to libtest.
pub fn test(engines: &[Engine], words: &[&str]) -> Outcome {
    packages::provide(engines)?;
    let diesel_cli = diesel_cli::provide(engines)?;
    shell::run(cargo_test(engines).arg("--no-run"))?;
    let servers = Servers::start(engines)?;
    // The hosts are left out if the caller chose some tests.
    let hosts: &[Engine] = if chooses(words) { &[] } else { engines };
    let hosts_built = hosts::build(hosts);
    let mut lines = String::from("\n");
    let mut failures = Vec::new();
    for pass in pass::all(engines, chooses(words)) {
        match pass.run(&servers, &diesel_cli, words) {
            Ok(done) => {
                failures.extend(done.failures());
                lines += &done.tally.to_string();
            }
            Err(failure) => failures.push(failure), // a server that did not start: the other passes still tell something
        }
    }
    for mut cargo in applications::tests(engines) {
        cargo.envs(servers.variables()).arg("--");
        cargo.args(words).args(skipped(engines));
        failures.extend(shell::run(&mut cargo).err());
    }
    match hosts_built.join().expect("a thread that does not panic") {
        Ok(()) => failures.extend(
            hosts::tests(hosts)
                .filter_map(|mut cargo| shell::run(cargo.envs(servers.variables())).err()),
        ),
        Err(failure) => failures.push(failure),
    }
    failures.extend(servers.last_words());
    drop(servers);
    print!("{lines}{}", version::left_out(engines));
    if failures.is_empty() {
        Ok(())
    } else {
        Err(failures.join("\n") + AGAIN)
    }
}

/// The race in its long form: minutes for each engine. It prints what happened how often.
pub fn race(engines: &[Engine]) -> Outcome {
    long(engines, "race", (TAKEOVERS, "10000"), &[])
}

/// The histories in their long form: minutes for each engine. They print what happened how often. The controls are left to
/// the normal run.
pub fn histories(engines: &[Engine]) -> Outcome {
    long(
        engines,
        "histories",
        (OPERATIONS, "100000"),
        &["::histories::every_answer_fits_one_order"],
    )
}

/// Runs one test in its long form. The variable says how long that is, unless the caller has set it.
fn long(engines: &[Engine], test: &str, length: (&str, &str), words: &[&str]) -> Outcome {
    packages::provide(engines)?;
    let mut cargo = cargo_test(engines);
    cargo.args(["--test", test]);
    shell::run(cargo_test(engines).args(["--test", test, "--no-run"]))?;
    let servers = Servers::start(engines)?;
    cargo.envs(servers.variables());
    let (variable, value) = length;
    if std::env::var_os(variable).is_none() {
        cargo.env(variable, value);
    }
    cargo.arg("--").args(words).args(skipped(engines));
    let done = shell::run(&mut cargo);
    let failures: Vec<String> = done.err().into_iter().chain(servers.last_words()).collect();
    if failures.is_empty() {
        Ok(())
    } else {
        Err(failures.join("\n"))
    }
}

/// How many tests run at once.
const THREADS: &str = "RUST_TEST_THREADS";

/// How many takeovers the race runs for.
const TAKEOVERS: &str = "DIESEL_LOCKS_TAKEOVERS";

/// How many operations a history has.
const OPERATIONS: &str = "DIESEL_LOCKS_OPERATIONS";

/// `cargo test` of the crate and its suite, with the features of these engines.
pub fn cargo_test(engines: &[Engine]) -> Command {
    // The crate's own program and its tests come with the drivers that the suite has anyway.
    let feature = |engine: &Engine| {
        let name = engine.feature();
        format!("diesel-locks-tests/{name},diesel-locks/cli-{name}")
    };
    let mut features: Vec<String> = engines.iter().map(feature).collect();
    features.dedup();
    let mut cargo = Command::new("cargo");
    cargo.args([
        "test",
        "--package",
        "diesel-locks",
        "--package",
        "diesel-locks-tests",
    ]);
    if engines.contains(&Engine::Sqlite) {
        cargo.args(["--package", "diesel-locks-documentation"]);
    }
    cargo
        .args(["--no-fail-fast", "--features", &features.join(",")])
        .envs(client::variables());
    cargo
}

/// Whether libtest's arguments choose among the tests; a number belongs to `--test-threads`.
pub fn chooses(words: &[&str]) -> bool {
    let is_name = |word: &&str| !word.starts_with('-') && word.parse::<u32>().is_err();
    words.iter().any(is_name)
        || words
            .iter()
            .any(|word| ["--skip", "--ignored"].contains(word))
}

/// What keeps libtest from the tests of other engines: two engines share a build.
pub fn skipped(engines: &[Engine]) -> impl Iterator<Item = String> + '_ {
    let others = Engine::ALL.into_iter().filter(|it| !engines.contains(it));
    others.flat_map(|other| ["--skip".to_owned(), format!("{}::", other.name())])
}

/// Runs the tests, six at once unless the caller has said how many, and counts them. Returns whether the command succeeded.
pub fn counted(cargo: &mut Command, tally: &mut Tally, failed: &mut Failed) -> Outcome<bool> {
    if std::env::var_os(THREADS).is_none() {
        cargo.env(THREADS, "6"); // most of the tests wait most of the time
    }
    println!("\n{}", shell::line(cargo));
    let run = cargo.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut cargo = run.map_err(|e| format!("cargo cannot be run: {e}"))?;
    if let Some(output) = cargo.stdout.take() {
        pass_on(BufReader::new(output), tally, failed).map_err(|e| e.to_string())?;
    }
    let status = cargo.wait().map_err(|e| e.to_string())?;
    Ok(status.success())
}

/// Passes the output on, counts, and keeps what failed.
fn pass_on(
    mut output: impl BufRead,
    tally: &mut Tally,
    failed: &mut Failed,
) -> std::io::Result<()> {
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line)? > 0 {
        std::io::stdout().write_all(&line)?;
        let text = String::from_utf8_lossy(&line);
        tally.read(text.trim_end());
        failed.read(text.trim_end());
        line.clear();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::chooses;

    #[test]
    fn a_name_chooses_and_a_number_of_threads_does_not() {
        assert!(chooses(&["pin::", "--nocapture"]));
        assert!(chooses(&["--skip", "pin::"]));
        assert!(!chooses(&["--test-threads", "4"]));
    }
}
