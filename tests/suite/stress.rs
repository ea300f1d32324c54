//! Many tasks and one name.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use diesel_locks::{Attempt, Lock, Outcome, Released, Result};
use tokio::sync::Semaphore;

use crate::session::Session;
use crate::world::{World, secs, spawn};

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
