//! The command line, and its help.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use diesel_locks::{Result, Table};

use crate::job::{self, Job};
use crate::spans;
use crate::which::{LockFilter, LockName};

const EXIT_CODES: &str = "\
EXIT CODES:
  0  done
  1  the answer is no: the table will not do (verify), the lock was never used (show), nobody holds it, it is in use, or
     you said no (release)
  2  wrong arguments
  3  the database, or a file, could not be used; the message says why

  `run` has those of the command, and others of its own: see `diesel-locks run --help`.

EXAMPLES:
  diesel-locks migrations write postgres           the table for `diesel migration run`
  diesel-locks list --watch                        who holds what, every two seconds
  diesel-locks list --json | jq '.[].owner'
  diesel-locks release --group invoices 42 --force
  diesel-locks purge --older-than 7d
  diesel-locks run nightly-report -- ./report.sh";

/// Looks at and mends the locks of an application that uses the crate diesel-locks, and runs commands under them.
///
/// A lock is a row of the table `diesel_locks` in the application's own database. This program reads the database's URL
/// from `DATABASE_URL`, as the Diesel CLI does: `postgres://…`, `mysql://…` (for MariaDB too), or the path of an SQLite file.
#[derive(Debug, Parser)]
#[command(version, after_long_help = EXIT_CODES, after_help = "`--help` tells more, with examples and exit codes.")]
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

    /// The table of the locks.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "diesel_locks",
        global = true,
        help_heading = "Database"
    )]
    table: String,

    /// The schema (PostgreSQL), database (MySQL, MariaDB) or attached database (SQLite) that the table is in, if it is
    /// not where the connection finds it.
    #[arg(long, value_name = "NAME", global = true, help_heading = "Database")]
    schema: Option<String>,

    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// The migrations that create the table, for the Diesel CLI and other tools.
    #[command(subcommand)]
    Migrations(Migrations),

    /// Creates the table, or upgrades it, for applications that keep it out of their own migrations.
    ///
    /// Safe to call as often as you like, from as many places at once. It notes what it did in a table beside
    /// (`diesel_locks_setup`); a table that your own migrations made is left alone, and the exit code is 3.
    Migrate,

    /// Looks whether locks will work: the table, its key, collation and engine, the server's version, and on MySQL and
    /// MariaDB `autocommit`.
    ///
    /// It changes nothing. Where something will not do, it is said with its remedy, and the exit code is 1.
    Verify,

    /// Lists locks: who holds them, since when, and for how long still.
    ///
    /// All times are the database's. A lease that has run out is not held, although its holder may still extend it.
    List {
        #[command(flatten)]
        filter: LockFilter,
        /// Also those that nobody holds.
        #[arg(long)]
        all: bool,
        /// An array of objects, with times in UTC.
        #[arg(long)]
        json: bool,
        /// Again and again, every two seconds or as many as you say, until you end it.
        #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2", conflicts_with = "json")]
        watch: Option<u64>,
    },

    /// Shows one lock. If it was never used, or purged since, the exit code is 1.
    Show {
        #[command(flatten)]
        lock: LockName,
        /// An object, with times in UTC.
        #[arg(long)]
        json: bool,
    },

    /// Takes a lock away from whoever holds it.
    ///
    /// The holder's next pin, extension or release says that the lease is lost, and its transactions cannot commit under
    /// it; but what it does outside the database goes on until it asks. A lock that is pinned in an open transaction is
    /// in use and stays, and the exit code is 1: try again, or end that transaction.
    Release {
        #[command(flatten)]
        lock: LockName,
        /// That you know this: somebody who is alive loses the lock.
        #[arg(long, required = true)]
        force: bool,
        /// Does not ask.
        #[arg(long, short)]
        yes: bool,
    },

    /// Removes the rows of locks that nobody has held for a while, and says how many. A held lock is never removed.
    Purge {
        #[command(flatten)]
        filter: LockFilter,
        /// Not held for longer than this: 90s, 30m, 12h, 7d. Fences go on growing as long as the database's clock is not
        /// set back by more.
        #[arg(long, value_name = "AGE", value_parser = spans::parse)]
        older_than: Duration,
    },

    #[command(after_long_help = job::HELP)]
    Run(Job),

    /// For `run` itself.
    #[cfg(unix)]
    #[command(hide = true, name = crate::watchdog::NAME)]
    WatchOver {
        #[arg(value_parser = spans::parse)]
        kill_after: Duration,
    },
}

#[derive(Debug, Subcommand)]
pub enum Migrations {
    /// Writes the migrations as files, for `diesel migration run` or `embed_migrations!`, and prints what it made.
    ///
    /// Nothing that is there is changed: call it again after an upgrade of the crate, and it adds what is new.
    Write {
        #[command(flatten)]
        engine: Chosen,
        /// The application's folder of migrations.
        #[arg(long, value_name = "FOLDER", default_value = "migrations")]
        dir: PathBuf,
    },

    /// Prints the SQL that creates the table and its view.
    Sql {
        #[command(flatten)]
        engine: Chosen,
        /// The SQL that removes them, and with them all locks.
        #[arg(long)]
        drop: bool,
    },
}

#[derive(Debug, clap::Args)]
pub struct Chosen {
    /// The database they are for; if you don't say, that of the URL.
    #[arg(value_name = "ENGINE")]
    pub engine: Option<Engine>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Engine {
    #[value(alias = "postgresql")]
    Postgres,
    /// Also for MariaDB.
    #[value(alias = "mariadb")]
    Mysql,
    Sqlite,
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
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_name_in_a_group_can_be_said_in_two_ways() {
        for words in [["--group", "a", "b|c"].as_slice(), &["a|b|c"]] {
            let words = ["diesel-locks", "show"].iter().chain(words);
            let Command::Show { lock, .. } = Args::parse_from(words).command else {
                unreachable!()
            };
            assert_eq!(lock.lock(Table::default()).unwrap().key(), "a|b|c");
        }
    }
}
