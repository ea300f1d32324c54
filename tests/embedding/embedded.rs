//! Migrations that are part of the host's program.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel_locks::blocking::{LockDsl, TableDsl, run_migrations_in_turn};
use diesel_locks::migrations::Migrations;
use diesel_locks::{Attempt, Lock, Table, Wait, asynchronous};
use diesel_migrations::{EmbeddedMigrations, FileBasedMigrations, MigrationHarness};

use crate::database::{Database, Engine, with_connection};
use crate::host::{Host, MIGRATIONS};

type Both = diesel_locks::migrations::Combined<EmbeddedMigrations>;

fn both() -> Both {
    Migrations::default().with(MIGRATIONS)
}

/// Does the same work with an async connection of any type, on a runtime with only this thread.
macro_rules! on_one_thread {
    ($engine:expr, $url:expr, $conn:ident => $work:expr) => {{
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            use diesel_async::AsyncConnection;
            macro_rules! work {
                ($blocking:ty, $asynchronous:ty) => {{
                    let $conn = <$asynchronous>::establish($url).await.unwrap();
                    $work
                }};
            }
            diesel_locks_tests::with_connection_types!($engine, work)
        })
    }};
}

pub fn combined_sources_run_and_revert(engine: Engine) {
    let database = Database::new(engine);
    with_connection!(engine, &database.url, conn => {
        let done = conn.run_pending_migrations(both()).unwrap();
        assert_eq!(done.len(), 3);
        diesel_locks::blocking::verify(conn).unwrap();
        assert!(!conn.has_pending_migration(both()).unwrap());
        for _ in 0..2 {
            conn.revert_last_migration(both()).unwrap();
        }
        assert!(!database.has("diesel_locks") && database.has("host_jobs"));
        assert_eq!(conn.run_pending_migrations(both()).unwrap().len(), 2);
        assert_eq!(conn.revert_all_migrations(both()).unwrap().len(), 3);
        assert!(!database.has("diesel_locks") && !database.has("host_jobs"));
    });
}

/// The host's folder already has a copy of this crate's migration.
pub fn equal_versions_are_an_error(engine: Engine) {
    let host = Host::new(engine);
    let ours = host.write();
    let shipped = host
        .migrations()
        .join("2026-11-20-084137_diesel_locks_create");
    if ours != shipped {
        std::fs::rename(ours, shipped).unwrap();
    }
    let database = Database::new(engine);
    let files = FileBasedMigrations::from_path(host.migrations()).unwrap();
    with_connection!(engine, &database.url, conn => {
        let both = Migrations::default().with(files);
        let error = conn.run_pending_migrations(both).unwrap_err().to_string();
        for part in ["20261120084137", "same version", "leave `with` out"] {
            assert!(error.contains(part), "{part} in {error}");
        }
    });
    assert!(!database.has("diesel_locks"));
}

pub fn two_tables_come_with_two_migrations(engine: Engine) {
    let database = Database::new(engine);
    let billing = Table::new("billing \"locks\"").unwrap();
    let other = Migrations::for_table(billing.clone());
    with_connection!(engine, &database.url, conn => {
        let done = conn.run_pending_migrations(other.clone().with(both())).unwrap();
        assert_eq!(done.len(), 4);
        billing.verify(conn).unwrap();
        diesel_locks::blocking::verify(conn).unwrap();
        conn.revert_all_migrations(other.with(both())).unwrap();
        assert!(billing.verify(conn).is_err());
    });
}

pub fn combined_sources_run_on_an_async_connection_and_one_thread(engine: Engine) {
    let database = Database::new(engine);
    on_one_thread!(engine, &database.url, conn => {
        let run = |harness: &mut _| MigrationHarness::run_pending_migrations(harness, both()).map(|done| done.len());
        let (mut conn, done) = asynchronous::with_blocking(conn, run).await;
        assert_eq!(done.unwrap(), 3);
        asynchronous::verify(&mut conn).await.unwrap();
        let (conn, done) = asynchronous::with_blocking(conn, |conn| {
            conn.revert_all_migrations(both()).map(|done| done.len())
        }).await;
        assert_eq!(done.unwrap(), 3);
        let mut conn = conn;
        assert!(asynchronous::verify(&mut conn).await.is_err());
    });
}

fn wait() -> Wait {
    Wait::up_to(Duration::from_secs(60))
}

/// The setting that the guide advises for SQLite. The other engines need no setting.
fn patience(engine: Engine) -> &'static str {
    if engine.name() == "sqlite" {
        "PRAGMA busy_timeout = 20000"
    } else {
        "SELECT 1"
    }
}

fn migrate_in_turn(database: &Database) -> usize {
    with_connection!(database.engine, &database.url, conn => {
        conn.batch_execute(patience(database.engine)).unwrap();
        let done = run_migrations_in_turn(conn, wait(), both()).unwrap();
        done.acquired().expect("sixty seconds are enough").len()
    })
}

pub fn instances_that_start_at_once_migrate_in_turn(engine: Engine) {
    let database = Database::new(engine);
    let done: Vec<usize> = std::thread::scope(|scope| {
        let start = |_| scope.spawn(|| migrate_in_turn(&database));
        let instances: Vec<_> = (0..8).map(start).collect();
        instances
            .into_iter()
            .map(|instance| instance.join().unwrap())
            .collect()
    });
    assert_eq!(done.iter().sum::<usize>(), 3, "{done:?}");
    assert!(done.contains(&3), "one did all: {done:?}");
    assert!(database.has("diesel_locks") && database.has("host_jobs"));
    assert_eq!(migrate_in_turn(&database), 0);
}

pub fn async_instances_that_start_at_once_migrate_in_turn(engine: Engine) {
    let database = Database::new(engine);
    let instance = |database: &Database| {
        on_one_thread!(database.engine, &database.url, conn => {
            let mut conn = conn;
            diesel_async::SimpleAsyncConnection::batch_execute(&mut conn, patience(engine)).await.unwrap();
            let (mut conn, done) = asynchronous::run_migrations_in_turn(conn, wait(), both()).await;
            asynchronous::verify(&mut conn).await.unwrap();
            done.unwrap().acquired().expect("sixty seconds are enough").len()
        })
    };
    let done: usize = std::thread::scope(|scope| {
        let instances: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| instance(&database)))
            .collect();
        instances
            .into_iter()
            .map(|instance| instance.join().unwrap())
            .sum()
    });
    assert_eq!(done, 3);
}

pub fn who_waits_in_vain_is_told_that_it_is_busy(engine: Engine) {
    let database = Database::new(engine);
    let turns = Table::new("diesel_locks_turns").unwrap();
    let lock = Lock::new("migrations")
        .unwrap()
        .with_owner("web-1")
        .unwrap();
    with_connection!(engine, &database.url, conn => {
        turns.migrate(conn).unwrap();
        lock.in_table(turns).try_acquire(conn).unwrap().acquired().unwrap();
        match run_migrations_in_turn(conn, Wait::never(), both()).unwrap() {
            Attempt::Busy(holder) => assert_eq!(holder.unwrap().owner, "web-1"),
            Attempt::Acquired(done) => panic!("{done:?}"),
        }
    });
    assert!(!database.has("host_jobs"));
}

pub fn a_migration_that_fails_frees_the_turn(engine: Engine) {
    let host = Host::new(engine);
    let database = Database::new(engine);
    let broken = host.migrations().join("2030-01-01-000000_broken");
    std::fs::create_dir(&broken).unwrap();
    std::fs::write(broken.join("up.sql"), "NO SQL").unwrap();
    let files = FileBasedMigrations::from_path(host.migrations()).unwrap();
    with_connection!(engine, &database.url, conn => {
        for _ in 0..2 {
            let failed = run_migrations_in_turn(conn, Wait::never(), files.clone());
            assert!(failed.is_err(), "{failed:?}");
        }
    });
    assert!(database.has("host_jobs"), "what came before it has run");
    assert_eq!(
        database.number("SELECT COUNT(*) AS number FROM diesel_locks_turns_held"),
        0
    );
}
