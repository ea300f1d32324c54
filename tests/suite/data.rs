//! The small text that a holder leaves with its lock.

use diesel_locks::{Error, Outcome};

use crate::world::World;

pub async fn data_comes_with_the_acquisition_and_stays_for_the_next_holder(world: &World) {
    let (mut conn, lock) = (world.session().await, world.lock("x"));
    assert_eq!(conn.read_data(&lock).await.unwrap(), None);
    let lease = conn.take(&lock.clone().with_data("one").unwrap()).await;
    assert_eq!(conn.read_data(&lock).await.unwrap().as_deref(), Some("one"));
    assert_eq!(
        conn.try_set_data(&lease, Some("two")).await.unwrap(),
        Outcome::Done
    );
    assert_eq!(
        conn.told_busy(&lock).await.unwrap().data.as_deref(),
        Some("two")
    );
    conn.release(&lease).await.unwrap();
    assert_eq!(conn.read_data(&lock).await.unwrap().as_deref(), Some("two"));

    let next = conn.take(&lock).await;
    assert_eq!(conn.read_data(&lock).await.unwrap().as_deref(), Some("two"));
    assert_eq!(
        conn.try_set_data(&lease, Some("stale")).await.unwrap(),
        Outcome::Lost
    );
    assert_eq!(conn.try_set_data(&next, None).await.unwrap(), Outcome::Done);
    assert_eq!(conn.read_data(&lock).await.unwrap(), None);
    conn.release(&next).await.unwrap();
    conn.take(&lock.clone().with_data("three").unwrap()).await;
    assert_eq!(
        conn.read_data(&lock).await.unwrap().as_deref(),
        Some("three")
    );
}

pub async fn data_is_kept_as_it_is_or_refused(world: &World) {
    let (mut conn, lock) = (world.session().await, world.lock("x"));
    let lease = conn.take(&lock).await;
    let longest = "x".repeat(4_096);
    for text in [
        "",
        " ",
        "it's \"quoted\" \\ 🔒 {data} %\n",
        &longest,
        &"🔒".repeat(1_024),
    ] {
        assert_eq!(
            conn.try_set_data(&lease, Some(text)).await.unwrap(),
            Outcome::Done
        );
        assert_eq!(conn.read_data(&lock).await.unwrap().as_deref(), Some(text));
    }
    for text in ["nul\0", &"x".repeat(4_097)] {
        let refused = conn.try_set_data(&lease, Some(text)).await;
        assert!(
            matches!(refused, Err(Error::Invalid { what: "data", .. })),
            "{refused:?}"
        );
        assert!(lock.clone().with_data(text).is_err());
    }
    assert_eq!(
        conn.read_data(&lock).await.unwrap(),
        Some("🔒".repeat(1_024))
    );
}

pub async fn data_is_as_transactional_as_everything_else(world: &World) {
    let (mut conn, lock) = (
        world.session().await,
        world.lock("x").with_data("before").unwrap(),
    );
    let lease = conn.take(&lock).await;
    conn.begin().await.unwrap();
    conn.pin(&lease).await.unwrap();
    assert_eq!(
        conn.try_set_data(&lease, Some("within")).await.unwrap(),
        Outcome::Done
    );
    assert_eq!(
        conn.read_data(&lock).await.unwrap().as_deref(),
        Some("within")
    );
    conn.rollback().await.unwrap();
    assert_eq!(
        conn.read_data(&lock).await.unwrap().as_deref(),
        Some("before")
    );
}
