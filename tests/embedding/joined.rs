//! The host's tables and the table of the locks in one query. The macro or the Diesel CLI declares the
//! table of the locks.

use diesel::prelude::*;
use diesel_locks::blocking::{LockDsl, TableDsl};
use diesel_locks::query::unlocked;
use diesel_locks::{Lock, Table};
use diesel_migrations::MigrationHarness;

use crate::database::{Database, Engine, with_connection};
use crate::host::MIGRATIONS;

mod by_macro {
    diesel_locks::locks_table!(billing = "billing_locks");
    #[cfg(feature = "postgres")]
    pub mod in_a_schema {
        diesel_locks::locks_table!(infra.billing = "billing_locks");
    }

    diesel::table! {
        host_jobs (id) {
            id -> BigInt,
            lock_name -> Text,
            done -> Nullable<BigInt>,
        }
    }
    diesel::allow_tables_to_appear_in_same_query!(billing, host_jobs);
}

#[cfg(feature = "mysql")]
#[path = "printed/mysql.rs"]
mod printed_mysql;
#[cfg(feature = "postgres")]
#[path = "printed/postgres.rs"]
mod printed_postgres;
#[cfg(feature = "sqlite")]
#[path = "printed/sqlite.rs"]
mod printed_sqlite;

/// A database with two jobs. The lock of the first job is held.
fn at_work(engine: Engine, table: &Table) -> Database {
    let database = Database::new(engine);
    with_connection!(engine, &database.url, conn => {
        conn.run_pending_migrations(MIGRATIONS).unwrap();
        table.migrate(conn).unwrap();
        let lock = Lock::new("first").unwrap().with_owner("web-1").unwrap();
        lock.in_table(table.clone()).try_acquire(conn).unwrap().acquired().unwrap();
    });
    database.batch("INSERT INTO host_jobs (id, lock_name) VALUES (1, 'first'), (2, 'second')");
    database
}

/// Checks that a join finds the holder of the first job, and that a filter finds the job whose lock is free.
macro_rules! look {
    ($schema:path, $locks:ident, $table:expr, $conn:expr) => {{
        use $schema::{host_jobs, $locks};
        let at_work: Vec<(i64, String)> = host_jobs::table
            .inner_join($locks::table.on($locks::name.eq(host_jobs::lock_name)))
            .filter($locks::token.is_not_null())
            .select((host_jobs::id, $locks::owner))
            .load($conn)
            .unwrap();
        assert_eq!(at_work, [(1, "web-1".to_owned())]);
        let free: Vec<i64> = host_jobs::table
            .filter(unlocked(host_jobs::lock_name).in_table($table.clone()))
            .select(host_jobs::id)
            .load($conn)
            .unwrap();
        assert_eq!(free, [2]);
    }};
}

pub fn tables_of_the_host_are_joined_with_a_table_of_the_macro(engine: Engine) {
    let table = Table::new("billing_locks").unwrap();
    let database = at_work(engine, &table);
    with_connection!(engine, &database.url, conn => look!(by_macro, billing, table, conn));
    #[cfg(feature = "postgres")]
    if engine == Engine::Postgres {
        use by_macro::in_a_schema::billing;
        let sql = diesel::debug_query::<diesel::pg::Pg, _>(&billing::table.select(billing::name))
            .to_string();
        assert!(sql.contains(r#""infra"."billing_locks""#), "{sql}");
    }
}

pub fn tables_of_the_host_are_joined_with_the_table_that_was_printed(engine: Engine) {
    let table = Table::default();
    let database = at_work(engine, &table);
    match engine {
        #[cfg(feature = "postgres")]
        Engine::Postgres => {
            let conn = &mut crate::database::establish::<PgConnection>(&database.url);
            look!(printed_postgres, diesel_locks, table, conn);
        }
        #[cfg(feature = "mysql")]
        Engine::MariaDb | Engine::MySql => {
            let conn = &mut crate::database::establish::<MysqlConnection>(&database.url);
            look!(printed_mysql, diesel_locks, table, conn);
        }
        #[cfg(feature = "sqlite")]
        Engine::Sqlite => {
            let conn = &mut crate::database::establish::<SqliteConnection>(&database.url);
            look!(printed_sqlite, diesel_locks, table, conn);
        }
    }
}
