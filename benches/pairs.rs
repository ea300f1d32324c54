//! Acquiring and releasing without contention: on a connection, and through `Locker` with a guard.

use diesel_locks::blocking::Locker;
use diesel_locks::{Lock, Wait};

use crate::asynchronous;
use crate::bare::{Bench, TOKEN, label};
use crate::database::Database;
use crate::engine::{Engine, on};
use crate::figure::{Figures, Reach};
use crate::form::Form;
use crate::lease::pair;
use crate::names::Share;
use crate::rounds::{Contestant, compare};

pub fn measure(database: &Database, form: &Form, figures: &mut Figures) {
    for clients in [1, 16] {
        on!(database.engine, blocking(database, clients, form, figures));
    }
    for clients in [1, 16] {
        on!(
            database.engine,
            asynchronous(database, clients, form, figures)
        );
    }
}

/// The ratios to reach: on a connection, and of a guard.
fn bounds(engine: Engine, clients: usize) -> [f64; 2] {
    match (engine, clients) {
        (Engine::Postgres, 1) => [0.83, 1.0],
        (Engine::Postgres, _) => [0.72, 1.7],
        (Engine::MySql, 1) => [0.85, 0.80],
        (Engine::MySql, _) => [0.85, 0.85],
        (Engine::MariaDb, 1) => [0.90, 0.85],
        (Engine::MariaDb, _) => [0.90, 0.90],
        (Engine::Sqlite, 1) => [0.90, 0.80],
        (Engine::Sqlite, _) => [0.90, 1.2],
    }
}

fn blocking<C: Bench>(database: &Database, clients: usize, form: &Form, figures: &mut Figures) {
    let locks = Locker::new(C::pool(&database.url, clients));
    let durable = locks.clone().release_durably();
    let contestants = vec![
        limit::<C>(database, clients),
        on_connections::<C>(database, clients),
        guards::<C>("Locker, guard", &locks, clients),
        guards::<C>("Locker, guard, release_durably", &durable, clients),
    ];
    score(database, clients, form, contestants, figures);
}

fn asynchronous<C: Bench>(database: &Database, clients: usize, form: &Form, figures: &mut Figures) {
    let runtime = &asynchronous::runtime();
    let (url, shares) = (&*database.url, &*asynchronous::shares(clients));
    let locks = runtime.block_on(asynchronous::locks::<C::Async>(url, clients));
    let durable = locks.clone().release_durably();
    let contestants = vec![
        asynchronous::limit::<C::Async>(runtime, url, shares),
        asynchronous::on_connections::<C::Async>(runtime, url, shares),
        asynchronous::guards(runtime, "async: Locker, guard", &locks, shares),
        asynchronous::guards(
            runtime,
            "async: Locker, guard, release_durably",
            &durable,
            shares,
        ),
    ];
    score(database, clients, form, contestants, figures);
}

fn score(
    database: &Database,
    clients: usize,
    form: &Form,
    contestants: Vec<Contestant<'_>>,
    figures: &mut Figures,
) {
    let bounds = bounds(database.engine, clients);
    figures.scores(
        ("pairs", database.engine.name()),
        "pairs/s",
        compare(form, contestants),
        |index| {
            bounds
                .get(index.checked_sub(1)?)
                .copied()
                .map(Reach::AtLeast)
        },
    );
}

/// The limit: the bare statements.
pub fn limit<C: Bench>(database: &Database, clients: usize) -> Contestant<'static> {
    Contestant::side_by_side(
        label(clients),
        opened::<C>(database, clients),
        |(conn, share)| conn.pair(&share.next(), TOKEN),
    )
}

/// `try_acquire` and `release` on a connection.
pub fn on_connections<C: Bench>(database: &Database, clients: usize) -> Contestant<'static> {
    Contestant::side_by_side(
        "try_acquire + release",
        opened::<C>(database, clients),
        |(conn, share)| pair(conn, &Lock::new(share.next()).unwrap()),
    )
}

/// Guards of a `Locker`.
pub fn guards<C: Bench>(
    what: &str,
    locks: &Locker<C::Pool>,
    clients: usize,
) -> Contestant<'static> {
    let with = |number| (locks.clone(), Share::of(number, clients));
    Contestant::side_by_side(what, (0..clients).map(with).collect(), |(locks, share)| {
        let guard = locks.acquire(share.next(), Wait::never()).unwrap();
        guard.release().unwrap();
    })
}

/// One connection for each client.
pub fn opened<C: Bench>(database: &Database, clients: usize) -> Vec<(C, Share)> {
    let client = |number| (database.open(), Share::of(number, clients));
    (0..clients).map(client).collect()
}
