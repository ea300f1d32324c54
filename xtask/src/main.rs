//! The project's own commands: `cargo xtask test`, `race`, `bench`, `servers up|down`, `tidy`.
//!
//! Nothing but the standard library, so that a fresh machine runs it a second after the download.

mod applications;
mod bench;
mod client;
mod diesel_cli;
mod docker;
mod engine;
mod failed;
mod hold;
mod lock;
mod machine;
mod mirror;
mod mysql;
mod packages;
mod pages;
mod place;
mod postgres;
mod promises;
mod redis;
mod server;
mod servers;
mod shell;
mod suite;
mod tidy;
mod tree;
mod unstable;
mod worlds;

use std::process::ExitCode;

/// What a step gives back: its failure is a text that ends with the way to mend it.
type Outcome<T = ()> = Result<T, String>;

const USAGE: &str = "\
cargo xtask test [ENGINE...] [-- LIBTEST ARGUMENTS]   start what is needed and run every test
cargo xtask race [ENGINE...]                          the race of tests/race.rs with 10,000 takeovers per engine
cargo xtask bench [full] [ENGINE...]                  what it costs, into benches/results: minutes, or full: twenty
cargo xtask servers up [ENGINE...]                    servers for daily work; prints their URLs
cargo xtask servers down                              ends them
cargo xtask tidy [--bless]                            format, lints, docs, links, licences, SQL snapshots

ENGINE: postgres, mariadb, mysql, sqlite; without one, all of them.";

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
        ["test", engines @ ..] => suite::test(&engine::named(engines)?, rest),
        ["race", engines @ ..] => suite::race(&engine::named(engines)?),
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
