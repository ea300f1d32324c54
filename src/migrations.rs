//! The migration that owns the table, for Diesel's own tools.
//!
//! Three ways; choose by who runs your migrations:
//! - **The Diesel CLI**: copy the folder below `migrations/postgres`, `migrations/mysql` or `migrations/sqlite`
//!   of this crate into your `migrations`. All of the CLI's commands go on working.
//! - **`embed_migrations!`**: combine your source with this one, and run the two as one:
//!   `conn.run_pending_migrations(Migrations::default().with(MIGRATIONS))`. Don't run two sources into one database
//!   one after the other: Diesel would not find the versions of the first when it reverts the second.
//! - **Neither**: [`run`] creates the table if it isn't there.
//!
//! If you use `diesel print-schema` or `diesel migration generate --diff-schema`, keep the table out of them
//! with `filter = { except_tables = ["^diesel_locks.*"] }` below `[print_schema]` in your `diesel.toml`.

use std::fmt;

use diesel::backend::Backend;
use diesel::connection::BoxableConnection;
use diesel::migration::{
    Migration, MigrationMetadata, MigrationName, MigrationSource, MigrationVersion, Result,
};
use diesel_migrations::MigrationHarness;

use crate::dialect::Dialect;
use crate::table::Table;

const VERSION: &str = "20261120084137";
const NAME: &str = "2026-11-20-084137_diesel_locks_create";

/// Creates the table `diesel_locks` with its view where the database has not got it, through Diesel's table
/// of migrations. For applications without migrations of their own, and for tests.
///
/// # Errors
/// Whatever the database says.
pub fn run<C, DB>(conn: &mut C) -> Result<()>
where
    C: MigrationHarness<DB>,
    DB: Dialect,
{
    conn.run_pending_migrations(Migrations::default()).map(drop)
}

/// This crate's migrations as a source for [`MigrationHarness`], alone or together with those of the application.
///
/// ```
/// # use diesel::{Connection, SqliteConnection};
/// # let mut conn = SqliteConnection::establish(":memory:").unwrap();
/// # let your_migrations = Migrations::default();
/// use diesel_locks::migrations::Migrations;
/// use diesel_migrations::MigrationHarness;
///
/// // const MIGRATIONS: EmbeddedMigrations = embed_migrations!();
/// # type EmbeddedMigrations = Migrations; #[allow(non_snake_case)] let MIGRATIONS = Migrations::for_table(diesel_locks::Table::new("other")?);
/// conn.run_pending_migrations(Migrations::default().with(MIGRATIONS))?;
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Migrations {
    table: Table,
}

impl Migrations {
    /// The migrations for a table of another name or in another schema, which must exist. Each table's migration
    /// has a version of its own.
    #[must_use]
    pub fn for_table(table: Table) -> Self {
        Self { table }
    }

    /// These and the application's own as one source, in the order of their versions.
    #[must_use]
    pub fn with<S>(self, application: S) -> Combined<S> {
        Combined {
            locks: self,
            application,
        }
    }

    /// The SQL that creates the table and its view, for other tools.
    #[must_use]
    pub fn up_sql<DB: Dialect>(&self) -> String {
        self.named::<DB>(DB::UP)
    }

    /// The SQL that removes them, and with them all locks.
    #[must_use]
    pub fn down_sql<DB: Dialect>(&self) -> String {
        self.named::<DB>(DB::DOWN)
    }

    /// The shipped text with this table's names in place of the default ones, wherever those stand quoted.
    fn named<DB: Dialect>(&self, text: &str) -> String {
        if self.table == Table::default() {
            return text.to_owned();
        }
        let quote = |name: &str| {
            format!(
                "{0}{1}{0}",
                DB::QUOTE,
                name.replace(DB::QUOTE, &DB::QUOTE.repeat(2))
            )
        };
        let schema = self.table.schema().map(quote);
        let suffixes = ["", "_held", "_pins"];
        // First to what no identifier contains: a name may contain another one, with its quotes.
        let marked = suffixes.iter().fold(text.to_owned(), |text, suffix| {
            let default = quote(&format!("{}{suffix}", Table::DEFAULT_NAME));
            text.replace(&default, &format!("\0{suffix}\0"))
        });
        suffixes.iter().fold(marked, |text, suffix| {
            let name = quote(&format!("{}{suffix}", self.table.name()));
            let name = schema
                .iter()
                .fold(name, |name, schema| format!("{schema}.{name}"));
            text.replace(&format!("\0{suffix}\0"), &name)
        })
    }

    /// Its own for each table: of two migrations with the same version Diesel runs only one.
    fn version(&self) -> String {
        if self.table == Table::default() {
            return VERSION.to_owned();
        }
        let named = format!(
            "{}.{}",
            self.table.schema().unwrap_or_default(),
            self.table.name()
        );
        let hash = named.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193) // FNV-1a: the same for ever
        });
        format!("{VERSION}{hash:010}")
    }
}

impl<DB: Dialect> MigrationSource<DB> for Migrations {
    fn migrations(&self) -> Result<Vec<Box<dyn Migration<DB>>>> {
        let create = Create {
            name: Name(self.version()),
            up: self.up_sql::<DB>(),
            down: self.down_sql::<DB>(),
        };
        Ok(vec![Box::new(create)])
    }
}

/// Two sources as one: see [`Migrations::with`].
#[derive(Clone, Debug)]
pub struct Combined<S> {
    locks: Migrations,
    application: S,
}

impl<DB: Dialect, S: MigrationSource<DB>> MigrationSource<DB> for Combined<S> {
    fn migrations(&self) -> Result<Vec<Box<dyn Migration<DB>>>> {
        let mut all = self.application.migrations()?;
        let ours: Vec<Box<dyn Migration<DB>>> = self.locks.migrations()?;
        for migration in &ours {
            let version = migration.name().version();
            if let Some(other) = all.iter().find(|other| other.name().version() == version) {
                return Err(format!(
                    "the migrations {} and {} have the same version: rename one",
                    migration.name(),
                    other.name()
                )
                .into());
            }
        }
        all.extend(ours);
        Ok(all)
    }
}

struct Create {
    name: Name,
    up: String,
    down: String,
}

struct Name(String);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0 == VERSION { NAME } else { &self.0 })
    }
}

impl MigrationName for Name {
    fn version(&self) -> MigrationVersion<'_> {
        (&self.0).into()
    }
}

impl MigrationMetadata for Create {}

impl<DB: Backend> Migration<DB> for Create {
    fn run(&self, conn: &mut dyn BoxableConnection<DB>) -> Result<()> {
        Ok(conn.batch_execute(&self.up)?)
    }

    fn revert(&self, conn: &mut dyn BoxableConnection<DB>) -> Result<()> {
        Ok(conn.batch_execute(&self.down)?)
    }

    fn metadata(&self) -> &dyn MigrationMetadata {
        self
    }

    fn name(&self) -> &dyn MigrationName {
        &self.name
    }
}
