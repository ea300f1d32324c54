//! Several locks at once: all of them, or any one.

use diesel_locks::{Attempt, Lease, LockSet, Released, Wait};

use super::ledger::do_not_wait;
use crate::session::Session;
use crate::world::{World, ms, spawn};

fn set(world: &World, names: &[&str]) -> LockSet {
    LockSet::new(&world.lock(names[0]), &names[1..]).unwrap()
}

pub async fn all(conn: &mut dyn Session, set: &LockSet) -> Attempt<Vec<Lease>> {
    conn.acquire_all(set, Wait::never()).await.unwrap()
}

pub async fn any(conn: &mut dyn Session, set: &LockSet) -> Attempt<Lease> {
    conn.acquire_any(set, Wait::never()).await.unwrap()
}

pub async fn all_locks_of_a_set_or_none(world: &World) {
    let (mut one, mut other) = (world.session().await, world.session().await);
    let (some, more) = (set(world, &["c", "a", "b"]), set(world, &["b", "d", "e"]));
    let leases = all(&mut *one, &some).await.acquired().unwrap();
    let names: Vec<_> = leases
        .iter()
        .map(|lease| lease.lock().name().to_owned())
        .collect();
    assert_eq!(names.len(), 3);
    for lease in &leases {
        assert!(one.is_mine(lease).await.unwrap());
    }
    let Attempt::Busy(Some(holder)) = all(&mut *other, &more).await else {
        panic!("b is held");
    };
    assert!(leases.iter().any(|lease| lease.fence() == holder.fence));
    for name in ["d", "e"] {
        assert!(
            !other.is_held(&world.lock(name)).await.unwrap(),
            "all or none"
        );
    }
    for lease in &leases {
        assert_eq!(one.release(lease).await.unwrap(), Released::InTime);
    }
    let again = all(&mut *other, &more).await.acquired().unwrap();
    assert_eq!(again.len(), 3);
    let b = again
        .iter()
        .find(|lease| lease.lock().name() == "b")
        .unwrap();
    assert!(
        leases
            .iter()
            .all(|lease| lease.lock().name() != "b" || lease.fence() < b.fence())
    );
}

pub async fn a_set_is_taken_over_and_comes_with_the_transaction(world: &World) {
    let (mut one, mut other) = (world.session().await, world.session().await);
    let some = set(world, &["a", "b"]);
    let dead = one.take(&world.lock("b")).await;
    world.let_run_out(&mut *one, &dead).await;
    other.begin().await.unwrap();
    let leases = all(&mut *other, &some).await.acquired().unwrap();
    other.rollback().await.unwrap();
    for lease in &leases {
        assert!(!one.is_held(lease.lock()).await.unwrap());
    }
    other.begin().await.unwrap();
    let leases = all(&mut *other, &some).await.acquired().unwrap();
    for lease in &leases {
        other.pin(lease).await.unwrap();
    }
    other.commit().await.unwrap();
    assert_eq!(one.release(&dead).await.unwrap(), Released::Lost);
    assert!(one.is_mine(&leases[0]).await.unwrap() && one.is_mine(&leases[1]).await.unwrap());
}

pub async fn sets_that_share_names_do_not_deadlock(world: &World) {
    let orders = [
        ["a", "b", "c"],
        ["c", "b", "a"],
        ["b", "c", "a"],
        ["c", "a", "b"],
    ];
    let tasks: Vec<_> = orders
        .into_iter()
        .map(|names| (set(world, &names), world.session()))
        .collect();
    let mut running = Vec::new();
    for (set, session) in tasks {
        let mut conn = session.await;
        running.push(spawn(async move {
            for _ in 0..5 {
                let wait = Wait::forever().exponential(ms(1), ms(20));
                let leases = conn
                    .acquire_all(&set, wait)
                    .await
                    .unwrap()
                    .acquired()
                    .unwrap();
                for lease in &leases {
                    assert_eq!(conn.release(lease).await.unwrap(), Released::InTime);
                }
            }
        }));
    }
    for task in running {
        task.await.unwrap();
    }
}

pub async fn thousands_of_names_at_once(world: &World) {
    let mut conn = world.session().await;
    let number = if world.is_mysql() { 100 } else { 3_000 }; // MySQL and MariaDB create rows one by one
    let names: Vec<String> = (1..number).map(|name| name.to_string()).collect();
    let many = LockSet::new(&world.lock("0"), &names).unwrap();
    let leases = all(&mut *conn, &many).await.acquired().unwrap();
    assert_eq!(leases.len(), number);
    let mut other = world.session().await;
    assert!(all(&mut *other, &many).await.is_busy());
}

pub async fn any_free_one_of_a_set_is_a_semaphore(world: &World) {
    let mut conn = world.session().await;
    let permits = set(world, &["1", "2", "3"]);
    let mut leases = Vec::new();
    for _ in 0..3 {
        leases.push(any(&mut *conn, &permits).await.acquired().unwrap());
    }
    let mut names: Vec<_> = leases.iter().map(|lease| lease.lock().name()).collect();
    names.sort_unstable();
    assert_eq!(names, ["1", "2", "3"]);
    let Attempt::Busy(Some(_)) = any(&mut *conn, &permits).await else {
        panic!("a fourth permit of three");
    };
    conn.release(&leases[1]).await.unwrap();
    let again = any(&mut *conn, &permits).await.acquired().unwrap();
    assert_eq!(again.lock().key(), leases[1].lock().key());
    assert!(again.fence() > leases[1].fence());
    world.let_run_out(&mut *conn, &leases[0]).await;
    let taken = any(&mut *conn, &permits).await.acquired().unwrap();
    assert_eq!(taken.lock().key(), leases[0].lock().key());
}

pub async fn a_permit_that_is_being_taken_is_passed_over(world: &World) {
    let (mut one, mut other) = (world.session().await, world.session().await);
    let permits = set(world, &["1", "2"]);
    for name in ["1", "2"] {
        let used = one.take(&world.lock(name)).await;
        one.release(&used).await.unwrap();
    }
    one.begin().await.unwrap();
    let first = any(&mut *one, &permits).await.acquired().unwrap();
    if world.is_sqlite() {
        // There is one writer, so nobody else acquires a lock meanwhile.
        do_not_wait(world, &mut *other).await;
        assert!(any(&mut *other, &permits).await.is_busy());
        one.commit().await.unwrap();
    }
    let second = any(&mut *other, &permits).await.acquired().unwrap();
    assert_ne!(first.lock().key(), second.lock().key());
    assert!(any(&mut *other, &permits).await.is_busy());
    if !world.is_sqlite() {
        one.commit().await.unwrap();
    }
}

pub async fn racers_for_permits_get_each_once(world: &World) {
    let permits = set(world, &["1", "2", "3"]);
    let mut racers = Vec::new();
    for _ in 0..6 {
        let (mut conn, permits) = (world.session().await, permits.clone());
        racers.push(spawn(async move {
            let wait = Wait::attempts(3).every(ms(5));
            conn.acquire_any(&permits, wait).await.unwrap().acquired()
        }));
    }
    let mut won = Vec::new();
    for racer in racers {
        won.extend(
            racer
                .await
                .unwrap()
                .map(|lease| lease.lock().key().to_owned()),
        );
    }
    won.sort_unstable();
    let count = won.len();
    won.dedup();
    assert_eq!((won.len(), count), (3, 3));
}

pub async fn the_same_token_finds_its_set_again(world: &World) {
    let mut conn = world.session().await;
    let lock = world.lock("a").with_token("agreed").unwrap();
    let both = LockSet::new(&lock, ["b"]).unwrap();
    let first = all(&mut *conn, &both).await.acquired().unwrap();
    let again = all(&mut *conn, &both).await.acquired().unwrap();
    let fences = |leases: &[Lease]| {
        let mut fences: Vec<_> = leases
            .iter()
            .map(|lease| (lease.lock().key().to_owned(), lease.fence()))
            .collect();
        fences.sort();
        fences
    };
    assert_eq!(fences(&first), fences(&again));
    let one = any(&mut *conn, &both).await.acquired().unwrap();
    assert!(fences(&first).contains(&(one.lock().key().to_owned(), one.fence())));
}

pub async fn an_agreed_token_keeps_what_it_had_and_gets_no_more(world: &World) {
    let (mut conn, mut other) = (world.session().await, world.session().await);
    let a = world.lock("a").with_token("agreed").unwrap();
    let mine = conn.take(&a).await;
    let theirs = other.take(&world.lock("b")).await;
    let both = LockSet::new(&a, ["b", "c"]).unwrap();
    assert!(all(&mut *conn, &both).await.is_busy());
    assert!(
        conn.is_mine(&mine).await.unwrap(),
        "not given back: it was mine before"
    );
    assert!(!conn.is_held(&world.lock("c")).await.unwrap());
    other.release(&theirs).await.unwrap();
    for _ in 0..6 {
        let again = any(&mut *conn, &both).await.acquired().unwrap();
        assert_eq!(again.lock().key(), mine.lock().key());
        assert_eq!(again.fence(), mine.fence());
    }
}

pub async fn permits_that_were_never_used_go_to_all_who_race_for_them(world: &World) {
    for round in 0..5 {
        let names: Vec<String> = (1..6).map(|name| format!("{round} {name}")).collect();
        let permits = LockSet::new(&world.lock(&format!("{round} 0")), &names).unwrap();
        let mut racers = Vec::new();
        for _ in 0..6 {
            let (mut conn, permits) = (world.session().await, permits.clone());
            racers.push(spawn(async move {
                let wait = Wait::attempts(20).every(ms(1));
                conn.acquire_any(&permits, wait).await.unwrap().acquired()
            }));
        }
        let mut keys = Vec::new();
        for racer in racers {
            let lease = racer.await.unwrap().expect("as many permits as racers");
            keys.push(lease.lock().key().to_owned());
        }
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 6);
    }
}
