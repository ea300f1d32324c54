//! Databases that tests share. A server has one database for all tests, whose names keep the tests apart. SQLite has a
//! file for each scope.

use std::path::PathBuf;
use std::sync::Mutex;

use diesel::connection::SimpleConnection;
use diesel::result::QueryResult;

use crate::Engine;

impl Engine {
    /// Returns whether the database is a file, without a network in between.
    pub fn is_sqlite(self) -> bool {
        self.name() == "sqlite"
    }

    pub fn is_postgres(self) -> bool {
        self.name() == "postgres"
    }

    /// The URL of the database of a scope. On a server it is the server's URL. On SQLite it is a file in a folder that
    /// [`clear`] removes.
    pub fn url(self, scope: &str) -> String {
        self.server().unwrap_or_else(|| {
            let folder = folder(scope);
            std::fs::create_dir_all(&folder).expect("a folder for the database");
            folder.join("db").display().to_string()
        })
    }

    /// Creates the tables of the locks and a table of the host, once for each database. Creating the host's table can
    /// fail if another process creates it at the same time.
    pub fn migrate(self, url: &str, host_table: &str) -> QueryResult<()> {
        static MIGRATED: Mutex<Vec<String>> = Mutex::new(Vec::new());
        let mut migrated = MIGRATED.lock().expect("no panic while migrating");
        if migrated.iter().any(|done| done == url) {
            return Ok(());
        }
        let made = crate::with_connection!(self, url, conn => {
            if self.is_sqlite() {
                let setting = conn.batch_execute("PRAGMA journal_mode = WAL");
                setting.expect("a setting of the file");
            }
            diesel_locks::blocking::migrate(conn).expect("migrations that run");
            conn.batch_execute(host_table)
        });
        migrated.push(url.to_owned());
        made
    }
}

/// Removes the folder of a scope, if there is one.
pub fn clear(scope: &str) {
    let _ = std::fs::remove_dir_all(folder(scope));
}

fn folder(scope: &str) -> PathBuf {
    std::env::temp_dir().join(format!("diesel-locks {scope}"))
}
