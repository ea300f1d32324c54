//! The project's own commands: `cargo xtask test`, `race`, `histories`, `bench`, `servers up|down`, `tidy`.
//!
//! It uses only the standard library, so that it builds within a second on a new machine. What `tidy` needs besides is a
//! package of its own, in `surface`.

mod applications;
mod bench;
mod client;
mod compare;
mod copy;
mod debian;
mod diesel_cli;
mod docker;
mod engine;
mod failed;
mod hold;
mod hosts;
mod lock;
mod lowest;
mod machine;
mod mirror;
mod mysql;
mod npm;
mod packages;
mod pages;
mod pass;
mod pgbouncer;
mod place;
mod postgres;
mod promises;
mod redis;
mod server;
mod servers;
mod shell;
mod suite;
mod surface;
mod tidy;
mod tree;
mod version;
mod worlds;

use std::process::ExitCode;

/// The result of a step. An error is a text that ends with its remedy.
type Outcome<T = ()> = Result<T, String>;

const USAGE: &str = "\
cargo xtask test [ENGINE...] [-- LIBTEST ARGUMENTS]   starts the servers and runs every test
cargo xtask test --lowest                             runs tests with the lowest versions of the dependencies and of Rust
cargo xtask race [ENGINE...]                          runs tests/race.rs with 10,000 takeovers for each engine
cargo xtask histories [ENGINE...]                     runs tests/histories.rs with 100,000 operations for each engine
cargo xtask bench [full] [ENGINE...]                  writes benches/results: takes minutes, full takes forty
cargo xtask bench compare COMMIT [ENGINE...]          runs the benchmark of that commit and the present one in turn
cargo xtask servers up [ENGINE...]                    starts servers for daily work, and prints their URLs
cargo xtask servers down                              ends these servers
cargo xtask tidy [--bless]                            checks format, lints, docs, links, licences, SQL and public items

ENGINE: postgres, mariadb, mysql or sqlite. Without it, the command is for all four.";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match place::enter_workspace().and_then(|()| run(&words)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\n{failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[String]) -> Outcome {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (words, rest) = match words.iter().position(|word| *word == "--") {
        Some(place) => (&words[..place], &words[place + 1..]),
        None => (&words[..], &[][..]),
    };
    match words {
        ["test", "--lowest"] => lowest::test(),
        ["test", engines @ ..] => suite::test(&engine::named(engines)?, rest),
        ["race", engines @ ..] => suite::race(&engine::named(engines)?),
        ["histories", engines @ ..] => suite::histories(&engine::named(engines)?),
        ["bench", "compare", commit, engines @ ..] => {
            compare::compare(commit, &engine::named(engines)?)
        }
        ["bench", "full", engines @ ..] => bench::bench("full", &engine::named(engines)?),
        ["bench", engines @ ..] => bench::bench("short", &engine::named(engines)?),
        ["tidy"] => tidy::tidy(false),
        ["tidy", "--bless"] => tidy::tidy(true),
        ["servers", "up", engines @ ..] => hold::up(&engine::named(engines)?),
        ["servers", "down"] => hold::down(),
        ["servers", "hold", engines @ ..] => hold::hold(&engine::named(engines)?),
        _ => Err(USAGE.to_owned()),
    }
}
