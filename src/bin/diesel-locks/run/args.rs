//! The command line of `run`, its help, and its exit codes.

use std::ffi::OsString;
use std::time::Duration;

use diesel_locks::{Lock, Result, Table};

use crate::which::LockName;
use crate::{duration, waiting};

pub const BUSY: u8 = 80;
pub const TIMED_OUT: u8 = 81;
pub const LOST: u8 = 82;
pub const WRONG_ARGUMENTS: u8 = 83;
pub const FAILED: u8 = 84;

pub const HELP: &str = "\
ENVIRONMENT OF THE COMMAND:
  DIESEL_LOCKS_NAME    the name of the lock
  DIESEL_LOCKS_GROUP   the group of the lock, if it has one
  DIESEL_LOCKS_FENCE   the fence: the number of this acquisition, larger than that of every earlier acquisition. Send it
                       with each write to a system outside the database, and let that system refuse a fence that is
                       smaller than the largest it has seen.

EXIT CODES:
  The exit code of the command, or 128 plus the number of the signal that ended the command, or:
  80   busy: the lock is held, and the command was not run (--busy-exit-code)
  81   timed out: the lock was not free within --wait, and the command was not run (--timed-out-exit-code)
  82   lost: the command was stopped, or ended without the lock (--lost-exit-code)
  83   wrong arguments
  84   the database, or something else that is needed, cannot be used; the message says why
  126  the command cannot be started
  127  the command was not found

SIGNALS:
  This program passes on INT, TERM, HUP, QUIT, USR1 and USR2, and the command decides what they mean. The command runs
  in a process group of its own, and the whole group gets the signals. Ctrl-Z has no effect.

  If standard input is a terminal, the command shares the process group of this program, so that it can read from the
  terminal. The terminal itself sends INT, QUIT and HUP to the command, so this program does not pass them on. It passes
  on TERM, USR1 and USR2, to the command alone and not to the processes that the command has started. Ctrl-Z suspends
  both: after the ttl, others can acquire the lock.

  On Windows, no signals are passed on.

WHEN THE LOCK IS LOST, because it was released by force, could not be extended in time, or --at-most is over, the
command and its process group get TERM, and after --kill-after the processes that are left get KILL. Until then the
command runs without the lock. A process that has left the process group (setsid, a daemon) is not stopped.

WHEN THE COMMAND ENDS, the lock is released. Processes that the command left in the background go on, without the lock.
If the database does not take the lock back within 5 s, a message says so, and the lock is free after the ttl. The exit
code is that of the command.

WHEN THE DATABASE DOES NOT ANSWER within --timeout, a wait goes on with a new connection. It ends when --wait is over, or
2 s later if the last try gets no answer, and after five times without an answer in a row. While the command runs, the
lock is extended over a new connection, and is lost if that does not succeed within the ttl.

WHEN THIS PROGRAM IS KILLED by a signal that cannot be caught (KILL), a second process (`watchdog`) stops the command in
the way described above. After the ttl, others can acquire the lock. If both are killed, or on Windows, the command goes
on without the lock.

EXAMPLES:
  diesel-locks run nightly-report ./report.sh --all
  diesel-locks run deploy --wait 10m make deploy
  diesel-locks run --group invoices 42 --ttl 1m -- ./send
  0 3 * * *  diesel-locks run backup --busy-exit-code 0 --at-least 5m backup    # in the crontab of each machine
  diesel-locks run import --at-most 2h --verbose sh -c 'fetch | import --fence \"$DIESEL_LOCKS_FENCE\"'";

/// Runs a command while holding a lock: flock(1) across machines.
///
/// This program acquires the lock, starts the command, extends the lock while the command runs, releases it, and exits
/// with the exit code of the command. If the lock is held, the command is not run. If the lock is lost meanwhile, the
/// command is stopped.
///
/// This program prints nothing to standard output, and only errors to standard error. It uses at most two connections
/// to the database, and most of the time none.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    #[command(flatten)]
    lock: LockName,

    /// The time after which others can acquire the lock if this machine dies. The lock is extended after every third of
    /// this time. If no extension succeeds within this time, the lock is lost.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration::parse)]
    pub ttl: Duration,

    /// The longest time to wait for the lock, or `forever`. Without it, this program does not wait.
    #[arg(long, value_name = "TIME|forever", value_parser = waiting::parse)]
    pub wait: Option<Duration>,

    /// The shortest time to hold the lock, even if the command ends earlier: for jobs that start at the same time on
    /// machines whose clocks differ a little. This program still ends with the command, and the lock stays held.
    #[arg(long, value_name = "TIME", default_value = "0s", hide_default_value = true, value_parser = duration::parse)]
    pub at_least: Duration,

    /// The longest time to hold the lock. After it, the command is stopped.
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub at_most: Option<Duration>,

    /// A label for the holder. Without it, the label names this program, its process and its host.
    #[arg(long, value_name = "LABEL")]
    owner: Option<String>,

    /// The time that the command has to end after it was asked to stop. After it, the command is killed.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration::parse)]
    pub kill_after: Duration,

    /// The exit code if the lock is held.
    #[arg(long, value_name = "CODE", default_value_t = BUSY)]
    pub busy_exit_code: u8,

    /// The exit code if the lock was not free within `--wait`.
    #[arg(long, value_name = "CODE", default_value_t = TIMED_OUT)]
    pub timed_out_exit_code: u8,

    /// The exit code if the lock was lost.
    #[arg(long, value_name = "CODE", default_value_t = LOST)]
    pub lost_exit_code: u8,

    /// Prints to standard error what happens to the lock.
    #[arg(long, short)]
    pub verbose: bool,

    /// The command and its arguments. They are not interpreted by a shell. The options of this program stand before the
    /// command: what follows it belongs to the command. `--` may stand before the command.
    #[arg(trailing_var_arg = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

impl RunArgs {
    pub fn lock(&self, table: Table) -> Result<Lock> {
        let lock = self.lock.lock(table)?.with_ttl(self.ttl)?;
        match &self.owner {
            Some(owner) => lock.with_owner(owner),
            None => Ok(lock),
        }
    }
}
