//! A command under a lock.
//!
//! - The command runs only while the lock is held: it is started after it was acquired, and has ended before it is given
//!   back.
//! - Nothing here may end this program while the command runs, least of all a message that nobody reads.

use std::io::{self, Write};
use std::process::Command;

use diesel_locks::blocking::{LeaseDsl, LockConnection, Locks};
use diesel_locks::locks::{Event, What};
use diesel_locks::{Lease, Run, Table, Wait};

use crate::child::Child;
use crate::job::Job;
use crate::{Answer, Outcome, spans};

pub fn run<C, F>(job: &Job, table: Table, open: F) -> Outcome
where
    C: LockConnection + 'static,
    F: Fn() -> Outcome<C> + Clone + Send + Sync + 'static,
{
    let locks = locks(job, open.clone());
    let wait = job.wait.clone().unwrap_or_else(Wait::never);
    let ran = locks.run(job.lock(table)?, wait, |guard| {
        match Child::start(command(job, &guard.lease()), job.kill_after) {
            Ok(child) => {
                guard.on_lost(child.lost());
                Ok(child.until_end())
            }
            Err(error) => {
                // What never began keeps nobody away, not even for `--at-least`.
                let _ = open().map(|mut conn| guard.lease().release(&mut conn));
                Err(error)
            }
        }
    })?;
    let code = match ran {
        Run::Done(Ok(code)) => code,
        Run::Done(Err(error)) | Run::Lost(Some(Err(error))) => not_started(job, &error),
        Run::Lost(_) => job.lost_exit_code,
        Run::Busy(_) if job.wait.is_some() => job.timed_out_exit_code,
        Run::Busy(_) => job.busy_exit_code,
    };
    Ok(Answer::Code(code))
}

fn locks<C, F>(job: &Job, open: F) -> Locks<F>
where
    C: LockConnection + 'static,
    F: Fn() -> Outcome<C> + Send + Sync + 'static,
{
    let verbose = job.verbose;
    let locks = Locks::new(open)
        .at_least(job.at_least)
        .observe(move |event| tell(event, verbose));
    match job.at_most {
        Some(time) => locks.at_most(time),
        None => locks,
    }
}

/// Never with the token: whoever knows it is the holder.
fn command(job: &Job, lease: &Lease) -> Command {
    let mut command = Command::new(&job.command[0]);
    command
        .args(&job.command[1..])
        .env("DIESEL_LOCKS_NAME", lease.lock().name())
        .env("DIESEL_LOCKS_FENCE", lease.fence().to_string());
    match lease.lock().group() {
        Some(group) => command.env("DIESEL_LOCKS_GROUP", group),
        None => command.env_remove("DIESEL_LOCKS_GROUP"),
    };
    command
}

/// As shells tell what they cannot start.
fn not_started(job: &Job, error: &io::Error) -> u8 {
    let name = job.command[0].to_string_lossy();
    say(&format!("{name} cannot be run: {error}"));
    match error.kind() {
        io::ErrorKind::NotFound => 127,
        _ => 126,
    }
}

fn tell(event: &Event<'_>, verbose: bool) {
    let text = match event.what {
        What::Lost { held } => format!("lost after {}: the command is stopped", spans::short(held)),
        What::NotReleased { error } => format!("not given back, free after its ttl: {error}"),
        _ if !verbose => return,
        What::Acquired { waited } => format!(
            "acquired after {}, fence {}",
            spans::short(waited),
            event.fence.unwrap_or_default()
        ),
        What::Waiting { holder } => match holder {
            Some(holder) => format!("waiting for {}", holder.owner),
            None => "waiting".to_owned(),
        },
        What::Busy { holder, .. } => match holder {
            Some(holder) => format!("busy: {} has it", holder.owner),
            None => "busy".to_owned(),
        },
        What::Late { trusted_for, error } => format!(
            "not extended, still held for {}: {}",
            spans::short(trusted_for),
            error.map_or_else(|| "its row is locked".to_owned(), ToString::to_string)
        ),
        What::Released { held } => format!("given back after {}", spans::short(held)),
        _ => return,
    };
    say(&format!("{}: {text}", event.key));
}

/// In one piece, because others write to standard error as well.
fn say(text: &str) {
    let line = format!("diesel-locks: {}\n", text.trim_end());
    let _ = io::stderr().write_all(line.as_bytes());
}
