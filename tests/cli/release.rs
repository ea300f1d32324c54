//! `release` and `purge`.

use diesel::Connection;
use diesel_locks::blocking::LeaseDsl;
use diesel_locks::{Error, Lock, Table};

use crate::database::{Database, Engine, with_connection};
use crate::list::{held, migrated};

fn is_mine(database: &Database, lease: &diesel_locks::Lease) -> bool {
    with_connection!(database.engine, &database.url, conn => lease.status(conn))
        .unwrap()
        .is_held()
}

pub fn a_lock_is_released_by_force(engine: Engine) {
    let database = migrated(engine);
    let release = ["release", "x", "--force"];
    let free = database.run(&release);
    assert_eq!(free.code, 1);
    assert!(free.err.contains("nobody holds it"), "{free:?}");

    let lock = Lock::in_group("a", "x").unwrap();
    for words in [
        &["release", "a|x", "--force"][..],
        &["release", "--force", "x", "--group", "a"],
    ] {
        let lease = held(&database, &lock);
        let quiet = database.run(words);
        assert_eq!(
            (quiet.code, &*quiet.err),
            (0, ""),
            "it asks nothing: {quiet:?}"
        );
        assert_eq!(quiet.out, "a|x is released\n");
        assert!(!is_mine(&database, &lease));
    }
}

/// On SQLite, the pin blocks every other writer, and the program waits five seconds for it.
pub fn a_pinned_lock_is_in_use(engine: Engine) {
    let database = migrated(engine);
    let lease = held(&database, &Lock::new("x").unwrap());
    with_connection!(engine, &database.url, conn => conn.transaction(|conn| {
        lease.pin(conn)?;
        let said = database.run(&["release", "x", "--force"]);
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.err.contains("in use"), "{said:?}");
        Ok::<_, Error>(())
    }))
    .unwrap();
    assert!(is_mine(&database, &lease));
}

pub fn a_lock_in_another_table_is_another_lock(engine: Engine) {
    let database = migrated(engine);
    let there = ["--table", "other"];
    database.run(&[&["migrate"], &there[..]].concat()).done();
    let lock = Lock::new("x").unwrap();
    let here = held(&database, &lock);
    let other = held(&database, &lock.in_table(Table::new("other").unwrap()));
    let release = ["release", "x", "--force"];
    database.run(&[&release[..], &there].concat()).done();
    assert!(is_mine(&database, &here) && !is_mine(&database, &other));
}

pub fn old_rows_are_purged(engine: Engine) {
    let database = migrated(engine);
    for name in ["old", "new", "held"] {
        held(&database, &Lock::new(name).unwrap());
    }
    for name in ["old", "new"] {
        database.run(&["release", name, "--force"]).done();
    }
    let week = 8_i64 * 86_400_000_000;
    for table in ["diesel_locks", "diesel_locks_beats"] {
        if database.has(table) {
            database.batch(&format!(
                "UPDATE {table} SET fence = fence - {week}, expires_at = expires_at - {week} WHERE name = 'old'"
            ));
        }
    }
    let purge = ["purge", "--older-than", "7d"];
    let elsewhere = database.run(&[&purge[..], &["--group", "none"]].concat());
    assert_eq!(elsewhere.done(), "0 removed\n");
    assert_eq!(database.run(&purge).done(), "1 removed\n");
    assert_eq!(database.count("diesel_locks"), 2);
}
