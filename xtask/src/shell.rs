//! Runs other programs, and waits for their end.

use crate::Outcome;
use std::process::{Command, Stdio};

/// Prints the command and runs it. The output goes to the terminal.
pub fn run(command: &mut Command) -> Outcome {
    let line = line(command);
    println!("{line}");
    match command.stdin(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("This command failed ({status}):\n  {line}")),
        Err(e) => Err(format!("This command cannot be run ({e}):\n  {line}")),
    }
}

/// Runs the command and returns its standard output. An error contains all output.
pub fn output(command: &mut Command) -> Outcome<String> {
    let line = line(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("This command cannot be run ({e}):\n  {line}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(format!(
        "{text}{errors}\nThis command failed ({}):\n  {line}",
        output.status
    ))
}

/// The command as typed in a shell, with its environment variables first.
pub fn line(command: &Command) -> String {
    let variables = command.get_envs().filter_map(|(name, value)| {
        Some(format!(
            "{}={}",
            name.to_string_lossy(),
            quoted(&value?.to_string_lossy())
        ))
    });
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words = words.map(|word| quoted(&word.to_string_lossy()));
    variables.chain(words).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{word}'")
    }
}
