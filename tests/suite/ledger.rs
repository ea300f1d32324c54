//! Shared by the cases of guarded transactions: a table of the host to write to, and leases that expire.

use std::time::Instant;

use diesel_locks::{Lease, Lock, Outcome};

use crate::session::Session;
use crate::world::{World, ms, own_table, secs};

/// Creates a table of the host, with a row for each write: the fence that wrote.
pub async fn ledger(conn: &mut dyn Session) -> String {
    let table = own_table("ledger").name().to_owned();
    conn.batch(&format!("CREATE TABLE {table} (fence BIGINT NOT NULL)"))
        .await
        .unwrap();
    table
}

pub async fn write(conn: &mut dyn Session, ledger: &str, fence: i64) {
    let sql = format!("INSERT INTO {ledger} (fence) VALUES ({fence})");
    conn.sql(&sql).await.unwrap();
}

pub async fn written(conn: &mut dyn Session, ledger: &str) -> i64 {
    conn.number(&format!("SELECT COUNT(*) AS number FROM {ledger}"))
        .await
        .unwrap()
}

/// A lock whose lease can expire while its transaction is open. On SQLite the test waits until it expires. On the other
/// engines another connection can make the row older meanwhile.
pub fn short(world: &World, name: &str) -> Lock {
    let ttl = if world.is_sqlite() { secs(3) } else { secs(30) };
    world.lock(name).with_ttl(ttl).unwrap()
}

/// Lets the lease expire, without using its holder's connection.
pub async fn run_out(world: &World, other: &mut dyn Session, lease: &Lease) {
    if world.is_sqlite() {
        return until_run_out(other, lease.lock()).await;
    }
    world.let_run_out(other, lease).await;
}

pub async fn until_run_out(conn: &mut dyn Session, lock: &Lock) {
    let deadline = Instant::now() + secs(20);
    while conn
        .inspect(lock)
        .await
        .unwrap()
        .unwrap()
        .time_left
        .is_some()
    {
        assert!(Instant::now() < deadline, "the lease never runs out");
        tokio::time::sleep(ms(5)).await;
    }
}

/// On SQLite, lets a connection fail at once if there is another writer.
pub async fn do_not_wait(world: &World, conn: &mut dyn Session) {
    if world.is_sqlite() {
        conn.batch("PRAGMA busy_timeout = 0").await.unwrap();
    }
}

/// The keeper's heartbeat while a transaction is pinned. It passes. With one writer it fails with a transient error.
pub async fn heartbeat(keeper: &mut dyn Session, lease: &mut Lease, one_writer: bool) {
    let beat = keeper.try_extend(lease).await;
    match beat {
        Ok(outcome) => assert!(!one_writer && outcome == Outcome::Done, "{outcome:?}"),
        Err(error) => assert!(one_writer && error.is_transient(), "{error}"),
    }
}
