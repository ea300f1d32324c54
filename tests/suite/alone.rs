//! The threads of the background, observed in a process that does nothing else.

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use diesel::{Connection, SqliteConnection};
use diesel_locks::blocking::{Connections, Locker};
use diesel_locks::{Lock, Released, Wait};

/// Set in the process whose threads are observed.
const ALONE: &str = "DIESEL_LOCKS_ALONE";

#[test]
fn no_thread_runs_before_the_first_lock_and_none_after_the_last() {
    if std::env::var_os(ALONE).is_some() {
        return look_at_threads();
    }
    let name = "suite::alone::no_thread_runs_before_the_first_lock_and_none_after_the_last";
    let itself = std::env::current_exe().expect("a program");
    let mut alone = Command::new(itself);
    let done = alone.args(["--exact", name]).env(ALONE, "yes").output();
    let done = done.expect("a process");
    let told = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && told.contains("1 passed"), "{told}");
}

fn look_at_threads() {
    let folder = std::env::temp_dir().join(format!("diesel-locks alone {}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let url = folder.join("db").display().to_string();
    let mut conn = SqliteConnection::establish(&url).unwrap();
    diesel_locks::blocking::migrate(&mut conn).unwrap();
    work(move || SqliteConnection::establish(&url));
    std::fs::remove_dir_all(folder).unwrap();
}

fn work(open: impl Fn() -> diesel::ConnectionResult<SqliteConnection> + Send + Sync + 'static) {
    let locks = Locker::new(open).with_ttl(Duration::from_secs(20)).unwrap();
    let other = locks.clone().renew_every(Duration::from_millis(50));
    let lock = Lock::new("x").unwrap();
    assert!(locks.inspect(&lock).unwrap().is_none());
    locks
        .purge(&diesel_locks::List::all(), Duration::from_secs(1))
        .unwrap();
    assert!(threads().is_empty(), "nothing is held");

    let guard = other.try_acquire(&lock).unwrap().acquired().unwrap();
    assert!(locks.try_acquire(&lock).unwrap().is_busy());
    become_true("it is kept alive", || !threads().is_empty()); // a thread gives itself its name
    assert_eq!(guard.release().unwrap(), Released::InTime);
    are_gone();

    drop(locks.acquire(&lock, Wait::never()).unwrap());
    are_gone();
    let run = locks.run(&lock, Wait::up_to(Duration::from_secs(5)), |_| ());
    run.unwrap().into_result().unwrap();
    are_gone();
    short_guards_share_the_threads(&locks, &lock);
    are_gone();
    let _guard = locks.acquire(&lock, Wait::never()).unwrap();
    locks.close();
    are_gone();
}

/// The background stays for a fifth of a second. So a loop of short guards starts its two threads once, and once more
/// after each pause that is nearly as long, which a busy machine may cause.
fn short_guards_share_the_threads(locks: &Locker<impl Connections>, lock: &Lock) {
    const NEARLY: Duration = Duration::from_millis(150);
    let (mut seen, mut pauses, mut last) = (HashSet::new(), 0, Instant::now());
    for _ in 0..300 {
        let guard = locks.acquire(lock, Wait::never()).unwrap();
        pauses += usize::from(last.elapsed() >= NEARLY);
        last = Instant::now();
        seen.extend(threads());
        guard.release().unwrap();
    }
    let started = seen.len();
    assert!(
        (1..=2 + 2 * pauses).contains(&started),
        "{started} threads were started, and there were {pauses} pauses"
    );
}

fn are_gone() {
    become_true("no thread is left", || threads().is_empty());
}

fn become_true(what: &str, question: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !question() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The threads in this process with the name of the background threads, by their paths.
fn threads() -> HashSet<PathBuf> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let paths = tasks.filter_map(|task| Some(task.ok()?.path()));
    let name = |path: &PathBuf| std::fs::read_to_string(path.join("comm"));
    let is_of_the_background =
        |path: &PathBuf| name(path).is_ok_and(|name| name.trim() == "diesel-locks");
    paths.filter(is_of_the_background).collect()
}
