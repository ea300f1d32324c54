//! The time from the call that releases a lock until the next waiter has acquired it. 16 waiters hold the lock for 10
//! ms each, in one process and in four.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use diesel_async::AsyncPgConnection;
use diesel_locks::Wait;
use diesel_locks::asynchronous::AsyncConnections;
use diesel_locks::asynchronous::Locker as AsyncLocks;
use diesel_locks::blocking::Locker;

use crate::asynchronous::{locks, runtime};
use crate::bare::{Acquire, Bench, Release, TOKEN};
use crate::database::Database;
use crate::engine::{Engine, on};
use crate::figure::{Figures, Reach};
use crate::form::Form;
use crate::names::name;
use crate::rounds::{median, percentile};

const WAITERS: usize = 16;
const HOLDS: Duration = Duration::from_millis(10);

pub fn measure(database: &Database, form: &Form, figures: &mut Figures) {
    let of = ("hand-off", database.engine.name());
    let awake = on!(database.engine, commits(database, Duration::ZERO));
    figures.value(of, "a durable commit, p50", median(&awake), "ms");
    let commits = on!(database.engine, commits(database, HOLDS));
    let commit = median(&commits);
    let what = "a durable commit after as long a rest";
    figures.value(of, format!("{what}, p50"), commit, "ms");
    figures.value(of, format!("{what}, p99"), percentile(&commits, 99), "ms");
    for (processes, within) in [(1, 1.0), (4, 2.0)] {
        let handoffs = run(database, processes, form.watch);
        let reach = |bound| (database.engine == Engine::Postgres).then_some(Reach::AtMost(bound));
        let what = |which| format!("16 waiters, processes: {processes}, {which}");
        figures.reaching(
            of,
            what("p50"),
            (median(&handoffs), "ms"),
            reach(commit + within),
        );
        figures.reaching(
            of,
            what("p99"),
            (percentile(&handoffs, 99), "ms"),
            reach(20.0),
        );
    }
}

/// The time of a statement that changes one row, in milliseconds. While a lock is held, client and server are idle. A
/// rest before each statement makes them idle here, too.
fn commits<C: Bench>(database: &Database, rest: Duration) -> Vec<f64> {
    let mut conn = database.open::<C>();
    let mut once = || {
        std::thread::sleep(rest);
        let began = Instant::now();
        assert_eq!(conn.change::<Acquire>(&[TOKEN, &name(0)]), 1);
        let took = began.elapsed().as_secs_f64() * 1_000.0;
        assert_eq!(conn.change::<Release>(&[&name(0), TOKEN]), 1);
        took
    };
    std::iter::repeat_with(&mut once).take(300).collect()
}

/// The times between a release and the next acquisition, in milliseconds, in the order of the fences.
fn run(database: &Database, processes: usize, time: Duration) -> Vec<f64> {
    let start = || {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["waiters", &database.url, database.engine.word()]);
        child.args([
            (WAITERS / processes).to_string(),
            time.as_secs().to_string(),
        ]);
        child.stdout(Stdio::piped()).spawn().unwrap()
    };
    let children: Vec<_> = (0..processes).map(|_| start()).collect();
    let mut held: Vec<[i64; 3]> = Vec::new();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "a waiter failed");
        let text = String::from_utf8(output.stdout).unwrap();
        held.extend(text.lines().map(|line| {
            let mut fields = line.split(' ').map(|field| field.parse::<i64>().unwrap());
            std::array::from_fn(|_| fields.next().unwrap())
        }));
    }
    held.sort_unstable();
    let between = |pair: &[[i64; 3]]| {
        let micros = i32::try_from(pair[1][1] - pair[0][2]).unwrap();
        f64::from(micros) / 1_000.0
    };
    held.windows(2).map(between).collect()
}

/// The work of one process. Prints the fence, the time of the acquisition and the time of the release of each hold.
pub fn child(url: &str, engine: &str, waiters: usize, seconds: u64) {
    let time = Duration::from_secs(seconds);
    let engine = Engine::named(engine);
    if engine == Engine::Postgres {
        let runtime = runtime();
        runtime.block_on(async {
            let locks = locks::<AsyncPgConnection>(url, 8).await.listen(url);
            wait_in_tasks(locks, waiters, time).await;
        });
    } else {
        let database = Database::at(engine, url);
        on!(engine, wait_in_threads(&database, waiters, time));
    }
}

async fn wait_in_tasks<P: AsyncConnections>(locks: AsyncLocks<P>, waiters: usize, time: Duration) {
    let began = Instant::now();
    let tasks = (0..waiters).map(|_| {
        let locks = locks.clone();
        tokio::spawn(async move {
            while began.elapsed() < time {
                let guard = locks.acquire("hand-off", Wait::forever()).await.unwrap();
                let acquired = micros();
                tokio::time::sleep(HOLDS).await;
                println!("{} {acquired} {}", guard.fence(), micros());
                guard.release().await.unwrap();
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

fn wait_in_threads<C: Bench>(database: &Database, waiters: usize, time: Duration) {
    let (locks, began) = (Locker::new(C::pool(&database.url, 8)), Instant::now());
    std::thread::scope(|scope| {
        for _ in 0..waiters {
            scope.spawn(|| {
                while began.elapsed() < time {
                    let guard = locks.acquire("hand-off", Wait::forever()).unwrap();
                    let acquired = micros();
                    std::thread::sleep(HOLDS);
                    println!("{} {acquired} {}", guard.fence(), micros());
                    guard.release().unwrap();
                }
            });
        }
    });
}

/// The time by the clock that all processes share.
pub fn micros() -> u128 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros()
}
