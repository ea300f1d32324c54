//! `diesel-locks`: a program to inspect, maintain and use the locks of an application.
//!
//! Results go to standard output and everything else to standard error, so that the output can be piped. The exit codes
//! are listed in the help and in [`Exit`].

mod acquire;
mod args;
mod database;
mod duration;
mod engine;
mod explain;
mod held;
mod json;
mod lease;
mod list;
mod manual;
mod migrations;
mod outcome;
mod purge;
mod record;
mod release;
mod run;
mod setup;
mod show;
mod waiting;
mod which;
mod within;

use std::error::Error;
use std::process::ExitCode;

use args::{Args, Command};
use clap::{CommandFactory, Parser};
use outcome::{Exit, Outcome, WrongArguments};

fn main() -> ExitCode {
    // Not a command of `Args`: it would show in the completions.
    #[cfg(unix)]
    if let Some(kill_after) = run::is_watchdog() {
        run::watch(kill_after);
        return ExitCode::SUCCESS;
    }
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) if error.use_stderr() && is_run() => {
            let _ = error.print();
            return ExitCode::from(run::WRONG_ARGUMENTS);
        }
        Err(error) => error.exit(),
    };
    let exit = execute(&args).unwrap_or_else(|error| failed(&args, &*error));
    ExitCode::from(exit)
}

fn execute(args: &Args) -> Outcome {
    match &args.command {
        Command::Migrations(command) => migrations::execute(args, command),
        Command::Completions { shell } => manual::completions(*shell),
        Command::Man { command } => manual::page(command),
        _ => database::execute(args),
    }
}

fn failed(args: &Args, error: &(dyn Error + Send + Sync + 'static)) -> Exit {
    if outcome::is_broken_pipe(error) {
        return Exit::Done;
    }
    let is_invalid = matches!(
        error.downcast_ref(),
        Some(diesel_locks::Error::Invalid { .. })
    );
    let is_wrong = is_invalid || error.is::<WrongArguments>();
    outcome::say(&explain::explain(error));
    match (&args.command, is_wrong) {
        (Command::Run(_), true) => Exit::Code(run::WRONG_ARGUMENTS),
        (Command::Run(_), false) => Exit::Code(run::FAILED),
        (_, true) => Exit::WrongArguments,
        (_, false) => Exit::Failed,
    }
}

/// Whether arguments that do not parse are arguments of `run`, which has exit codes of its own.
fn is_run() -> bool {
    let words = Args::command().ignore_errors(true).try_get_matches();
    words.is_ok_and(|words| words.subcommand_name() == Some("run"))
}
