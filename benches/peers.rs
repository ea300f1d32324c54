//! Other lock libraries: those on the crate registry, and the statements of those in other languages, sent by Diesel.
//!
//! The label of such statements is `protocol`: the library itself does more than send them.

use std::sync::Arc;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::mysql::Mysql;
use diesel::pg::Pg;
use diesel::sqlite::Sqlite;
use diesel::{Connection, PgConnection};
use rslock::LockManager;
use sqlx::Connection as _;
use sqlx::Either;
use sqlx::postgres::PgAdvisoryLock;
use tokio::runtime::Runtime;
use tokio::sync::Mutex;

use crate::asynchronous::{self, each, locks, runtime, shares, tasks};
use crate::bare::{Acquire, Bench, Release, Sql, TOKEN};
use crate::database::Database;
use crate::engine::Engine;
use crate::figure::Figures;
use crate::form::Form;
use crate::names::Share;
use crate::pairs::{limit, on_connections, opened};
use crate::rounds::{Contestant, compare};

pub fn measure(database: &Database, form: &Form, figures: &mut Figures) {
    if database.engine == Engine::Postgres {
        for clients in [1, 16] {
            protocols(database, clients, form, figures);
            libraries(database, clients, form, figures);
        }
    }
}

#[derive(Clone, Copy)]
struct NextValue;
#[derive(Clone, Copy)]
struct Upsert;

macro_rules! only_postgres {
    ($name:ident: $parts:expr) => {
        impl Sql<Pg> for $name {
            const PARTS: &'static [&'static str] = &$parts;
        }
        impl Sql<Mysql> for $name {
            const PARTS: &'static [&'static str] = &[];
        }
        impl Sql<Sqlite> for $name {
            const PARTS: &'static [&'static str] = &[];
        }
    };
}

only_postgres!(NextValue: ["SELECT nextval('fences')"]);
only_postgres!(Upsert: [
    "INSERT INTO bare AS b (name, token, fence, expires_at) VALUES (",
    ", ",
    ", 1, (date_part('epoch', clock_timestamp()) * 1000000)::bigint + 30000000) ON CONFLICT (name) DO UPDATE
SET token = EXCLUDED.token, fence = b.fence + 1, expires_at = EXCLUDED.expires_at
WHERE b.token IS NULL OR b.expires_at <= (date_part('epoch', clock_timestamp()) * 1000000)::bigint",
]);

fn protocols(database: &Database, clients: usize, form: &Form, figures: &mut Figures) {
    let conn: &mut PgConnection = &mut database.open();
    conn.batch_execute("CREATE SEQUENCE IF NOT EXISTS fences")
        .unwrap();
    let contestants = vec![
        limit::<PgConnection>(database, clients),
        on_connections::<PgConnection>(database, clients),
        update_in_a_transaction(opened(database, clients)),
        next_value_and_upsert(opened(database, clients)),
        upsert(opened(database, clients)),
    ];
    figures.scores(
        ("peers", "PostgreSQL"),
        "pairs/s",
        compare(form, contestants),
        |_| None,
    );
}

type Clients = Vec<(PgConnection, Share)>;

fn update_in_a_transaction(clients: Clients) -> Contestant<'static> {
    let what = "protocol: UPDATE in a transaction (as distrlock)";
    Contestant::side_by_side(what, clients, |(conn, share)| {
        let name = share.next();
        transaction(conn, |conn| conn.change::<Acquire>(&[TOKEN, &name]));
        transaction(conn, |conn| conn.change::<Release>(&[&name, TOKEN]));
    })
}

fn next_value_and_upsert(clients: Clients) -> Contestant<'static> {
    let what = "protocol: nextval and upsert (as pglock)";
    Contestant::side_by_side(what, clients, |(conn, share)| {
        let name = share.next();
        transaction(conn, |conn| {
            conn.find::<NextValue>(&[]);
            conn.change::<Upsert>(&[&name, TOKEN])
        });
        transaction(conn, |conn| conn.change::<Release>(&[&name, TOKEN]));
    })
}

fn upsert(clients: Clients) -> Contestant<'static> {
    Contestant::side_by_side("protocol: upsert", clients, |(conn, share)| {
        let name = share.next();
        assert_eq!(conn.change::<Upsert>(&[&name, TOKEN]), 1);
        assert_eq!(conn.change::<Release>(&[&name, TOKEN]), 1);
    })
}

fn transaction(conn: &mut PgConnection, work: impl FnOnce(&mut PgConnection) -> usize) {
    let changed = conn.transaction(|conn| Ok::<_, diesel::result::Error>(work(conn)));
    assert_eq!(changed.unwrap(), 1);
}

fn libraries(database: &Database, clients: usize, form: &Form, figures: &mut Figures) {
    let runtime = &runtime();
    let (url, shares) = (&*database.url, &*shares(clients));
    let locks = runtime.block_on(locks(url, clients));
    let mut contestants = vec![
        asynchronous::limit(runtime, url, shares),
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
}
