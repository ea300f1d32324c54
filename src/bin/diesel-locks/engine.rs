//! The database engines.

use clap::ValueEnum;

use crate::outcome::{Outcome, WrongArguments};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Engine {
    #[value(alias = "postgresql")]
    Postgres,
    /// MySQL and MariaDB.
    #[value(alias = "mariadb")]
    Mysql,
    Sqlite,
}

impl Engine {
    /// The engine that a URL names. As for the Diesel CLI, a text without a scheme is the path of an SQLite file.
    pub fn of(url: &str) -> Outcome<Self> {
        match scheme(url) {
            Some("postgres" | "postgresql") => Ok(Self::Postgres),
            Some("mysql" | "mariadb") => Ok(Self::Mysql),
            Some("sqlite" | "file") | None => Ok(Self::Sqlite),
            // Only the scheme is shown: the rest may hold a password.
            Some(unknown) => Err(WrongArguments(format!(
                "the URL of the database begins with {unknown}://, which is unknown: use postgres://, mysql:// (also \
                 for MariaDB), sqlite://, or the path of an SQLite file"
            ))
            .into()),
        }
    }

    /// The error if this program was built without this engine.
    #[cfg(not(all(
        feature = "cli-postgres",
        feature = "cli-mysql",
        feature = "cli-sqlite"
    )))]
    pub fn missing(self) -> Box<dyn std::error::Error + Send + Sync> {
        let name = format!("{self:?}").to_lowercase();
        format!(
            "this program was built without {name}: cargo install diesel-locks --features cli-{name}"
        )
        .into()
    }
}

/// The text before `://`. A single letter is a drive of Windows.
fn scheme(url: &str) -> Option<&str> {
    let (scheme, _) = url.split_once("://")?;
    let is_part = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    (scheme.len() > 1 && scheme.chars().all(is_part)).then_some(scheme)
}

#[cfg(test)]
mod tests {
    use super::Engine;

    #[test]
    fn a_url_names_its_engine() {
        for (url, engine) in [
            ("postgres://u@h/d", Engine::Postgres),
            ("postgresql:///d", Engine::Postgres),
            ("mysql://u@h/d", Engine::Mysql),
            ("mariadb://u@h/d", Engine::Mysql),
            ("app.db", Engine::Sqlite),
            ("sqlite://app.db", Engine::Sqlite),
            ("file:app.db?mode=ro", Engine::Sqlite),
            (":memory:", Engine::Sqlite),
            (r"C:\data\app.db", Engine::Sqlite),
            ("C://data/app.db", Engine::Sqlite),
            ("odd folder/a://b", Engine::Sqlite),
        ] {
            assert_eq!(Engine::of(url).unwrap(), engine, "{url}");
        }
    }

    #[test]
    fn an_unknown_scheme_is_no_file() {
        for url in ["postgress://u:secret@h/d", "oracle://u:secret@h/d"] {
            let error = Engine::of(url).unwrap_err().to_string();
            assert!(error.contains("use postgres://, mysql://"), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
