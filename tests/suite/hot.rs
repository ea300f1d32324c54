//! On `PostgreSQL`, the row of a lock is changed in place. An update that is not HOT would add an index entry each
//! time.

use diesel_locks::{Outcome, Released, Table};

use super::setup;
use crate::session::Session;
use crate::world::{Engine, Mode, Source, World, own_table, secs};

#[test]
fn every_update_stays_on_its_page() {
    let world = World::new(Engine::Postgres, Mode::Blocking, Source::Own, "hot");
    world.run(|world| Box::pin(cycles(world)));
}

async fn cycles(world: &World) {
    let (mut conn, table) = (world.session().await, own_table("locks"));
    let (up, down) = setup::sql(world, &table);
    conn.batch(&up).await.unwrap();
    // Few enough to fit on one page. An open transaction anywhere on the server keeps their old versions.
    for cycle in 0..8 {
        let lock = world
            .lock(&format!("{}", cycle % 2))
            .in_table(table.clone());
        let mut lease = conn.take(&lock).await;
        conn.told_busy(&lock).await;
        assert_eq!(conn.try_extend(&mut lease).await.unwrap(), Outcome::Done);
        assert_eq!(
            conn.try_extend_by(&mut lease, secs(1)).await.unwrap(),
            Outcome::Done
        );
        assert_eq!(
            conn.try_set_data(&lease, Some("here")).await.unwrap(),
            Outcome::Done
        );
        assert_eq!(conn.release(&lease).await.unwrap(), Released::InTime);
    }
    let (updated, hot) = (
        updates(&mut *conn, &table, "updated").await,
        updates(&mut *conn, &table, "hot_updated").await,
    );
    assert_eq!(updated, 38, "the first use of each name inserts");
    assert_eq!(hot, updated);
    // The control: with an index on a column that changes, the count differs.
    conn.batch(&format!("CREATE INDEX ON {} (expires_at)", table.name()))
        .await
        .unwrap();
    let lock = world.lock("0").in_table(table.clone());
    conn.take(&lock).await;
    assert_eq!(updates(&mut *conn, &table, "updated").await, updated + 1);
    assert_eq!(updates(&mut *conn, &table, "hot_updated").await, hot);
    conn.batch(&down).await.unwrap();
}

/// The number of such updates, from the server's statistics. A connection sends its statistics when it is idle. This
/// one is told to send them at once.
async fn updates(conn: &mut dyn Session, table: &Table, which: &str) -> i64 {
    conn.batch("SELECT pg_stat_force_next_flush()")
        .await
        .unwrap();
    let query = format!(
        "SELECT pg_stat_get_tuples_{which}('{}'::regclass) AS number",
        table.name()
    );
    conn.number(&query).await.unwrap()
}
