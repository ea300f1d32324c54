//! Two instances of the application on one database.

use std::fs;
use std::path::PathBuf;

use diesel::prelude::*;
use diesel_locks::blocking::{LockDsl, Locker};
use diesel_locks::{Error, Forced, Lock, Wait};
use older_diesel::{Pool, locks::send_reminders, open, reminders};

struct Database(PathBuf);

impl Database {
    fn new(name: &str) -> Self {
        let file = format!("diesel-locks-older-{name}-{}.db", std::process::id());
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

fn remind(pool: &Pool, whom: &str) {
    diesel::insert_into(reminders::table)
        .values(reminders::sent_to.eq(whom))
        .execute(&mut pool.get().unwrap())
        .unwrap();
}

#[test]
fn one_instance_sends_at_a_time() {
    let database = Database::new("one");
    let (first, second) = (database.instance(), database.instance());
    remind(&first, "ada");
    let (first, second) = (Locker::new(first), Locker::new(second));
    let held = first.acquire("reminders", Wait::never()).unwrap();
    assert_eq!(send_reminders(&second).unwrap(), None);
    held.release().unwrap();
    assert_eq!(send_reminders(&second).unwrap(), Some(1));
    assert_eq!(send_reminders(&first).unwrap(), Some(0));
}

#[test]
fn a_stale_instance_does_not_commit() {
    let database = Database::new("stale");
    let pool = database.instance();
    remind(&pool, "ada");
    let locks = Locker::new(pool.clone());
    let held = locks.acquire("reminders", Wait::never()).unwrap();
    let lock = Lock::new("reminders").unwrap();
    let forced = lock.force_release(&mut pool.get().unwrap()).unwrap();
    assert_eq!(forced, Forced::Released);
    let refused = held.transaction(|conn| {
        older_diesel::send_all(conn, held.fence())?;
        Ok::<_, Error>(())
    });
    assert!(matches!(refused, Err(Error::Lost { .. })), "{refused:?}");
    assert_eq!(send_reminders(&locks).unwrap(), Some(1));
}
