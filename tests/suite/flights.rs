//! Requests that come at the same moment share a statement, on servers.

use diesel_locks::{Error, Lock, Released};

use super::crowd::{
    MANY, acquire_all, assert_all_held, hold_all, lock_row, locker, locks, release_all, watched,
};
use super::setup;
use super::turns::mark;
use crate::managed::{AnyGuard, Managed};
use crate::session::{Session, Work};
use crate::world::{World, ms, own_table, secs, soon, within};

/// On a busy machine the callers may come one after the other, and share little. So there are rounds.
pub async fn a_crowd_shares_its_statements(world: &World) {
    let (locker, traffic) = watched(world, 3).await;
    let mut conn = world.session().await;
    let mut before = held_once(&*locker, &mut *conn, world).await; // creates the rows
    within(secs(200), "statements were shared", async || {
        traffic.spent();
        let fences = held_once(&*locker, &mut *conn, world).await;
        for (fence, before) in fences.iter().zip(&before) {
            assert!(fence > before);
        }
        before = fences;
        traffic.spent().len() < MANY // of two statements for each lock
    })
    .await;
}

/// All acquire their lock, and release it. Returns the fences.
async fn held_once(locker: &dyn Managed, conn: &mut dyn Session, world: &World) -> Vec<i64> {
    let guards = hold_all(locker, locks(world)).await;
    assert_all_held(conn, &guards).await;
    let fences = guards.iter().map(|it| it.fence()).collect();
    for released in release_all(guards).await {
        assert_eq!(released, Released::InTime);
    }
    for lock in locks(world) {
        assert!(!conn.is_held(&lock).await.unwrap());
    }
    fences
}

/// If one of the releases is to wait for the disk, the statement waits.
pub async fn a_durable_release_waits_for_the_disk_in_a_crowd(world: &World) {
    let (locker, traffic) = watched(world, 3).await;
    let mut conn = world.session().await;
    for (locker, is_durable) in [(locker.release_durably(), true), (locker, false)] {
        held_once(&*locker, &mut *conn, world).await;
        let spent = traffic.spent();
        let waits_not = |sql: &&String| sql.contains("synchronous_commit");
        let has_any = spent.iter().any(|sql| waits_not(&sql));
        assert_eq!(has_any, !is_durable, "{spent:?}");
    }
}

/// A row that another transaction has locked holds up its own caller only.
pub async fn a_crowd_waits_for_no_row(world: &World) {
    let (locker, traffic) = watched(world, 3).await;
    let (mut conn, mut blocker) = (world.session().await, world.session().await);
    use_each_once(&mut *conn, &locks(world)).await;
    let slow = &locks(world)[MANY / 2];
    blocker.begin().await.unwrap();
    lock_row(&mut *blocker, slow).await;
    let mut guards = Vec::new();
    for answer in acquire_all(&*locker, locks(world)).await {
        match answer {
            Ok(guard) => guards.push(guard),
            Err(Error::Busy { key, .. }) => assert_eq!(&*key, slow.key()),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(guards.len(), MANY - 1);
    assert!(traffic.spent().len() < MANY);
    blocker.rollback().await.unwrap();

    guards.push(locker.take(slow).await);
    traffic.spent();
    blocker.begin().await.unwrap();
    lock_row(&mut *blocker, slow).await;
    let releases = tokio::spawn(release_all(guards));
    let (looking, held) = (world.locks().await, world.list().held());
    soon("the others are free", async || {
        looking.list(&held).await.unwrap().len() == 1
    })
    .await;
    blocker.rollback().await.unwrap();
    for released in releases.await.unwrap() {
        assert_eq!(released, Released::InTime);
    }
    if world.is_postgres() {
        let spent = traffic.spent(); // elsewhere a shared statement releases all, or none
        let releases = spent.iter().filter(|sql| sql.contains("SET token"));
        assert!(releases.count() < MANY);
    }
}

async fn use_each_once(conn: &mut dyn Session, locks: &[Lock]) {
    for lock in locks {
        let lease = conn.take(lock).await;
        conn.release(&lease).await.unwrap();
    }
}

/// On MySQL and MariaDB, a mark that is made while a lease is pinned stands beside the holder's row. The release takes it along.
pub async fn a_release_in_a_crowd_takes_a_mark_along(world: &World) {
    let (locker, mut conn) = (locker(world).await, world.session().await);
    let guards = hold_all(&*locker, locks(world)).await;
    for guard in &guards {
        let pin: Work = Box::new(|_| Box::pin(async { Ok(()) }));
        guard.transaction(pin).await.unwrap();
        conn.batch(&mark_beside(guard)).await.unwrap();
    }
    for released in release_all(guards).await {
        assert_eq!(released, Released::InTime);
    }
    for lock in locks(world) {
        assert_eq!(mark(&mut *conn, &lock).await, 7);
    }
}

fn mark_beside(guard: &AnyGuard) -> String {
    let (key, fence) = (guard.lock().key(), guard.fence());
    format!(
        "INSERT INTO diesel_locks_beats (name, fence, expires_at) VALUES ('{key}', 0, 0)
        ON DUPLICATE KEY UPDATE wanted_since = 7, wanted_fence = {fence}"
    )
}

/// The database may refuse one of them. The others do not notice.
pub async fn one_who_is_refused_is_refused_alone(world: &World) {
    let (mut conn, table) = (world.session().await, own_table("refusing"));
    let (up, down) = setup::sql(world, &table);
    conn.batch(&up).await.unwrap();
    let locks = locks(world).into_iter();
    let locks: Vec<_> = locks.map(|it| it.in_table(table.clone())).collect();
    use_each_once(&mut *conn, &locks).await;
    let refuse = refuse_an_owner(world, table.name());
    conn.batch(&refuse).await.unwrap();
    let locker = locker(world).await;
    for refused in [0, MANY / 2] {
        let mut locks = locks.clone();
        locks[refused] = locks[refused].clone().with_owner("refused").unwrap();
        let mut guards = Vec::new();
        for (number, answer) in (0..).zip(acquire_all(&*locker, locks).await) {
            match answer {
                Ok(guard) => guards.push(guard),
                Err(error) => {
                    assert!(error.to_string().contains("refused on purpose"), "{error}");
                    assert_eq!(number, refused);
                }
            }
        }
        assert_eq!(guards.len(), MANY - 1);
        for released in release_all(guards).await {
            assert_eq!(released, Released::InTime);
        }
    }
    conn.batch(&down).await.unwrap();
    if world.is_postgres() {
        let drop_function = format!("DROP FUNCTION refuse_{}()", table.name());
        conn.batch(&drop_function).await.unwrap();
    }
}

/// A trigger that lets nobody acquire a lock for this owner.
fn refuse_an_owner(world: &World, name: &str) -> String {
    if world.is_postgres() {
        return format!(
            "CREATE FUNCTION refuse_{name}() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'refused on purpose'; END $$;
            CREATE TRIGGER refusing_{name} BEFORE UPDATE ON {name} FOR EACH ROW
            WHEN (NEW.owner = 'refused') EXECUTE FUNCTION refuse_{name}()"
        );
    }
    format!(
        "CREATE TRIGGER refusing_{name} BEFORE UPDATE ON {name} FOR EACH ROW
        IF NEW.owner = 'refused' THEN
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'refused on purpose'; END IF"
    )
}

/// The thread that sends the statement waits for the answer, and is told that it is too late. All others give up when the
/// ttl is over.
pub async fn a_shared_answer_that_comes_after_the_ttl_is_no_acquisition(world: &World) {
    let (locker, traffic) = watched(world, 3).await;
    let locks = locks(world).into_iter();
    let locks: Vec<_> = locks.map(|it| it.with_ttl(ms(600)).unwrap()).collect();
    use_each_once(&mut *world.session().await, &locks).await;
    let sleep = || std::thread::sleep(ms(800)); // MySQL and MariaDB refuse a fence that is older than a second
    within(secs(100), "a shared answer was too late", async || {
        traffic.before("free.owner", Box::new(sleep));
        let answers = acquire_all(&*locker, locks.clone()).await;
        answers.iter().any(|answer| match answer {
            Err(Error::TooLate { ttl, .. }) => *ttl == ms(600),
            Err(Error::NoAnswer { .. }) => !world.is_blocking(),
            _ => false,
        })
    })
    .await;
}
