//! The number of statements of each operation, counted by Diesel.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use diesel::connection::InstrumentationEvent;
use diesel_locks::{Lease, Lock, LockSet, Outcome, Pin, Released};

use super::sets::{all, any};
use crate::session::{Session, Work};
use crate::world::{World, eventually, secs};

/// A counter of the statements of a connection.
pub struct Statements(Arc<AtomicU32>);

pub fn count(conn: &mut dyn Session) -> Statements {
    let statements = Arc::new(AtomicU32::new(0));
    let counter = statements.clone();
    conn.instrument(Box::new(move |event: InstrumentationEvent<'_>| {
        if matches!(event, InstrumentationEvent::StartQuery { .. }) {
            counter.fetch_add(1, Ordering::SeqCst);
        }
    }));
    Statements(statements)
}

impl Statements {
    pub fn so_far(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }

    /// The number of statements since the last call.
    pub fn spent(&self) -> u32 {
        self.0.swap(0, Ordering::SeqCst)
    }
}

/// The number of statements of each operation on an engine.
struct Prices {
    first_use: u32,
    win: u32,
    /// Taking a lock over, and acquiring again with the same token.
    take: u32,
    busy: u32,
    /// Extending, releasing, and replacing the data.
    lease: u32,
    /// A pin of a lease that has expired, and of a lease that was taken over.
    refused_pins: [u32; 2],
}

impl Prices {
    fn outside_a_transaction(world: &World) -> Self {
        let (first_use, win, take, busy) = match world.engine.name() {
            "postgres" => (2, 1, 1, 1),
            "sqlite" => (2, 2, 2, 1),
            _ => (6, 1, 2, 1),
        };
        Self {
            first_use,
            win,
            take,
            busy,
            lease: 1,
            refused_pins: Self::refused_pins(world),
        }
    }

    /// Inside a transaction, `SQLite` writes first, so a busy answer takes the second statement. MySQL and MariaDB read
    /// the identity first.
    fn inside_a_transaction(world: &World) -> Self {
        let (first_use, win, busy, lease) = match world.engine.name() {
            "postgres" => (2, 1, 1, 1),
            "sqlite" => (1, 1, 2, 1),
            _ => (4, 3, 1, 2),
        };
        Self {
            first_use,
            win,
            take: win,
            busy,
            lease,
            refused_pins: Self::refused_pins(world),
        }
    }

    /// On `PostgreSQL` a pin that finds no live lease looks at the row, to say why. On `MySQL` and `MariaDB` a pin before
    /// the first end of its lease reads the row of the holder alone, and then, if need be, whether the lease was extended.
    fn refused_pins(world: &World) -> [u32; 2] {
        match world.engine.name() {
            "postgres" => [2, 2],
            "sqlite" => [1, 1],
            _ => [2, 1],
        }
    }
}

pub async fn each_operation_costs_what_is_promised(world: &World) {
    let mut conn = world.session().await;
    pay(
        world,
        &mut *conn,
        &Prices::outside_a_transaction(world),
        "outside",
    )
    .await;
}

pub async fn each_operation_costs_what_is_promised_in_a_transaction(world: &World) {
    let mut conn = world.session().await;
    conn.begin().await.unwrap();
    pay(
        world,
        &mut *conn,
        &Prices::inside_a_transaction(world),
        "inside",
    )
    .await;
    conn.rollback().await.unwrap();
}

/// On MySQL and MariaDB a release looks for what changed beside the row of the holder, and a text goes to another table.
pub async fn what_is_kept_beside_the_row_costs_what_is_promised(world: &World) {
    let mut conn = world.session().await;
    let (lock, statements) = (world.lock("x"), count(&mut *conn));
    let [with_text, after_a_transaction, after_the_first_ttl] = match world.engine.name() {
        "postgres" => [1, 1, 1],
        "sqlite" => [2, 1, 1],
        _ => [2, 2, 2],
    };
    let lease = conn.take(&lock).await;
    conn.release(&lease).await.unwrap();
    statements.spent();
    let text = lock.clone().with_data("text").unwrap();
    let mut lease = take_at(world, &mut *conn, &text, &statements, with_text, false).await;
    let nothing: Work = Box::new(|_| Box::pin(async { Ok(()) }));
    conn.transaction_under(&mut lease, nothing).await.unwrap();
    statements.spent();
    assert_eq!(conn.release(&lease).await.unwrap(), Released::InTime);
    assert_eq!(statements.spent(), after_a_transaction);

    let short = lock.clone().with_ttl(secs(1)).unwrap();
    let mut lease = conn.take(&short).await;
    let ends = Instant::now() + secs(1);
    conn.extend_to(&mut lease, secs(600)).await.unwrap();
    eventually("the first ttl is over", async || Instant::now() > ends).await;
    statements.spent();
    conn.pin(&lease).await.unwrap();
    assert_eq!(statements.spent(), 1, "a pin reads both rows");
    assert_eq!(conn.release(&lease).await.unwrap(), Released::InTime);
    assert_eq!(statements.spent(), after_the_first_ttl);
}

/// `MySQL` and `MariaDB` write first, unless the lock is presumably held: a process does not know at first that another
/// process has acquired the lock, nor that the other process has released it.
pub async fn a_lock_of_another_process_costs_what_is_promised(world: &World) {
    let mut conn = world.session().await;
    let (lock, statements) = (world.lock("x"), count(&mut *conn));
    let [first_busy, busy, marked, no_longer_held, win] = match world.engine.name() {
        "postgres" => [1, 1, 2, 1, 1],
        "sqlite" => [1, 1, 2, 2, 2],
        _ => [2, 1, 3, 2, 1],
    };
    let lease = conn.take(&lock).await;
    conn.release(&lease).await.unwrap();
    let now = world.clock(&mut *conn).await;
    let later = now + 600_000_000;
    let acquired = format!("token = 'other', fence = fence + 1, expires_at = {later}");
    let released = format!("token = NULL, expires_at = {now}");
    another_process(
        &mut *conn,
        &lock,
        &format!("{acquired}, wanted_since = {now}"),
    )
    .await;
    statements.spent();
    for price in [first_busy, busy, busy] {
        assert!(conn.told_busy(&lock).await.is_some());
        assert_eq!(statements.spent(), price, "busy");
    }
    another_process(&mut *conn, &lock, &released).await;
    statements.spent();
    take_at(world, &mut *conn, &lock, &statements, marked, false).await;
    another_process(&mut *conn, &lock, &acquired).await;
    conn.told_busy(&lock).await.expect("another holder");
    another_process(&mut *conn, &lock, &released).await;
    statements.spent();
    for price in [no_longer_held, win] {
        let lease = take_at(world, &mut *conn, &lock, &statements, price, false).await;
        conn.release(&lease).await.unwrap();
        statements.spent();
    }
}

async fn another_process(conn: &mut dyn Session, lock: &Lock, set: &str) {
    let key = lock.key();
    let sql = format!("UPDATE diesel_locks SET {set} WHERE name = '{key}'");
    assert_eq!(conn.sql(&sql).await.unwrap(), 1);
}

/// The price of a set does not depend on the number of its locks.
pub async fn a_set_costs_what_is_promised(world: &World) {
    let mut conn = world.session().await;
    let statements = count(&mut *conn);
    let names: Vec<_> = (1..20).map(|name| name.to_string()).collect();
    let set = LockSet::new(&world.lock("0"), &names).unwrap();
    let win = if world.is_sqlite() { 2 } else { 1 };
    let used = all(&mut *conn, &set).await.acquired().unwrap();
    for lease in &used {
        conn.release(lease).await.unwrap();
    }
    statements.spent();
    let leases = loop {
        let leases = all(&mut *conn, &set).await.acquired().unwrap();
        let spent = statements.spent();
        if spent == win {
            break leases;
        }
        assert!(was_late(world, spent, win), "{spent} for {win}");
        for lease in &leases {
            conn.release(lease).await.unwrap();
        }
        statements.spent();
    };
    assert!(all(&mut *conn, &set).await.is_busy());
    assert_eq!(statements.spent(), 1, "busy");
    assert!(any(&mut *conn, &set).await.is_busy());
    assert_eq!(statements.spent(), 1, "none is free");
    conn.release(&leases[7]).await.unwrap();
    statements.spent();
    let one = any(&mut *conn, &set).await.acquired().unwrap();
    let price = if world.is_postgres() { 1 } else { 2 };
    let spent = statements.spent();
    assert!(
        spent == price || was_late(world, spent, price),
        "any: {spent}"
    );
    assert_eq!(one.lock().key(), leases[7].lock().key());
}

/// A lock that is just being acquired makes the whole set busy, and no other lock of the set is acquired meanwhile. If any
/// lock will do, a free one costs less than one that was never used. On `SQLite` an open transaction is the only writer.
pub async fn a_set_of_locks_in_different_states_costs_what_is_promised(world: &World) {
    if world.is_sqlite() {
        return a_set_costs_what_is_promised(world).await;
    }
    let (mut conn, mut other) = (world.session().await, world.session().await);
    let statements = count(&mut *conn);
    let names: Vec<_> = (1..20).map(|name| name.to_string()).collect();
    let set = LockSet::new(&world.lock("0"), &names).unwrap();
    let free = conn.take(&set.locks()[7]).await;
    conn.release(&free).await.unwrap();
    let price = if world.is_postgres() { 1 } else { 2 };
    for _ in 0..5 {
        statements.spent();
        let one = any(&mut *conn, &set).await.acquired().unwrap();
        let spent = statements.spent();
        assert!(
            spent == price || was_late(world, spent, price),
            "a free one: {spent}"
        );
        assert_eq!(one.lock().key(), free.lock().key());
        conn.release(&one).await.unwrap();
    }
    for lease in all(&mut *conn, &set).await.acquired().unwrap() {
        conn.release(&lease).await.unwrap();
    }
    other.begin().await.unwrap();
    other.take(&set.locks()[15]).await;
    statements.spent();
    assert!(all(&mut *conn, &set).await.is_busy());
    assert_eq!(statements.spent(), price, "just being acquired");
    other.rollback().await.unwrap();
}

/// A waiter asks again and again. That must not write to the database's log.
pub async fn a_busy_try_writes_nothing(world: &World) {
    let (mut holder, mut conn) = (world.session().await, world.session().await);
    let (lock, free) = (world.lock("held"), world.lock("free"));
    let (lease, used) = (holder.take(&lock).await, holder.take(&free).await);
    holder.release(&used).await.unwrap();
    if world.is_postgres() {
        // `written` shows only the current transaction. A try in a transaction is the same statement.
        conn.begin().await.unwrap();
    }
    let before = written(world, &mut *conn).await;
    conn.told_busy(&lock).await;
    assert_eq!(written(world, &mut *conn).await, before);
    conn.take(&free).await;
    assert!(written(world, &mut *conn).await > before, "a write is seen");
    if world.is_postgres() {
        conn.commit().await.unwrap();
    }
    holder.release(&lease).await.unwrap();
}

/// The number of rows that this connection has changed. On `PostgreSQL`: 1 if its transaction has written anything.
async fn written(world: &World, conn: &mut dyn Session) -> i64 {
    let query = match world.engine.name() {
        "postgres" => "SELECT COUNT(txid_current_if_assigned()) AS number",
        "sqlite" => "SELECT total_changes() AS number",
        "mariadb" => {
            "SELECT CAST(variable_value AS SIGNED) AS number FROM information_schema.session_status
             WHERE variable_name = 'Handler_update'"
        }
        _ => {
            "SELECT CAST(variable_value AS SIGNED) AS number FROM performance_schema.session_status
             WHERE variable_name = 'Handler_update'"
        }
    };
    conn.number(query).await.unwrap()
}

async fn pay(world: &World, conn: &mut dyn Session, prices: &Prices, name: &str) {
    let (lock, statements) = (world.lock(name), count(conn));
    let lease = conn.take(&lock).await;
    assert_eq!(statements.spent(), prices.first_use, "first use");
    conn.told_busy(&lock).await;
    assert_eq!(statements.spent(), prices.busy, "busy");
    assert_eq!(conn.release(&lease).await.unwrap(), Released::InTime);
    assert_eq!(statements.spent(), prices.lease, "release");
    let mut lease = take_at(world, conn, &lock, &statements, prices.win, false).await;
    assert_eq!(conn.try_extend(&mut lease).await.unwrap(), Outcome::Done);
    assert_eq!(statements.spent(), prices.lease, "extend");
    assert_eq!(
        conn.try_extend_by(&mut lease, secs(1)).await.unwrap(),
        Outcome::Done
    );
    assert_eq!(statements.spent(), prices.lease, "extend by");
    assert_eq!(
        conn.try_set_data(&lease, Some("x")).await.unwrap(),
        Outcome::Done
    );
    assert_eq!(statements.spent(), prices.lease, "data");
    conn.pin(&lease).await.unwrap();
    assert_eq!(statements.spent(), 1, "pin");
    conn.row(&lock).await;
    assert_eq!(statements.spent(), 1, "inspect");
    conn.load(&world.list()).await.unwrap();
    assert_eq!(statements.spent(), 1, "list");

    world.let_run_out(conn, &lease).await;
    statements.spent();
    assert_eq!(conn.try_pin(&lease).await.unwrap(), Pin::Expired);
    assert_eq!(statements.spent(), prices.refused_pins[0], "a pin too late");
    let stale = lease;
    let lease = take_at(world, conn, &lock, &statements, prices.take, true).await;
    assert_eq!(conn.try_pin(&stale).await.unwrap(), Pin::Lost);
    assert_eq!(statements.spent(), prices.refused_pins[1], "a stale pin");
    let mine = lock.clone().with_token("mine").unwrap();
    conn.release(&lease).await.unwrap();
    conn.take(&mine).await;
    statements.spent();
    conn.take(&mine).await;
    assert_eq!(statements.spent(), prices.take, "the same token again");
}

/// `MySQL` and `MariaDB` refuse a first write that took a second to arrive, as it may on a busy machine.
fn was_late(world: &World, spent: u32, price: u32) -> bool {
    world.is_mysql() && spent == price + 2
}

/// Takes a lock for this number of statements. On a busy machine an acquisition may take more: on `SQLite` a third if more
/// than a millisecond has passed between the first two, and on `MySQL` and `MariaDB` two more if the first took a second
/// to arrive. Then the lock is brought back into its state, and taken again.
async fn take_at(
    world: &World,
    conn: &mut dyn Session,
    lock: &Lock,
    statements: &Statements,
    price: u32,
    is_run_out: bool,
) -> Lease {
    for _ in 0..100 {
        let lease = conn.take(lock).await;
        let spent = statements.spent();
        if spent == price {
            return lease;
        }
        let more = u32::from(world.is_sqlite()) + 2 * u32::from(world.is_mysql());
        assert!(more > 0 && spent == price + more, "{spent} for {price}");
        if is_run_out {
            world.let_run_out(conn, &lease).await;
        } else {
            conn.release(&lease).await.unwrap();
        }
        statements.spent();
    }
    panic!("no acquisition took {price} statements")
}
