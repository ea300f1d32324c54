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

use std::io;
use std::process::Command;
use std::time::Duration;

use diesel_locks::blocking::{Guard, LeaseDsl, Locker};
use diesel_locks::locker::{Event, EventKind};
use diesel_locks::{Attempt, Holder, Lease, Table};

pub use args::{FAILED, HELP, RunArgs, WRONG_ARGUMENTS};
use child::Child;
#[cfg(unix)]
pub use watchdog::{is_watchdog, watch};

use crate::database::Database;
use crate::explain::explain;
use crate::held::Looks;
use crate::outcome::{Exit, Outcome, say};
use crate::within::{NoAnswer, within};
use crate::{duration, waiting};

/// The longest time for giving the lock back. The command has ended, and its exit code is waited for.
const GIVING_BACK: Duration = Duration::from_secs(5);

pub fn run<C: Looks>(args: &RunArgs, table: Table, database: &Database<C>) -> Outcome {
    let (locker, lock) = (|| locker(args, database), args.lock(table)?);
    let code = match waiting::acquire(database, locker, &lock, args.wait)? {
        Attempt::Acquired(guard) => under(guard, args, database),
        Attempt::Busy(holder) => {
            if args.verbose {
                say(&format!(
                    "{}: {}",
                    lock.key(),
                    held_by("busy", holder.as_ref())
                ));
            }
            match args.wait {
                Some(_) => args.timed_out_exit_code,
                None => args.busy_exit_code,
            }
        }
    };
    Ok(Exit::Code(code))
}

/// Runs the command under the lock, and gives the lock back.
fn under<C: Looks>(guard: Guard<Database<C>>, args: &RunArgs, database: &Database<C>) -> u8 {
    match Child::start(command(args, &guard.lease()), args.kill_after) {
        Ok(child) => {
            guard.on_lost(child.lost());
            let code = child.until_end();
            let was_held = guard.is_valid();
            if give_back(guard, database.timeout()) && was_held {
                code
            } else {
                args.lost_exit_code
            }
        }
        Err(error) => {
            let code = not_started(args, &error);
            give_back_at_once(guard.into_lease(), database);
            code
        }
    }
}

/// Returns whether the lock was still held, as far as is known.
fn give_back<C: Looks>(guard: Guard<Database<C>>, timeout: Duration) -> bool {
    let key = guard.lock().key().to_owned();
    match within(GIVING_BACK.min(timeout), move || Ok(guard.release()?)) {
        Ok(released) => !released.is_lost(),
        Err(error) => {
            // The observer has told of every other error.
            if error.is::<NoAnswer>() {
                not_given_back(&key, &explain(&*error));
            }
            true
        }
    }
}

/// A guard would keep `--at-least`, which does not apply to a command that never started.
fn give_back_at_once<C: Looks>(lease: Lease, database: &Database<C>) {
    let (database, key) = (database.at_most(GIVING_BACK), lease.lock().key().to_owned());
    if let Err(error) = database.ask(move |conn| Ok(lease.release(conn)?)) {
        not_given_back(&key, &explain(&*error));
    }
}

fn locker<C: Looks>(args: &RunArgs, database: &Database<C>) -> Locker<Database<C>> {
    let verbose = args.verbose;
    let locker = Locker::new(database.clone())
        .hold_at_least(args.at_least)
        .release_within(GIVING_BACK)
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
    say(&format!("{name} cannot be started: {error}"));
    match error.kind() {
        io::ErrorKind::NotFound => 127,
        _ => 126,
    }
}

fn not_given_back(key: &str, reason: &str) {
    say(&format!(
        "{key}: not released, free when its lease expires: {reason}"
    ));
}

fn report(event: &Event<'_>, verbose: bool) {
    let text = match event.kind {
        EventKind::Lost { held } => {
            format!("lost after {}, stopping the command", duration::short(held))
        }
        EventKind::NotReleased { error } => {
            return not_given_back(event.key, &explain(error));
        }
        _ if !verbose => return,
        EventKind::Acquired { waited } => format!(
            "acquired after {}, fence {}",
            duration::short(waited),
            event.fence.unwrap_or_default()
        ),
        EventKind::Waiting { holder } => held_by("waiting", holder),
        EventKind::Late { trusted_for, error } => format!(
            "not extended, still held for {}: {}",
            duration::short(trusted_for),
            error.map_or_else(|| "its row is locked".to_owned(), |error| explain(error))
        ),
        EventKind::Released { held } => format!("released after {}", duration::short(held)),
        // A wait has several pieces, and only its end is the end.
        _ => return,
    };
    say(&format!("{}: {text}", event.key));
}

fn held_by(state: &str, holder: Option<&Holder>) -> String {
    match holder {
        Some(holder) => format!("{state}, held by {}", holder.owner),
        None => state.to_owned(),
    }
}
