//! The memory of a waiting task and of a lease that is kept alive. Each is measured in a process of its own, because
//! the memory that the first one frees would be reused by the second.

use std::process::Command;
use std::time::Duration;

use diesel::PgConnection;
use diesel_async::AsyncPgConnection;
use diesel_locks::Wait;
use diesel_locks::blocking::Locker;

use crate::asynchronous::{locks, runtime};
use crate::bare::Bench;
use crate::database::Database;
use crate::engine::Engine;
use crate::figure::{Figures, Reach};
use crate::form::Form;
use crate::keeping::{acquire, remove};
use crate::process::memory;
use crate::rounds::number;

const WAITING: &str = "waiting task";
const KEPT: &str = "lease that is kept";
const WAITERS: usize = 100_000;

pub fn measure(database: &Database, form: &Form, figures: &mut Figures) {
    if database.engine == Engine::Postgres {
        let kept = form.kept.last().copied().unwrap_or(1);
        report(
            database,
            WAITING,
            WAITERS,
            Some(Reach::AtMost(1_024.0)),
            figures,
        );
        report(database, KEPT, kept, None, figures);
        remove::<PgConnection>(database);
    }
}

fn report(
    database: &Database,
    of: &str,
    count: usize,
    reach: Option<Reach>,
    figures: &mut Figures,
) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    let output = child
        .args(["memory", &database.url, of, &count.to_string()])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let each: f64 = text.trim().parse().unwrap();
    let what = format!("of each {of}, with {count} of them");
    figures.reaching(
        ("memory", database.engine.name()),
        what,
        (each, "bytes"),
        reach,
    );
}

/// Prints the bytes for each of `count`, and exits without cleaning up.
pub fn child(url: &str, of: &str, count: usize) {
    let bytes = if of == WAITING {
        waiting(url, count)
    } else {
        kept(url, count)
    };
    println!("{}", bytes / number(count));
    std::process::exit(0);
}

/// Includes the memory of the runtime for a task, and of the task itself.
fn waiting(url: &str, count: usize) -> f64 {
    runtime().block_on(async {
        let locks = locks::<AsyncPgConnection>(url, 8).await.listen(url);
        let guard = locks.acquire("memory", Wait::never()).await.unwrap();
        let before = memory();
        for _ in 0..count {
            let locks = locks.clone();
            tokio::spawn(async move { drop(locks.acquire("memory", Wait::forever()).await) });
        }
        tokio::time::sleep(Duration::from_secs(2)).await; // until all of them wait
        let bytes = memory() - before;
        guard.release().await.unwrap();
        bytes
    })
}

fn kept(url: &str, count: usize) -> f64 {
    let locks = Locker::new(PgConnection::pool(url, 2));
    let before = memory();
    let guards = acquire(&locks, count);
    let bytes = memory() - before;
    std::mem::forget(guards);
    bytes
}
