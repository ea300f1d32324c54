//! The properties that a user's code may rely on at compile time. Both modes must be the same, except for `.await`.

use std::collections::BTreeSet;

use diesel_locks::asynchronous::{self as async_mode, AsyncConnections, AsyncLockConnection};
use diesel_locks::blocking::{self as blocking_mode, Connections, LockConnection};
use diesel_locks::{Error, List, Lock, LockSet, Result, Wait};

#[allow(dead_code)] // it passes if it compiles
fn blocking<C: LockConnection>() {}
#[allow(dead_code)]
fn asynchronous<C: AsyncLockConnection>() {}

/// The connections of a database, and the connections of its pools.
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

/// A task can run this on every connection, because all futures are `Send`.
async fn everything<C: AsyncLockConnection>(mut conn: C) -> Result<()> {
    use diesel_locks::asynchronous::{LeaseDsl, ListDsl, LockDsl};
    let (conn, lock, list) = (&mut conn, Lock::new("x")?, List::all());
    let _ = lock.acquire(conn, Wait::never()).await?;
    if let Some(mut lease) = lock.try_acquire(conn).await?.acquired() {
        lease.pin(conn).await?;
        let _ = lease.try_pin(conn).await?;
        lease.extend(conn).await?;
        lease.extend_to(conn, std::time::Duration::MAX).await?;
        lease.extend_by(conn, std::time::Duration::MAX).await?;
        let _ = lease.try_extend(conn).await?;
        let _ = lease.try_extend_to(conn, std::time::Duration::MAX).await?;
        let _ = lease.try_extend_by(conn, std::time::Duration::MAX).await?;
        lease.status(conn).await?;
        lease.set_data(conn, None).await?;
        let _ = lease.try_set_data(conn, None).await?;
        lease.release(conn).await?;
    }
    lock.inspect(conn).await?;
    lock.is_held(conn).await?;
    let _: diesel_locks::Forced = lock.force_release(conn).await?;
    list.load(conn).await?;
    list.purge(conn, std::time::Duration::ZERO).await?;
    Ok(())
}

#[allow(dead_code)] // it passes if it compiles
fn shared<T: Send + Sync + 'static>() {}

/// A `Locker` can be made of all these pools. The `Locker` and its guards can be used on any thread.
macro_rules! pools {
    ($name:ident, $blocking:ty, $asynchronous:ty) => {
        #[test]
        fn $name() {
            use diesel::ConnectionResult;
            use diesel::r2d2::{ConnectionManager, Pool};
            use diesel_async::pooled_connection::{bb8, deadpool, mobc};
            type Opens = fn() -> ConnectionResult<$blocking>;
            type Opening = fn() -> std::future::Ready<ConnectionResult<$asynchronous>>;
            held_by_threads::<Pool<ConnectionManager<$blocking>>>();
            held_by_threads::<Opens>();
            held_by_tasks::<bb8::Pool<$asynchronous>>();
            held_by_tasks::<deadpool::Pool<$asynchronous>>();
            held_by_tasks::<mobc::Pool<$asynchronous>>();
            held_by_tasks::<Opening>();
            let _ = |pool: bb8::Pool<$asynchronous>| tokio::spawn(all_of_it(pool));
            let _ = |pool: deadpool::Pool<$asynchronous>| tokio::spawn(all_of_it(pool));
            let _ = |pool: mobc::Pool<$asynchronous>| tokio::spawn(all_of_it(pool));
            let _ = |pool: Opening| tokio::spawn(all_of_it(pool));
        }
    };
}

#[cfg(feature = "postgres")]
pools! { locks_are_made_of_the_pools_of_postgres, diesel::PgConnection, diesel_async::AsyncPgConnection }
#[cfg(feature = "mysql")]
pools! { locks_are_made_of_the_pools_of_mysql, diesel::MysqlConnection, diesel_async::AsyncMysqlConnection }
#[cfg(feature = "sqlite")]
pools! {
    locks_are_made_of_the_pools_of_sqlite,
    diesel::SqliteConnection,
    diesel_async::sync_connection_wrapper::SyncConnectionWrapper<diesel::SqliteConnection>
}

fn held_by_threads<P: Connections>() {
    shared::<blocking_mode::Locker<P>>();
    shared::<blocking_mode::Guard<P>>();
}

fn held_by_tasks<P: AsyncConnections>() {
    shared::<async_mode::Locker<P>>();
    shared::<async_mode::Guard<P>>();
}

/// A task can run this on every pool.
async fn all_of_it<P: AsyncConnections>(pool: P) -> Result<()> {
    let (ttl, never) = (std::time::Duration::from_secs(1), Wait::never);
    let locks = async_mode::Locker::new(pool).with_ttl(ttl)?;
    let lock = Lock::new("x")?;
    let set = LockSet::new(&lock, ["y"])?;
    locks.acquire("text", never()).await?.release().await?;
    locks
        .acquire(&String::from("text"), never())
        .await?
        .extend()
        .await?;
    locks
        .acquire(("group", "name"), never())
        .await?
        .extend_to(ttl)
        .await?;
    locks.acquire(&lock, never()).await?.set_data(None).await?;
    let guard = locks.acquire(lock, never()).await?;
    guard.transaction(async |_| Ok::<_, Error>(())).await?;
    guard.lost().await;
    guard.finish(async |_| Ok::<_, Error>(())).await?;
    let _ = locks.try_acquire("text").await?;
    let _ = locks.try_acquire_all(&set).await?;
    let _ = locks.acquire_all(&set, never()).await?;
    let _ = locks.try_acquire_any(&set).await?;
    let lease = locks.acquire_any(&set, never()).await?.into_lease();
    let _ = locks.adopt(lease).await?;
    let run = locks.run("text", never(), async |guard| guard.is_valid());
    run.await?.into_result()?;
    locks.inspect("text").await?;
    locks.list(&List::all()).await?;
    let _: diesel_locks::Forced = locks.force_release("text").await?;
    locks.purge(&List::all(), ttl).await?;
    locks.close().await;
    Ok(())
}

/// The methods of the public traits of a source file, as `Trait::method`.
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

/// The public methods of the types of a source file, as `Type::method`.
fn inherent(source: &str) -> BTreeSet<String> {
    let (mut methods, mut of) = (BTreeSet::new(), None);
    for line in source.lines() {
        if line.starts_with("impl<") {
            let name = line.split("> ").nth(1).unwrap_or_default();
            of = Some(name.split(['<', ' ']).next().unwrap_or_default());
        } else if line == "}" {
            of = None;
        }
        let declared = ["    pub fn ", "    pub async fn "]
            .iter()
            .find_map(|begin| line.strip_prefix(begin));
        if let (Some(of), Some(method)) = (of, declared) {
            let method = method.split(['<', '(']).next().unwrap();
            methods.insert(format!("{of}::{method}"));
        }
    }
    methods
}

/// The files of a mode that declare the methods of its lockers and guards.
macro_rules! of_locks {
    ($mode:literal) => {
        concat!(
            include_str!(concat!("../../src/", $mode, "/locker.rs")),
            include_str!(concat!("../../src/", $mode, "/guard.rs")),
        )
    };
}

#[test]
fn locks_and_guards_of_both_modes_have_the_same_words() {
    let (mut blocking, mut asynchronous) = (
        inherent(of_locks!("blocking")),
        inherent(of_locks!("asynchronous")),
    );
    // A task awaits the loss beside the work. A thread cannot do that, so it asks again and again.
    assert!(blocking.remove("Guard::lost_within"));
    assert!(asynchronous.remove("Guard::lost"));
    assert_eq!(blocking, asynchronous);
    for method in [
        "Locker::acquire",
        "Locker::run",
        "Locker::close",
        "Guard::finish",
    ] {
        assert!(blocking.contains(method), "{method} of {blocking:?}");
    }
    assert!(blocking.len() > 20, "{blocking:?}");
}
