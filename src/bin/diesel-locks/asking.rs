//! Asking whoever sits at the terminal.

use std::io::{self, Write};

use crate::Outcome;

/// Whether the answer is yes; no answer is no.
pub fn is_agreed(question: &str) -> Outcome<bool> {
    let mut err = io::stderr().lock();
    write!(err, "{question} [y/N] ")?;
    err.flush()?;
    let mut answer = String::new();
    if io::stdin().read_line(&mut answer)? == 0 {
        writeln!(err)?;
    }
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}
