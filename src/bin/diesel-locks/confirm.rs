//! A question to the user at the terminal.

use std::io::{self, Write};

use crate::outcome::Outcome;

/// Whether the user answers yes. An empty answer, and the end of the input, mean no.
pub fn confirm(question: &str) -> Outcome<bool> {
    let mut err = io::stderr().lock();
    write!(err, "{question} [y/N] ")?;
    err.flush()?;
    let mut answer = String::new();
    if io::stdin().read_line(&mut answer)? == 0 {
        writeln!(err)?;
    }
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}
