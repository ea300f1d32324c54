//! Runs the code that stands in README.md and docs/*.md, on SQLite, so that it needs no server.
//!
//! Code is changed in the Markdown alone. Here is only what its readers already have: imports, a connection, a pool, and
//! the end of the function around it. `build.rs` cuts the blocks out and names them.

#![allow(unused, clippy::pedantic, reason = "examples are written for readers")]

use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel_async::AsyncConnection;
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
use diesel_locks::{Error, Lock, Table, Wait, asynchronous, blocking, migrations::Migrations};
use diesel_migrations::MigrationHarness;

type Result<T = (), E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

/// The block of that name, in braces.
macro_rules! block {
    ($name:literal) => {
        include!(concat!(env!("OUT_DIR"), "/", $name, ".rs"))
    };
}

/// The block of that name, where items stand.
macro_rules! items {
    ($name:literal) => {
        include!(concat!(env!("OUT_DIR"), "/", $name, ".items.rs"));
    };
}

#[test]
fn every_block_is_run() {
    const NAMES: &[&str] = &include!(concat!(env!("OUT_DIR"), "/names.rs"));
    for name in NAMES {
        let used = include_str!("documentation.rs").contains(&format!("!(\"{name}\")"));
        assert!(
            used,
            "no test here runs the block `{name}`: write one, with block!(\"{name}\")"
        );
    }
}

/// A connection to a database of its own, with the table.
fn connect() -> Result<SqliteConnection> {
    let mut conn = SqliteConnection::establish(":memory:")?;
    blocking::migrate(&mut conn)?;
    Ok(conn)
}

/// A database in a file, with the table, until it is dropped.
struct File(std::path::PathBuf);

impl File {
    fn new(name: &str) -> Result<Self> {
        let name = format!("diesel-locks-{name}-{}", std::process::id());
        let file = Self(std::env::temp_dir().join(name));
        blocking::migrate(&mut SqliteConnection::establish(&file.url())?)?;
        Ok(file)
    }

    fn url(&self) -> String {
        self.0.display().to_string()
    }

    fn connect(&self) -> ConnectionResult<SqliteConnection> {
        SqliteConnection::establish(&self.url())
    }

    fn pool(&self) -> impl Fn() -> ConnectionResult<SqliteConnection> + use<> {
        let url = self.url();
        move || SqliteConnection::establish(&url)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

diesel::table! {
    invoices (id) {
        id -> Integer,
        paid -> Bool,
    }
}

/// A connection to a database of its own, with the table of the locks and one invoice.
fn connect_with_invoice() -> Result<SqliteConnection> {
    let mut conn = connect()?;
    conn.batch_execute(
        "CREATE TABLE invoices (id INTEGER PRIMARY KEY, paid BOOL NOT NULL);
         INSERT INTO invoices VALUES (42, false)",
    )?;
    Ok(conn)
}

fn is_paid(conn: &mut SqliteConnection) -> Result<bool> {
    let invoice = invoices::table.find(42).select(invoices::paid);
    Ok(invoice.first(conn)?)
}

mod readme {
    use super::*;

    #[test]
    fn first_screen() -> Result {
        use diesel_locks::blocking::{LeaseDsl, LockDsl};
        let mut conn = connect_with_invoice()?;
        block!("README/diesel-locks");
        assert!(is_paid(&mut conn)?);
        assert!(
            !Lock::new("invoice:42")?.is_held(&mut conn)?,
            "released with the commit"
        );
        Ok(())
    }

    #[test]
    fn on_your_connection() -> Result {
        let mut conn = SqliteConnection::establish(":memory:")?;
        block!("README/on-your-connection");
        Ok(())
    }

    #[tokio::test]
    async fn on_your_connection_async() -> Result {
        let mut conn: SyncConnectionWrapper<_> = SyncConnectionWrapper::new(connect()?);
        block!("README/on-your-connection-2");
        Ok(())
    }

    #[tokio::test]
    async fn managed() -> Result {
        let file = File::new("readme")?;
        let url = file.url();
        let pool = move || {
            let url = url.clone();
            async move { SyncConnectionWrapper::<SqliteConnection>::establish(&url).await }
        };
        block!("README/managed-wait-keep-alive-release");
        Ok(())
    }
}

mod inside_your_transaction {
    use super::*;

    #[test]
    fn pin() -> Result {
        use diesel_locks::blocking::{LeaseDsl, LockDsl};
        let mut conn = connect()?;
        block!("inside-your-transaction/pin-a-stale-holder-cannot-commit");
        Ok(())
    }

    #[test]
    fn a_guard() -> Result {
        use diesel_locks::blocking::{LeaseDsl, LockDsl, Locker};
        let file = File::new("guard")?;
        let (mut conn, locker) = (file.connect()?, Locker::new(file.pool()));
        block!("inside-your-transaction/a-guard");
        assert!(!Lock::new("ledger")?.try_acquire(&mut conn)?.is_busy());
        Ok(())
    }

    #[test]
    fn a_guard_that_is_released_with_the_commit() -> Result {
        use diesel_locks::blocking::{LeaseDsl, LockDsl, Locker};
        let file = File::new("guard-2")?;
        let (mut conn, locker) = (file.connect()?, Locker::new(file.pool()));
        let guard = locker.acquire("ledger", Wait::never())?;
        block!("inside-your-transaction/a-guard-2");
        assert!(!Lock::new("ledger")?.try_acquire(&mut conn)?.is_busy());
        Ok(())
    }

    #[test]
    fn one_call() -> Result {
        use diesel_locks::blocking::LockDsl;
        let mut conn = connect()?;
        block!("inside-your-transaction/one-call");
        Ok(())
    }

    #[tokio::test]
    async fn async_closures() -> Result {
        let mut conn: SyncConnectionWrapper<_> = SyncConnectionWrapper::new(connect()?);
        block!("inside-your-transaction/async-closures");
        Ok(())
    }
}

mod managed_locks {
    use super::*;

    #[test]
    fn managed_locks() -> Result {
        let file = File::new("managed")?;
        let pool = file.pool();
        block!("managed-locks/managed-locks");
        Ok(())
    }

    #[tokio::test]
    async fn blocking_diesel_in_an_async_program() -> Result {
        use diesel_locks::blocking::Locker;
        let file = File::new("blocking-in-async")?;
        let locker = Locker::new(file.pool());
        block!("managed-locks/blocking-diesel-in-an-async-program");
        Ok(())
    }

    #[test]
    fn leader_election() -> Result {
        let file = File::new("leader")?;
        let url = file.url();
        let open = move || {
            let mut conn = SqliteConnection::establish(&url)?;
            conn.batch_execute("PRAGMA busy_timeout = 5000")?;
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(conn)
        };
        let observer = blocking::Locker::new(open.clone());
        let leader = move || observer.inspect("leader").expect("the table is there");
        let opened = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
        let count = opened.clone();
        let pool = move || {
            count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            open()
        };
        // The shutdown comes when this process has its guard. A lock whose guard does not exist yet is given back after
        // the closing. The first connection acquires the lock, and the second one is for a transaction of the guard.
        let wait_for_shutdown = || {
            let began = std::time::Instant::now();
            while opened.load(std::sync::atomic::Ordering::SeqCst) < 2 {
                assert!(began.elapsed() < Duration::from_secs(20), "nobody leads");
                std::thread::sleep(Duration::from_millis(10));
            }
        };
        block!("managed-locks/leader-election");
        let record = leader().expect("the lock was used");
        assert!(!record.is_held(), "released when the `Locker` was closed");
        assert_eq!(record.data.as_deref(), Some("http://10.0.0.7:8080"));
        Ok(())
    }
}

mod embedding {
    use super::*;
    use diesel_migrations::{EmbeddedMigrations, embed_migrations};

    const MIGRATIONS: EmbeddedMigrations =
        embed_migrations!("../../examples/invoicing-service/migrations/sqlite");

    #[test]
    fn combined() -> Result {
        let mut conn = SqliteConnection::establish(":memory:")?;
        block!("embedding/combined");
        Ok(())
    }

    #[tokio::test]
    async fn combined_async() -> Result {
        let conn: SyncConnectionWrapper<_> =
            SyncConnectionWrapper::new(SqliteConnection::establish(":memory:")?);
        block!("embedding/combined-2");
        Ok(())
    }

    #[test]
    fn by_itself() -> Result {
        let mut conn = SqliteConnection::establish(":memory:")?;
        block!("embedding/by-itself");
        Ok(())
    }

    #[test]
    fn in_turn() -> Result {
        let mut conn = SqliteConnection::establish(":memory:")?;
        block!("embedding/several-instances-that-start-at-once");
        Ok(())
    }

    mod schema {
        items!("embedding/your-schema");
    }

    #[test]
    fn another_name() -> Result {
        let mut conn = SqliteConnection::establish(":memory:")?;
        block!("embedding/another-name-or-schema");
        Ok(())
    }
}

mod several_kinds_of_connections {
    use super::*;
    use diesel_locks::blocking::{LeaseDsl, LockDsl};

    #[derive(diesel::MultiConnection)]
    enum AnyConnection {
        Sqlite(SqliteConnection),
    }

    use super::invoices::dsl::paid;

    #[test]
    fn pinned() -> Result {
        let mut conn = connect_with_invoice()?;
        let lease = Lock::new("invoice:42")?
            .try_acquire(&mut conn)?
            .acquired()
            .expect("nobody else holds it");
        let mut any = AnyConnection::Sqlite(conn);
        block!("embedding/several-kinds-of-connections");
        let AnyConnection::Sqlite(mut conn) = any;
        assert!(is_paid(&mut conn)?);
        Ok(())
    }
}
