//! `migrations write` and `sql`.

use std::fs;
use std::path::Path;

use crate::database::{Database, Engine};

pub fn files_are_written_once_and_never_changed(engine: Engine) {
    let database = Database::unborn(engine);
    let folder = database.file("migrations");
    let dir = folder.to_str().unwrap();
    let write = ["migrations", "write", engine.dialect(), "--dir", dir];

    let nowhere = database.run(&write);
    assert_eq!(nowhere.code, 3, "{nowhere:?}");
    assert!(nowhere.err.contains("diesel setup"), "{nowhere:?}");
    fs::create_dir(&folder).unwrap();

    let made = database.run(&write).done();
    let up = folder.join("2026-11-20-084137_diesel_locks_create/up.sql");
    assert_eq!(made.trim(), up.parent().unwrap().to_str().unwrap());
    fs::write(&up, "mine").unwrap();
    let again = database.run(&write);
    assert!(again.err.contains("nothing to write"), "{again:?}");
    assert_eq!(again.done(), "");
    assert_eq!(fs::read_to_string(&up).unwrap(), "mine");

    // Without an engine, the engine of the URL applies. Another table gets another folder.
    let other = [
        "migrations",
        "write",
        "--dir",
        dir,
        "--table",
        "Billing locks",
    ];
    let made = database.run(&other).done();
    assert!(made.trim().ends_with("_for_billing_locks"), "{made}");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
}

pub fn sql_is_printed_for_other_tools(engine: Engine) {
    let database = Database::new(engine);
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("migrations")
        .join(engine.dialect())
        .join("2026-11-20-084137_diesel_locks_create");
    for (file, words) in [
        ("up.sql", &["migrations", "sql"][..]),
        ("down.sql", &["migrations", "sql", "--drop"]),
    ] {
        let text = fs::read_to_string(shipped.join(file)).unwrap();
        assert_eq!(database.run(words).done(), text);
    }
    let (sql, table) = (["migrations", "sql"], ["--table", "odd 'name'"]);
    let create = database.run(&[&sql[..], &table].concat()).done();
    let drop = database
        .run(&[&sql[..], &table, &["--drop"]].concat())
        .done();
    database.batch(&create);
    database.run(&[&["verify"], &table[..]].concat()).done();
    database.batch(&drop);
    assert_eq!(database.run(&[&["verify"], &table[..]].concat()).code, 1);
}
