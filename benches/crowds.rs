//! Many callers of one `Locker`, who share a pool of sixteen connections. The limit has no pool, and as many connections.

use diesel_locks::blocking::Locker;
use tokio::runtime::Runtime;

use crate::asynchronous::{self, runtime, shares};
use crate::bare::Bench;
use crate::database::Database;
use crate::engine::{Engine, on};
use crate::figure::{Figures, Reach};
use crate::form::Form;
use crate::pairs::{guards, limit};
use crate::rounds::{Contestant, compare};

const CONNECTIONS: usize = 16;
const THREADS: [usize; 2] = [16, 200];
const TASKS: [usize; 3] = [16, 200, 1_000];

pub fn measure(database: &Database, form: &Form, figures: &mut Figures) {
    let (of, runtime) = (("crowds", database.engine.name()), &runtime());
    let threads = on!(database.engine, threads(database));
    figures.scores(of, "pairs/s", compare(form, threads), |_| None);
    let tasks = on!(database.engine, tasks(database, runtime));
    let reach = |index| match (database.engine, index) {
        (Engine::Postgres, 1) => Some(Reach::AtLeast(1.7)),
        (Engine::Postgres, 3) => Some(Reach::AtLeast(5.0)),
        _ => None,
    };
    figures.scores(of, "pairs/s", compare(form, tasks), reach);
}

fn what(callers: &str, number: usize) -> String {
    format!("Locker, {number} {callers}, {CONNECTIONS} connections")
}

fn threads<C: Bench>(database: &Database) -> Vec<Contestant<'static>> {
    let locks = Locker::new(C::pool(&database.url, CONNECTIONS));
    let threads = THREADS.map(|threads| guards::<C>(&what("threads", threads), &locks, threads));
    let limit = limit::<C>(database, CONNECTIONS);
    [limit].into_iter().chain(threads).collect()
}

fn tasks<'r, C: Bench>(database: &Database, runtime: &'r Runtime) -> Vec<Contestant<'r>> {
    let url = &database.url;
    let locks = runtime.block_on(asynchronous::locks::<C::Async>(url, CONNECTIONS));
    let tasks = TASKS
        .map(|tasks| asynchronous::guards(runtime, what("tasks", tasks), &locks, &shares(tasks)));
    let limit = asynchronous::limit::<C::Async>(runtime, url, &shares(CONNECTIONS));
    [limit].into_iter().chain(tasks).collect()
}
