//! What a user's code may rely on at compile time, and that both modes are the same in all but `.await`.

use std::collections::BTreeSet;

use diesel_locks::asynchronous::AsyncLockConnection;
use diesel_locks::blocking::LockConnection;
use diesel_locks::{List, Lock, Result, Wait};

#[allow(dead_code)] // compiled is passed
fn blocking<C: LockConnection>() {}
#[allow(dead_code)]
fn asynchronous<C: AsyncLockConnection>() {}

/// The connections of a database and what the pools make of them.
macro_rules! connections {
    ($name:ident, $blocking:ty, $asynchronous:ty) => {
        #[test]
        fn $name() {
            use diesel::r2d2::{ConnectionManager, PooledConnection};
            use diesel_async::pooled_connection::{bb8, deadpool, mobc};
            blocking::<$blocking>();
            blocking::<PooledConnection<ConnectionManager<$blocking>>>();
            asynchronous::<$asynchronous>();
            asynchronous::<bb8::PooledConnection<'static, $asynchronous>>();
            asynchronous::<deadpool::Object<$asynchronous>>();
            asynchronous::<mobc::PooledConnection<$asynchronous>>();
            let _ = |conn: $asynchronous| tokio::spawn(everything(conn));
            let _ = |conn: deadpool::Object<$asynchronous>| tokio::spawn(everything(conn));
        }
    };
}

#[cfg(feature = "postgres")]
connections! { locks_work_on_postgres_and_its_pools, diesel::PgConnection, diesel_async::AsyncPgConnection }
#[cfg(feature = "mysql")]
connections! { locks_work_on_mysql_and_its_pools, diesel::MysqlConnection, diesel_async::AsyncMysqlConnection }
#[cfg(feature = "sqlite")]
connections! {
    locks_work_on_sqlite_and_its_pools,
    diesel::SqliteConnection,
    diesel_async::sync_connection_wrapper::SyncConnectionWrapper<diesel::SqliteConnection>
}

/// Can be spawned: all of it is `Send`, on every connection.
async fn everything<C: AsyncLockConnection>(mut conn: C) -> Result<()> {
    use diesel_locks::asynchronous::{LeaseDsl, ListDsl, LockDsl};
    let (conn, lock, list) = (&mut conn, Lock::new("x")?, List::all());
    let _ = lock.acquire(conn, Wait::never()).await?;
    if let Some(mut lease) = lock.try_acquire(conn).await?.acquired() {
        lease.pin(conn).await?;
        let _ = lease.try_pin(conn).await?;
        let _ = lease.extend(conn).await?;
        let _ = lease.extend_to(conn, std::time::Duration::MAX).await?;
        let _ = lease.extend_by(conn, std::time::Duration::MAX).await?;
        lease.is_mine(conn).await?;
        lease.set_data(conn, None).await?;
        lease.release(conn).await?;
    }
    lock.inspect(conn).await?;
    lock.is_held(conn).await?;
    lock.current_owner(conn).await?;
    lock.time_left(conn).await?;
    lock.read_data(conn).await?;
    lock.force_release(conn).await?;
    list.load(conn).await?;
    list.purge(conn, std::time::Duration::ZERO).await?;
    Ok(())
}

/// The methods of the public traits of a source file, as `Trait::method(arguments)`.
fn methods(source: &str) -> BTreeSet<String> {
    let (mut methods, mut of) = (BTreeSet::new(), None);
    for line in source.lines() {
        if let Some(name) = line.strip_prefix("pub trait ") {
            of = name.split([':', ' ']).next();
        } else if line == "}" {
            of = None;
        }
        let declared = line
            .strip_prefix("    ")
            .and_then(|line| line.strip_prefix("fn "));
        if let (Some(of), Some(method)) = (of, declared) {
            methods.insert(format!(
                "{of}::{}",
                method.split(['<', '(']).next().unwrap()
            ));
        }
    }
    methods
}

/// The files of a mode that declare its operations.
macro_rules! sources {
    ($mode:literal) => {
        concat!(
            include_str!(concat!("../../src/", $mode, "/lease.rs")),
            include_str!(concat!("../../src/", $mode, "/list.rs")),
            include_str!(concat!("../../src/", $mode, "/lock.rs")),
            include_str!(concat!("../../src/", $mode, "/set.rs")),
        )
    };
}

#[test]
fn what_can_be_done_blocking_can_be_done_async_in_the_same_words() {
    let blocking = methods(sources!("blocking"));
    let asynchronous = methods(sources!("asynchronous"));
    let expected = asynchronous
        .iter()
        .map(|method| method.replace("Async", ""));
    assert_eq!(blocking, expected.collect());
    assert!(
        blocking.len() > 15 && blocking.contains("LeaseDsl::pin"),
        "{blocking:?}"
    );
}
