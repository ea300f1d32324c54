//! The folder of a host application, and the Diesel CLI in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use diesel_locks::Dialect;
use diesel_locks::migrations::Migrations;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};

use crate::database::{Database, Engine};

/// The migrations that the host embeds.
pub const MIGRATIONS: EmbeddedMigrations = embed_migrations!("embedding/migrations");

const FILTER: &str = r#"filter = { except_tables = ["^diesel_locks.*"] }"#;

pub struct Host {
    pub database: Database,
}

impl Host {
    /// Creates a host with its own migrations. Its database does not exist yet.
    pub fn new(engine: Engine) -> Self {
        let host = Self {
            database: Database::unborn(engine),
        };
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("embedding/migrations");
        copy(&from, &host.migrations());
        host.configure(true);
        host
    }

    pub fn migrations(&self) -> PathBuf {
        self.database.file("migrations")
    }

    /// The names in the folder of migrations, in order.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.migrations()).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.starts_with('.') && !name.starts_with("0000"))
            .collect();
        names.sort_unstable();
        names
    }

    /// Writes this crate's migrations for the engine. Returns the new folder.
    pub fn write(&self) -> PathBuf {
        let folder = self.migrations();
        let made = match self.database.engine.dialect() {
            #[cfg(feature = "postgres")]
            "postgres" => write::<diesel::pg::Pg>(&folder),
            #[cfg(feature = "mysql")]
            "mysql" => write::<diesel::mysql::Mysql>(&folder),
            #[cfg(feature = "sqlite")]
            "sqlite" => write::<diesel::sqlite::Sqlite>(&folder),
            other => unreachable!("{other}"),
        };
        let [made] = made.try_into().expect("one folder");
        made
    }

    /// Writes `diesel.toml`, with or without the filter that hides the table.
    pub fn configure(&self, filtered: bool) {
        let filter = if filtered { FILTER } else { "" };
        let text = format!(
            "[print_schema]\nfile = \"schema.rs\"\n{filter}\n[migrations_directory]\ndir = \"migrations\"\n"
        );
        fs::write(self.database.file("diesel.toml"), text).unwrap();
    }

    /// Runs the Diesel CLI in the host's folder. Returns the output.
    pub fn diesel(&self, words: &[&str]) -> String {
        let program = std::env::var("DIESEL_CLI").unwrap_or_else(|_| {
            panic!("DIESEL_CLI is not set: run the tests with `cargo xtask test`")
        });
        let mut command = Command::new(program);
        let output = command
            .args(words)
            .current_dir(&self.database.folder)
            .env("DATABASE_URL", &self.database.url)
            .output()
            .unwrap();
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "diesel {words:?}: {out}{err}");
        out
    }
}

fn write<DB: Dialect>(folder: &Path) -> Vec<PathBuf> {
    Migrations::default().write::<DB>(folder).unwrap()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let place = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &place);
        } else {
            fs::copy(entry.path(), place).unwrap();
        }
    }
}
