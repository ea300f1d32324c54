//! Tests of the service itself: several instances, one that is killed, and one that is stopped.

mod database;
mod instance;

use std::time::{Duration, Instant};

use database::Database;
use instance::Instance;
use serde_json::{Value, json};

/// The ttl of the application.
const TTL: Duration = Duration::from_secs(5);
/// Extra time for a busy machine.
const SLACK: Duration = Duration::from_secs(60);

macro_rules! on {
    ($($engine:ident $database:ident;)+) => {$(
        mod $engine {
            #[test]
            fn another_instance_takes_over_from_a_killed_one() {
                crate::another_instance_takes_over_from_a_killed_one(
                    &crate::Database::$database(),
                );
            }

            #[test]
            fn a_stopped_instance_releases_its_locks() {
                crate::a_stopped_instance_releases_its_locks(&crate::Database::$database());
            }

            #[test]
            fn a_payment_names_the_holder_of_the_lock() {
                crate::a_payment_names_the_holder_of_the_lock(&crate::Database::$database());
            }
        }
    )+};
}

on! {
    postgres postgres;
    sqlite sqlite;
}

fn another_instance_takes_over_from_a_killed_one(database: &Database) {
    let instances = start_two(database);
    bill(&instances[0], 5);
    bill(&instances[1], 5);
    let first = numbered(&instances[1], 10, SLACK).pop().unwrap();
    let (killed, fence) = (by(&first).to_owned(), under(&first));

    let [mut dead, alive] = in_order(instances, &killed);
    std::thread::scope(|scope| {
        scope.spawn(|| bill(&alive, 300));
        numbered(&alive, 20, SLACK);
        dead.kill(); // most likely while it gives numbers
    });
    bill(&alive, 10);

    let all = numbered(&alive, 320, TTL + SLACK);
    let last = all.last().unwrap();
    assert_eq!(by(last), alive.name());
    assert!(under(last) > fence);
}

fn a_stopped_instance_releases_its_locks(database: &Database) {
    let instances = start_two(database);
    bill(&instances[0], 1);
    let ending = by(&numbered(&instances[0], 1, SLACK)[0]).to_owned();
    let [mut ending, staying] = in_order(instances, &ending);
    ending.stop(SLACK);
    // It has released its locks, so no instance waits for its ttl.
    let owner = format!("[{}]", ending.name());
    let locks = staying.get("/locks");
    assert!(!locks.to_string().contains(&owner), "{locks}");
    bill(&staying, 1);
    assert_eq!(by(&numbered(&staying, 2, SLACK)[1]), staying.name());
}

fn a_payment_names_the_holder_of_the_lock(database: &Database) {
    let instance = Instance::start(database);
    bill(&instance, 1);
    let lease = database.hold("invoices", "1");
    let held = instance.get("/locks").to_string();
    assert!(
        held.contains("invoices|1") && held.contains("the test"),
        "{held}"
    );
    let (status, answer) = instance.post("/invoices/1/pay", "");
    assert_eq!((status, &answer["holder"]), (409, &json!("the test")));
    assert_eq!(instance.get("/invoices")[0]["paid"], false);

    database.release(&lease);
    let (status, answer) = instance.post("/invoices/1/pay", "");
    assert_eq!((status, &answer["paid"]), (200, &json!(true)));
    assert_eq!(instance.post("/invoices/1/pay", "").0, 404, "paid twice");
}

/// Starts two instances at the same time, without a table.
fn start_two(database: &Database) -> [Instance; 2] {
    std::thread::scope(|scope| {
        let other = scope.spawn(|| Instance::start(database));
        [Instance::start(database), other.join().unwrap()]
    })
}

/// The instances in order: the one with this name first.
fn in_order([one, other]: [Instance; 2], first: &str) -> [Instance; 2] {
    if one.name() == first {
        [one, other]
    } else {
        [other, one]
    }
}

fn bill(instance: &Instance, number: usize) {
    let deadline = Instant::now() + SLACK;
    let mut created = 0;
    while created < number {
        let (status, answer) =
            instance.post("/invoices", r#"{ "customer": "Ann", "cents": 4200 }"#);
        match status {
            201 => created += 1,
            // Other writers kept the database busy for too long: "try again".
            500 if instance.has_one_writer && Instant::now() < deadline => {}
            _ => panic!("{status} {answer}"),
        }
    }
}

/// Waits until this many invoices have a number. Checks that the numbers start at 1 and have no gaps, and that no turn
/// overlaps another.
fn numbered(instance: &Instance, number: usize, within: Duration) -> Vec<Value> {
    let deadline = Instant::now() + within;
    loop {
        let Value::Array(mut rows) = instance.get("/invoices") else {
            panic!("no list");
        };
        rows.retain(|row| !row["number"].is_null());
        rows.sort_by_key(|row| row["number"].as_i64());
        for (row, expected) in rows.iter().zip(1..) {
            assert_eq!(row["number"], expected, "a gap, or a number given twice");
        }
        if rows.len() >= number {
            check_turns(&rows);
            return rows;
        }
        let done = rows.len();
        assert!(
            Instant::now() < deadline,
            "{done} of {number} in {within:?}"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Every turn has a fence of its own, greater than all earlier fences: no instance gave a number after its turn. The
/// number of turns depends on the load of the machine.
fn check_turns(rows: &[Value]) {
    for (one, next) in rows.iter().zip(&rows[1..]) {
        let goes_on = (under(one), by(one)) == (under(next), by(next));
        assert!(goes_on || under(one) < under(next), "{one}, then {next}");
    }
}

fn by(invoice: &Value) -> &str {
    invoice["numbered_by"].as_str().unwrap()
}

fn under(invoice: &Value) -> i64 {
    invoice["numbered_under"].as_i64().unwrap()
}
