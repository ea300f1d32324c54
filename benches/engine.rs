//! The database engines, and a macro that calls generic code with the connection type of an engine.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Postgres,
    MariaDb,
    MySql,
    Sqlite,
}

impl Engine {
    pub const ALL: [Self; 4] = [Self::Postgres, Self::MariaDb, Self::MySql, Self::Sqlite];

    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::MariaDb => "MariaDB",
            Self::MySql => "MySQL",
            Self::Sqlite => "SQLite",
        }
    }

    /// The name in commands.
    pub fn word(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::MariaDb => "mariadb",
            Self::MySql => "mysql",
            Self::Sqlite => "sqlite",
        }
    }

    /// The engine of this name in commands.
    pub fn named(word: &str) -> Self {
        let mut all = Self::ALL.into_iter();
        all.find(|engine| engine.word() == word).unwrap()
    }

    pub fn variable(self) -> Option<&'static str> {
        match self {
            Self::Postgres => Some("PG_DATABASE_URL"),
            Self::MariaDb => Some("MARIADB_DATABASE_URL"),
            Self::MySql => Some("MYSQL_DATABASE_URL"),
            Self::Sqlite => None,
        }
    }
}

/// Calls a generic function with the connection type of this engine.
macro_rules! on {
    ($engine:expr, $function:ident($($argument:expr),*)) => {
        match $engine {
            $crate::engine::Engine::Postgres => $function::<diesel::PgConnection>($($argument),*),
            $crate::engine::Engine::MariaDb | $crate::engine::Engine::MySql => {
                $function::<diesel::MysqlConnection>($($argument),*)
            }
            $crate::engine::Engine::Sqlite => $function::<diesel::SqliteConnection>($($argument),*),
        }
    };
}
pub(crate) use on;
