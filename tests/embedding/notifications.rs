//! The notifications of releases, as a connection of the host hears them. Only `PostgreSQL` sends notifications.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};
use diesel_locks::blocking::{LeaseDsl, LockDsl};
use diesel_locks::{Error, Forced, Lease, Lock, Released};

use crate::database::{Database, Engine, establish};

/// The ways to release a lock on a connection of the host.
const WAYS: [fn(&mut PgConnection, Lease); 3] = [
    |conn, lease| assert_eq!(lease.release(conn).unwrap(), Released::InTime),
    |conn, lease| {
        assert_eq!(lease.lock().force_release(conn).unwrap(), Forced::Released);
    },
    |conn, lease| {
        let done = conn.transaction(|conn| lease.release(conn));
        assert_eq!(done.unwrap(), Released::InTime);
    },
];

/// Transactions that send a notification commit one after the other, and cannot be prepared.
pub fn a_release_notifies_only_if_a_waiter_has_asked_and_only_once() {
    let database = Database::new(Engine::Postgres);
    let conn = &mut establish::<PgConnection>(&database.url);
    diesel_locks::blocking::migrate(conn).unwrap();
    let ear = &mut establish::<PgConnection>(&database.url);
    ear.batch_execute("LISTEN diesel_locks").unwrap();
    let lock = Lock::new("x").unwrap();
    for release in WAYS {
        let take = |conn: &mut PgConnection| lock.try_acquire(conn).unwrap().acquired().unwrap();
        let lease = take(conn);
        release(conn, lease);
        assert_eq!(heard(conn, ear), [""; 0], "nobody has asked");

        let lease = take(conn);
        ask(conn, 3_600);
        release(conn, lease);
        assert_eq!(heard(conn, ear), ["x"]);

        let lease = take(conn);
        release(conn, lease);
        assert_eq!(heard(conn, ear), [""; 0], "the wish was fulfilled before");

        let lease = take(conn);
        ask(conn, -1);
        release(conn, lease);
        assert_eq!(heard(conn, ear), [""; 0], "the wish has expired");
    }
}

pub fn a_release_that_is_taken_back_notifies_nobody() {
    let database = Database::new(Engine::Postgres);
    let conn = &mut establish::<PgConnection>(&database.url);
    diesel_locks::blocking::migrate(conn).unwrap();
    let ear = &mut establish::<PgConnection>(&database.url);
    ear.batch_execute("LISTEN diesel_locks").unwrap();
    let lease = Lock::new("x").unwrap().try_acquire(conn).unwrap();
    let lease = lease.acquired().unwrap();
    ask(conn, 3_600);
    let taken_back = conn.transaction(|conn| {
        lease.release(conn)?;
        Err::<(), Error>(diesel::result::Error::RollbackTransaction.into())
    });
    assert!(taken_back.is_err());
    assert_eq!(heard(conn, ear), [""; 0]);
    lease.release(conn).unwrap();
    assert_eq!(heard(conn, ear), ["x"], "the wish is still there");
}

/// Asks for a notification, as a waiter does, for this many seconds from now on.
fn ask(conn: &mut PgConnection, seconds: i64) {
    let ask = format!(
        "UPDATE diesel_locks SET wanted_until = (EXTRACT(EPOCH FROM clock_timestamp()) + {seconds}) * 1000000"
    );
    conn.batch_execute(&ask).unwrap();
}

/// The notifications that were sent before this moment.
fn heard(conn: &mut PgConnection, ear: &mut PgConnection) -> Vec<String> {
    conn.batch_execute("NOTIFY diesel_locks, 'the last'")
        .unwrap();
    let (began, mut heard) = (Instant::now(), Vec::new());
    while began.elapsed() < Duration::from_secs(60) {
        for notification in ear.notifications_iter() {
            match notification.unwrap().payload {
                last if last == "the last" => return heard,
                payload => heard.push(payload),
            }
        }
        std::thread::yield_now();
    }
    panic!("no notification has arrived, only {heard:?}");
}
