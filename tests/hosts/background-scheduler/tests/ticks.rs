//! Instances of the application on one database.

use std::fs;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use background_scheduler::locks::clean_up;
use background_scheduler::{Pool, cleanups, locks, open, schedule};
use diesel::prelude::*;
use diesel_locks::blocking::{LeaseDsl, LockDsl};
use diesel_locks::{Error, Wait};

struct Database(PathBuf);

impl Database {
    fn new(name: &str) -> Self {
        let file = format!("diesel-locks-scheduler-{name}-{}.db", std::process::id());
        Self(std::env::temp_dir().join(file))
    }

    fn instance(&self) -> Pool {
        open(self.0.to_str().unwrap()).unwrap()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn cleanups(pool: &Pool) -> i64 {
    let mut conn = pool.get().unwrap();
    cleanups::table.count().get_result(&mut conn).unwrap()
}

#[test]
fn a_quick_job_is_done_by_one_instance_in_each_tick() {
    let database = Database::new("tick");
    let hour = Duration::from_secs(3600);
    let instances = [database.instance(), database.instance()];
    let [first, second] = instances.clone().map(|pool| locks::new(pool, hour));
    assert!(clean_up(&first).unwrap());
    assert!(!clean_up(&second).unwrap());
    assert!(!clean_up(&first).unwrap(), "nor does the same instance");
    assert_eq!(cleanups(&instances[0]), 1);
}

#[test]
fn the_background_goes_on_with_the_next_tick() {
    let database = Database::new("background");
    let instances = [database.instance(), database.instance()];
    let began = Instant::now();
    let background = instances.clone().map(|pool| {
        let (stop, stopped) = mpsc::channel();
        (stop, schedule(pool, Duration::from_millis(100), stopped))
    });
    while cleanups(&instances[0]) < 3 {
        assert!(began.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(10));
    }
    for (stop, background) in background {
        stop.send(()).unwrap();
        background.join().unwrap();
    }
}

/// As the guide shows it: a guard in a transaction that the application has opened itself.
#[test]
fn a_guard_is_pinned_and_released_inside_the_applications_own_transaction() {
    let database = Database::new("own");
    let pool = database.instance();
    let locks = diesel_locks::blocking::Locker::new(pool.clone());
    let guard = locks.acquire("clean-up", Wait::never()).unwrap();
    let fence = guard.fence();
    let mut conn = pool.get().unwrap();
    let lock = guard.lock().clone();

    let failed = conn.transaction(|conn| {
        guard.lease().pin(conn)?;
        background_scheduler::clean(conn, fence)?;
        Err::<(), Error>(diesel::result::Error::RollbackTransaction.into())
    });
    assert!(failed.is_err() && guard.is_valid());

    let lease = guard.into_lease();
    conn.transaction(|conn| {
        lease.pin(conn)?;
        background_scheduler::clean(conn, fence)?;
        lease.release(conn)?;
        Ok::<_, Error>(())
    })
    .unwrap();
    assert!(
        !lock.try_acquire(&mut conn).unwrap().is_busy(),
        "free with the commit"
    );
    drop(conn);
    assert_eq!(cleanups(&pool), 1);
}
