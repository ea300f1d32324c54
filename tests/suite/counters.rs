//! Many clients and many names: counters that only the locks protect.

use std::sync::Arc;

use diesel_locks::{Lock, Released, Wait};
use tokio::sync::Mutex;

use crate::managed::Managed;
use crate::session::Session;
use crate::world::{World, ms, own_table, secs, spawn};

const CLIENTS: usize = 100;

/// The host has a counter for each name. Clients read it, add one and write it back, protected only by the lock.
pub async fn a_counter_that_only_holders_raise_is_exact(world: &World) {
    let mut other = world.session().await;
    let table = own_table("counters").name().to_owned();
    let create =
        format!("CREATE TABLE {table} (name VARCHAR(50) PRIMARY KEY, count BIGINT NOT NULL)");
    other.batch(&create).await.unwrap();
    let names: Vec<_> = (0..CLIENTS).map(|name| format!("n{name}")).collect();
    for name in &names {
        let sql = format!("INSERT INTO {table} (name, count) VALUES ('{name}', 0)");
        other.sql(&sql).await.unwrap();
    }
    let handles = [world.locks().await, world.locks().await];
    let mut conns = Vec::new();
    for _ in 0..8 {
        conns.push(Arc::new(Mutex::new(world.session().await)));
    }
    let tasks: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let locks = handles[client % 2].another();
            let (conn, table) = (conns[client % conns.len()].clone(), table.clone());
            // Its own name, its neighbour's name, and one name that all clients want.
            let wanted = [client, (client + 1) % CLIENTS, 0];
            let lock = |name: &str| world.lock(name).with_ttl(secs(600)).unwrap();
            let wanted = wanted.map(|name| (names[name].clone(), lock(&names[name])));
            spawn(async move {
                for (name, lock) in wanted {
                    raise(&*locks, &conn, &table, &name, &lock).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let count = |name: &str| format!("SELECT count AS number FROM {table} WHERE name = '{name}'");
    for name in &names {
        let expected = if name == "n0" { 2 + CLIENTS } else { 2 };
        let raised = other.number(&count(name)).await.unwrap();
        assert_eq!(raised, i64::try_from(expected).unwrap(), "{name}");
    }
}

async fn raise(
    locks: &dyn Managed,
    conn: &Mutex<Box<dyn Session>>,
    table: &str,
    name: &str,
    lock: &Lock,
) {
    let guard = locks
        .acquire(lock, Wait::up_to(secs(60)).every(ms(30)))
        .await
        .unwrap();
    let read = format!("SELECT count AS number FROM {table} WHERE name = '{name}'");
    let count = conn.lock().await.number(&read).await.unwrap();
    tokio::task::yield_now().await;
    let write = format!(
        "UPDATE {table} SET count = {} WHERE name = '{name}'",
        count + 1
    );
    assert_eq!(conn.lock().await.sql(&write).await.unwrap(), 1);
    guard.check().unwrap();
    assert_eq!(guard.release().await.unwrap(), Released::InTime);
}
