//! A database that belongs to one test, on the servers that `cargo xtask test` names. It also has a folder for files.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use diesel::connection::{Connection, SimpleConnection};
use diesel::sql_types::BigInt;
use diesel::{QueryableByName, RunQueryDsl, sql_query};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    #[cfg(feature = "postgres")]
    Postgres,
    #[cfg(feature = "mysql")]
    MariaDb,
    #[cfg(feature = "mysql")]
    MySql,
    #[cfg(feature = "sqlite")]
    Sqlite,
}

/// Makes a test of each function for each engine. The function takes the engine.
#[allow(clippy::crate_in_macro_def)] // the functions belong to the caller
#[macro_export]
macro_rules! for_every_engine {
    ($($module:ident: $($case:ident),+;)+) => {
        #[cfg(feature = "postgres")]
        $crate::database::for_every_engine! { @engine postgres, Postgres, $($module: $($case),+;)+ }
        #[cfg(feature = "mysql")]
        $crate::database::for_every_engine! { @engine mariadb, MariaDb, $($module: $($case),+;)+ }
        #[cfg(feature = "mysql")]
        $crate::database::for_every_engine! { @engine mysql, MySql, $($module: $($case),+;)+ }
        #[cfg(feature = "sqlite")]
        $crate::database::for_every_engine! { @engine sqlite, Sqlite, $($module: $($case),+;)+ }
    };
    (@engine $engine:ident, $variant:ident, $($module:ident: $($case:ident),+;)+) => {
        mod $engine {
            $(mod $module {$(
                #[test]
                fn $case() {
                    crate::$module::$case($crate::database::Engine::$variant);
                }
            )+})+
        }
    };
}
pub use for_every_engine;

/// Does the same work with a connection of any type.
#[macro_export]
macro_rules! with_connection {
    ($engine:expr, $url:expr, $conn:ident => $work:expr) => {
        match $engine {
            #[cfg(feature = "postgres")]
            $crate::database::Engine::Postgres => {
                let $conn = &mut $crate::database::establish::<diesel::PgConnection>($url);
                $work
            }
            #[cfg(feature = "mysql")]
            $crate::database::Engine::MariaDb | $crate::database::Engine::MySql => {
                let $conn = &mut $crate::database::establish::<diesel::MysqlConnection>($url);
                $work
            }
            #[cfg(feature = "sqlite")]
            $crate::database::Engine::Sqlite => {
                let $conn = &mut $crate::database::establish::<diesel::SqliteConnection>($url);
                $work
            }
        }
    };
}
pub use with_connection;

/// A database. It is removed when dropped.
pub struct Database {
    pub engine: Engine,
    pub url: String,
    pub folder: PathBuf,
    /// The URL of the server's own database, and the name of this database on the server.
    server: Option<(String, String)>,
}

/// A row with the single column `number`.
#[derive(QueryableByName)]
pub struct Number {
    #[diesel(sql_type = BigInt)]
    pub number: i64,
}

pub fn establish<C: Connection>(url: &str) -> C {
    C::establish(url).unwrap_or_else(|error| panic!("{url}: {error}"))
}

impl Database {
    /// Creates an empty database.
    pub fn new(engine: Engine) -> Self {
        let database = Self::unborn(engine);
        if let Some((server, name)) = &database.server {
            let create = format!("CREATE DATABASE {name}");
            with_connection!(engine, server, conn => conn.batch_execute(&create)).unwrap();
        }
        database
    }

    /// A database that another program is to create.
    pub fn unborn(engine: Engine) -> Self {
        let name = format!("diesel_locks_{}", unique());
        let folder = std::env::temp_dir().join(&name);
        std::fs::create_dir_all(&folder).unwrap();
        let server = engine.server().map(|server| (server, name));
        let url = match &server {
            Some((server, name)) => format!("{}/{name}", server.rsplit_once('/').unwrap().0),
            None => folder.join("app.db").display().to_string(),
        };
        Self {
            engine,
            url,
            folder,
            server,
        }
    }

    pub fn batch(&self, sql: &str) {
        let done = with_connection!(self.engine, &self.url, conn => conn.batch_execute(sql));
        done.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// The value of the column `number` in the only row of the query.
    pub fn number(&self, sql: &str) -> i64 {
        let row: Result<Number, _> =
            with_connection!(self.engine, &self.url, conn => sql_query(sql).get_result(conn));
        row.unwrap_or_else(|error| panic!("{sql}: {error}")).number
    }

    pub fn count(&self, table: &str) -> i64 {
        self.number(&format!("SELECT COUNT(*) AS number FROM {table}"))
    }

    /// Returns whether there is a table with this name.
    pub fn has(&self, table: &str) -> bool {
        let tables = match self.engine.name() {
            "postgres" => "(SELECT relname AS name FROM pg_class) t",
            "sqlite" => "sqlite_master",
            _ => {
                "(SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE()) t"
            }
        };
        self.count(&format!("{tables} WHERE name = '{table}'")) == 1
    }

    /// The path of a file in this database's folder.
    pub fn file(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.join(name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
        if let Some((server, name)) = &self.server {
            let force = if self.engine.name() == "postgres" {
                " WITH (FORCE)"
            } else {
                ""
            };
            let remove = format!("DROP DATABASE IF EXISTS {name}{force}");
            let _ = with_connection!(self.engine, server, conn => conn.batch_execute(&remove));
        }
    }
}

impl Engine {
    pub fn name(self) -> &'static str {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres => "postgres",
            #[cfg(feature = "mysql")]
            Self::MariaDb => "mariadb",
            #[cfg(feature = "mysql")]
            Self::MySql => "mysql",
            #[cfg(feature = "sqlite")]
            Self::Sqlite => "sqlite",
        }
    }

    /// The crate's name for the engine's dialect.
    pub fn dialect(self) -> &'static str {
        match self.name() {
            "mariadb" => "mysql",
            name => name,
        }
    }

    /// The URL of the database on its server. SQLite has no server.
    pub fn server(self) -> Option<String> {
        let variable = match self.name() {
            "postgres" => "PG_DATABASE_URL",
            "mariadb" => "MARIADB_DATABASE_URL",
            "mysql" => "MYSQL_DATABASE_URL",
            _ => return None,
        };
        Some(std::env::var(variable).unwrap_or_else(|_| {
            panic!("{variable} is not set: run the tests with `cargo xtask test`")
        }))
    }
}

/// A name that differs in every process and every call.
pub fn unique() -> String {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed();
    let micros = now.expect("after 1970").as_micros() & 0xffff_ffff;
    format!("{:x}_{micros:x}_{call:x}", std::process::id())
}
