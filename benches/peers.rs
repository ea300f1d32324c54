//! Other lock libraries: those on the crate registry, and the statements of those in other languages, sent by Diesel.
//!
//! The label of such statements is `protocol`: the library itself does more than send them.

use std::sync::Arc;
use std::time::Duration;

use diesel_async::AsyncPgConnection;
use rslock::LockManager;
use sqlx::Connection as _;
use sqlx::Either;
use sqlx::postgres::PgAdvisoryLock;
use tokio::runtime::Runtime;
use tokio::sync::Mutex;

use crate::asynchronous::{self, each, locks, runtime, shares, tasks};
use crate::bare::{AllEngines, Bench, Release, TOKEN, now, statements};
use crate::database::Database;
use crate::engine::{Engine, on};
use crate::figure::Figures;
use crate::form::Form;
use crate::names::Share;
use crate::pairs::{limit, on_connections, opened};
use crate::rounds::{Contestant, compare};

pub fn measure(database: &Database, form: &Form, figures: &mut Figures) {
    for clients in [1, 16] {
        on!(database.engine, protocols(database, clients, form, figures));
        if database.engine == Engine::Postgres {
            libraries(database, clients, form, figures);
        }
    }
}

/// Without a fence. A released lock has run out, and keeps its token. A row that another contestant released has no token.
macro_rules! extend_sql {
    ($engine:ident) => {
        [
            "UPDATE bare SET token = ",
            concat!(
                ", expires_at = ",
                now!($engine),
                " + 30000000 WHERE name = "
            ),
            concat!(
                " AND (token IS NULL OR expires_at <= ",
                now!($engine),
                " OR token = "
            ),
            ")",
        ]
    };
}

macro_rules! end_sql {
    ($engine:ident) => {
        [
            "UPDATE bare SET expires_at = 0 WHERE name = ",
            " AND token = ",
            concat!(" AND expires_at >= ", now!($engine)),
        ]
    };
}

macro_rules! upsert_sql {
    ($engine:ident) => {
        [
            "INSERT INTO bare AS b (name, token, fence, expires_at) VALUES (",
            ", ",
            concat!(
                ", 1, ",
                now!($engine),
                " + 30000000) ON CONFLICT (name) DO UPDATE
SET token = EXCLUDED.token, fence = b.fence + 1, expires_at = EXCLUDED.expires_at
WHERE b.token IS NULL OR b.expires_at <= ",
                now!($engine)
            ),
        ]
    };
}

/// The assignments of MySQL see those before them, so the end comes last.
const UPSERT_ON_MYSQL: [&str; 3] = [
    "INSERT INTO bare (name, token, fence, expires_at) VALUES (",
    ", ",
    concat!(
        ", 1, ",
        now!(mysql),
        " + 30000000) ON DUPLICATE KEY UPDATE
fence = IF(token IS NULL OR expires_at <= ",
        now!(mysql),
        ", fence + 1, fence),
token = IF(token IS NULL OR expires_at <= ",
        now!(mysql),
        ", VALUES(token), token),
expires_at = IF(token = VALUES(token), VALUES(expires_at), expires_at)"
    ),
];

statements! {
    /// Token, name, token.
    ExtendToAcquire: extend_sql!(postgres), extend_sql!(mysql), extend_sql!(sqlite);
    /// Name, token.
    EndToRelease: end_sql!(postgres), end_sql!(mysql), end_sql!(sqlite);
    /// Name, token.
    Upsert: upsert_sql!(postgres), UPSERT_ON_MYSQL, upsert_sql!(sqlite);
    /// pglock is for PostgreSQL alone.
    NextValue: ["SELECT nextval('fences')"], [], [];
}

fn protocols<C: Bench>(database: &Database, clients: usize, form: &Form, figures: &mut Figures) {
    let contestants = [
        limit::<C>(database, clients),
        on_connections::<C>(database, clients),
        extend_to_acquire(opened::<C>(database, clients)),
        extend_in_transactions(opened::<C>(database, clients)),
        upsert(opened::<C>(database, clients), database.engine),
    ];
    let pglock = (database.engine == Engine::Postgres).then(|| {
        let sequence = "CREATE SEQUENCE IF NOT EXISTS fences";
        database.open::<C>().batch_execute(sequence).unwrap();
        next_value_and_upsert(opened::<C>(database, clients), database.engine)
    });
    let scores = compare(form, contestants.into_iter().chain(pglock).collect());
    let of = ("peers", database.engine.name());
    figures.scores(of, "pairs/s", scores, |_| None);
}

type Clients<C> = Vec<(C, Share)>;

fn extend_to_acquire<C: Bench>(clients: Clients<C>) -> Contestant<'static> {
    let what = "protocol: UPDATE without a fence (distrlock)";
    Contestant::side_by_side(what, clients, |(conn, share)| {
        let name = share.next();
        changed::<C, ExtendToAcquire>(conn, &[TOKEN, &name, TOKEN]);
        changed::<C, EndToRelease>(conn, &[&name, TOKEN]);
    })
    .of_others()
}

fn extend_in_transactions<C: Bench>(clients: Clients<C>) -> Contestant<'static> {
    let what = "protocol: the same in transactions (ShedLock, nearly)";
    Contestant::side_by_side(what, clients, |(conn, share)| {
        let name = share.next();
        transaction(conn, |conn| {
            changed::<C, ExtendToAcquire>(conn, &[TOKEN, &name, TOKEN]);
        });
        transaction(conn, |conn| {
            changed::<C, EndToRelease>(conn, &[&name, TOKEN]);
        });
    })
    .of_others()
}

fn upsert<C: Bench>(clients: Clients<C>, engine: Engine) -> Contestant<'static> {
    Contestant::side_by_side("protocol: upsert", clients, move |(conn, share)| {
        let name = share.next();
        insert(conn, &name, engine);
        changed::<C, Release>(conn, &[&name, TOKEN]);
    })
    .of_others()
}

fn next_value_and_upsert<C: Bench>(clients: Clients<C>, engine: Engine) -> Contestant<'static> {
    let what = "protocol: nextval and upsert (pglock does more)";
    Contestant::side_by_side(what, clients, move |(conn, share)| {
        let name = share.next();
        transaction(conn, |conn| {
            conn.find::<NextValue>(&[]);
            insert(conn, &name, engine);
        });
        transaction(conn, |conn| changed::<C, Release>(conn, &[&name, TOKEN]));
    })
    .of_others()
}

fn changed<C: Bench, S: AllEngines>(conn: &mut C, values: &[&str]) {
    assert_eq!(conn.change::<S>(values), 1);
}

/// MySQL and MariaDB count a row that is there and changes as two, and one that does not change as one.
fn insert<C: Bench>(conn: &mut C, name: &str, engine: Engine) {
    let counts_twice = matches!(engine, Engine::MariaDb | Engine::MySql);
    let acquired = 1 + usize::from(counts_twice);
    assert_eq!(conn.change::<Upsert>(&[name, TOKEN]), acquired);
}

fn transaction<C: Bench>(conn: &mut C, work: impl FnOnce(&mut C)) {
    conn.batch_execute(C::BEGIN).unwrap();
    work(conn);
    conn.batch_execute("COMMIT").unwrap();
}

fn libraries(database: &Database, clients: usize, form: &Form, figures: &mut Figures) {
    let runtime = &runtime();
    let (url, shares) = (&*database.url, &*shares(clients));
    let locks = runtime.block_on(locks::<AsyncPgConnection>(url, clients));
    let mut contestants = vec![
        asynchronous::limit::<AsyncPgConnection>(runtime, url, shares),
        asynchronous::guards(runtime, "async: Locker, guard", &locks, shares),
        advisory_locks(runtime, url, shares),
    ];
    if let Ok(redis) = std::env::var("REDIS_URL") {
        contestants.push(on_redis(runtime, &redis, shares));
    }
    figures.scores(
        ("peers", "PostgreSQL"),
        "pairs/s",
        compare(form, contestants),
        |_| None,
    );
}

fn advisory_locks<'r>(runtime: &'r Runtime, url: &str, shares: &[Arc<Share>]) -> Contestant<'r> {
    let connect = || {
        let conn = runtime.block_on(sqlx::PgConnection::connect(url));
        Arc::new(Mutex::new(conn.unwrap()))
    };
    tasks(
        runtime,
        "sqlx PgAdvisoryLock: writes nothing, keeps a connection",
        each(shares, connect),
        |(conn, share)| async move {
            let mut conn = conn.lock().await;
            let lock = PgAdvisoryLock::new(share.next());
            let Either::Left(guard) = lock.try_acquire(&mut *conn).await.unwrap() else {
                panic!("the lock is free");
            };
            guard.release_now().await.unwrap();
        },
    )
    .of_others()
}

fn on_redis<'r>(runtime: &'r Runtime, url: &str, shares: &[Arc<Share>]) -> Contestant<'r> {
    const TTL: Duration = Duration::from_secs(30);
    tasks(
        runtime,
        "rslock, Redis with appendfsync=always",
        each(shares, || LockManager::new(vec![url])),
        |(manager, share)| async move {
            let lock = manager.lock(share.next().as_str(), TTL).await.unwrap();
            manager.unlock(&lock).await;
        },
    )
    .of_others()
}
