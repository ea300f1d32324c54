//! Locks on a connection inside an object of the host's own.

use std::panic::{AssertUnwindSafe, catch_unwind};

use diesel::connection::TransactionManager;
use diesel::prelude::*;
use diesel::r2d2::{ManageConnection, Pool};
use diesel_locks::blocking::{
    LeaseDsl, LockConnection, LockDsl, Locker, Within, WithinPool, migrate,
};
use diesel_locks::{Error, LeaseStatus, Lock, Wait};

use super::connections::{AnyConnection, insert, url, with_jobs};
use crate::database::Engine;

/// A connection that is one of the kinds.
trait Kind: LockConnection + 'static {
    fn find(any: &mut AnyConnection) -> Option<&mut Self>;
}

macro_rules! kinds {
    ($($feature:literal $variant:ident $connection:ident),+) => {
        $(
            #[cfg(feature = $feature)]
            impl Kind for diesel::$connection {
                fn find(any: &mut AnyConnection) -> Option<&mut Self> {
                    match any {
                        AnyConnection::$variant(conn) => Some(conn),
                        #[allow(unreachable_patterns, reason = "with one database there is one kind")]
                        _ => None,
                    }
                }
            }
        )+
    };
}
kinds!("postgres" Postgres PgConnection, "mysql" Mysql MysqlConnection, "sqlite" Sqlite SqliteConnection);

/// Runs the case with the kind of connection that the engine has.
macro_rules! with_kind {
    ($engine:ident, $case:ident) => {
        match $engine.dialect() {
            #[cfg(feature = "postgres")]
            "postgres" => $case::<PgConnection>($engine),
            #[cfg(feature = "mysql")]
            "mysql" => $case::<MysqlConnection>($engine),
            #[cfg(feature = "sqlite")]
            "sqlite" => $case::<SqliteConnection>($engine),
            other => unreachable!("{other}"),
        }
    };
}

pub fn statements_take_part_in_the_hosts_transaction(engine: Engine) {
    with_kind!(engine, takes_part);
}

fn takes_part<C: Kind>(engine: Engine) {
    let database = with_jobs(engine);
    let mut any = AnyConnection::establish(&url(&database)).unwrap();
    let other = Within::find(&mut any, |_| None::<&mut C>);
    assert!(matches!(other, Err(Error::Setup { .. })), "{other:?}");

    let mut conn = Within::find(&mut any, C::find).unwrap();
    migrate(&mut conn).unwrap();
    let lock = Lock::new("x").unwrap();
    let mut lease = lock.try_acquire(&mut conn).unwrap().acquired().unwrap();
    let failed = conn.transaction(|any| {
        lease.release(&mut Within::find(any, C::find)?)?;
        Err::<(), Error>(diesel::result::Error::RollbackTransaction.into())
    });
    assert!(failed.is_err());
    assert!(
        lease.status(&mut conn).unwrap().is_held(),
        "rolled back with it"
    );

    let other = Lock::new("y").unwrap();
    let outside = other.try_hold(&mut conn);
    assert!(
        matches!(outside, Err(Error::NoTransaction { .. })),
        "{outside:?}"
    );
    let inside = conn.transaction(|any| other.try_hold(&mut Within::find(any, C::find)?));
    assert!(inside.unwrap().acquired().is_some());

    lease
        .finish(&mut conn, |conn| Ok::<_, Error>(insert(conn, 1)?))
        .unwrap();
    assert_eq!(lease.status(&mut conn).unwrap(), LeaseStatus::Free);
    assert_eq!(database.count("host_jobs"), 1);
}

/// An object that can lose its connection.
struct Object {
    any: AnyConnection,
    is_gone: bool,
}

fn find_unless_gone<C: Kind>(object: &mut Object) -> Option<&mut C> {
    if object.is_gone {
        return None;
    }
    C::find(&mut object.any)
}

pub fn a_connection_that_is_gone_or_broken_is_refused(engine: Engine) {
    with_kind!(engine, refused);
}

fn refused<C: Kind>(engine: Engine) {
    let database = with_jobs(engine);
    let open = || {
        let any = AnyConnection::establish(&url(&database)).unwrap();
        Object {
            any,
            is_gone: false,
        }
    };
    let lock = Lock::new("x").unwrap();
    let mut object = open();
    let mut conn = Within::find(&mut object, find_unless_gone::<C>).unwrap();
    migrate(&mut conn).unwrap();
    let mut lease = lock.try_acquire(&mut conn).unwrap().acquired().unwrap();

    // Work that loses the connection commits nothing, and its panic does not end the process.
    for panics in [false, true] {
        let mut object = open();
        let mut conn = Within::find(&mut object, find_unless_gone::<C>).unwrap();
        let work = || {
            lease.transaction(&mut conn, |conn| {
                insert(&mut conn.any, 1)?;
                conn.is_gone = true;
                assert!(!panics, "on purpose");
                Ok::<_, Error>(())
            })
        };
        let done = catch_unwind(AssertUnwindSafe(work));
        assert_eq!(done.is_err(), panics);
        assert!(
            matches!(done, Err(_) | Ok(Err(Error::BrokenConnection))),
            "{done:?}"
        );
        let after = lease.status(&mut conn);
        assert!(matches!(after, Err(Error::BrokenConnection)), "{after:?}");
        drop(object);
        assert_eq!(database.count("host_jobs"), 0);
    }

    lease.extend(&mut conn).unwrap();
    let status = <AnyConnection as Connection>::TransactionManager::transaction_manager_status_mut;
    status(&mut conn.any).set_in_error();
    let broken = lease.extend(&mut conn);
    assert!(matches!(broken, Err(Error::BrokenConnection)), "{broken:?}");
}

/// The host's own manager.
#[derive(Debug)]
struct Manager(String);

impl ManageConnection for Manager {
    type Connection = AnyConnection;
    type Error = ConnectionError;

    fn connect(&self) -> ConnectionResult<AnyConnection> {
        AnyConnection::establish(&self.0)
    }

    fn is_valid(&self, _: &mut AnyConnection) -> ConnectionResult<()> {
        Ok(())
    }

    /// Diesel's own manager also asks whether the thread panics. Only SQLite needs that: elsewhere the crate marks the
    /// connection whose transaction was cut off.
    fn has_broken(&self, conn: &mut AnyConnection) -> bool {
        let is_cut_off = self.0.starts_with("sqlite") && std::thread::panicking();
        is_cut_off
            || <AnyConnection as Connection>::TransactionManager::is_broken_transaction_manager(
                conn,
            )
    }
}

pub fn a_locker_works_on_the_hosts_pool(engine: Engine) {
    with_kind!(engine, works_on_pool);
}

fn works_on_pool<C: Kind>(engine: Engine) {
    let database = with_jobs(engine);
    let pool = Pool::builder()
        .max_size(1)
        .build(Manager(url(&database)))
        .unwrap();
    migrate(C::find(&mut pool.get().unwrap()).unwrap()).unwrap();
    let locker = Locker::new(WithinPool::new(pool.clone(), C::find));
    let guard = locker.acquire("x", Wait::never()).unwrap();

    // The host's own transaction in the work is a savepoint of the guarded one.
    let done: Result<_, Error> = guard.transaction(|conn| {
        insert(conn, 1)?;
        let inner = conn.transaction(|any| {
            insert(any, 2)?;
            Err::<(), _>(diesel::result::Error::RollbackTransaction)
        });
        assert!(inner.is_err());
        conn.transaction(|any| insert(any, 3)).map_err(Error::from)
    });
    done.unwrap();
    assert_eq!(database.count("host_jobs"), 2);

    let failed: Result<(), Error> = guard.transaction(|conn| {
        insert(conn, 4)?;
        insert(conn, 4)?;
        Ok(())
    });
    assert!(failed.is_err());
    let work = || {
        guard.transaction(|conn| -> Result<(), Error> {
            insert(conn, 5)?;
            panic!("on purpose")
        })
    };
    assert!(catch_unwind(AssertUnwindSafe(work)).is_err());
    guard
        .finish(|conn| Ok::<_, Error>(insert(conn, 6)?))
        .unwrap();
    assert_eq!(database.count("host_jobs"), 3);

    // Nobody waits for a pool that has another kind of connection.
    let other = Locker::new(WithinPool::new(pool, |_| None::<&mut C>));
    let refused = other.acquire("x", Wait::forever());
    assert!(matches!(refused, Err(Error::Setup { .. })), "{refused:?}");
}
