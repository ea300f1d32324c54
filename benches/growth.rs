//! Acquiring and releasing in tables of several sizes.

use diesel_locks::blocking::TableDsl;
use diesel_locks::{Lock, Table};

use crate::bare::Bench;
use crate::database::Database;
use crate::engine::{Engine, on};
use crate::figure::{Figures, Reach};
use crate::form::Form;
use crate::lease::pair;
use crate::names::name;
use crate::rounds::{Contestant, compare};
use crate::rows::fill;

pub fn measure(database: &Database, form: &Form, figures: &mut Figures) {
    on!(database.engine, grow(database, form, figures));
}

fn grow<C: Bench>(database: &Database, form: &Form, figures: &mut Figures) {
    // Ten million rows are for PostgreSQL alone.
    let is_for = |rows: &u32| *rows <= 1_000_000 || database.engine == Engine::Postgres;
    let sizes: Vec<u32> = form.rows.iter().copied().filter(is_for).collect();
    let mut tables: Vec<(C, Table)> = sizes.iter().map(|rows| table(database, *rows)).collect();
    let contestants = tables.iter_mut().zip(&sizes).map(|((conn, table), rows)| {
        let mut turn = 0_u32;
        Contestant::alone(
            format!("acquire + release, rows in the table: {rows}"),
            move || {
                turn = turn.wrapping_add(2_654_435_761) % rows;
                let lock = Lock::new(name(turn as usize))
                    .unwrap()
                    .in_table(table.clone());
                pair(conn, &lock);
            },
        )
    });
    let scores = compare(form, contestants.collect());
    // A million rows may take at most 1.3 times as long as a hundred.
    let reach = |index: usize| {
        (0 < index && sizes[index] <= 1_000_000).then_some(Reach::AtLeast(1.0 / 1.3))
    };
    figures.scores(("growth", database.engine.name()), "pairs/s", scores, reach);
    for (mut conn, table) in tables {
        conn.batch_execute(&drop_sql(&table, database.engine))
            .unwrap();
    }
}

/// A table with `rows` free locks.
fn table<C: Bench>(database: &Database, rows: u32) -> (C, Table) {
    let table = Table::new(format!("locks_{rows}")).unwrap();
    let mut conn = database.open::<C>();
    table.migrate(&mut conn).unwrap();
    fill(&mut conn, database.engine, table.name(), "name-", rows);
    (conn, table)
}

fn drop_sql(table: &Table, engine: Engine) -> String {
    let migrations = diesel_locks::migrations::Migrations::for_table(table.clone());
    match engine {
        Engine::Postgres => migrations.down_sql::<diesel::pg::Pg>(),
        Engine::MariaDb | Engine::MySql => migrations.down_sql::<diesel::mysql::Mysql>(),
        Engine::Sqlite => migrations.down_sql::<diesel::sqlite::Sqlite>(),
    }
}
