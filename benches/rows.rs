//! Rows of free locks. The database itself generates them, millions in seconds.

use crate::bare::Bench;
use crate::engine::Engine;
use crate::names::DIGITS;

/// Inserts `rows` names with this beginning and a number of seven digits into a table. `rows` is a power of ten.
pub fn fill<C: Bench>(conn: &mut C, engine: Engine, table: &str, beginning: &str, rows: u32) {
    let places = rows.ilog10() as usize;
    let each = |of: &dyn Fn(usize) -> String| (0..places).map(of).collect::<Vec<_>>();
    let digits = each(&|place| format!("CAST(d{place}.n AS CHAR(1))"));
    let joined = each(&|place| format!("{TEN} d{place}")).join(", ");
    let zeros = "0".repeat(DIGITS - places);
    let name = match engine {
        Engine::MariaDb | Engine::MySql => {
            format!("CONCAT('{beginning}{zeros}', {})", digits.join(", "))
        }
        Engine::Postgres | Engine::Sqlite => {
            format!("'{beginning}{zeros}' || {}", digits.join(" || "))
        }
    };
    let columns = "(name, owner, fence, acquired_at, expires_at)";
    run(
        conn,
        &format!("INSERT INTO {table} {columns} SELECT {name}, '', 1, 0, 0 FROM {joined}"),
    );
    match engine {
        Engine::Postgres => run(conn, &format!("VACUUM ANALYZE {table}")),
        Engine::MariaDb | Engine::MySql => run(
            conn,
            &format!(
                "INSERT INTO {table}_beats (name, fence, expires_at) SELECT name, 1, 0 FROM {table}
                WHERE name LIKE '{beginning}%'"
            ),
        ),
        Engine::Sqlite => {}
    }
}

fn run<C: Bench>(conn: &mut C, sql: &str) {
    conn.batch_execute(sql).unwrap();
}

const TEN: &str = "\
(SELECT 0 AS n UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4
UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)";
