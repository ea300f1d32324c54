//! Tests of the program itself, on a database file of `SQLite`: several instances, one of which is killed.

#[path = "../src/schema.rs"]
mod schema;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sqlite::Sqlite;
use diesel_locks::blocking::{LeaseDsl, LockDsl};
use diesel_locks::migrations::Migrations;
use diesel_locks::{Lease, Lock};
use schema::invoices;

/// The ttl of the application.
const TTL: Duration = Duration::from_secs(5);
/// Extra time for a busy machine.
const SLACK: Duration = Duration::from_secs(60);

#[test]
fn another_instance_takes_over_from_a_killed_one() {
    let app = Application::new("killed");
    // Both start at the same time, without a database.
    let mut instances = [app.start(), app.start()];
    app.bill(10);
    let first = app.numbered(10, SLACK).pop().unwrap();
    let (killed, fence) = (first.by, first.under);

    app.bill(400);
    app.numbered(20, SLACK); // most likely while more numbers are given
    let (dead, alive) = if killed == instances[0].name() {
        (0, 1)
    } else {
        (1, 0)
    };
    instances[dead].0.kill().unwrap();
    instances[dead].0.wait().unwrap();

    app.bill(10);
    let all = app.numbered(420, TTL + SLACK);
    let last = all.last().unwrap();
    assert_eq!(last.by, instances[alive].name());
    assert!(last.under > fence);
    assert!(instances[alive].0.try_wait().unwrap().is_none());
}

#[test]
fn a_payment_names_the_holder_of_the_lock() {
    let app = Application::new("paying");
    assert_eq!(output_of(&app.run(&["add", "Ann", "4200"])), "1");
    let lease = app.hold("invoices", "1");
    let busy = app.run(&["pay", "1"]);
    assert!(!busy.status.success());
    assert_eq!(
        String::from_utf8_lossy(&busy.stderr),
        "the test is paying invoice 1\n"
    );
    assert!(output_of(&app.run(&["list"])).contains("open"));

    lease.release(&mut app.connect()).unwrap();
    assert_eq!(output_of(&app.run(&["pay", "1"])), "invoice 1 is paid");
    assert!(!app.run(&["pay", "1"]).status.success(), "paid twice");
}

/// `diesel-locks migrations write sqlite` wrote the migration of the locks, and has nothing more to write.
#[test]
fn the_migration_of_the_locks_is_up_to_date() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let ours = Migrations::default();
    assert!(ours.write::<Sqlite>(&folder).unwrap().is_empty());
    let file = |name| {
        folder
            .join("2026-11-20-084137_diesel_locks_create")
            .join(name)
    };
    let read = |name| std::fs::read_to_string(file(name)).unwrap();
    assert_eq!(read("up.sql"), ours.up_sql::<Sqlite>());
    assert_eq!(read("down.sql"), ours.down_sql::<Sqlite>());
}

/// The folder that the application runs in.
struct Application {
    folder: PathBuf,
}

/// Killed when dropped.
struct Instance(Child);

#[derive(Debug)]
struct Numbered {
    by: String,
    under: i64,
}

impl Application {
    fn new(test: &str) -> Self {
        let name = format!("invoicing-{test}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Self { folder }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_invoicing"));
        command.args(words).current_dir(&self.folder);
        command.env_remove("DATABASE_URL");
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    fn start(&self) -> Instance {
        let mut command = self.command(&["number"]);
        Instance(command.stdout(Stdio::null()).spawn().unwrap())
    }

    fn connect(&self) -> SqliteConnection {
        let file = self.folder.join("invoicing.db").display().to_string();
        let mut conn = SqliteConnection::establish(&file).unwrap();
        conn.batch_execute("PRAGMA busy_timeout = 20000").unwrap();
        conn
    }

    fn hold(&self, group: &str, name: &str) -> Lease {
        let lock = Lock::in_group(group, name).unwrap();
        let lock = lock.with_owner("the test").unwrap();
        let attempt = lock.try_acquire(&mut self.connect()).unwrap();
        attempt.acquired().expect("the lock is free")
    }

    /// Inserts invoices in one transaction, after the application has created the table.
    fn bill(&self, number: usize) {
        assert!(self.run(&["list"]).status.success());
        let row = (invoices::customer.eq("Ann"), invoices::cents.eq(4200));
        diesel::insert_into(invoices::table)
            .values(vec![row; number])
            .execute(&mut self.connect())
            .unwrap();
    }

    /// Waits until this many invoices have a number. Checks that the numbers start at 1 and have no gaps, and that no
    /// turn overlaps another.
    fn numbered(&self, number: usize, within: Duration) -> Vec<Numbered> {
        let deadline = Instant::now() + within;
        let conn = &mut self.connect();
        loop {
            let rows: Vec<(Option<i32>, Option<String>, Option<i64>)> = invoices::table
                .filter(invoices::number.is_not_null())
                .select((
                    invoices::number,
                    invoices::numbered_by,
                    invoices::numbered_under,
                ))
                .order((invoices::number, invoices::id))
                .load(conn)
                .unwrap();
            for (row, expected) in rows.iter().zip(1..) {
                assert_eq!(row.0, Some(expected), "a gap, or a number given twice");
            }
            if rows.len() >= number {
                let row = |(_, by, under): (_, Option<String>, Option<i64>)| Numbered {
                    by: by.unwrap(),
                    under: under.unwrap(),
                };
                let rows: Vec<_> = rows.into_iter().map(row).collect();
                check_turns(&rows);
                return rows;
            }
            assert!(
                Instant::now() < deadline,
                "{} of {number} in {within:?}",
                rows.len()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Instance {
    /// The name that it writes beside its numbers.
    fn name(&self) -> String {
        self.0.id().to_string()
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Every turn has a fence of its own, greater than all earlier fences: no instance gave a number after its turn. The
/// number of turns depends on the load of the machine.
fn check_turns(rows: &[Numbered]) {
    for (one, next) in rows.iter().zip(&rows[1..]) {
        let goes_on = (one.under, &one.by) == (next.under, &next.by);
        assert!(goes_on || one.under < next.under, "{one:?}, then {next:?}");
    }
}

fn output_of(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned()
}
