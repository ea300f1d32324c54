//! A host whose connection is one of several kinds.

use diesel::prelude::*;
use diesel_locks::blocking::{LeaseDsl, LockConnection, LockDsl};
use diesel_locks::{Error, Lock};

use crate::database::{Database, Engine};

#[derive(diesel::MultiConnection)]
pub enum AnyConnection {
    #[cfg(feature = "postgres")]
    Postgres(PgConnection),
    #[cfg(feature = "mysql")]
    Mysql(MysqlConnection),
    #[cfg(feature = "sqlite")]
    Sqlite(SqliteConnection),
}

diesel::table! {
    host_jobs (id) {
        id -> BigInt,
    }
}

/// A database with the host's table.
pub fn with_jobs(engine: Engine) -> Database {
    let database = Database::new(engine);
    database.batch("CREATE TABLE host_jobs (id BIGINT NOT NULL PRIMARY KEY)");
    database
}

pub fn url(database: &Database) -> String {
    match database.engine.dialect() {
        "sqlite" => format!("sqlite://{}", database.url),
        _ => database.url.clone(),
    }
}

pub fn insert(any: &mut AnyConnection, id: i64) -> QueryResult<usize> {
    diesel::insert_into(host_jobs::table)
        .values(host_jobs::id.eq(id))
        .execute(any)
}

/// Passes the inner connection to code that is generic over connections.
macro_rules! with_inner {
    ($any:expr, $conn:ident => $work:expr) => {
        match $any {
            #[cfg(feature = "postgres")]
            AnyConnection::Postgres($conn) => $work,
            #[cfg(feature = "mysql")]
            AnyConnection::Mysql($conn) => $work,
            #[cfg(feature = "sqlite")]
            AnyConnection::Sqlite($conn) => $work,
        }
    };
}

/// Code of the host, written once for all connections.
fn hold<C: LockConnection>(conn: &mut C) -> Result<i64, Error> {
    let held = Lock::new("jobs")?.try_hold(conn)?;
    Ok(held.acquired().expect("nobody else holds it"))
}

pub fn a_host_with_several_databases_matches_its_connection(engine: Engine) {
    let database = with_jobs(engine);
    let mut any = AnyConnection::establish(&url(&database)).unwrap();
    with_inner!(&mut any, conn => diesel_locks::blocking::migrate(conn)).unwrap();
    let lock = Lock::new("x").unwrap();
    let lease = with_inner!(&mut any, conn => lock.try_acquire(conn))
        .unwrap()
        .acquired()
        .unwrap();

    // A transaction of the host. Its own query and a pin run in it.
    any.transaction(|any| {
        with_inner!(any, conn => lease.pin(conn))?;
        with_inner!(any, conn => hold(conn))?;
        insert(any, 1)?;
        Ok::<_, Error>(())
    })
    .unwrap();
    let refused = any.transaction(|any| {
        with_inner!(any, conn => lease.release(conn))?;
        insert(any, 1)?;
        Ok::<_, Error>(())
    });
    assert!(refused.is_err(), "the row is there already");
    assert!(
        with_inner!(&mut any, conn => lease.status(conn))
            .unwrap()
            .is_held(),
        "rolled back with it"
    );
    let outside = with_inner!(&mut any, conn => hold(conn));
    assert!(
        matches!(outside, Err(Error::NoTransaction { .. })),
        "{outside:?}"
    );
    assert_eq!(database.count("host_jobs"), 1);
}
