//! Purging in the background.

use std::time::Duration;

use diesel_locks::{List, Lock, Record, Table, Wait};

use super::setup;
use crate::managed::Managed;
use crate::world::{World, ms, own_table, secs, soon};

/// Waits for the lock, because its row is busy while it is being purged.
async fn use_once(locks: &dyn Managed, lock: &Lock) {
    let soon_free = Wait::up_to(secs(20)).every(ms(5));
    let guard = locks.acquire(lock, soon_free).await.unwrap();
    guard.release().await.unwrap();
}

async fn is_there(locks: &dyn Managed, lock: &Lock) -> bool {
    locks.inspect(lock).await.unwrap().is_some()
}

pub async fn rows_are_purged_in_the_background_until_that_is_stopped(world: &World) {
    let (locks, lock) = (world.locks().await, world.lock("x"));
    use_once(&*locks, &lock).await;
    let purging = locks.purge_every(ms(20), &world.list(), Duration::ZERO);
    soon("purged", async || !is_there(&*locks, &lock).await).await;
    use_once(&*locks, &lock).await;
    soon("purged again", async || !is_there(&*locks, &lock).await).await;
    purging.stop();
    soon("nothing is purged any more", async || {
        use_once(&*locks, &lock).await;
        for _ in 0..10 {
            tokio::time::sleep(ms(20)).await;
            if !is_there(&*locks, &lock).await {
                return false;
            }
        }
        true
    })
    .await;
}

pub async fn a_list_without_a_table_is_of_the_table_of_the_locker(world: &World) {
    let (mut other, table) = (world.session().await, own_table("diesel_locks"));
    let (up, down) = setup::sql(world, &table);
    other.batch(&up).await.unwrap();
    let locks = world.locks().await.in_table(table.clone());
    let name = table.name(); // no other case has this name
    use_once(&*locks, &locks.lock(name).unwrap()).await;
    let rows = locks.list(&List::all()).await.unwrap();
    assert_eq!(rows.iter().map(Record::name).collect::<Vec<_>>(), [name]);
    let elsewhere = List::all().in_table(Table::default()).with_prefix(name);
    let elsewhere = locks.list(&elsewhere).await.unwrap();
    assert!(elsewhere.is_empty(), "a list with a table keeps it");
    soon("purged", async || {
        locks.purge(&List::all(), Duration::ZERO).await.unwrap() > 0
    })
    .await;
    assert!(locks.list(&List::all()).await.unwrap().is_empty());
    other.batch(&down).await.unwrap();
}

/// The interval is a day. After a failure, the next try comes much sooner.
pub async fn what_could_not_be_purged_is_tried_again_soon(world: &World) {
    let (mut other, table) = (world.session().await, own_table("diesel_locks"));
    let ((locks, traffic), lock) = (
        world.watched_locks(3).await,
        world.lock("x").in_table(table.clone()),
    );
    let (up, down) = setup::sql(world, &table);
    other.batch(&up).await.unwrap();
    use_once(&*locks, &lock).await;
    let (here, away) = (table.name(), format!("{}_away", table.name()));
    let renamed = |from: &str, to: &str| format!("ALTER TABLE {from} RENAME TO {to}");
    other.batch(&renamed(here, &away)).await.unwrap();
    traffic.spent();
    let purging = locks.purge_every(
        secs(86_400),
        &List::all().in_table(table.clone()),
        Duration::ZERO,
    );
    let mut tries = 0;
    soon("it has failed, and begun again", async || {
        tries += traffic.spent().len();
        tries > 1
    })
    .await;
    other.batch(&renamed(&away, here)).await.unwrap();
    soon("purged", async || !is_there(&*locks, &lock).await).await;
    purging.stop();
    other.batch(&down).await.unwrap();
}
