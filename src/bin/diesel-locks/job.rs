//! `diesel-locks run`: its command line, and its help.

use std::ffi::OsString;
use std::time::Duration;

use diesel_locks::{Lock, Result, Table, Wait};

use crate::spans;
use crate::which::LockName;

pub const BUSY: u8 = 80;
pub const TIMED_OUT: u8 = 81;
pub const LOST: u8 = 82;
pub const WRONG: u8 = 83;
pub const FAILED: u8 = 84;

pub const HELP: &str = "\
ENVIRONMENT OF THE COMMAND:
  DIESEL_LOCKS_NAME    the name of the lock
  DIESEL_LOCKS_GROUP   its group, if it is in one
  DIESEL_LOCKS_FENCE   the number of this acquisition, larger than that of every earlier one: send it along to what the
                       command changes outside of the database, and have that refuse a smaller one than it has seen

EXIT CODES:
  that of the command, or 128 and the number of the signal that ended it; or
  80   busy: somebody else holds the lock, and the command was not run (--busy-exit-code)
  81   timed out: the same, after waiting (--timed-out-exit-code)
  82   lost: the command was stopped, or ended without the lock (--lost-exit-code)
  83   wrong arguments
  84   the database, or something else that is needed, could not be used; the message says why
  126  the command cannot be run
  127  the command was not found

SIGNALS:
  INT, TERM, HUP, QUIT, USR1 and USR2 are passed on to the command, which decides what they mean. It runs in a process
  group of its own, and they go to all of that; Ctrl-Z does nothing.

  Where the standard input is a terminal the command shares the group of this program instead, so that it can read
  from there. What the terminal sends (INT, QUIT, HUP) reaches it directly and is not passed on; TERM, USR1 and USR2 are,
  and go to the command alone, not to what it has started. Ctrl-Z stops both; after the ttl others get the lock.

  On Windows nothing is passed on.

WHEN THE LOCK IS LOST, because it was taken away, could not be extended in time, or --at-most is over, the command and its
process group get TERM, and KILL if any of it is still there after --kill-after. Until then it goes on without the lock.

WHEN THE COMMAND ENDS the lock is given back. What it has left in the background goes on, without the lock.

WHEN THIS PROGRAM IS KILLED by a signal that cannot be caught (KILL), the command is stopped in the same way, by a second
process (`watch-over`) that waits for just that; after the ttl others get the lock. If both are killed, or on Windows, the
command goes on without the lock.

EXAMPLES:
  diesel-locks run nightly-report -- ./report.sh --all
  diesel-locks run deploy --wait 10m -- make deploy
  diesel-locks run --group invoices 42 --ttl 1m -- ./send
  0 3 * * *  diesel-locks run backup --busy-exit-code 0 --at-least 5m -- backup    # in the crontab of each machine
  diesel-locks run import --at-most 2h --verbose -- sh -c 'fetch | import --fence \"$DIESEL_LOCKS_FENCE\"'";

/// Runs a command while it holds a lock: flock(1) across machines.
///
/// It takes the lock, starts the command, keeps the lock for as long as the command runs, gives it back, and ends as the
/// command did. Where somebody else holds the lock, the command is not run. If the lock is lost meanwhile, the command is
/// stopped.
///
/// It prints nothing to standard output, and to standard error only what went wrong. It never holds more than two
/// connections to the database, and none most of the time.
#[derive(Debug, clap::Args)]
pub struct Job {
    #[command(flatten)]
    lock: LockName,

    /// How long others wait when this machine dies. The lock is extended every third of it; if that fails for so long, the
    /// lock is lost.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = spans::parse)]
    pub ttl: Duration,

    /// Waits for the lock for so long at most, or `forever`; without this not at all.
    #[arg(long, value_name = "TIME|forever", value_parser = wait)]
    pub wait: Option<Wait>,

    /// Keeps the lock for so long at least from when it was acquired, also if the command ends sooner: for jobs that start
    /// at the same time on machines whose clocks differ a little. It does not wait for that.
    #[arg(long, value_name = "TIME", default_value = "0s", hide_default_value = true, value_parser = spans::parse)]
    pub at_least: Duration,

    /// Holds the lock for so long at most; then the command is stopped.
    #[arg(long, value_name = "TIME", value_parser = spans::parse)]
    pub at_most: Option<Duration>,

    /// By what people recognise the holder; if you don't say, this program, its process and its host.
    #[arg(long, value_name = "LABEL")]
    owner: Option<String>,

    /// How long a command that is to stop may take to clean up before it is killed.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = spans::parse)]
    pub kill_after: Duration,

    /// The exit code when somebody else holds the lock.
    #[arg(long, value_name = "CODE", default_value_t = BUSY)]
    pub busy_exit_code: u8,

    /// The exit code when the lock was not free within `--wait`.
    #[arg(long, value_name = "CODE", default_value_t = TIMED_OUT)]
    pub timed_out_exit_code: u8,

    /// The exit code when the lock was lost.
    #[arg(long, value_name = "CODE", default_value_t = LOST)]
    pub lost_exit_code: u8,

    /// Says on standard error what becomes of the lock.
    #[arg(long, short)]
    pub verbose: bool,

    /// The command and its arguments, as they are: no shell reads them.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

impl Job {
    pub fn lock(&self, table: Table) -> Result<Lock> {
        let lock = self.lock.lock(table)?.ttl(self.ttl)?;
        match &self.owner {
            Some(owner) => lock.owner(owner),
            None => Ok(lock),
        }
    }
}

fn wait(text: &str) -> Result<Wait, String> {
    match text {
        "forever" => Ok(Wait::forever()),
        _ => match spans::parse(text) {
            Ok(time) => Ok(Wait::up_to(time)),
            Err(error) => Err(format!("{error}, or forever")),
        },
    }
}
