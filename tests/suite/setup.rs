//! Tables with another name or in another place, and missing tables.

use diesel_locks::migrations::Migrations;
use diesel_locks::{Error, List, Outcome, Released, Table, Wait};

use crate::session::Session;
use crate::world::{World, eventually, own_table, secs};

/// The SQL that creates a table, and the SQL that removes it.
pub fn sql(world: &World, table: &Table) -> (String, String) {
    let migrations = Migrations::for_table(table.clone());
    match world.engine.name() {
        #[cfg(feature = "postgres")]
        "postgres" => both::<diesel::pg::Pg>(&migrations),
        #[cfg(feature = "sqlite")]
        "sqlite" => both::<diesel::sqlite::Sqlite>(&migrations),
        #[cfg(feature = "mysql")]
        _ => both::<diesel::mysql::Mysql>(&migrations),
        #[cfg(not(feature = "mysql"))]
        other => unreachable!("{other}"),
    }
}

fn both<DB: diesel_locks::Dialect>(migrations: &Migrations) -> (String, String) {
    (migrations.up_sql::<DB>(), migrations.down_sql::<DB>())
}

pub fn quoted(world: &World, identifier: &str) -> String {
    let quote = if world.is_postgres() { "\"" } else { "`" };
    format!(
        "{quote}{}{quote}",
        identifier.replace(quote, &quote.repeat(2))
    )
}

/// Creates the table, uses its locks, and removes it. In the default table, a lock with the same name is another lock.
async fn work_in(world: &World, conn: &mut dyn Session, table: &Table) {
    let (up, down) = sql(world, table);
    conn.batch(&up)
        .await
        .unwrap_or_else(|error| panic!("{error}: {up}"));
    let (here, list) = (world.lock("x"), world.list());
    let (there, other_list) = (
        here.clone().in_table(table.clone()),
        list.clone().in_table(table.clone()),
    );
    let (lease, mut other) = (conn.take(&here).await, conn.take(&there).await);
    assert_eq!(conn.told_busy(&there).await.unwrap().fence, other.fence());
    assert_eq!(conn.try_extend(&mut other).await.unwrap(), Outcome::Done);
    conn.begin().await.unwrap();
    conn.pin(&other).await.unwrap();
    assert_eq!(
        conn.try_set_data(&other, Some("there")).await.unwrap(),
        Outcome::Done
    );
    conn.commit().await.unwrap();
    assert_eq!(
        conn.read_data(&there).await.unwrap().as_deref(),
        Some("there")
    );
    assert_eq!(conn.read_data(&here).await.unwrap(), None);
    let held = held(world, table);
    assert_eq!(conn.number(&held).await.unwrap(), 1, "its view");
    assert_eq!(conn.load(&other_list.held()).await.unwrap().len(), 1);

    let parsed: diesel_locks::Lease = other.to_text().parse().unwrap();
    assert_eq!(conn.release(&parsed).await.unwrap(), Released::InTime);
    assert!(conn.is_mine(&lease).await.unwrap());
    assert_eq!(conn.number(&held).await.unwrap(), 0);
    let old = conn.take(&there).await;
    world.pass(conn, old.fence()).await;
    conn.take_away(&there).await;
    let purged = List::all().in_table(table.clone());
    eventually("purged", async || {
        conn.purge(&purged, secs(0)).await.unwrap() == 1
    })
    .await;
    conn.release(&lease).await.unwrap();
    conn.batch(&down).await.unwrap();
    assert_missing(conn.try_acquire(&there).await);
}

fn held(world: &World, table: &Table) -> String {
    let view = quoted(world, &format!("{}_held", table.name()));
    let schema = table.schema().map(|schema| quoted(world, schema) + ".");
    format!(
        "SELECT COUNT(*) AS number FROM {}{view}",
        schema.unwrap_or_default()
    )
}

#[track_caller]
pub fn assert_missing<T: std::fmt::Debug>(answer: diesel_locks::Result<T>) {
    let error = answer.unwrap_err();
    assert!(matches!(error, Error::TableMissing { .. }), "{error:?}");
}

pub async fn a_table_may_have_an_odd_name(world: &World) {
    let mut conn = world.session().await;
    let odd = [
        "prefix_diesel_locks",
        "Größe; DROP TABLE diesel_locks; --",
        "a \"b\" `c` 'd' \\",
        "\"diesel_locks_held\"`diesel_locks_held`",
        "\"locks_beats\"`locks_beats`",
    ];
    for name in odd {
        work_in(world, &mut *conn, &own_table(name)).await;
    }
    assert!(Table::new("x".repeat(58)).is_err());
}

/// The name of a schema that no other case uses, and the SQL that creates and removes it.
pub fn odd_schema(world: &World) -> (String, String, String) {
    let schema = own_table("an \"odd\" `schema`").name().to_owned();
    let identifier = quoted(world, &schema);
    let (create, remove) = match world.engine.name() {
        "postgres" => (
            format!("CREATE SCHEMA {identifier}"),
            format!("DROP SCHEMA {identifier}"),
        ),
        "sqlite" => (
            format!("ATTACH DATABASE ':memory:' AS {identifier}"),
            format!("DETACH {identifier}"),
        ),
        _ => (
            format!("CREATE DATABASE {identifier}"),
            format!("DROP DATABASE {identifier}"),
        ),
    };
    (schema, create, remove)
}

pub async fn a_table_may_be_in_another_schema(world: &World) {
    let mut conn = world.session().await;
    let (schema, create, remove) = odd_schema(world);
    conn.batch(&create).await.unwrap();
    for name in ["diesel_locks", "another"] {
        work_in(
            world,
            &mut *conn,
            &Table::new(name).unwrap().in_schema(&schema).unwrap(),
        )
        .await;
    }
    conn.batch(&remove).await.unwrap();
    let gone = Table::default().in_schema(&schema).unwrap();
    assert_missing(conn.try_acquire(&world.lock("x").in_table(gone)).await);
}

pub async fn where_the_table_is_missing_the_error_says_what_creates_it(world: &World) {
    let mut conn = world.session().await;
    let table = own_table("nowhere");
    let (lock, list) = (
        world.lock("x").in_table(table.clone()),
        List::all().in_table(table),
    );
    let error = conn.try_acquire(&lock).await.unwrap_err();
    let engine = if world.is_mysql() {
        "mysql"
    } else {
        world.engine.name()
    };
    assert!(matches!(error, Error::TableMissing { engine: named, .. } if named == engine));
    assert!(!error.is_transient() && !error.is_connection() && !error.is_stale());
    for needed in [
        "diesel_locks::migrations",
        "diesel migration run",
        "Lock::in_table",
        engine,
    ] {
        assert!(error.to_string().contains(needed), "{needed} in {error}");
    }
    assert_missing(conn.acquire(&lock, Wait::up_to(secs(9))).await);
    assert_missing(conn.inspect(&lock).await);
    assert_missing(conn.force_release(&lock).await);
    assert_missing(conn.load(&list).await);
    assert_missing(conn.purge(&list, secs(0)).await);

    let text = conn.take(&world.lock("x")).await.to_text();
    let moved = text.replace(":diesel_locks:", ":diesel_locks_nowhere:");
    assert_ne!(moved, text);
    let mut lease: diesel_locks::Lease = moved.parse().unwrap();
    assert_missing(conn.try_extend(&mut lease).await);
    assert_missing(conn.try_set_data(&lease, None).await);
    assert_missing(conn.try_pin(&lease).await);
    assert_missing(conn.is_mine(&lease).await);
    assert_missing(conn.release(&lease).await);
}

pub async fn another_error_is_not_taken_for_a_missing_table(world: &World) {
    let mut conn = world.session().await;
    let table = own_table("without_data");
    let (up, _) = sql(world, &table);
    let (name, view) = (
        quoted(world, table.name()),
        format!("{}_held", table.name()),
    );
    conn.batch(&up).await.unwrap();
    let lease = conn.take(&world.lock("x").in_table(table.clone())).await;
    conn.batch(&format!("DROP VIEW {}", quoted(world, &view)))
        .await
        .unwrap();
    let beats = quoted(world, &format!("{}_beats", table.name()));
    let kept_in = if world.is_mysql() { &beats } else { &name };
    conn.batch(&format!("ALTER TABLE {kept_in} DROP COLUMN data"))
        .await
        .unwrap();
    let error = conn.try_set_data(&lease, Some("x")).await.unwrap_err();
    assert!(matches!(error, Error::Database(_)), "{error:?}");
    assert!(!error.is_transient());
    conn.batch(&format!("DROP TABLE {name}")).await.unwrap();
    if world.is_mysql() {
        assert_missing(conn.release(&lease).await);
        conn.batch(&format!("DROP TABLE {beats}")).await.unwrap();
    }
}
