//! The migrations as a source for Diesel's harness, and as text.

use std::fmt;

use diesel::backend::Backend;
use diesel::connection::BoxableConnection;
use diesel::migration::{
    Migration, MigrationMetadata, MigrationName, MigrationSource, MigrationVersion, Result,
};

use super::Step;
use crate::dialect::Dialect;
use crate::table::{Table, quoted};

/// This crate's migrations: as a source for [`MigrationHarness`](https://docs.rs/diesel_migrations/latest/diesel_migrations/trait.MigrationHarness.html), alone or
/// together with the application's migrations; as SQL text; and as files.
///
/// ```
/// # use diesel::{Connection, SqliteConnection};
/// # let mut conn = SqliteConnection::establish(":memory:").unwrap();
/// use diesel_locks::migrations::Migrations;
/// use diesel_migrations::MigrationHarness;
///
/// // const MIGRATIONS: EmbeddedMigrations = embed_migrations!();
/// # #[allow(non_snake_case)] let MIGRATIONS = Migrations::for_table(diesel_locks::Table::new("other")?);
/// conn.run_pending_migrations(Migrations::default().with(MIGRATIONS))?;
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Migrations {
    table: Table,
}

impl Migrations {
    /// The migrations for a table with another name or in another schema. The schema must exist. Each table's
    /// migrations have their own versions, so several tables can live in one database.
    #[must_use]
    pub fn for_table(table: Table) -> Self {
        Self { table }
    }

    pub(super) fn table(&self) -> &Table {
        &self.table
    }

    /// Combines these migrations and the application's own migrations into one source, in the order of their versions.
    /// If two migrations had the same version, Diesel would run only one of them; here that is an error.
    ///
    /// Use it if the application embeds its migrations. Do not use it if the application's folder already has a copy of
    /// these migrations.
    #[must_use]
    pub fn with<S>(self, application: S) -> Combined<S> {
        Combined {
            locks: self,
            application,
        }
    }

    /// The SQL that creates the table and its view, for tools other than Diesel's.
    #[must_use]
    pub fn up_sql<DB: Dialect>(&self) -> String {
        DB::STEPS
            .iter()
            .map(|step| self.named::<DB>(step.up))
            .collect()
    }

    /// The SQL that removes the table and its view, and with them all locks.
    #[must_use]
    pub fn down_sql<DB: Dialect>(&self) -> String {
        let steps = DB::STEPS.iter().rev();
        steps.map(|step| self.named::<DB>(step.down)).collect()
    }

    /// The text with the names of this table in place of the default names, wherever a default name stands quoted.
    pub(crate) fn named<DB: Dialect>(&self, text: &str) -> String {
        if self.table == Table::default() {
            return text.to_owned();
        }
        let quote = |name: &str| quoted(name, DB::QUOTE);
        let schema = self.table.schema().map(quote);
        // First each default name becomes a mark that no identifier contains, and then the mark becomes the new name:
        // the new name may contain a default name with its quotes.
        let marked = Table::SUFFIXES
            .iter()
            .fold(text.to_owned(), |text, suffix| {
                let default = quote(&format!("{}{suffix}", Table::DEFAULT_NAME));
                text.replace(&default, &format!("\0{suffix}\0"))
            });
        Table::SUFFIXES.iter().fold(marked, |text, suffix| {
            let name = quote(&format!("{}{suffix}", self.table.name()));
            let name = schema
                .iter()
                .fold(name, |name, schema| format!("{schema}.{name}"));
            text.replace(&format!("\0{suffix}\0"), &name)
        })
    }

    /// The part of the version that is different for each table: if two migrations have the same version, Diesel runs
    /// only one. It is empty for the default table, so that the versions are those of the shipped folders.
    pub(super) fn tag(&self) -> String {
        if self.table == Table::default() {
            return String::new();
        }
        let named = format!(
            "{}.{}",
            self.table.schema().unwrap_or_default(),
            self.table.name()
        );
        let hash = named.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193) // FNV-1a: the same for ever
        });
        format!("{hash:010}")
    }
}

impl<DB: Dialect> MigrationSource<DB> for Migrations {
    fn migrations(&self) -> Result<Vec<Box<dyn Migration<DB>>>> {
        let create = |step: &Step| -> Box<dyn Migration<DB>> {
            Box::new(Create {
                name: Name {
                    version: step.version() + &self.tag(),
                    title: step.title(),
                },
                up: self.named::<DB>(step.up),
                down: self.named::<DB>(step.down),
            })
        };
        Ok(DB::STEPS.iter().map(create).collect())
    }
}

/// Two sources combined into one: see [`Migrations::with`].
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
                    "the migrations {} and {} have the same version: rename the folder of yours, or, if it is a copy \
                     of this crate's, leave `with` out",
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

struct Name {
    version: String,
    title: &'static str,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.version, self.title)
    }
}

impl MigrationName for Name {
    fn version(&self) -> MigrationVersion<'_> {
        (&self.version).into()
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
