//! The table in the database and the table in the crate's `schema.rs` must be the same.

use diesel::query_source::Column;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel::{Expression, Table as _};
use diesel_locks::schema::diesel_locks as locks;

use crate::session::Session;
use crate::world::{World, secs};

/// A type of `schema.rs`: its names in the databases, and whether it can be null.
trait Type {
    const NAMES: &str;
    const NULLABLE: bool = false;
}

impl Type for Text {
    const NAMES: &str = "'text', 'varchar'";
}

impl Type for BigInt {
    const NAMES: &str = "'bigint'";
}

impl<T: Type + diesel::sql_types::SqlType<IsNull = diesel::sql_types::is_nullable::NotNull>> Type
    for Nullable<T>
{
    const NAMES: &str = T::NAMES;
    const NULLABLE: bool = true;
}

struct Described {
    name: &'static str,
    types: &'static str,
    nullable: bool,
}

fn describe<C: Column>(_: C) -> Described
where
    <C as Expression>::SqlType: Type,
{
    Described {
        name: C::NAME,
        types: <C as Expression>::SqlType::NAMES,
        nullable: <C as Expression>::SqlType::NULLABLE,
    }
}

fn columns() -> Vec<Described> {
    let (name, token, owner, fence, acquired_at, expires_at, wanted_until, wanted_since) =
        locks::table::all_columns();
    vec![
        describe(name),
        describe(token),
        describe(owner),
        describe(fence),
        describe(acquired_at),
        describe(expires_at),
        describe(wanted_until),
        describe(wanted_since),
    ]
}

/// A subquery with a row for each column of the table: `name`, `type` and `nullable`.
fn columns_of(world: &World, table: &str) -> String {
    let schema = match world.engine.name() {
        "postgres" => "current_schema()",
        "sqlite" => {
            return format!(
                "(SELECT name, LOWER(type) AS type, \"notnull\" = 0 AS nullable \
                 FROM pragma_table_info('{table}')) c"
            );
        }
        _ => "DATABASE()",
    };
    format!(
        "(SELECT column_name AS name, data_type AS type, is_nullable = 'YES' AS nullable \
         FROM information_schema.columns WHERE table_schema = {schema} AND table_name = '{table}') c"
    )
}

async fn count(conn: &mut dyn Session, what: &str) -> i64 {
    conn.number(&format!("SELECT COUNT(*) AS number FROM {what}"))
        .await
        .unwrap()
}

/// The text that is kept with a lock is not in `schema.rs`, because MySQL and MariaDB have it in another table.
pub async fn schema_rs_is_what_the_database_has(world: &World) {
    let mut conn = world.session().await;
    let (table, columns) = (columns_of(world, "diesel_locks"), columns());
    let data = format!("{table} WHERE name = 'data'");
    assert_eq!(
        count(&mut *conn, &table).await - count(&mut *conn, &data).await,
        i64::try_from(columns.len()).unwrap()
    );
    for Described {
        name,
        types,
        nullable,
    } in columns
    {
        let nullable = if nullable { "nullable" } else { "NOT nullable" };
        let one = format!("{table} WHERE name = '{name}' AND type IN ({types}) AND {nullable}");
        assert_eq!(count(&mut *conn, &one).await, 1, "{one}");
    }
}

pub async fn the_view_shows_the_holders_and_no_token(world: &World) {
    let (mut conn, lock) = (
        world.session().await,
        world.lock("x").with_data("here").unwrap(),
    );
    let view = columns_of(world, "diesel_locks_held");
    assert_eq!(count(&mut *conn, &view).await, 8);
    assert_eq!(
        count(&mut *conn, &format!("{view} WHERE name = 'token'")).await,
        0
    );

    let (held_for, left) = if world.is_postgres() {
        (
            "EXTRACT(EPOCH FROM held_for)",
            "EXTRACT(EPOCH FROM time_left)",
        )
    } else {
        ("seconds_held", "seconds_left")
    };
    let (key, since) = (lock.key(), since(world));
    let shown = format!(
        "diesel_locks_held WHERE name = '{key}' AND data = 'here' AND owner <> '' \
         AND {held_for} BETWEEN 9.99 AND 15 AND {left} BETWEEN 15 AND 20.01 \
         AND {since} BETWEEN 9.99 AND 15"
    );
    let named = format!("diesel_locks_held WHERE name = '{key}'");
    assert_eq!(count(&mut *conn, &named).await, 0);
    let lease = conn.take(&lock).await;
    world.age(&mut *conn, &lock, secs(10)).await;
    assert_eq!(count(&mut *conn, &shown).await, 1, "{shown}");
    world.let_run_out(&mut *conn, &lease).await;
    assert_eq!(count(&mut *conn, &named).await, 0, "run out");
    let lease = conn.take(&lock).await;
    assert_eq!(count(&mut *conn, &named).await, 1);
    conn.release(&lease).await.unwrap();
    assert_eq!(count(&mut *conn, &named).await, 0, "released");
}

/// The seconds since `acquired_at`, which is a native time in the view.
fn since(world: &World) -> &'static str {
    match world.engine.name() {
        "postgres" => "EXTRACT(EPOCH FROM clock_timestamp() - acquired_at)",
        "sqlite" => "(julianday('now') - julianday(acquired_at)) * 86400",
        _ => "TIMESTAMPDIFF(SECOND, acquired_at, UTC_TIMESTAMP(6))",
    }
}
