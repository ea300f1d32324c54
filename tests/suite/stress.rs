//! Many tasks and one name.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use diesel_locks::{Attempt, Lock, Outcome, Released, Result};
use tokio::sync::Semaphore;

use crate::managed::recorder::Recorder;
use crate::session::Session;
use crate::world::{World, ms, secs, spawn};

const TASKS: usize = 1_000;
const CONNECTIONS: usize = 12;
/// The test goes on until there are this many acquisitions, but not longer than a minute.
const WINS: usize = 30;

/// The state that the tasks share.
struct Ground {
    lock: Lock,
    idle: Mutex<Vec<Box<dyn Session>>>,
    permits: Semaphore,
    held: AtomicBool,
    wins: AtomicUsize,
    until: Instant,
    deadline: Instant,
}

pub async fn a_thousand_tasks_and_one_name_bring_no_error_and_never_two_holders(world: &World) {
    let mut idle = Vec::new();
    for _ in 0..CONNECTIONS {
        idle.push(world.session().await);
    }
    let ground = Arc::new(Ground {
        lock: world.lock("x"),
        idle: Mutex::new(idle),
        permits: Semaphore::new(CONNECTIONS),
        held: AtomicBool::new(false),
        wins: AtomicUsize::new(0),
        until: Instant::now() + secs(1),
        deadline: Instant::now() + secs(60),
    });
    let task = |_| {
        let ground = ground.clone();
        spawn(async move { ground.try_until_won().await })
    };
    let tasks: Vec<_> = (0..TASKS).map(task).collect();
    for task in tasks {
        task.await.unwrap().expect("contention is no error");
    }
    assert!(ground.wins.load(SeqCst) >= WINS, "{:?}", ground.wins);
}

impl Ground {
    async fn try_until_won(&self) -> Result<()> {
        while self.goes_on() {
            let _permit = self.permits.acquire().await.unwrap();
            let mut conn = self
                .idle
                .lock()
                .unwrap()
                .pop()
                .expect("one for each permit");
            let won = self.hold(&mut *conn).await;
            self.idle.lock().unwrap().push(conn);
            if won? {
                break;
            }
        }
        Ok(())
    }

    fn goes_on(&self) -> bool {
        let now = Instant::now();
        now < self.until || (self.wins.load(SeqCst) < WINS && now < self.deadline)
    }

    /// Holds the lock for a moment, if it is free.
    async fn hold(&self, conn: &mut dyn Session) -> Result<bool> {
        let Attempt::Acquired(mut lease) = conn.try_acquire(&self.lock).await? else {
            return Ok(false);
        };
        assert!(!self.held.swap(true, SeqCst), "two holders");
        self.wins.fetch_add(1, SeqCst);
        assert_eq!(conn.try_extend(&mut lease).await?, Outcome::Done);
        conn.begin().await?;
        conn.pin(&lease).await?;
        conn.commit().await?;
        assert!(self.held.swap(false, SeqCst));
        assert_eq!(conn.release(&lease).await?, Released::InTime);
        Ok(true)
    }
}

/// The tries lock and read the row of the lock. The heartbeat has to come through between them, for three ttls.
pub async fn a_storm_of_tries_costs_no_holder_its_lease(world: &World) {
    const CLIENTS: usize = 16;
    let ttl = secs(8);
    let lock = world.lock("x").with_ttl(ttl).unwrap();
    let recorder = Recorder::default();
    let locks = world.locks().await.observe(recorder.observer());
    let guard = locks.take(&lock).await;
    let until = Instant::now() + ttl * 3;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let (mut conn, lease) = (world.session().await, guard.lease().clone());
        let lock = lock.clone();
        clients.push(spawn(async move {
            let mut tries = 0;
            while Instant::now() < until {
                conn.forget_holder(&lease).await;
                let busy = conn.try_acquire(&lock).await.unwrap().is_busy();
                assert!(busy, "taken from its holder");
                tries += 1;
            }
            tries
        }));
    }
    let mut least = ttl;
    while Instant::now() < until {
        least = least.min(guard.trusted_for());
        tokio::time::sleep(ms(5)).await;
    }
    let mut tries = 0;
    for client in clients {
        tries += client.await.unwrap();
    }
    assert!(tries > CLIENTS * 10, "{tries} tries are no storm");
    // Nine tenths of the ttl are trusted. A third of it passes until a heartbeat, which may be late by another third.
    assert!(
        least + ttl * 2 / 3 >= ttl * 9 / 10,
        "only {least:?} was left"
    );
    assert_eq!(
        recorder.count("lost") + recorder.count("late"),
        0,
        "{:?}",
        recorder.words()
    );
    assert_eq!(guard.release().await.unwrap(), Released::InTime);
}
