//! The four database engines, and their names in commands, features and environment variables.

use crate::Outcome;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Postgres,
    MariaDb,
    MySql,
    Sqlite,
}

use Engine::{MariaDb, MySql, Postgres, Sqlite};

impl Engine {
    pub const ALL: [Self; 4] = [Postgres, MariaDb, MySql, Sqlite];

    /// The name in commands, and the first segment of the test paths.
    pub fn name(self) -> &'static str {
        match self {
            Postgres => "postgres",
            MariaDb => "mariadb",
            MySql => "mysql",
            Sqlite => "sqlite",
        }
    }

    /// The Cargo feature. MariaDB and MySQL share one, because they share a protocol.
    pub fn feature(self) -> &'static str {
        match self {
            MariaDb => "mysql",
            other => other.name(),
        }
    }

    /// The environment variable with the URL of a server. SQLite has no server.
    pub fn variable(self) -> Option<&'static str> {
        match self {
            Postgres => Some("PG_DATABASE_URL"),
            MariaDb => Some("MARIADB_DATABASE_URL"),
            MySql => Some("MYSQL_DATABASE_URL"),
            Sqlite => None,
        }
    }

    /// The URL of a server that the user provides.
    pub fn given(self) -> Option<String> {
        self.variable().and_then(given)
    }
}

/// The URL that the user gives with this variable.
pub fn given(variable: &str) -> Option<String> {
    let url = std::env::var(variable).ok();
    url.filter(|url| !url.is_empty())
}

/// The engines that a command names, in the order of [`Engine::ALL`]. All engines if it names none.
pub fn named(words: &[&str]) -> Outcome<Vec<Engine>> {
    if let Some(odd) = words
        .iter()
        .find(|word| !Engine::ALL.iter().any(|engine| engine.name() == **word))
    {
        return Err(format!("`{odd}` is not an engine\n\n{}", crate::USAGE));
    }
    let asked = |engine: &Engine| words.is_empty() || words.contains(&engine.name());
    Ok(Engine::ALL.into_iter().filter(asked).collect())
}

/// The names of the engines, as the benchmark's program reads them.
pub fn list(engines: &[Engine]) -> String {
    let names: Vec<&str> = engines.iter().map(|engine| engine.name()).collect();
    names.join(",")
}
