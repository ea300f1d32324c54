//! A hundred names in one call, compared with a hundred calls. Only the time of acquiring counts, because the leases of
//! a set are released one by one.

use std::time::{Duration, Instant};

use diesel_locks::blocking::{LeaseDsl, LockDsl, LockSetDsl};
use diesel_locks::{Attempt, Lease, Lock, LockSet, Result};

use crate::bare::Bench;
use crate::database::Database;
use crate::engine::{Engine, on};
use crate::figure::{Figures, Reach};
use crate::form::Form;
use crate::lease::expect_acquired;
use crate::names::{Share, name};
use crate::rounds::{Contestant, compare, number};

const MANY: usize = 100;

pub fn measure(database: &Database, form: &Form, figures: &mut Figures) {
    on!(database.engine, sets(database, form, figures));
}

fn sets<C: Bench>(database: &Database, form: &Form, figures: &mut Figures) {
    let (mut conn, share) = (database.open::<C>(), Share::of(0, 1));
    let (mut other, set) = (
        database.open::<C>(),
        LockSet::new(&Lock::new(name(0)).unwrap(), (1..MANY).map(name)).unwrap(),
    );
    let contestants = vec![
        Contestant::new("names one by one", |time| {
            acquiring(time, &mut conn, |conn| {
                let lock = Lock::new(share.next()).unwrap();
                Ok(lock.try_acquire(conn)?.map(|lease| vec![lease]))
            })
        }),
        Contestant::new("100 names in one call, per name", |time| {
            acquiring(time, &mut other, |conn| set.try_acquire_all(conn))
        }),
    ];
    let scores = compare(form, contestants);
    let bound = match database.engine {
        Engine::Postgres | Engine::Sqlite => 10.0,
        Engine::MariaDb | Engine::MySql => 8.0,
    };
    let reach = |index| (index == 1).then_some(Reach::AtLeast(bound));
    figures.scores(("many", database.engine.name()), "names/s", scores, reach);
}

fn acquiring<C: Bench>(
    time: Duration,
    conn: &mut C,
    acquire: impl Fn(&mut C) -> Result<Attempt<Vec<Lease>>>,
) -> f64 {
    let (mut acquired, mut acquiring) = (0, Duration::ZERO);
    while acquiring < time {
        let began = Instant::now();
        let leases = expect_acquired(acquire(conn));
        acquiring += began.elapsed();
        acquired += leases.len();
        for lease in leases {
            lease.release(conn).unwrap();
        }
    }
    number(acquired) / acquiring.as_secs_f64()
}
