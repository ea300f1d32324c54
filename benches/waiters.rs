//! The statements that waiting for a held lock costs, by the number of waiters.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use diesel_async::AsyncPgConnection;
use diesel_locks::Wait;
use diesel_locks::asynchronous::{AsyncConnections, Locker as AsyncLocks};
use diesel_locks::blocking::Locker;

use crate::asynchronous::{locks, runtime};
use crate::bare::Bench;
use crate::counting::Counting;
use crate::database::Database;
use crate::engine::{Engine, on};
use crate::figure::{Figures, Reach};
use crate::form::Form;

/// The time before the count starts. In the first seconds of a hold, a waiter polls more often.
const SETTLE: Duration = Duration::from_secs(8);

/// The ttl of the lease that is waited for. It is not extended during the count.
const TTL: Duration = Duration::from_secs(120);

pub fn measure(database: &Database, form: &Form, figures: &mut Figures) {
    if database.engine == Engine::Postgres {
        for waiters in [1, 16, 1_000, 100_000] {
            runtime().block_on(async {
                let locks = locks::<AsyncPgConnection>(&database.url, 8).await;
                let locks = locks.listen(&database.url).with_ttl(TTL).unwrap();
                tasks(locks, waiters, form, figures).await;
            });
        }
    } else {
        for waiters in [1, 16, 1_000] {
            on!(database.engine, threads(database, waiters, form, figures));
        }
    }
}

async fn tasks<P: AsyncConnections>(
    locks: AsyncLocks<P>,
    waiters: usize,
    form: &Form,
    figures: &mut Figures,
) {
    let counting = Counting::start();
    let guard = locks.acquire("held", Wait::never()).await.unwrap();
    let waiting: Vec<_> = (0..waiters)
        .map(|_| {
            let locks = locks.clone();
            tokio::spawn(async move { drop(locks.acquire("held", Wait::forever()).await) })
        })
        .collect();
    tokio::time::sleep(SETTLE).await;
    counting.spent();
    tokio::time::sleep(form.watch).await;
    report(
        Engine::Postgres,
        waiters,
        counting.spent().statements,
        form,
        figures,
    );
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
    for task in waiting {
        let _ = task.await;
    }
    guard.release().await.unwrap();
    locks.close().await;
}

fn threads<C: Bench>(database: &Database, waiters: usize, form: &Form, figures: &mut Figures) {
    let (counting, locks) = (Counting::start(), Locker::new(C::pool(&database.url, 8)));
    let locks = locks.with_ttl(TTL).unwrap();
    let guard = locks.acquire("held", Wait::never()).unwrap();
    let over = Arc::new(AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..waiters {
            scope.spawn(|| {
                let guard = locks.acquire("held", Wait::forever());
                assert!(guard.is_ok() && over.load(Ordering::SeqCst));
            });
        }
        sleep(SETTLE);
        counting.spent();
        sleep(form.watch);
        report(
            database.engine,
            waiters,
            counting.spent().statements,
            form,
            figures,
        );
        over.store(true, Ordering::SeqCst);
        guard.release().unwrap();
    });
    locks.close();
}

fn report(engine: Engine, waiters: usize, statements: u64, form: &Form, figures: &mut Figures) {
    let rate = f64::from(u32::try_from(statements).unwrap()) / form.watch.as_secs_f64();
    let what = format!("waiters of a held lock: {waiters}");
    let reach = Some(Reach::AtMost(2.0));
    figures.reaching(
        ("waiters", engine.name()),
        what,
        (rate, "statements/s"),
        reach,
    );
}
