//! The migrations as files in the application's own folder, for the Diesel CLI and `embed_migrations!`.
//!
//! - An existing folder or file is never changed. A step whose folder exists already, under whatever date, is left out.
//! - A folder appears complete or not at all: it is written under another name beside its place, and then renamed.
//! - A new folder sorts after all existing folders, like a folder that `diesel migration generate` makes. So the next
//!   `diesel migration redo` or `revert` means the new folder.

use std::path::{Path, PathBuf};
use std::{fs, io};

use chrono::{DateTime, Utc};

use super::{Migrations, Step};
use crate::clock::on_the_wall;
use crate::dialect::Dialect;
use crate::error::{Error, Result};

impl Migrations {
    /// Writes the migrations into the application's folder of migrations, and returns the folders that it made: none if
    /// all exist already. Existing files are not changed.
    ///
    /// Use it in an application whose migrations are files that the Diesel CLI runs or `embed_migrations!` embeds.
    /// After an upgrade of this crate call it again: it adds the new steps. The program `diesel-locks migrations write`
    /// does the same.
    ///
    /// Do not use it together with [`migrate`](crate::blocking::migrate) or [`with`](Self::with): then the table needs
    /// no files.
    ///
    /// # Errors
    /// [`Error::Setup`] if the folder is missing or cannot be written.
    pub fn write<DB: Dialect>(&self, folder: impl AsRef<Path>) -> Result<Vec<PathBuf>> {
        let folder = folder.as_ref();
        let mut there = names(folder)?;
        let mut made = Vec::new();
        for step in DB::STEPS {
            let title = self.title(step);
            if there.iter().any(|name| is_named(name, &self.tag(), &title)) {
                continue;
            }
            let name = format!("{}_{title}", self.stamp(step, &there, now()));
            let (up, down) = (self.named::<DB>(step.up), self.named::<DB>(step.down));
            made.push(write_folder(folder, &name, &up, &down)?);
            there.push(name);
        }
        Ok(made)
    }

    /// The title of the folder: `diesel_locks_create`, followed by the name of the table if that is not the default
    /// table.
    fn title(&self, step: &Step) -> String {
        if self.tag().is_empty() {
            return step.title().to_owned();
        }
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        let name: String = self.table().name().chars().map(plain).collect();
        format!("{}_for_{}", step.title(), name.to_lowercase())
    }

    /// The date for the name of the folder: the shipped date if the folder then sorts after all others, otherwise the
    /// current time.
    fn stamp(&self, step: &Step, there: &[String], now: DateTime<Utc>) -> String {
        let shipped = step.version() + &self.tag();
        let tag = self.tag();
        let dash = if tag.is_empty() { "" } else { "-" };
        let last = there.iter().map(|name| version(name)).max();
        let date = match last {
            Some(last) if last >= shipped => now.format("%Y-%m-%d-%H%M%S").to_string(),
            _ => step.stamp().to_owned(),
        };
        format!("{date}{dash}{tag}")
    }
}

/// The version that Diesel reads from the name of a folder.
fn version(name: &str) -> String {
    name.split('_').next().unwrap_or_default().replace('-', "")
}

/// Whether this is the folder of that step and that table, under whatever date.
fn is_named(name: &str, tag: &str, title: &str) -> bool {
    let Some((_, rest)) = name.split_once('_') else {
        return false;
    };
    rest == title && version(name).ends_with(tag)
}

fn names(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).map_err(|error| Error::Setup {
        found: format!("the folder of migrations {}: {error}", folder.display()),
        remedy: "create it, with `diesel setup` for one, or name the right one",
    })?;
    let name = |entry: io::Result<fs::DirEntry>| entry.ok()?.file_name().into_string().ok();
    Ok(entries.filter_map(name).collect())
}

fn write_folder(folder: &Path, name: &str, up: &str, down: &str) -> Result<PathBuf> {
    // Diesel ignores names that begin with a dot.
    let (part, whole) = (folder.join(format!(".{name}.part")), folder.join(name));
    let write = || {
        fs::create_dir(&part)?;
        fs::write(part.join("up.sql"), up)?;
        fs::write(part.join("down.sql"), down)?;
        fs::rename(&part, &whole)
    };
    write().map_err(|error| Error::Setup {
        found: format!("{}: {error}", whole.display()),
        remedy: "make the folder writable, and remove what was left of it by a run that was cut off",
    })?;
    Ok(whole)
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_micros(on_the_wall()).unwrap_or_default()
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use diesel::sqlite::Sqlite;

    use super::{Migrations, version};
    use crate::error::Error;
    use crate::table::Table;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("diesel-locks-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn with(self, migration: &str) -> Self {
            fs::create_dir(self.0.join(migration)).unwrap();
            self
        }

        fn write(&self, migrations: &Migrations) -> Vec<String> {
            let made = migrations.write::<Sqlite>(&self.0).unwrap();
            let name = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
            made.into_iter().map(name).collect()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_shipped_folder_is_written_once_and_never_changed() {
        let folder = Folder::new("once").with("2020-01-01-000000_jobs");
        let made = folder.write(&Migrations::default());
        assert_eq!(made, ["2026-11-20-084137_diesel_locks_create"]);
        let up = folder.0.join(&made[0]).join("up.sql");
        assert_eq!(
            fs::read_to_string(&up).unwrap(),
            Migrations::default().up_sql::<Sqlite>()
        );
        fs::write(&up, "mine").unwrap();
        assert!(folder.write(&Migrations::default()).is_empty());
        assert_eq!(fs::read_to_string(&up).unwrap(), "mine");
    }

    #[test]
    fn it_sorts_behind_what_is_there() {
        let folder = Folder::new("behind").with("2026-11-20-084137_jobs");
        let made = folder.write(&Migrations::default());
        assert!(version(&made[0]) > version("2026-11-20-084137_jobs"));
        assert!(made[0].ends_with("_diesel_locks_create"));
        assert!(folder.write(&Migrations::default()).is_empty());
    }

    #[test]
    fn each_table_has_folders_of_its_own() {
        let folder = Folder::new("tables");
        let tables = ["a b", "a_b", "diesel_locks_create"].map(|name| Table::new(name).unwrap());
        let all = tables.map(Migrations::for_table);
        let made: Vec<String> = all.iter().flat_map(|table| folder.write(table)).collect();
        assert_eq!(folder.write(&Migrations::default()).len(), 1);
        let mut versions: Vec<String> = made.iter().map(|name| version(name)).collect();
        versions.sort_unstable();
        versions.dedup();
        assert_eq!(versions.len(), 3, "{made:?}");
        assert!(all.iter().all(|table| folder.write(table).is_empty()));
    }

    #[test]
    fn a_folder_that_is_missing_is_named() {
        let folder = Folder::new("missing").0.join("nowhere");
        let error = Migrations::default().write::<Sqlite>(&folder).unwrap_err();
        assert!(matches!(error, Error::Setup { .. }));
        assert!(
            error.to_string().contains("nowhere") && error.to_string().contains("diesel setup")
        );
    }
}
