//! Migration files in the host's folder, and the Diesel CLI.

use std::fs;
use std::path::Path;

use diesel_locks::blocking::TableDsl;
use diesel_locks::{Lock, Table};

use crate::database::{Database, Engine, with_connection};
use crate::host::Host;

fn works(database: &Database) {
    with_connection!(database.engine, &database.url, conn => {
        use diesel_locks::blocking::{LeaseDsl, LockDsl};
        diesel_locks::blocking::verify(conn).unwrap();
        let attempt = Lock::new("x").unwrap().try_acquire(conn).unwrap();
        let lease = attempt.acquired().expect("nobody else holds it");
        assert!(!lease.release(conn).unwrap().is_lost());
    });
}

fn is_gone(database: &Database) -> bool {
    ["", "_held", "_beats"]
        .iter()
        .all(|suffix| !database.has(&format!("diesel_locks{suffix}")))
}

pub fn the_hosts_commands_go_on_working(engine: Engine) {
    let host = Host::new(engine);
    let ours = host.write();
    let ours = ours.file_name().unwrap().to_str().unwrap();
    let names = host.names();
    assert_eq!(names.len(), 3);
    assert_eq!(names[1], ours, "between the host's");

    host.diesel(&["database", "setup"]);
    works(&host.database);
    assert!(host.diesel(&["migration", "pending"]).contains("false"));

    host.diesel(&["migration", "redo"]);
    assert_eq!(host.database.count("diesel_locks"), 1, "not the last one");
    host.diesel(&["migration", "redo", "--number", "2"]);
    assert_eq!(host.database.count("diesel_locks"), 0, "made anew");
    host.diesel(&["migration", "redo", "--all"]);
    works(&host.database);

    host.diesel(&["migration", "revert"]);
    assert!(!is_gone(&host.database));
    let reverted = host.diesel(&["migration", "revert"]);
    assert!(reverted.contains(ours), "{reverted}");
    assert!(is_gone(&host.database) && host.database.has("host_jobs"));
    host.diesel(&["migration", "run"]);
    works(&host.database);

    host.diesel(&["migration", "revert", "--all"]);
    assert!(is_gone(&host.database) && !host.database.has("host_jobs"));
    host.diesel(&["migration", "run"]);
    works(&host.database);
}

/// The printed file is compiled into these tests: see [`super::joined`].
pub fn what_is_printed_is_what_is_compiled(engine: Engine) {
    let host = Host::new(engine);
    host.configure(false);
    host.write();
    host.diesel(&["database", "setup"]);
    let printed = host.diesel(&["print-schema"]);
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("embedding/printed")
        .join(format!("{}.rs", engine.dialect()));
    if std::env::var_os("BLESS").is_some() {
        return fs::write(file, printed).unwrap();
    }
    assert_eq!(printed, fs::read_to_string(file).unwrap());
}

pub fn the_filter_keeps_the_table_from_being_dropped(engine: Engine) {
    let host = Host::new(engine);
    host.write();
    host.diesel(&["database", "setup"]);
    let turns = Table::new("diesel_locks_turns").unwrap();
    with_connection!(engine, &host.database.url, conn => turns.migrate(conn)).unwrap();
    host.diesel(&["migration", "redo"]);
    let schema = fs::read_to_string(host.database.file("schema.rs")).unwrap();
    assert!(
        schema.contains("host_jobs") && !schema.contains("diesel_locks"),
        "{schema}"
    );

    assert_eq!(diff(&host, "filtered").matches("diesel_locks").count(), 0);
    // The guide warns of this: without the filter, the tables would be dropped.
    host.configure(false);
    let unfiltered = diff(&host, "unfiltered");
    for table in [
        "diesel_locks",
        "diesel_locks_turns",
        "diesel_locks_turns_setup",
    ] {
        let named = |quote: &str| {
            unfiltered.contains(&format!("DROP TABLE IF EXISTS {quote}{table}{quote}"))
        };
        assert!(
            ["", "`", "\""].into_iter().any(named),
            "{table} in {unfiltered}"
        );
    }
}

/// The migration that Diesel writes to change the database to the host's schema.
fn diff(host: &Host, name: &str) -> String {
    host.diesel(&["migration", "generate", "--diff-schema=schema.rs", name]);
    let folder = host
        .names()
        .into_iter()
        .find(|folder| folder.ends_with(&format!("_{name}")));
    let folder = host.migrations().join(folder.expect("a new folder"));
    let sql = fs::read_to_string(folder.join("up.sql")).unwrap();
    fs::remove_dir_all(folder).unwrap();
    sql
}
