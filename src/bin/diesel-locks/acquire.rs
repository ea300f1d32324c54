//! `diesel-locks acquire`: a lease for the steps of a script.

use std::time::Duration;

use diesel_locks::blocking::{LeaseDsl, Locker};
use diesel_locks::{Attempt, Holder, Lease, Lock, Result, Table};

use crate::database::Database;
use crate::held::Looks;
use crate::json;
use crate::outcome::{Exit, Outcome, print, say};
use crate::which::LockName;
use crate::{duration, waiting};

/// Acquires a lock for the steps of a script, and prints its lease.
///
/// The lease is a secret, like a password: a process that knows it can act as the holder. Hand it to `extend` and
/// `release` in the environment variable `DIESEL_LOCKS_LEASE` or on standard input. Arguments can be seen by every user
/// of the machine (`ps`).
///
/// Nothing extends the lease by itself. If the script dies, others can acquire the lock after the ttl. For a single
/// command, `run` does all of this.
#[derive(Debug, clap::Args)]
pub struct AcquireArgs {
    #[command(flatten)]
    lock: LockName,

    /// The time after which others can acquire the lock, unless it was extended or released before.
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub ttl: Duration,

    /// The longest time to wait for the lock, or `forever`. Without it, this program does not wait.
    #[arg(long, value_name = "TIME|forever", value_parser = waiting::parse)]
    wait: Option<Duration>,

    /// A label for the holder: say who runs the script. Without it, the label names this program and its host.
    #[arg(long, value_name = "LABEL")]
    owner: Option<String>,

    /// Prints a JSON object with the lease, the lock, its fence and its ttl.
    #[arg(long)]
    json: bool,
}

pub const HELP: &str = "\
EXIT CODES:
  0  acquired
  1  busy: the lock is held, or was not free within --wait
  2  wrong arguments
  3  the database cannot be used; the message says why. If the database did not answer, the lock may be acquired all the
     same. It is then free after the ttl.

EXAMPLES:
  # The steps of a script under one lock:
  DIESEL_LOCKS_LEASE=$(diesel-locks acquire deploy --ttl 10m --wait 5s --owner \"$USER\") || exit
  export DIESEL_LOCKS_LEASE
  trap 'diesel-locks release' EXIT
  ./build
  diesel-locks extend || exit       # the lock is lost: the next step must not run
  ./publish";

impl AcquireArgs {
    fn lock(&self, table: Table) -> Result<Lock> {
        let lock = self.lock.lock(table)?.with_ttl(self.ttl)?;
        match &self.owner {
            Some(owner) => lock.with_owner(owner),
            None => Ok(lock),
        }
    }
}

pub fn acquire<C: Looks>(args: &AcquireArgs, table: Table, database: &Database<C>) -> Outcome {
    let (locker, lock) = (|| Locker::new(database.clone()), args.lock(table)?);
    match waiting::acquire(database, locker, &lock, args.wait)? {
        Attempt::Acquired(guard) => hand_over(args, guard.into_lease(), database),
        Attempt::Busy(holder) => {
            say(&busy(lock.key(), holder.as_ref()));
            Ok(Exit::No)
        }
    }
}

/// Prints the lease. A lease that nobody can read would keep the lock until the ttl is over.
fn hand_over<C: Looks>(args: &AcquireArgs, lease: Lease, database: &Database<C>) -> Outcome {
    let text = if args.json {
        json::lease(&lease, args.ttl)
    } else {
        lease.to_text()
    };
    if let Err(error) = print(&(text + "\n")) {
        database.ask(move |conn| Ok(lease.release(conn)?))?;
        return Err(
            format!("the lease cannot be printed, so the lock was given back: {error}").into(),
        );
    }
    Ok(Exit::Done)
}

fn busy(key: &str, holder: Option<&Holder>) -> String {
    match holder {
        Some(holder) => format!(
            "{key} is busy: {} holds it for {} more",
            holder.owner,
            duration::short(holder.time_left)
        ),
        None => format!("{key} is busy"),
    }
}
