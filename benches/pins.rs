//! The cost of a guarded transaction, alone and with many pins of one lease at once.

use diesel::connection::SimpleConnection;
use diesel::sql_types::BigInt;
use diesel::{PgConnection, QueryableByName, RunQueryDsl, sql_query};
use diesel_locks::blocking::LeaseDsl;
use diesel_locks::{Error, Lease, Lock};

use crate::bare::{Bench, Pin};
use crate::database::Database;
use crate::engine::{Engine, on};
use crate::figure::{Figures, Reach};
use crate::form::Form;
use crate::lease::acquire;
use crate::names::name;
use crate::rounds::{Contestant, compare};

pub fn measure(database: &Database, form: &Form, figures: &mut Figures) {
    on!(database.engine, one(database, form, figures));
    for workers in [1, 16, 64] {
        on!(database.engine, many(database, workers, form, figures));
    }
}

fn held<C: Bench>(conn: &mut C) -> Lease {
    let lock = Lock::new(name(0))
        .unwrap()
        .with_ttl(std::time::Duration::from_secs(3_600))
        .unwrap();
    acquire(conn, &lock)
}

fn one<C: Bench>(database: &Database, form: &Form, figures: &mut Figures) {
    let (mut bare, mut conn) = (database.open::<C>(), database.open::<C>());
    let (key, mut lease) = (name(0), held(&mut conn));
    let contestants = vec![
        Contestant::alone("BEGIN, lock the row, COMMIT by hand", || {
            bare.batch_execute(C::BEGIN).unwrap();
            assert!(bare.find::<Pin>(&[&key]).is_some());
            bare.batch_execute("COMMIT").unwrap();
        }),
        Contestant::alone("pin + empty guarded transaction", || {
            lease
                .transaction(&mut conn, |_| Ok::<_, Error>(()))
                .unwrap();
        }),
    ];
    let scores = compare(form, contestants);
    let bound = if database.engine == Engine::Sqlite {
        0.9
    } else {
        0.95
    };
    let reach = |index| (index == 1).then_some(Reach::AtLeast(bound));
    figures.scores(
        ("pins", database.engine.name()),
        "transactions/s",
        scores,
        reach,
    );
    lease.release(&mut conn).unwrap();
}

fn many<C: Bench>(database: &Database, workers: usize, form: &Form, figures: &mut Figures) {
    let mut conn = database.open::<C>();
    let lease = held(&mut conn);
    let connections: Vec<(C, Lease)> = (0..workers)
        .map(|_| (database.open(), lease.clone()))
        .collect();
    let before = members(database);
    let pinning = Contestant::side_by_side(
        format!("pins of one lease, workers: {workers}"),
        connections,
        |(conn, lease)| {
            lease.transaction(conn, |_| Ok::<_, Error>(())).unwrap();
        },
    );
    let scores = compare(form, vec![pinning]);
    let rate = scores[0].rate;
    let of = ("pins", database.engine.name());
    figures.value(
        of,
        format!("pins of one lease, workers: {workers}"),
        rate,
        "pins/s",
    );
    if let (Some(before), Some(after)) = (before, members(database)) {
        let rounds = u32::try_from(form.rounds + 1).unwrap();
        let seconds = form.slice.as_secs_f64() * f64::from(rounds);
        let what = format!("multixact members used, workers: {workers}");
        figures.value(of, what, (after - before) / seconds, "members/s");
    }
    lease.release(&mut conn).unwrap();
}

#[derive(QueryableByName)]
struct Offset {
    #[diesel(sql_type = BigInt)]
    members: i64,
}

/// The number of multixact members that PostgreSQL has used so far.
fn members(database: &Database) -> Option<f64> {
    (database.engine == Engine::Postgres).then(|| {
        let mut conn = database.open::<PgConnection>();
        conn.batch_execute("CHECKPOINT").unwrap();
        let query = sql_query(
            "SELECT next_multi_offset::text::bigint AS members FROM pg_control_checkpoint()",
        );
        let offset: Offset = query.get_result(&mut conn).unwrap();
        f64::from(u32::try_from(offset.members).unwrap())
    })
}
