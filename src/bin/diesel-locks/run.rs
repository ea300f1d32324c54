//! `diesel-locks run`: a command under a lock.
//!
//! - The command runs only while this program holds the lock: the command starts after the lock was acquired, and has
//!   ended before the lock is released.
//! - Nothing may end this program while the command runs. A message that cannot be written is dropped.

mod args;
mod child;
#[cfg(unix)]
mod recipient;
#[cfg_attr(not(unix), path = "run/windows.rs")]
mod system;
#[cfg(unix)]
mod watchdog;

use std::io::{self, Write};
use std::process::Command;

use diesel_locks::blocking::{LeaseDsl, LockConnection, Locker};
use diesel_locks::locker::{Event, EventKind};
use diesel_locks::{Lease, Run, Table, Wait};

pub use args::{FAILED, HELP, RunArgs, WRONG_ARGUMENTS};
use child::Child;
#[cfg(unix)]
pub use watchdog::{NAME as WATCHDOG, watch};

use crate::duration;
use crate::outcome::{Exit, Outcome};

pub fn run<C, F>(args: &RunArgs, table: Table, open: F) -> Outcome
where
    C: LockConnection + 'static,
    F: Fn() -> Outcome<C> + Clone + Send + Sync + 'static,
{
    let locker = locker(args, open.clone());
    let wait = args.wait.clone().unwrap_or_else(Wait::never);
    let ran = locker.run(args.lock(table)?, wait, |guard| {
        match Child::start(command(args, &guard.lease()), args.kill_after) {
            Ok(child) => {
                guard.on_lost(child.lost());
                Ok(child.until_end())
            }
            Err(error) => {
                // `--at-least` does not apply to a command that never started: the lock is free at once.
                let _ = open().map(|mut conn| guard.lease().release(&mut conn));
                Err(error)
            }
        }
    })?;
    let code = match ran {
        Run::Done(Ok(code)) => code,
        Run::Done(Err(error))
        | Run::Lost {
            value: Some(Err(error)),
            ..
        } => not_started(args, &error),
        Run::Lost { .. } => args.lost_exit_code,
        Run::Busy { .. } if args.wait.is_some() => args.timed_out_exit_code,
        Run::Busy { .. } => args.busy_exit_code,
    };
    Ok(Exit::Code(code))
}

fn locker<C, F>(args: &RunArgs, open: F) -> Locker<F>
where
    C: LockConnection + 'static,
    F: Fn() -> Outcome<C> + Send + Sync + 'static,
{
    let verbose = args.verbose;
    let locker = Locker::new(open)
        .hold_at_least(args.at_least)
        .observe(move |event| report(event, verbose));
    match args.at_most {
        Some(time) => locker.hold_at_most(time),
        None => locker,
    }
}

/// The command with its environment. The token is left out, because a process that knows the token can act as the
/// holder.
fn command(args: &RunArgs, lease: &Lease) -> Command {
    let mut command = Command::new(&args.command[0]);
    command
        .args(&args.command[1..])
        .env("DIESEL_LOCKS_NAME", lease.lock().name())
        .env("DIESEL_LOCKS_FENCE", lease.fence().to_string());
    match lease.lock().group() {
        Some(group) => command.env("DIESEL_LOCKS_GROUP", group),
        None => command.env_remove("DIESEL_LOCKS_GROUP"),
    };
    command
}

/// The exit code of a shell that cannot start a command.
fn not_started(args: &RunArgs, error: &io::Error) -> u8 {
    let name = args.command[0].to_string_lossy();
    say(&format!("{name} cannot be run: {error}"));
    match error.kind() {
        io::ErrorKind::NotFound => 127,
        _ => 126,
    }
}

fn report(event: &Event<'_>, verbose: bool) {
    let text = match event.kind {
        EventKind::Lost { held } => {
            format!("lost after {}, stopping the command", duration::short(held))
        }
        EventKind::NotReleased { error } => {
            format!("not released, free when its lease expires: {error}")
        }
        _ if !verbose => return,
        EventKind::Acquired { waited } => format!(
            "acquired after {}, fence {}",
            duration::short(waited),
            event.fence.unwrap_or_default()
        ),
        EventKind::Waiting { holder } => match holder {
            Some(holder) => format!("waiting, held by {}", holder.owner),
            None => "waiting".to_owned(),
        },
        EventKind::Busy { holder, .. } => match holder {
            Some(holder) => format!("busy, held by {}", holder.owner),
            None => "busy".to_owned(),
        },
        EventKind::Late { trusted_for, error } => format!(
            "not extended, still held for {}: {}",
            duration::short(trusted_for),
            error.map_or_else(|| "its row is locked".to_owned(), ToString::to_string)
        ),
        EventKind::Released { held } => format!("released after {}", duration::short(held)),
        _ => return,
    };
    say(&format!("{}: {text}", event.key));
}

/// Writes the line in one call, because the command writes to standard error as well.
fn say(text: &str) {
    let line = format!("diesel-locks: {}\n", text.trim_end());
    let _ = io::stderr().write_all(line.as_bytes());
}
