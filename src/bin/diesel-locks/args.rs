//! The command line and its help.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use diesel_locks::{Result, Table};

use crate::acquire::{self, AcquireArgs};
use crate::duration;
use crate::engine::Engine;
use crate::lease::LeaseArg;
use crate::list::ListArgs;
use crate::release::ReleaseArgs;
use crate::run::{self, RunArgs};
use crate::which::{LockFilter, LockName};

/// The timeout of commands that ask short questions.
const SHORT: Duration = Duration::from_secs(30);
/// The timeout of commands that may have much to do, or wait for their turn.
const LONG: Duration = Duration::from_secs(600);

const EXIT_CODES: &str = "\
EXIT CODES:
  0  success
  1  the answer is no: the lock is busy (acquire), the lease is lost (extend, release), the lock is free or in use
     (release --force), the lock was never used (show), or the table is not ready (verify)
  2  wrong arguments
  3  the database or a file cannot be used; the message says why

  `run` exits with the code of its command or with one of its own codes: see `diesel-locks run --help`.

EXAMPLES:
  diesel-locks migrations write postgres           writes the migrations for `diesel migration run`
  diesel-locks run nightly-report ./report.sh
  lease=$(diesel-locks acquire deploy --ttl 10m)   for the steps of a script: see `diesel-locks acquire --help`
  diesel-locks list --watch                        lists the held locks every two seconds
  diesel-locks list --json | jq '.[].owner'
  diesel-locks release --group invoices 42 --force
  diesel-locks purge --older-than 7d";

/// Inspects and maintains the locks of an application that uses the crate diesel-locks, and runs commands under a lock.
///
/// A lock is a row of the table `diesel_locks` in the application's own database. Like the Diesel CLI, this program
/// reads the URL of the database from `DATABASE_URL`: `postgres://…`, `mysql://…` (also for MariaDB), `sqlite://…`, or
/// the path of an SQLite file. It needs no session of its own, so it works behind a pooler as well.
#[derive(Debug, Parser)]
#[command(version, after_long_help = EXIT_CODES, after_help = "`--help` prints more, with examples and exit codes.")]
pub struct Args {
    /// The URL of the database.
    #[arg(
        long,
        value_name = "URL",
        env = "DATABASE_URL",
        hide_env_values = true,
        global = true,
        help_heading = "Database"
    )]
    pub database_url: Option<String>,

    /// The table that holds the locks.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "diesel_locks",
        global = true,
        help_heading = "Database"
    )]
    table: String,

    /// The schema (PostgreSQL), database (MySQL, MariaDB) or attached database (SQLite) of the table. Without it, the
    /// connection's default applies.
    #[arg(long, value_name = "NAME", global = true, help_heading = "Database")]
    schema: Option<String>,

    /// The longest time for an answer of the database, with the time to connect. Without it: 30s, and 10m for `migrate`
    /// and `purge`.
    #[arg(
        long,
        value_name = "TIME",
        value_parser = duration::parse,
        global = true,
        help_heading = "Database"
    )]
    timeout: Option<Duration>,

    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Writes or prints the migrations that create the table, for the Diesel CLI and other tools.
    #[command(subcommand)]
    Migrations(MigrationsCommand),

    /// Creates or upgrades the table, for applications that keep it out of their own migrations.
    ///
    /// It is safe to repeat, and to run on several machines at once. It records the migrations that it ran in a second
    /// table (`diesel_locks_setup`). It does not change a table that your own migrations created: the exit code is then
    /// 3.
    Migrate,

    /// Checks that locks will work: the table, its key, collation and engine, the version of the server, and on MySQL
    /// and MariaDB `autocommit`.
    ///
    /// It changes nothing. If a check fails, the message says how to fix it, and the exit code is 1.
    Verify,

    /// Lists locks: the owner of each, for how long it has been held, and when its lease expires.
    ///
    /// All times are by the database's clock. A lock whose lease has expired does not count as held, although its
    /// holder may still extend it. If the user may not read the table, the view `diesel_locks_held` is enough, except
    /// for `--all`.
    List(ListArgs),

    /// Shows one lock. The exit code is 1 if the lock was never used, or has been purged since.
    ///
    /// If the user may not read the table, the view `diesel_locks_held` is enough for a lock that is held.
    Show {
        #[command(flatten)]
        lock: LockName,
        /// Prints a JSON object, with times in UTC.
        #[arg(long)]
        json: bool,
    },

    #[command(after_long_help = run::HELP)]
    Run(RunArgs),

    #[command(after_long_help = acquire::HELP)]
    Acquire(AcquireArgs),

    /// Extends a lease that `acquire` printed, so that it lasts its ttl from now on.
    ///
    /// It never makes a lease shorter. The exit code is 1 if the lease is lost: the script must stop then.
    Extend {
        #[command(flatten)]
        lease: LeaseArg,
        /// The new time from now on, instead of the ttl that was given to `acquire`.
        #[arg(long, value_name = "TIME", value_parser = duration::parse)]
        ttl: Option<Duration>,
    },

    Release(ReleaseArgs),

    /// Removes the rows of locks that have been free for some time, and prints their number. It never removes a held
    /// lock.
    Purge {
        #[command(flatten)]
        filter: LockFilter,
        /// Removes locks that have been free for longer than this: 90s, 30m, 12h, 7d. Fences keep growing unless the
        /// database's clock is set back by more than this.
        #[arg(long, value_name = "AGE", value_parser = duration::parse)]
        older_than: Duration,
    },

    /// Prints the completions of this program for a shell.
    ///
    /// For example in `~/.bashrc`:  source <(diesel-locks completions bash)
    Completions {
        shell: clap_complete::Shell,
    },

    /// Prints the manual page of this program or of one of its commands:  diesel-locks man run | man -l -
    Man {
        #[arg(value_name = "COMMAND")]
        command: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub enum MigrationsCommand {
    /// Writes the migrations as files, for `diesel migration run` or `embed_migrations!`, and prints the new folders.
    ///
    /// It changes no existing file. Run it again after an upgrade of the crate: it adds the migrations that are new.
    Write {
        #[command(flatten)]
        engine: EngineArg,
        /// The folder of the application's migrations.
        #[arg(long, value_name = "FOLDER", default_value = "migrations")]
        dir: PathBuf,
    },

    /// Prints the SQL that creates the table and its view.
    Sql {
        #[command(flatten)]
        engine: EngineArg,
        /// Prints the SQL that drops them, and all locks with them.
        #[arg(long)]
        drop: bool,
    },
}

#[derive(Debug, clap::Args)]
pub struct EngineArg {
    /// The database engine. Without it, the engine of the URL applies.
    #[arg(value_name = "ENGINE")]
    pub engine: Option<Engine>,
}

impl Args {
    pub fn timeout(&self) -> Duration {
        let usual = match self.command {
            Command::Migrate | Command::Purge { .. } => LONG,
            _ => SHORT,
        };
        self.timeout.unwrap_or(usual)
    }

    pub fn table(&self) -> Result<Table> {
        let table = Table::new(&self.table)?;
        match &self.schema {
            Some(schema) => table.in_schema(schema),
            None => Ok(table),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};
    use diesel_locks::Table;

    use super::{Args, Command};

    #[test]
    fn the_command_line_is_valid() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_group_can_be_named_in_two_ways() {
        for words in [["--group", "a", "b|c"].as_slice(), &["a|b|c"]] {
            let words = ["diesel-locks", "show"].iter().chain(words);
            let Command::Show { lock, .. } = Args::parse_from(words).command else {
                unreachable!()
            };
            assert_eq!(lock.lock(Table::default()).unwrap().key(), "a|b|c");
        }
    }
}
