//! The command line and its help.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use diesel_locks::{Result, Table};

use crate::duration;
use crate::engine::Engine;
use crate::run::{self, RunArgs};
use crate::which::{LockFilter, LockName};

const EXIT_CODES: &str = "\
EXIT CODES:
  0  success
  1  the answer is no: the table is not ready (verify), the lock was never used (show), or the lock was not released
     because it is free, it is in use, or you answered no (release)
  2  wrong arguments
  3  the database or a file cannot be used; the message says why

  `run` exits with the code of its command or with one of its own codes: see `diesel-locks run --help`.

EXAMPLES:
  diesel-locks migrations write postgres           writes the migrations for `diesel migration run`
  diesel-locks list --watch                        lists the held locks every two seconds
  diesel-locks list --json | jq '.[].owner'
  diesel-locks release --group invoices 42 --force
  diesel-locks purge --older-than 7d
  diesel-locks run nightly-report -- ./report.sh";

/// Inspects and maintains the locks of an application that uses the crate diesel-locks, and runs commands under a lock.
///
/// A lock is a row of the table `diesel_locks` in the application's own database. Like the Diesel CLI, this program
/// reads the URL of the database from `DATABASE_URL`: `postgres://…`, `mysql://…` (also for MariaDB), or the path of an
/// SQLite file.
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
    /// holder may still extend the lease.
    List {
        #[command(flatten)]
        filter: LockFilter,
        /// Also lists locks that are free.
        #[arg(long)]
        all: bool,
        /// Prints a JSON array of objects, with times in UTC.
        #[arg(long)]
        json: bool,
        /// Repeats the list until you stop it, every two seconds or at the interval that you give.
        #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2", conflicts_with = "json")]
        watch: Option<u64>,
    },

    /// Shows one lock. The exit code is 1 if the lock was never used, or has been purged since.
    Show {
        #[command(flatten)]
        lock: LockName,
        /// Prints a JSON object, with times in UTC.
        #[arg(long)]
        json: bool,
    },

    /// Releases a lock by force: its holder loses the lock.
    ///
    /// The holder's next pin, extension or release reports that the lease is lost, so that its transactions cannot
    /// commit under the lease. The holder's work outside the database goes on until then. A lock that is pinned by an
    /// open transaction is in use. It is not released, and the exit code is 1: try again, or end that transaction.
    Release {
        #[command(flatten)]
        lock: LockName,
        /// Confirms that a live holder may lose the lock.
        #[arg(long, required = true)]
        force: bool,
        /// Skips the question.
        #[arg(long, short)]
        yes: bool,
    },

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

    #[command(after_long_help = run::HELP)]
    Run(RunArgs),

    /// `run` starts this command for itself.
    #[cfg(unix)]
    #[command(hide = true, name = run::WATCHDOG)]
    Watchdog {
        #[arg(value_parser = duration::parse)]
        kill_after: Duration,
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
