//! The engines, and code that is the same for each of their connections.

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

    /// What it is called in commands.
    pub fn word(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::MariaDb => "mariadb",
            Self::MySql => "mysql",
            Self::Sqlite => "sqlite",
        }
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

/// Calls a function that is generic over connections with the type of this engine's.
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
