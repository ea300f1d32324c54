//! The lease that `acquire` printed, and what its holder does with it: `diesel-locks extend`, and `release` without
//! `--force`.

use std::env;
use std::io;
use std::time::Duration;

use diesel_locks::blocking::LeaseDsl;
use diesel_locks::{Lease, Outcome as Extended, Released};

use crate::database::Database;
use crate::explain::lost;
use crate::held::Looks;
use crate::outcome::{Exit, Outcome, WrongArguments, print, say};

/// The environment variable that hands a lease over.
pub const VARIABLE: &str = "DIESEL_LOCKS_LEASE";

/// How the user hands a lease over.
#[derive(Debug, clap::Args)]
pub struct LeaseArg {
    /// The lease that `acquire` printed, or `-` to read it from standard input. Without it, the lease is taken from the
    /// environment variable `DIESEL_LOCKS_LEASE`. A lease is a secret, and every user of the machine can see arguments:
    /// prefer the variable or standard input.
    #[arg(value_name = "LEASE")]
    lease: Option<String>,
}

impl LeaseArg {
    pub fn read(&self) -> Outcome<Lease> {
        read(self.lease.as_deref())
    }
}

/// Reads the lease from the argument, the environment or standard input.
pub fn read(argument: Option<&str>) -> Outcome<Lease> {
    let text = match argument {
        Some("-") => io::read_to_string(io::stdin())?,
        Some(text) => text.to_owned(),
        None => env::var(VARIABLE).unwrap_or_default(),
    };
    match text.trim() {
        "" => Err(wrong("no lease was given")),
        text => text.parse().map_err(|_| wrong("this is no lease")),
    }
}

/// The text is not repeated: it may be a secret with a mistake in it.
fn wrong(what: &str) -> Box<dyn std::error::Error + Send + Sync> {
    WrongArguments(format!(
        "{what}: hand over what `diesel-locks acquire` printed, in the environment variable {VARIABLE}, on standard \
         input (with the argument `-`), or as an argument. To take a lock away from its holder, name the lock: \
         diesel-locks release NAME --force"
    ))
    .into()
}

pub fn extend<C: Looks>(
    lease: &LeaseArg,
    ttl: Option<Duration>,
    database: &Database<C>,
) -> Outcome {
    let mut lease = lease.read()?;
    let key = lease.lock().key().to_owned();
    let extended = database.ask(move |conn| {
        Ok(match ttl {
            Some(ttl) => lease.try_extend_to(conn, ttl)?,
            None => lease.try_extend(conn)?,
        })
    })?;
    match extended {
        Extended::Done => {}
        Extended::DoneLate => say(&late(&key)),
        Extended::Lost => {
            say(&lost(&key));
            return Ok(Exit::No);
        }
    }
    print(&format!("{key} is extended\n"))?;
    Ok(Exit::Done)
}

/// Releases the lock for its holder.
pub fn release<C: Looks>(lease: Lease, database: &Database<C>) -> Outcome {
    let key = lease.lock().key().to_owned();
    match database.ask(move |conn| Ok(lease.release(conn)?))? {
        Released::InTime => {}
        Released::Late => say(&late(&key)),
        Released::Lost => {
            say(&lost(&key));
            return Ok(Exit::No);
        }
    }
    print(&format!("{key} is released\n"))?;
    Ok(Exit::Done)
}

fn late(key: &str) -> String {
    format!(
        "{key}: the lease had expired, and nobody had taken the lock over: use a longer --ttl, or extend it sooner"
    )
}
