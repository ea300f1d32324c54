//! Connections of a pool that are not as a `Locker` needs them.

use diesel_locks::{Error, Released, Result};

use super::crowd::{acquire_all, locks};
use crate::managed::Managed;
use crate::managed::recorder::Recorder;
use crate::world::{World, secs, soon};

/// Nothing that is done on such a connection is committed: two guards of one lock would be valid at once.
pub async fn a_connection_inside_a_transaction_is_refused(world: &World) {
    refused(world, &*world.locks_inside_transactions().await).await;
}

/// Without autocommit, every statement begins a transaction. Only MySQL and MariaDB have this setting.
pub async fn a_connection_without_autocommit_is_refused(world: &World) {
    if world.is_mysql() {
        refused(world, &*world.locks_without_autocommit().await).await;
    }
}

/// What is read in the transaction of such a connection may be old: nobody is told of the holder of an earlier time.
pub async fn a_crowd_without_autocommit_is_refused(world: &World) {
    let locker = world.locks_without_autocommit().await;
    let mut other = world.session().await;
    for _ in 0..3 {
        let mut leases = Vec::new();
        for lock in locks(world) {
            let lease = other.take(&lock).await;
            other.forget_holder(&lease).await;
            leases.push(lease);
        }
        for answer in acquire_all(&*locker, locks(world)).await {
            assert!(answer.is_err(), "{answer:?}");
        }
        for lease in leases {
            assert_eq!(other.release(&lease).await.unwrap(), Released::InTime);
        }
        for answer in acquire_all(&*locker, locks(world)).await {
            assert_refused(answer);
        }
        for lock in locks(world) {
            assert!(!other.is_held(&lock).await.unwrap());
        }
    }
}

async fn refused(world: &World, locks: &dyn Managed) {
    let mut other = world.session().await;
    let (lock, lent) = (world.lock("x"), world.lock("lent"));
    for _ in 0..3 {
        assert_refused(locks.try_acquire(&lock).await);
        assert!(!other.is_held(&lock).await.unwrap());
    }
    let lease = other.take(&lent).await;
    assert_refused(locks.adopt(lease.clone()).await);
    // No connection is left behind that holds a row of these.
    let next = other.take(&lock).await;
    assert_eq!(other.release(&next).await.unwrap(), Released::InTime);
    assert_eq!(other.release(&lease).await.unwrap(), Released::InTime);
    locks.close().await;
}

fn assert_refused<T: std::fmt::Debug>(answer: Result<T>) {
    let error = answer.unwrap_err();
    assert!(matches!(error, Error::Setup { .. }), "{error:?}");
    let text = error.to_string();
    assert!(
        text.contains("inside a transaction") && text.contains("autocommit on"),
        "{text}"
    );
}

/// An extension that is not committed is no extension, so the guard is lost when its ttl is over. (Only MySQL and MariaDB
/// have this setting.)
pub async fn what_a_keeper_without_autocommit_extends_is_not_trusted(world: &World) {
    let recorder = Recorder::default();
    let locks = world.locks_kept_without_autocommit().await;
    let locks = locks.observe(recorder.observer());
    let ttl = secs(4);
    let lock = world.lock("x").with_ttl(ttl).unwrap();
    let sent = std::time::Instant::now();
    let guard = locks.take(&lock).await;
    let mut other = world.session().await;
    soon("it is free", async || !other.is_held(&lock).await.unwrap()).await;
    assert!(sent.elapsed() + secs(1) > ttl, "not before its time");
    assert!(!guard.is_valid(), "{:?}", recorder.words());
    assert_eq!(
        recorder
            .words()
            .iter()
            .filter(|word| **word == "renewed")
            .count(),
        0
    );
}
