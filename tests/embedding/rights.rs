//! The rights that a role needs. The grants here are those of the guide.

use diesel::Connection;
use diesel_locks::blocking::{LeaseDsl, ListDsl, LockConnection, LockDsl};
use diesel_locks::{Error, Forced, List, Lock, LockSet, Wait};

use crate::database::{Database, Engine, unique, with_connection};

/// A user with these rights. It is removed when dropped. SQLite has no users, only the rights to open the file.
struct Role {
    database: Database,
    name: String,
}

impl Role {
    /// Creates the user in a new database that has the table of the locks.
    fn new(engine: Engine, grants: &[&str]) -> Self {
        let database = Database::new(engine);
        with_connection!(engine, &database.url, conn => diesel_locks::blocking::migrate(conn))
            .unwrap();
        Self::on(database, grants)
    }

    fn on(database: Database, grants: &[&str]) -> Self {
        let name = format!("diesel_locks_{}", unique());
        let (user, create) = match database.engine.dialect() {
            "postgres" => (name.clone(), format!("CREATE ROLE {name} LOGIN")),
            "mysql" => (format!("{name}@'%'"), format!("CREATE USER {name}@'%'")),
            _ => return Self { database, name },
        };
        database.batch(&create);
        for grant in grants {
            database.batch(&format!("GRANT {grant} TO {user}"));
        }
        Self { database, name }
    }

    fn url(&self) -> String {
        let Some((scheme, rest)) = self.database.url.split_once("://") else {
            return self.database.url.clone();
        };
        let (_, place) = rest.split_once('@').unwrap();
        format!("{scheme}://{}@{place}", self.name)
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        match self.database.engine.dialect() {
            "postgres" => self
                .database
                .batch(&format!("DROP OWNED BY {0}; DROP ROLE {0}", self.name)),
            "mysql" => self.database.batch(&format!("DROP USER {}@'%'", self.name)),
            _ => {}
        }
    }
}

fn all_but_purging(engine: Engine) -> &'static [&'static str] {
    match engine.dialect() {
        "postgres" => &["SELECT, INSERT, UPDATE ON diesel_locks"],
        "mysql" => &[
            "SELECT, INSERT, UPDATE ON diesel_locks",
            "SELECT, INSERT, UPDATE ON diesel_locks_beats",
        ],
        _ => &[],
    }
}

/// A role that may only read, or only read and insert, cannot hold a lock. `verify` names the right that is missing.
pub fn verifying_names_the_right_that_is_missing(engine: Engine) {
    if engine.dialect() == "sqlite" {
        return; // it has no roles
    }
    for (grants, missing) in [("SELECT", "INSERT"), ("SELECT, INSERT", "UPDATE")] {
        let on = |table: &str| format!("{grants} ON {table}");
        let (locks, beats) = (on("diesel_locks"), on("diesel_locks_beats"));
        let grants: &[&str] = match engine.dialect() {
            "postgres" => &[&locks],
            _ => &[&locks, &beats],
        };
        let role = Role::new(engine, grants);
        with_connection!(engine, &role.url(), conn => {
            let error = diesel_locks::blocking::verify(conn).unwrap_err().to_string();
            assert!(error.contains(missing) && error.contains("GRANT"), "{error}");
        });
    }
}

pub fn what_is_granted_is_enough(engine: Engine) {
    let role = Role::new(engine, all_but_purging(engine));
    with_connection!(engine, &role.url(), conn => {
        work(conn).unwrap();
        let (page, hour) = (List::all(), std::time::Duration::from_secs(3_600));
        let purged = page.purge(conn, hour);
        // MySQL and MariaDB write nothing if no row is old enough, so the missing right does not matter there.
        assert_eq!(purged.is_err(), engine.dialect() == "postgres", "{purged:?}");
        let denied = conn.transaction(|conn| {
            diesel::connection::SimpleConnection::batch_execute(conn, "DROP TABLE diesel_locks")?;
            Err::<(), _>(diesel::result::Error::RollbackTransaction)
        });
        let is_denied = !matches!(denied, Err(diesel::result::Error::RollbackTransaction));
        assert_eq!(is_denied, engine.dialect() != "sqlite", "{denied:?}");
    });
    let purging: Vec<String> = all_but_purging(engine)
        .iter()
        .map(|grant| grant.replace("UPDATE", "UPDATE, DELETE"))
        .collect();
    let noted = "SELECT ON diesel_locks_setup";
    let grants: Vec<&str> = purging.iter().map(String::as_str).chain([noted]).collect();
    let role = Role::new(engine, &grants);
    with_connection!(engine, &role.url(), conn => {
        diesel_locks::blocking::migrate(conn).unwrap();
        work(conn).unwrap();
        let day = 86_400_000_000_i64;
        for table in ["diesel_locks", "diesel_locks_beats"] {
            if role.database.has(table) {
                let older = format!("fence = fence - {day}, expires_at = expires_at - {day}");
                role.database.batch(&format!("UPDATE {table} SET {older}"));
            }
        }
        let hour = std::time::Duration::from_secs(3_600);
        assert_eq!(List::all().purge(conn, hour).unwrap(), 3);
    });
}

/// All operations of an application.
fn work<C: LockConnection + Connection>(conn: &mut C) -> Result<(), Error> {
    diesel_locks::blocking::verify(conn)?;
    let lock = Lock::new("x")?;
    let mut lease = lock
        .try_acquire(conn)?
        .acquired()
        .expect("nobody else holds it");
    assert!(lock.acquire(conn, Wait::never())?.is_busy());
    lease.extend(conn)?;
    lease.set_data(conn, Some("text"))?;
    conn.transaction(|conn| lease.pin(conn))?;
    conn.transaction(|conn| Lock::new("y")?.try_hold(conn).map(drop))?;
    assert_eq!(List::all().held().load(conn)?.len(), 1);
    assert_eq!(lock.force_release(conn)?, Forced::Released);
    let done = lock.transaction(conn, Wait::never(), |_, _| Ok::<_, Error>(()))?;
    assert!(!done.is_busy());
    let set = LockSet::new(&lock, ["z"])?;
    let all = diesel_locks::blocking::LockSetDsl::acquire_all(&set, conn, Wait::never())?;
    for lease in all.acquired().expect("all are free") {
        assert!(!lease.release(conn)?.is_lost());
    }
    Ok(())
}

pub fn who_may_only_look_sees_the_view(engine: Engine) {
    let role = Role::new(engine, &["SELECT ON diesel_locks_held"]);
    let lock = Lock::new("x").unwrap();
    with_connection!(engine, &role.database.url, conn => lock.try_acquire(conn))
        .unwrap()
        .acquired()
        .unwrap();
    let url = match engine.dialect() {
        "sqlite" => format!("file:{}?mode=ro", role.database.url),
        _ => role.url(),
    };
    with_connection!(engine, &url, conn => {
        use diesel::RunQueryDsl;
        let seen = diesel::sql_query("SELECT name FROM diesel_locks_held").execute(conn);
        assert!(seen.is_ok(), "{seen:?}");
        let tokens = diesel::sql_query("SELECT token FROM diesel_locks").execute(conn);
        assert_eq!(tokens.is_err(), engine.dialect() != "sqlite", "{tokens:?}");
        let taken = Lock::new("y").unwrap().try_acquire(conn);
        assert!(taken.is_err(), "{taken:?}");
    });
}

pub fn who_migrates_needs_no_more(engine: Engine) {
    let database = Database::new(engine);
    let all = format!(
        "CREATE, CREATE VIEW, DROP, SELECT, INSERT ON {}.*",
        database.url.rsplit_once('/').unwrap().1
    );
    let grants: &[&str] = match engine.dialect() {
        "postgres" => &["CREATE ON SCHEMA public"],
        "mysql" => &[&all],
        _ => &[],
    };
    let role = Role::on(database, grants);
    with_connection!(engine, &role.url(), conn => {
        diesel_locks::blocking::migrate(conn).unwrap();
    });
    // It needs no right to hold a lock. (On PostgreSQL it owns the table.)
    with_connection!(engine, &role.url(), conn => {
        let verified = diesel_locks::blocking::verify(conn);
        assert_eq!(verified.is_ok(), engine.dialect() != "mysql", "{verified:?}");
    });
    with_connection!(engine, &role.database.url, conn => {
        diesel_locks::blocking::verify(conn).unwrap();
    });
}
