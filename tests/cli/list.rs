//! `list` and `show`.

use std::time::Duration;

use diesel_locks::blocking::LockDsl;
use diesel_locks::{Lease, Lock};

use crate::database::{Database, Engine, with_connection};

/// Acquires the lock, and leaves it held.
pub fn held(database: &Database, lock: &Lock) -> Lease {
    let attempt = with_connection!(database.engine, &database.url, conn => lock.try_acquire(conn));
    attempt.unwrap().acquired().expect("the lock is free")
}

pub fn migrated(engine: Engine) -> Database {
    let database = Database::new(engine);
    database.run(&["migrate"]).done();
    database
}

fn invoice(number: &str, owner: &str) -> Lock {
    let lock = Lock::in_group("invoices", number).unwrap();
    lock.with_owner(owner)
        .unwrap()
        .with_ttl(Duration::from_secs(7_200))
        .unwrap()
}

pub fn held_locks_are_listed_with_their_owners(engine: Engine) {
    let database = migrated(engine);
    assert_eq!(
        database.run(&["list"]).done().lines().count(),
        1,
        "the header"
    );
    for number in ["41", "42"] {
        held(
            &database,
            &invoice(number, "web-1").with_data("at\nhome").unwrap(),
        );
    }
    let lease = held(&database, &Lock::new("nightly").unwrap());
    with_connection!(engine, &database.url, conn => {
        diesel_locks::blocking::LeaseDsl::release(&lease, conn).unwrap();
    });
    database.batch(
        "UPDATE diesel_locks SET acquired_at = acquired_at - 5700000000 WHERE name = 'invoices|41'",
    );

    let list = database.run(&["list"]).done();
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(lines.len(), 3, "{list}");
    assert!(lines[0].starts_with("LOCK"), "{list}");
    let words: Vec<&str> = lines[1].split_whitespace().collect();
    assert_eq!(words[..4], ["invoices|41", "web-1", "1h", "35m"], "{list}");
    assert!(
        lines[1].contains(" 1h 59m ") && lines[1].ends_with("at home"),
        "{list}"
    );
    assert!(!list.contains("nightly"));

    let all = database.run(&["list", "--all"]).done();
    assert!(
        all.lines()
            .any(|line| line.starts_with("nightly") && line.contains(" - ")),
        "{all}"
    );
    let some = database
        .run(&["list", "--group", "invoices", "--prefix", "42"])
        .done();
    assert_eq!(some.lines().count(), 2, "{some}");
}

pub fn json_is_for_other_programs(engine: Engine) {
    let database = migrated(engine);
    assert_eq!(database.run(&["list", "--json"]).done(), "[]\n");
    let lease = held(
        &database,
        &invoice("42", "a \"b\" \\ c").with_data("x").unwrap(),
    );
    let json = database.run(&["list", "--json"]).done();
    for part in [
        r#"[{"lock": "invoices|42", "group": "invoices", "name": "42", "held": true"#,
        r#""owner": "a \"b\" \\ c""#,
        &format!(r#""fence": {}"#, lease.fence()),
        r#""time_left_ms": 7"#,
        r#"Z", "#,
        r#""data": "x"}]"#,
    ] {
        assert!(json.contains(part), "{part} in {json}");
    }
    let one = database.run(&["show", "invoices|42", "--json"]).done();
    assert!(
        one.starts_with("{\"lock\"") && one.ends_with("}\n"),
        "{one}"
    );
}

pub fn a_list_can_be_watched(engine: Engine) {
    let database = migrated(engine);
    held(&database, &invoice("42", "web-1"));
    // Twice: the header, the lock, and an empty line.
    let lines = database.watch(&["list", "--watch", "1"], 5);
    assert_eq!(lines[0], lines[3]);
    assert!(
        lines[1].contains("web-1") && lines[4].contains("web-1"),
        "{lines:?}"
    );
    assert_ne!(lines[1], lines[4], "the time has changed");
}

/// Each look is a document on a line of its own.
pub fn a_list_of_json_can_be_watched(engine: Engine) {
    let database = migrated(engine);
    for number in ["41", "42"] {
        held(&database, &invoice(number, "web-1"));
    }
    let lines = database.watch(&["list", "--watch", "1", "--json"], 3);
    for line in lines {
        assert!(line.starts_with(r#"[{"lock": "invoices|41""#), "{line}");
        assert!(
            line.contains(r#"}, {"lock": "invoices|42""#) && line.ends_with("}]"),
            "{line}"
        );
    }
}

pub fn one_lock_is_shown(engine: Engine) {
    let database = migrated(engine);
    let show = ["show", "--group", "invoices", "42"];
    let never = database.run(&show);
    assert_eq!(never.code, 1);
    assert!(never.err.contains("never used"), "{never:?}");
    held(&database, &invoice("42", "web-1"));
    let shown = database.run(&show).done();
    for part in [
        "invoices|42",
        "held for",
        "left",
        "owner       web-1",
        "fence",
        "lease ends",
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    database.run(&["release", "invoices|42", "--force"]).done();
    let shown = database.run(&show).done();
    assert!(
        shown.contains("free") && shown.contains("last owner  web-1"),
        "{shown}"
    );
}
