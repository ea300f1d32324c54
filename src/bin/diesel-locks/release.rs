//! `diesel-locks release`: by the holder with its lease, or by force with the name of the lock.

use diesel_locks::blocking::LockDsl;
use diesel_locks::{Forced, Lease, Lock, Table};

use crate::database::Database;
use crate::held::Looks;
use crate::lease;
use crate::outcome::{Exit, Outcome, WrongArguments, print, say};
use crate::which::LockName;

/// Releases a lock: for its holder, with the lease; or by force, with the name of the lock.
///
/// Without `--force`, the argument is the lease that `acquire` printed, or `-` to read it from standard input. Without
/// an argument, the lease is taken from the environment variable `DIESEL_LOCKS_LEASE`. A lease is a secret, and every
/// user of the machine can see arguments: prefer the variable or standard input.
///
/// With `--force`, the argument is the name of a lock, and the holder loses the lock. Its next pin, extension or
/// release reports that the lease is lost, so that its transactions cannot commit under the lease. Its work outside the
/// database goes on until then. A lock that is pinned by an open transaction is in use. It is not released, and the
/// exit code is 1: try again, or end that transaction.
#[derive(Debug, clap::Args)]
#[command(override_usage = "diesel-locks release [LEASE|-] [OPTIONS]\n       \
                            diesel-locks release --force NAME [--group GROUP] [OPTIONS]")]
pub struct ReleaseArgs {
    /// The lease, or `-`; with `--force`, the name of the lock.
    #[arg(value_name = "LEASE|NAME")]
    what: Option<String>,

    /// Takes the lock away from its holder, who may be alive. The argument is then the name of the lock. `group|name`,
    /// as `list` prints it, is short for `--group group name`.
    #[arg(long, requires = "what")]
    force: bool,

    /// The group of the lock, with `--force`.
    #[arg(long, requires = "force")]
    group: Option<String>,
}

pub fn release<C: Looks>(args: &ReleaseArgs, table: Table, database: &Database<C>) -> Outcome {
    match &args.what {
        Some(name) if args.force => force(&named(name, args.group.as_ref(), table)?, database),
        lease => lease::release(lease::read(lease.as_deref())?, database),
    }
}

fn named(name: &str, group: Option<&String>, table: Table) -> Outcome<Lock> {
    if name.parse::<Lease>().is_ok() {
        let text = "with --force, name the lock; a lease is released without --force";
        return Err(WrongArguments(text.to_owned()).into());
    }
    Ok(LockName::new(name, group).lock(table)?)
}

fn force<C: Looks>(lock: &Lock, database: &Database<C>) -> Outcome {
    let (key, lock) = (lock.key().to_owned(), lock.clone());
    match database.ask(move |conn| Ok(lock.force_release(conn)?))? {
        Forced::Released => {
            print(&format!("{key} is released\n"))?;
            return Ok(Exit::Done);
        }
        Forced::Free => say(&format!("{key} is free: nobody holds it")),
        Forced::InUse => say(&format!(
            "{key} is in use by an open transaction: try again, or end that transaction"
        )),
    }
    Ok(Exit::No)
}
