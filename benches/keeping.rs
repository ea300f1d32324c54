//! The cost of keeping leases alive: the heartbeats, and the time between them.

use std::thread::sleep;
use std::time::{Duration, Instant};

use diesel_locks::blocking::{Connections, Guard, Locker};
use diesel_locks::{LockSet, Wait};

use crate::bare::{Bench, ExtendAll};
use crate::counting::Counting;
use crate::database::Database;
use crate::engine::{Engine, on};
use crate::figure::{Figure, Figures, Reach};
use crate::form::Form;
use crate::names::DIGITS;
use crate::process::cpu;
use crate::rounds::{median, number};
use crate::rows::fill;

/// The number of beats that are observed. A lease is extended after every third of its ttl.
const BEATS: u32 = 2;
/// The number of leases that one statement extends.
const BATCH: usize = 1_000;
/// The beginning of the names.
const KEPT: &str = "kept-";

pub fn measure(database: &Database, form: &Form, figures: &mut Figures) {
    for leases in form.kept {
        on!(database.engine, keep(database, *leases, form.ttl, figures));
    }
}

fn keep<C: Bench>(database: &Database, leases: usize, ttl: Duration, figures: &mut Figures) {
    let of = ("keeping", database.engine.name());
    let what = |what: &str| format!("{leases} leases: {what}");
    let mut conn = database.open::<C>();
    let rows = u32::try_from(leases).unwrap();
    fill(&mut conn, database.engine, "diesel_locks", KEPT, rows);
    let counting = Counting::start();
    let locks = Locker::new(C::pool(&database.url, 2))
        .with_ttl(ttl)
        .unwrap();
    let guards = acquire(&locks, leases);
    let beat = watch(&counting, ttl);
    assert!(guards.iter().all(Guard::is_valid), "a lease was lost");
    let batches = Reach::AtMost(number(leases.div_ceil(BATCH)));
    figures.reaching(
        of,
        what("statements a beat"),
        (beat.statements, "statements"),
        Some(batches),
    );
    figures.value(of, what("of a core, beats included"), beat.cpu, "%");
    let update = update::<C>(database, leases);
    figures.value(of, what("one UPDATE of as many rows"), update, "ms");
    figures.add(Figure {
        chapter: "keeping",
        engine: database.engine.name(),
        what: what("time of the database for a beat"),
        is_of_others: false,
        value: beat.took,
        unit: "ms",
        ratio: Some(update / beat.took),
        limit: Some("one UPDATE of as many rows".to_owned()),
        spread: None,
        reach: Some(Reach::AtLeast(0.4)),
    });
    // The guards become leases, so that dropping them does not release the locks one by one.
    drop(
        guards
            .into_iter()
            .map(Guard::into_lease)
            .collect::<Vec<_>>(),
    );
    locks.close();
    remove::<C>(database);
}

pub fn acquire<P: Connections>(locks: &Locker<P>, leases: usize) -> Vec<Guard<P>> {
    const AT_ONCE: usize = 10_000;
    let name = |number: usize| format!("{KEPT}{number:0DIGITS$}");
    let first = |first| locks.lock(&*name(first)).unwrap();
    let others = |first: usize| (first..leases.min(first + AT_ONCE)).map(name);
    let set = |from| LockSet::new(&first(from), others(from)).unwrap();
    let sets = (0..leases).step_by(AT_ONCE).map(set);
    sets.flat_map(|set| locks.acquire_all(&set, Wait::never()).unwrap())
        .collect()
}

/// The cost of a beat.
struct Beat {
    statements: f64,
    /// In milliseconds.
    took: f64,
    /// In percent of one core. The time between the beats is included.
    cpu: f64,
}

fn watch(counting: &Counting, ttl: Duration) -> Beat {
    let time = ttl / 3 * BEATS + ttl / 6;
    counting.spent();
    let used = cpu();
    sleep(time);
    let (count, used) = (counting.spent(), cpu().saturating_sub(used));
    Beat {
        statements: f64::from(u32::try_from(count.statements).unwrap()) / f64::from(BEATS),
        took: count.took.as_secs_f64() * 1_000.0 / f64::from(BEATS),
        cpu: used.as_secs_f64() / time.as_secs_f64() * 100.0,
    }
}

pub fn remove<C: Bench>(database: &Database) {
    let mut conn = database.open::<C>();
    conn.batch_execute("DELETE FROM diesel_locks WHERE name LIKE 'kept-%'")
        .unwrap();
    if matches!(database.engine, Engine::MariaDb | Engine::MySql) {
        conn.batch_execute("DELETE FROM diesel_locks_beats WHERE name LIKE 'kept-%'")
            .unwrap();
    }
}

/// The median time of one UPDATE of this many rows, in milliseconds.
fn update<C: Bench>(database: &Database, rows: usize) -> f64 {
    let mut conn = database.open::<C>();
    for first in (0..rows).step_by(1_000) {
        let row = |number| format!("('many-{number}', NULL, 1, 0)");
        let rows = (first..rows.min(first + 1_000))
            .map(row)
            .collect::<Vec<_>>()
            .join(", ");
        conn.batch_execute(&format!(
            "INSERT INTO bare (name, token, fence, expires_at) VALUES {rows}"
        ))
        .unwrap();
    }
    // A beat comes after a rest, too.
    let once = || {
        sleep(Duration::from_secs(1));
        let began = Instant::now();
        assert_eq!(conn.change::<ExtendAll>(&["many-%"]), rows);
        began.elapsed().as_secs_f64() * 1_000.0
    };
    let took = median(&std::iter::repeat_with(once).take(5).collect::<Vec<_>>());
    conn.batch_execute("DELETE FROM bare WHERE name LIKE 'many-%'")
        .unwrap();
    took
}
