//! `diesel-locks completions` and `diesel-locks man`: what the command line says about itself, for shells and man(1).

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::args::Args;
use crate::outcome::{Exit, Outcome, WrongArguments, print};

pub fn completions(shell: Shell) -> Outcome {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "diesel-locks", &mut text);
    print(&String::from_utf8(text)?)?;
    Ok(Exit::Done)
}

/// The page of the command with this name, such as `run` or `migrations write`.
pub fn page(name: &[String]) -> Outcome {
    let mut command = Args::command().disable_help_subcommand(true);
    command.build();
    for word in name {
        let found = command.find_subcommand(word).cloned();
        command = found.ok_or_else(|| WrongArguments(format!("there is no command {word}")))?;
    }
    let version = format!("diesel-locks {}", env!("CARGO_PKG_VERSION"));
    let mut text = Vec::new();
    Man::new(command).source(version).render(&mut text)?;
    print(&String::from_utf8(text)?)?;
    Ok(Exit::Done)
}
