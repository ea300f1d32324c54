//! What a command returns: its exit code or an error. What it found is printed.

use std::error::Error;
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Done,
    /// The command succeeded, and the answer is no.
    No,
    /// The code that clap uses, too.
    WrongArguments,
    /// The database, or something else that the command needs, failed.
    Failed,
    /// The exit code of the command that `run` ran, or one of `run`'s own.
    Code(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::No => 1,
            Exit::WrongArguments => 2,
            Exit::Failed => 3,
            Exit::Code(code) => code,
        })
    }
}

pub type Outcome<T = Exit> = Result<T, Box<dyn Error + Send + Sync>>;

/// The user has asked for something that makes no sense. The text says what would.
#[derive(Debug)]
pub struct WrongArguments(pub String);

impl fmt::Display for WrongArguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for WrongArguments {}

/// Prints a result to standard output.
pub fn print(text: &str) -> Outcome<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Prints a line to standard error, in one call, because the command of `run` writes there as well. A message that
/// cannot be written is dropped.
pub fn say(text: &str) {
    let line = format!("diesel-locks: {}\n", text.trim_end());
    let _ = io::stderr().write_all(line.as_bytes());
}

/// Whether the reader of the output has closed it, as `head` does in `diesel-locks list | head`.
pub fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
