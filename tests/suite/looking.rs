//! Inspecting and listing locks, for people.

use diesel_locks::{List, Record};

use super::expiry::assert_lasts;
use crate::world::{World, secs};

fn names(rows: &[Record]) -> Vec<&str> {
    rows.iter().map(Record::name).collect()
}

pub async fn inspecting_shows_the_owner_the_begin_and_the_time_left(world: &World) {
    let (mut holder, mut looker) = (world.session().await, world.session().await);
    let lock = world
        .lock("x")
        .with_owner("Ada")
        .unwrap()
        .with_data("http://here")
        .unwrap();
    assert_eq!(looker.inspect(&lock).await.unwrap(), None);
    assert_eq!(looker.current_owner(&lock).await.unwrap(), None);
    let lease = holder.take(&lock).await;
    world.age(&mut *holder, &lock, secs(10)).await;

    let row = looker.row(&world.lock("x")).await;
    assert_eq!(
        (row.key.as_str(), row.name(), row.group()),
        (lock.key(), "x", lock.group())
    );
    assert_eq!((&*row.owner, row.fence), ("Ada", lease.fence()));
    assert_eq!(row.data.as_deref(), Some("http://here"));
    assert!(row.is_held());
    assert_lasts(world, &row, secs(30));
    let held_for = world.clock(&mut *looker).await - row.acquired_at.timestamp_micros();
    assert!((10_000_000..15_000_000).contains(&held_for));
    let left = row.time_left.unwrap();
    assert!(left > secs(15) && left <= secs(20));
    assert_eq!(
        looker.current_owner(&lock).await.unwrap().as_deref(),
        Some("Ada")
    );

    holder.release(&lease).await.unwrap();
    let row = looker.row(&lock).await;
    assert_eq!((row.is_held(), row.time_left), (false, None));
    assert_eq!(
        (&*row.owner, row.fence),
        ("Ada", lease.fence()),
        "the last holder stays named"
    );
    assert_eq!(looker.current_owner(&lock).await.unwrap(), None);
}

pub async fn a_list_is_of_a_group_a_prefix_or_of_the_held_locks(world: &World) {
    let mut conn = world.session().await;
    let mut leases = Vec::new();
    for name in ["job-2", "job-10", "job_3", "jo", "Job-4", "job-1%", "jobé"] {
        leases.push(conn.take(&world.lock(name)).await);
    }
    conn.release(&leases[1]).await.unwrap();
    world.let_run_out(&mut *conn, &leases[5]).await;

    let all = conn.load(&world.list()).await.unwrap();
    assert_eq!(
        names(&all),
        ["Job-4", "jo", "job-1%", "job-10", "job-2", "job_3", "jobé"]
    );
    let jobs = conn.load(&world.list().with_prefix("job-")).await.unwrap();
    assert_eq!(names(&jobs), ["job-1%", "job-10", "job-2"]);
    assert_eq!(
        jobs.iter().map(Record::is_held).collect::<Vec<_>>(),
        [false, false, true]
    );
    let held = conn
        .load(&world.list().with_prefix("job-").held())
        .await
        .unwrap();
    assert_eq!(names(&held), ["job-2"]);
    assert!(held[0].time_left.unwrap() > secs(25));
    for none in ["job-1%0", "%", "_ob", "job-2 "] {
        assert!(
            conn.load(&world.list().with_prefix(none))
                .await
                .unwrap()
                .is_empty(),
            "{none:?}"
        );
    }
    let group = world.lock("x").group().unwrap().to_owned();
    let by_key = conn
        .load(&List::all().with_prefix(format!("{group}|job-")))
        .await
        .unwrap();
    assert_eq!(names(&by_key), names(&jobs));
    let shorter = &group[..group.len() - 1];
    assert!(
        conn.load(&List::all().in_group(shorter).unwrap())
            .await
            .unwrap()
            .is_empty()
    );
}

pub async fn a_list_comes_in_pages_without_a_gap(world: &World) {
    let mut conn = world.session().await;
    for number in 0..7 {
        conn.take(&world.lock(&format!("{number}"))).await;
    }
    let (mut page, mut pages) = (world.list().limit(3), Vec::new());
    loop {
        let rows = conn.load(&page).await.unwrap();
        let Some(last) = rows.last() else { break };
        page = page.after(&last.key);
        pages.push(names(&rows).concat());
    }
    assert_eq!(pages, ["012", "345", "6"]);
    assert!(conn.load(&world.list().limit(0)).await.unwrap().is_empty());
}
