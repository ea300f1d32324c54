//! The databases: what differs between them is here.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use diesel::Connection;
#[cfg(feature = "sqlite")]
use diesel::connection::SimpleConnection;
use tokio::runtime::Runtime;

use crate::client::asynchronous;
use crate::client::tasks::Tasks;
use crate::client::{self, Client, Setup};
use crate::place::Mode;
use crate::probe::Probe;

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

    /// It is a file, and no network is between.
    pub fn is_sqlite(self) -> bool {
        self.name() == "sqlite"
    }

    pub fn folder(self, scope: &str) -> Option<PathBuf> {
        let folder = std::env::temp_dir().join(format!("diesel-locks {scope}"));
        self.is_sqlite().then(|| {
            std::fs::create_dir_all(&folder).expect("a folder for the database");
            folder
        })
    }

    pub fn url(self, folder: Option<&PathBuf>) -> String {
        let variable = match self.name() {
            "postgres" => "PG_DATABASE_URL",
            "mariadb" => "MARIADB_DATABASE_URL",
            "mysql" => "MYSQL_DATABASE_URL",
            _ => return folder.expect("a folder").join("db").display().to_string(),
        };
        std::env::var(variable).unwrap_or_else(|_| {
            panic!("{variable} is not set: run the tests with `cargo xtask test`")
        })
    }

    pub fn probe(self, url: &str) -> Box<dyn Probe> {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres => Box::new(connect::<diesel::PgConnection>(url)),
            #[cfg(feature = "mysql")]
            Self::MariaDb | Self::MySql => Box::new(connect::<diesel::MysqlConnection>(url)),
            #[cfg(feature = "sqlite")]
            Self::Sqlite => {
                let mut conn = connect::<diesel::SqliteConnection>(url);
                conn.batch_execute("PRAGMA busy_timeout = 5000")
                    .expect("a setting");
                Box::new(conn)
            }
        }
    }

    pub fn client(
        self,
        mode: Mode,
        url: &str,
        setup: &Setup,
        runtime: &Runtime,
    ) -> Box<dyn Client> {
        macro_rules! client {
            ($blocking:ty, $asynchronous:ident) => {
                match mode {
                    Mode::Blocking | Mode::Both => {
                        client::Blocking::<$blocking>::client(url, setup)
                    }
                    Mode::Async => {
                        let client = asynchronous::$asynchronous::client;
                        Box::new(client(url, setup, runtime.handle()))
                    }
                }
            };
        }
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres => client!(diesel::PgConnection, postgres),
            #[cfg(feature = "mysql")]
            Self::MariaDb | Self::MySql => client!(diesel::MysqlConnection, mysql),
            #[cfg(feature = "sqlite")]
            Self::Sqlite => client!(diesel::SqliteConnection, sqlite),
        }
    }

    pub fn tasks(self, url: &str, setup: &Setup, runtime: &Runtime) -> Arc<dyn Tasks> {
        let handle = runtime.handle();
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres => asynchronous::postgres::client(url, setup, handle),
            #[cfg(feature = "mysql")]
            Self::MariaDb | Self::MySql => asynchronous::mysql::client(url, setup, handle),
            #[cfg(feature = "sqlite")]
            Self::Sqlite => asynchronous::sqlite::client(url, setup, handle),
        }
    }

    /// Creates the tables, once for each database.
    pub fn migrate(self, url: &str) {
        static MIGRATED: Mutex<Vec<String>> = Mutex::new(Vec::new());
        let mut migrated = MIGRATED.lock().expect("no panic while migrating");
        if migrated.iter().any(|done| done == url) {
            return;
        }
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres => migrate::<diesel::PgConnection>(url),
            #[cfg(feature = "mysql")]
            Self::MariaDb | Self::MySql => migrate::<diesel::MysqlConnection>(url),
            #[cfg(feature = "sqlite")]
            Self::Sqlite => {
                let wal = connect::<diesel::SqliteConnection>(url)
                    .batch_execute("PRAGMA journal_mode = WAL");
                wal.expect("a setting of the file");
                migrate::<diesel::SqliteConnection>(url);
            }
        }
        migrated.push(url.to_owned());
    }
}

fn connect<C: Connection>(url: &str) -> C {
    C::establish(url).unwrap_or_else(|error| panic!("{url}: {error}"))
}

fn migrate<C: Connection + diesel_locks::blocking::LockConnection>(url: &str) {
    let mut conn = connect::<C>(url);
    diesel_locks::blocking::migrate(&mut conn).expect("migrations that run");
    // What is written under locks.
    conn.batch_execute(
        "CREATE TABLE IF NOT EXISTS faults_ledger (scope VARCHAR(255) NOT NULL, fence BIGINT NOT NULL)",
    )
    .expect("a ledger");
}
