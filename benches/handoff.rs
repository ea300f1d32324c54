//! From the call that gives a lock back to the moment at which the next in turn has it: 16 waiters who each hold it for
//! 10 ms, in one process and in four.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use diesel_locks::Wait;
use diesel_locks::asynchronous::AsyncConnections;
use diesel_locks::asynchronous::Locks as AsyncLocks;
use diesel_locks::blocking::Locks;

use crate::asynchronous::{locks, runtime};
use crate::bare::{Bench, GiveBack, TOKEN, Take};
use crate::database::Database;
use crate::engine::{Engine, on};
use crate::figure::{Figures, Reach};
use crate::form::Form;
use crate::names::name;
use crate::rounds::{median, part};

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
    figures.value(of, format!("{what}, p99"), part(&commits, 99), "ms");
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
        figures.reaching(of, what("p99"), (part(&handoffs, 99), "ms"), reach(20.0));
    }
}

/// How long a statement takes that changes one row, in milliseconds. While a lock is held nothing happens, and both sides go to
/// sleep; so they do here when there is a rest before.
fn commits<C: Bench>(database: &Database, rest: Duration) -> Vec<f64> {
    let mut conn = database.open::<C>();
    let mut take = || {
        std::thread::sleep(rest);
        let began = Instant::now();
        assert_eq!(conn.change::<Take>(&[TOKEN, &name(0)]), 1);
        let took = began.elapsed().as_secs_f64() * 1_000.0;
        assert_eq!(conn.change::<GiveBack>(&[&name(0), TOKEN]), 1);
        took
    };
    std::iter::repeat_with(&mut take).take(300).collect()
}

/// The time between one holder's release and the next one's acquisition, in milliseconds, sorted by fence.
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

/// One process: prints fence, when it was acquired and when it was given back, for each time it held the lock.
pub fn child(url: &str, engine: &str, waiters: usize, seconds: u64) {
    let time = Duration::from_secs(seconds);
    let engine = Engine::ALL
        .into_iter()
        .find(|it| it.word() == engine)
        .unwrap();
    if engine == Engine::Postgres {
        let runtime = runtime();
        runtime.block_on(async {
            wait_in_tasks(locks(url, 8).await.listen(url), waiters, time).await;
        });
    } else {
        let database = Database::at(engine, url);
        on!(engine, wait_in_threads(&database, waiters, time));
    }
}

async fn wait_in_tasks<P: AsyncConnections>(locks: AsyncLocks<P>, waiters: usize, time: Duration) {
    let began = Instant::now();
    let waiting = (0..waiters).map(|_| {
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
    for waiter in waiting.collect::<Vec<_>>() {
        waiter.await.unwrap();
    }
}

fn wait_in_threads<C: Bench>(database: &Database, waiters: usize, time: Duration) {
    let (locks, began) = (Locks::new(C::pool(&database.url, 8)), Instant::now());
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

/// The clock that processes share.
fn micros() -> u128 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros()
}
