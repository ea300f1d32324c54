//! The size of the table after many cycles on a hundred names, with autovacuum on.

use diesel::connection::SimpleConnection;
use diesel::sql_types::BigInt;
use diesel::{PgConnection, QueryableByName, RunQueryDsl, sql_query};
use diesel_locks::blocking::TableDsl;
use diesel_locks::{Lock, Table};

use crate::database::Database;
use crate::engine::Engine;
use crate::figure::{Figures, Reach};
use crate::form::Form;
use crate::lease::pair;
use crate::names::name;

const NAMES: usize = 100;
const CLIENTS: usize = 4;

pub fn measure(database: &Database, form: &Form, figures: &mut Figures) {
    if database.engine == Engine::Postgres {
        churn(database, form, figures);
    }
}

fn churn(database: &Database, form: &Form, figures: &mut Figures) {
    let table = Table::new("churned").unwrap();
    let mut conn = database.open::<PgConnection>();
    table.migrate(&mut conn).unwrap();
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (table, each) = (&table, form.cycles / CLIENTS);
            scope.spawn(move || cycle(&mut database.open(), table, client, each));
        }
    });
    let of = ("churn", database.engine.name());
    let what = |what: &str| format!("{} cycles on {NAMES} names: {what}", form.cycles);
    let seen = settled(&mut conn);
    let hot = f64::from(u32::try_from(seen.hot).unwrap())
        / f64::from(u32::try_from(seen.updated).unwrap())
        * 100.0;
    figures.reaching(
        of,
        what("updates that are HOT"),
        (hot, "%"),
        Some(Reach::AtLeast(99.0)),
    );
    let kilobytes = |bytes| f64::from(u32::try_from(bytes).unwrap()) / 1_000.0;
    figures.reaching(
        of,
        what("table"),
        (kilobytes(seen.of_table), "kB"),
        Some(Reach::AtMost(1_000.0)),
    );
    figures.value(of, what("its index"), kilobytes(seen.of_index), "kB");
    conn.batch_execute("DROP TABLE churned CASCADE; DROP TABLE churned_setup")
        .unwrap();
}

/// Does not wait for the disk, because the size of the table does not depend on it.
fn cycle(conn: &mut PgConnection, table: &Table, client: usize, cycles: usize) {
    conn.batch_execute("SET synchronous_commit = off").unwrap();
    for turn in 0..cycles {
        let number = turn * CLIENTS % NAMES + client;
        let lock = Lock::new(name(number)).unwrap().in_table(table.clone());
        pair(conn, &lock);
    }
}

#[derive(QueryableByName)]
struct Seen {
    #[diesel(sql_type = BigInt)]
    updated: i64,
    #[diesel(sql_type = BigInt)]
    hot: i64,
    #[diesel(sql_type = BigInt)]
    of_table: i64,
    #[diesel(sql_type = BigInt)]
    of_index: i64,
}

/// The statistics, once the ended sessions have reported all their updates.
fn settled(conn: &mut PgConnection) -> Seen {
    let query = "SELECT n_tup_upd AS updated, n_tup_hot_upd AS hot,
pg_table_size(relid) AS of_table, pg_indexes_size(relid) AS of_index FROM pg_stat_user_tables WHERE relname = 'churned'";
    let mut last: Seen = sql_query(query).get_result(conn).unwrap();
    loop {
        std::thread::sleep(std::time::Duration::from_secs(1));
        let seen: Seen = sql_query(query).get_result(conn).unwrap();
        if seen.updated > 0 && seen.updated == last.updated {
            return seen;
        }
        last = seen;
    }
}
