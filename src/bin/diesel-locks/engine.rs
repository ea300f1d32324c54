//! The database engines.

use clap::ValueEnum;

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
    /// The engine that a URL names. As for the Diesel CLI, a URL without a known scheme is the path of an SQLite file.
    pub fn of(url: &str) -> Self {
        match url.split_once("://") {
            Some(("postgres" | "postgresql", _)) => Self::Postgres,
            Some(("mysql" | "mariadb", _)) => Self::Mysql,
            _ => Self::Sqlite,
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
            (":memory:", Engine::Sqlite),
        ] {
            assert_eq!(Engine::of(url), engine, "{url}");
        }
    }
}
