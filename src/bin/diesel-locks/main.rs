//! `diesel-locks`: the locks of an application, for those who run it.
//!
//! What is asked for is printed to standard output, and everything else to standard error, so that the output can be
//! piped. The exit codes stand in the help, and in [`Answer`].

mod args;
mod asking;
mod child;
mod database;
mod files;
mod job;
mod json;
mod looking;
mod mending;
mod running;
mod setup;
mod spans;
#[cfg_attr(not(unix), path = "elsewhere.rs")]
mod system;
#[cfg(unix)]
mod target;
#[cfg(unix)]
mod watchdog;
mod which;

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use args::{Args, Command};
use clap::{CommandFactory, Parser};

/// What a command has to say: the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Yes,
    /// It was asked and answered, and the answer is no.
    No,
    /// Wrong arguments; clap's own code for them.
    Wrong,
    /// It could not be asked.
    Failed,
    /// That of the command that was run, or one that cannot be confused with it.
    Code(u8),
}

impl From<Answer> for ExitCode {
    fn from(answer: Answer) -> Self {
        Self::from(match answer {
            Answer::Yes => 0,
            Answer::No => 1,
            Answer::Wrong => 2,
            Answer::Failed => 3,
            Answer::Code(code) => code,
        })
    }
}

type Outcome<T = Answer> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) if error.use_stderr() && is_run() => {
            let _ = error.print();
            return ExitCode::from(job::WRONG);
        }
        Err(error) => error.exit(),
    };
    let answer = run(&args).unwrap_or_else(|error| failed(&args, &*error));
    ExitCode::from(answer)
}

fn run(args: &Args) -> Outcome {
    match &args.command {
        Command::Migrations(what) => files::run(args, what),
        #[cfg(unix)]
        Command::WatchOver { kill_after } => watchdog::watch(*kill_after),
        _ => database::ask(args),
    }
}

fn failed(args: &Args, error: &(dyn Error + Send + Sync + 'static)) -> Answer {
    if is_broken_pipe(error) {
        return Answer::Yes;
    }
    let is_wrong = matches!(
        error.downcast_ref(),
        Some(diesel_locks::Error::Invalid { .. })
    );
    eprintln!("diesel-locks: {}", error.to_string().trim_end());
    match (&args.command, is_wrong) {
        (Command::Run(_), true) => Answer::Code(job::WRONG),
        (Command::Run(_), false) => Answer::Code(job::FAILED),
        (_, true) => Answer::Wrong,
        (_, false) => Answer::Failed,
    }
}

/// Whether arguments that are wrong were meant for `run`, whose exit codes are others.
fn is_run() -> bool {
    let words = Args::command().ignore_errors(true).try_get_matches();
    words.is_ok_and(|words| words.subcommand_name() == Some("run"))
}

/// Prints what was asked for.
fn print(text: &str) -> Outcome<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Whoever reads the output has seen enough: `diesel-locks list | head`.
fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
