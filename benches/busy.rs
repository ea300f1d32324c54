//! A try at a held lock, compared with a read of its row.

use diesel::sql_types::BigInt;
use diesel::{PgConnection, QueryableByName, RunQueryDsl, sql_query};
use diesel_locks::Lock;
use diesel_locks::blocking::{LeaseDsl, LockDsl};

use crate::bare::{Bench, Look};
use crate::database::Database;
use crate::engine::{Engine, on};
use crate::figure::{Figures, Reach};
use crate::form::Form;
use crate::lease::acquire;
use crate::names::name;
use crate::rounds::{Contestant, compare};

pub fn measure(database: &Database, form: &Form, figures: &mut Figures) {
    on!(database.engine, tries(database, form, figures));
    if database.engine == Engine::Postgres {
        written(database, figures);
    }
}

fn tries<C: Bench>(database: &Database, form: &Form, figures: &mut Figures) {
    let (mut holder, mut looker, mut rival) = (
        database.open::<C>(),
        database.open::<C>(),
        database.open::<C>(),
    );
    let (key, lock) = (name(0), Lock::new(name(0)).unwrap());
    let lease = acquire(&mut holder, &lock);
    let contestants = vec![
        Contestant::alone("prepared SELECT of the row", || {
            assert!(looker.find::<Look>(&[&key]).is_some());
        }),
        Contestant::alone("try_acquire, busy", || {
            assert!(lock.try_acquire(&mut rival).unwrap().is_busy());
        }),
    ];
    let scores = compare(form, contestants);
    let reach = |index| (index == 1).then_some(Reach::AtLeast(0.6));
    figures.scores(("busy", database.engine.name()), "tries/s", scores, reach);
    lease.release(&mut holder).unwrap();
}

#[derive(QueryableByName)]
struct Position {
    #[diesel(sql_type = BigInt)]
    bytes: i64,
}

/// The bytes that a thousand busy tries write to the log. The server itself may write a little meanwhile, so this is
/// the least of three measurements.
fn written(database: &Database, figures: &mut Figures) {
    let mut conn = database.open::<PgConnection>();
    let lock = Lock::new(name(1)).unwrap();
    let lease = acquire(&mut conn, &lock);
    let mut tries = || {
        let before = position(&mut conn);
        for _ in 0..1_000 {
            assert!(lock.try_acquire(&mut conn).unwrap().is_busy());
        }
        position(&mut conn) - before
    };
    let written = (0..3).map(|_| tries()).min().unwrap_or_default();
    let of = ("busy", database.engine.name());
    figures.reaching(
        of,
        "log written by 1,000 busy tries",
        (f64::from(written), "bytes"),
        Some(Reach::AtMost(0.0)),
    );
    lease.release(&mut conn).unwrap();
}

fn position(conn: &mut PgConnection) -> i32 {
    let query = sql_query(
        "SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint % 1000000000 AS bytes",
    );
    let position: Position = query.get_result(conn).unwrap();
    i32::try_from(position.bytes).unwrap()
}
