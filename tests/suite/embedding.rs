//! The table that creates itself, and the check at start-up that it is ready.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use diesel::connection::InstrumentationEvent;
use diesel_locks::{Error, Table};

use super::setup::{assert_missing, odd_schema, quoted, sql};
use crate::session::Session;
use crate::world::{World, own_table, spawn};

async fn remove(world: &World, conn: &mut dyn Session, table: &Table) {
    let setup = quoted(world, &format!("{}_setup", table.name()));
    let schema = table.schema().map(|schema| quoted(world, schema) + ".");
    let setup = format!("{}{setup}", schema.unwrap_or_default());
    conn.batch(&sql(world, table).1).await.unwrap();
    conn.batch(&format!("DROP TABLE {setup}")).await.unwrap();
}

/// The number of migrations that are noted as done.
async fn noted(world: &World, conn: &mut dyn Session, table: &Table) -> i64 {
    let setup = quoted(world, &format!("{}_setup", table.name()));
    let sql = format!("SELECT COUNT(*) AS number FROM {setup}");
    conn.number(&sql).await.unwrap()
}

#[track_caller]
fn assert_unfit(answer: diesel_locks::Result<()>, parts: &[&str]) {
    let error = answer.unwrap_err();
    assert!(matches!(error, Error::Setup { .. }), "{error:?}");
    for part in parts {
        assert!(error.to_string().contains(part), "{part} in {error}");
    }
}

pub async fn migrating_makes_the_table_once_and_an_upgrade_is_no_danger(world: &World) {
    let (mut conn, table) = (world.session().await, own_table("made"));
    let lock = world.lock("x").in_table(table.clone());
    assert_missing(conn.verify(&table).await);
    conn.migrate(&table).await.unwrap();
    conn.verify(&table).await.unwrap();
    let lease = conn.take(&lock).await;
    conn.migrate(&table).await.unwrap();
    assert!(conn.is_mine(&lease).await.unwrap());
    assert_eq!(noted(world, &mut *conn, &table).await, 1);
    remove(world, &mut *conn, &table).await;
}

pub async fn migrating_is_refused_inside_a_transaction(world: &World) {
    let (mut conn, table) = (world.session().await, own_table("inside"));
    let scope = world.lock("x").key().to_owned();
    let row = format!("INSERT INTO host_jobs (scope, name) VALUES ('{scope}', 'x')");
    let rows = format!("SELECT COUNT(*) AS number FROM host_jobs WHERE scope = '{scope}'");
    conn.begin().await.unwrap();
    conn.sql(&row).await.unwrap();
    assert_unfit(
        conn.migrate(&table).await,
        &["transaction", "before it begins"],
    );
    conn.rollback().await.unwrap();
    assert_eq!(conn.number(&rows).await.unwrap(), 0, "committed");
    assert_missing(conn.verify(&table).await);
}

pub async fn a_table_that_others_made_is_left_alone(world: &World) {
    let (mut conn, table) = (world.session().await, own_table("others"));
    let (up, _) = sql(world, &table);
    conn.batch(&up).await.unwrap();
    conn.verify(&table).await.unwrap();
    let refused = conn.migrate(&table).await;
    assert_unfit(refused, &["not made by `migrate`", "verify", table.name()]);
    // Hands the table over to `migrate`, as the guide describes.
    let setup = quoted(world, &format!("{}_setup", table.name()));
    let note = format!(
        "CREATE TABLE {setup} (version BIGINT NOT NULL PRIMARY KEY); \
         INSERT INTO {setup} VALUES (20261120084137)"
    );
    conn.batch(&note).await.unwrap();
    let lease = conn.take(&world.lock("x").in_table(table.clone())).await;
    conn.migrate(&table).await.unwrap();
    assert!(conn.is_mine(&lease).await.unwrap());
    remove(world, &mut *conn, &table).await;
}

/// MySQL and MariaDB commit each statement. On the other engines nothing can be half done, except that the table of the
/// notes may be empty.
pub async fn a_run_that_was_cut_off_is_completed(world: &World) {
    let (mut conn, table) = (world.session().await, own_table("cut_off"));
    let setup = quoted(world, &format!("{}_setup", table.name()));
    let note = format!("CREATE TABLE {setup} (version BIGINT NOT NULL PRIMARY KEY)");
    conn.batch(&note).await.unwrap();
    if world.is_mysql() {
        let (up, _) = sql(world, &table);
        let (first, _) = up.split_once(";\n").unwrap();
        conn.batch(first).await.unwrap();
        assert_unfit(
            conn.verify(&table).await,
            &["_beats", "no column", "`migrate`"],
        );
    }
    conn.migrate(&table).await.unwrap();
    conn.verify(&table).await.unwrap();
    assert_eq!(noted(world, &mut *conn, &table).await, 1);
    conn.take(&world.lock("x").in_table(table.clone())).await;
    remove(world, &mut *conn, &table).await;
}

pub async fn sixteen_connections_that_migrate_at_once_all_succeed(world: &World) {
    let mut conn = world.session().await;
    for round in 0..3 {
        let (table, mut starters) = (own_table("at_once"), Vec::new());
        for _ in 0..16 {
            let mut starter = world.session().await;
            if world.is_sqlite() {
                // Diesel's default: a connection does not wait for the writer.
                starter.batch("PRAGMA busy_timeout = 0").await.unwrap();
            }
            let table = table.clone();
            starters.push(spawn(async move {
                starter.migrate(&table).await?;
                starter.verify(&table).await
            }));
        }
        for starter in starters {
            let answer = starter.await.unwrap();
            assert!(answer.is_ok(), "round {round}: {answer:?}");
        }
        assert_eq!(noted(world, &mut *conn, &table).await, 1);
        remove(world, &mut *conn, &table).await;
    }
}

pub async fn verifying_finds_what_is_wrong_and_names_the_remedy(world: &World) {
    let mut conn = world.session().await;
    for (what, damage, parts) in damages(world) {
        let table = own_table(what);
        let name = quoted(world, table.name());
        let (up, down) = sql(world, &table);
        conn.batch(&up).await.unwrap();
        conn.verify(&table).await.unwrap();
        let view = quoted(world, &format!("{}_held", table.name()));
        conn.batch(&format!("DROP VIEW {view}")).await.unwrap();
        let beats = quoted(world, &format!("{}_beats", table.name()));
        let damage = damage.replace("{beats}", &beats).replace("{t}", &name);
        conn.batch(&damage)
            .await
            .unwrap_or_else(|error| panic!("{damage}: {error}"));
        assert_unfit(conn.verify(&table).await, parts);
        let (_, tables) = down.split_once(";\n").unwrap();
        conn.batch(tables).await.unwrap();
        let _ = conn.batch(tables).await; // the table that was shadowed, if there is one
    }
    if world.is_postgres() {
        conn.batch("SET search_path = public, pg_catalog")
            .await
            .unwrap();
        let table = Table::default();
        assert_unfit(
            conn.verify(&table).await,
            &["before pg_catalog", "public", "SET search_path"],
        );
        conn.batch("SET search_path = pg_catalog, public")
            .await
            .unwrap();
        conn.verify(&table).await.unwrap();
    }
    if world.is_mysql() {
        conn.batch("SET autocommit = 0").await.unwrap();
        let table = Table::default();
        assert_unfit(conn.verify(&table).await, &["SET autocommit = 1"]);
        conn.batch("SET autocommit = 1").await.unwrap();
        conn.verify(&table).await.unwrap();
    }
}

const FOLDED: &str = "another collation takes different names for one";

type Damage = (&'static str, &'static str, &'static [&'static str]);

/// Each kind of damage: its name, the SQL that causes it, and parts of the error.
fn damages(world: &World) -> Vec<Damage> {
    let column: Damage = (
        "old",
        "ALTER TABLE {t} DROP COLUMN wanted_until",
        &["wanted_until", "`migrate`", "diesel-locks migrations write"],
    );
    let more: Vec<Damage> = match world.engine.name() {
        "postgres" => vec![
            (
                "unlogged",
                "ALTER TABLE {t} SET UNLOGGED",
                &["persistence is u", "SET LOGGED"],
            ),
            (
                "shadowed",
                "CREATE TEMPORARY TABLE {t} AS SELECT * FROM {t}; ALTER TABLE {t} ADD PRIMARY KEY (name)",
                &["persistence is t", "no temporary table"],
            ),
            (
                "collated",
                "ALTER TABLE {t} ALTER COLUMN name TYPE text COLLATE \"en-x-icu\"",
                &["en-x-icu", "COLLATE \"C\""],
            ),
            (
                "keyless",
                "ALTER TABLE {t} DROP CONSTRAINT IF EXISTS x; \
                 DO $$ BEGIN EXECUTE (SELECT 'ALTER TABLE {t} DROP CONSTRAINT ' || quote_ident(conname) \
                 FROM pg_constraint WHERE conrelid = '{t}'::regclass AND contype = 'p'); END $$",
                &["primary key", "two holders"],
            ),
        ],
        "sqlite" => vec![
            (
                "shadowed",
                "CREATE TEMPORARY TABLE {t} (name TEXT PRIMARY KEY, token TEXT, owner TEXT, fence BIGINT, \
             acquired_at BIGINT, expires_at BIGINT, data TEXT, wanted_until BIGINT, wanted_since BIGINT)",
                &["place is temp", "Table::in_schema"],
            ),
            (
                "collated",
                "ALTER TABLE {t} RENAME TO old; CREATE TABLE {t} (name TEXT COLLATE NOCASE PRIMARY KEY, token TEXT, \
             owner TEXT, fence BIGINT, acquired_at BIGINT, expires_at BIGINT, data TEXT, wanted_until BIGINT, wanted_since BIGINT); \
             DROP TABLE old",
                &["NOCASE", FOLDED],
            ),
        ],
        _ => vec![
            (
                "engine",
                "ALTER TABLE {t} MODIFY name VARCHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL, ENGINE = MyISAM",
                &["MyISAM", "ENGINE = InnoDB"],
            ),
            (
                "beats_engine",
                "ALTER TABLE {beats} MODIFY name VARCHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL, ENGINE = MyISAM",
                &["MyISAM", "its beats"],
            ),
            (
                "collated",
                "ALTER TABLE {t} CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
                &["utf8mb4_general_ci", FOLDED],
            ),
            (
                "beats_collated",
                "ALTER TABLE {beats} CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
                &["utf8mb4_general_ci", FOLDED],
            ),
            (
                "keyless",
                "ALTER TABLE {t} DROP PRIMARY KEY",
                &["primary key", "two holders"],
            ),
            (
                "beatless",
                "DROP TABLE {beats}; CREATE TABLE {beats} (x INT)",
                &["_beats", "no column name"],
            ),
        ],
    };
    [column].into_iter().chain(more).collect()
}

pub async fn verifying_and_migrating_work_in_odd_places(world: &World) {
    let mut conn = world.session().await;
    let (schema, create, drop_it) = odd_schema(world);
    conn.batch(&create).await.unwrap();
    let odd = own_table("a \"b\" `c` 'd' \\");
    let there = Table::default().in_schema(&schema).unwrap();
    for table in [odd, there] {
        assert_missing(conn.verify(&table).await);
        conn.migrate(&table).await.unwrap();
        conn.migrate(&table).await.unwrap();
        conn.verify(&table).await.unwrap();
        conn.take(&world.lock("x").in_table(table.clone())).await;
        remove(world, &mut *conn, &table).await;
    }
    conn.batch(&drop_it).await.unwrap();
}

/// Diesel caches a statement by its text. Each table has its own texts.
pub async fn statements_on_another_table_are_prepared_once(world: &World) {
    let (mut conn, table) = (world.session().await, own_table("cached"));
    conn.migrate(&table).await.unwrap();
    let lock = world.lock("x").in_table(table.clone());
    for _ in ["the first use", "any later use"] {
        let lease = conn.take(&lock).await;
        conn.release(&lease).await.unwrap();
    }
    let prepared = Arc::new(AtomicU32::new(0));
    let counter = prepared.clone();
    conn.instrument(Box::new(move |event: InstrumentationEvent<'_>| {
        if matches!(event, InstrumentationEvent::CacheQuery { .. }) {
            counter.fetch_add(1, Ordering::SeqCst);
        }
    }));
    let lease = conn.take(&lock).await;
    conn.release(&lease).await.unwrap();
    assert_eq!(prepared.load(Ordering::SeqCst), 0, "prepared again");
    let cached = std::env::var("DIESEL_LOCKS_STATEMENT_CACHE").as_deref() != Ok("off");
    let other = conn.take(&world.lock("x")).await;
    conn.release(&other).await.unwrap();
    assert_eq!(
        prepared.load(Ordering::SeqCst) > 0,
        cached,
        "texts of another table"
    );
    remove(world, &mut *conn, &table).await;
}
